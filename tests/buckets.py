"""One object store, whichever it is: memory, a folder, or moto's S3 where that is installed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from tests import disk_store
from tests.s3_server import S3Server

# What the tests of a store run on; `make test-ray` has all of them.
STORES = ["memory", "disk", *(["s3"] if importlib.util.find_spec("moto") else [])]


class Bucket:
    """The objects below one URI."""

    def __init__(self, uri: str, client: Any = None) -> None:
        self.uri, self._client = uri, client
        self.name = uri.partition("://")[2].strip("/")
        self._files: Any = None if client else fsspec.filesystem(uri.partition("://")[0])

    def put(self, contents: Mapping[str, bytes]) -> None:
        for key, content in contents.items():
            if self._client:
                self._client.put_object(Bucket=self.name, Key=key, Body=content)
            else:
                with self._files.open(f"{self.uri}/{key}", "wb") as file:
                    file.write(content)

    def delete(self, key: str) -> None:
        if self._client:
            self._client.delete_object(Bucket=self.name, Key=key)
        else:
            self._files.rm_file(f"{self.uri}/{key}")

    def objects(self) -> dict[str, bytes]:
        """key -> content of every object."""
        if self._client:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
            keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
            return {
                k: self._client.get_object(Bucket=self.name, Key=k)["Body"].read() for k in keys
            }
        start = f"{self.name}/"
        found = self._files.find(self.uri) if self._files.exists(self.uri) else []
        return {
            str(path).lstrip("/").removeprefix(start): self._files.cat_file(path) for path in found
        }


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Bucket]:
    """An empty bucket on a store of that kind."""
    if kind == "memory":
        fsspec.filesystem("memory").store.clear()
        try:
            yield Bucket("memory://bucket")
        finally:
            fsspec.filesystem("memory").store.clear()
    elif kind == "disk":
        with disk_store.serving(folder / "store"):
            yield Bucket("disk://bucket")
    else:
        with s3(folder) as bucket:
            yield bucket


@contextmanager
def s3(folder: Path, *, versions: bool = False) -> Iterator[Bucket]:
    """A bucket of moto's. versions: it keeps them."""
    import boto3

    folder.mkdir(exist_ok=True)
    with S3Server(folder) as server:
        before = dict(os.environ)
        os.environ |= server.environment
        try:
            client = boto3.client("s3", region_name="us-east-1")
            client.create_bucket(Bucket="bucket")
            if versions:
                client.put_bucket_versioning(
                    Bucket="bucket", VersioningConfiguration={"Status": "Enabled"}
                )
            yield Bucket("s3://bucket", client)
        finally:
            for name in server.environment:
                os.environ.pop(name, None)
            os.environ |= before
