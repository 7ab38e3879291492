"""S3, and servers that speak its protocol, through boto3."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from zeroshelf.actions.on_store.objects import Found, Repeated
from zeroshelf.errors import MissingPackage, UserError
from zeroshelf.system import content_hash

THREADS = 16  # that ask one server at once
_CONNECT, _ANSWER, _ATTEMPTS = 20, 60, 5  # seconds, seconds, and requests for one answer
_GONE = {"404", "NoSuchKey", "NoSuchBucket", "NotFound", "NoSuchVersion"}
_EXISTS = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


class S3:
    """See `objects.Store`. The keys are those of the environment, as for every program with
    boto3."""

    def __init__(self, endpoint: str | None = None) -> None:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise MissingPackage(
                'copies within S3 need boto3: pip install "zeroshelf[s3]"'
            ) from None
        self._refused, self._broken = ClientError, BotoCoreError
        given = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3")
        given = given or os.environ.get("AWS_ENDPOINT_URL") or None
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        try:
            self._client = boto3.client(
                "s3",
                endpoint_url=given,
                region_name=region or ("us-east-1" if given else None),
                config=Config(
                    connect_timeout=_CONNECT,
                    read_timeout=_ANSWER,
                    max_pool_connections=THREADS,
                    retries={"mode": "standard", "max_attempts": _ATTEMPTS},
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise UserError(f"S3 can't be opened: {_line(error)}") from None
        members = self._client.meta.service_model.operation_model("CopyObject").input_shape.members
        if "IfNoneMatch" not in members:
            raise MissingPackage("this boto3 knows no conditions of a copy: pip install -U boto3")
        self._conditions = True  # until the server says that it knows none
        url = self._client.meta.endpoint_url
        self.endpoint = given or (None if ".amazonaws.com" in url else url)

    def uri_of(self, uri: str) -> str:
        return "s3://" + uri.partition("://")[2].rstrip("/")

    def look(self, uri: str) -> Found | None:
        bucket, key = _split(uri)
        try:
            with self._errors(uri):
                told = self._client.head_object(Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        return _found(told, int(told["ContentLength"]), told.get("VersionId"))

    def names(self, folder: str) -> Iterator[str]:
        bucket, key = _split(folder.rstrip("/") + "/")
        pages = self._client.get_paginator("list_objects_v2")
        with self._errors(folder):
            for page in pages.paginate(Bucket=bucket, Prefix=key):
                for one in page.get("Contents", ()):
                    yield f"s3://{bucket}/{one['Key']}"

    def etags(self, start: str) -> Iterator[tuple[str, str]]:
        """URI and etag of every object whose URI begins with `start`, by a listing."""
        bucket, key = _split(start)
        pages = self._client.get_paginator("list_objects_v2")
        with self._errors(start):
            for page in pages.paginate(Bucket=bucket, Prefix=key):
                for one in page.get("Contents", ()):
                    yield f"s3://{bucket}/{one['Key']}", str(one.get("ETag", "")).strip('"')

    def copy(self, source: str, target: str, found: Found) -> None:
        (bucket, key), (from_bucket, from_key) = _split(target), _split(source)
        given: dict[str, Any] = {"Bucket": bucket, "Key": key}
        given["CopySource"] = {"Bucket": from_bucket, "Key": from_key}
        given["CopySourceIfMatch"] = f'"{found.etag}"'
        with self._errors(source, target):
            if self._conditions:
                try:
                    self._client.copy_object(**given, IfNoneMatch="*")
                    return
                except self._refused as error:
                    self._conditions = not _is_unknown(error)
                    if self._conditions:
                        raise
            if self.look(target) is not None:
                raise FileExistsError(17, "it is there already", target)
            self._client.copy_object(**given)

    def delete(self, uri: str, found: Found) -> None:
        """In a bucket that keeps versions, the very version that is named goes."""
        bucket, key = _split(uri)
        with self._errors(uri):
            if found.version is not None:
                self._client.delete_object(Bucket=bucket, Key=key, VersionId=found.version)
                return
            try:
                self._client.delete_object(Bucket=bucket, Key=key, IfMatch=f'"{found.etag}"')
            except self._refused as error:
                if not _is_unknown(error):
                    raise
                self._client.delete_object(Bucket=bucket, Key=key)

    def digest(self, uri: str) -> bytes:
        bucket, key = _split(uri)
        with self._errors(uri):
            return content_hash.of_file(self._client.get_object(Bucket=bucket, Key=key)["Body"])

    def missing_folders(self, folder: str) -> list[str]:
        return []

    def remove_folder(self, folder: str) -> None:
        return

    def tidy(self, target: str) -> None:
        return

    def check(self, folder: str) -> None:
        bucket, _ = _split(folder)
        try:
            with self._errors(f"s3://{bucket}"):
                self._client.head_bucket(Bucket=bucket)
        except OSError as error:
            raise UserError(f"s3://{bucket} can't be used: {error.strerror}") from None

    @contextlib.contextmanager
    def _errors(self, uri: str, target: str | None = None) -> Iterator[None]:
        """boto3's errors as `OSError`. target: of a copy, whose failed condition is either that it
        is there, or that the source has changed."""
        try:
            yield
        except self._refused as error:
            told: Any = error.response
            code = str(told.get("Error", {}).get("Code", ""))
            if code in _GONE:
                raise FileNotFoundError(2, "it no longer exists", uri) from None
            if code in _EXISTS:
                if told.get("ResponseMetadata", {}).get("RetryAttempts"):
                    raise Repeated(17, "it may be there already", target or uri) from None
                raise FileExistsError(17, "it is there already or has changed", uri) from None
            if code in ("403", "AccessDenied"):
                raise PermissionError(13, f"the store refused it ({code})", uri) from None
            raise OSError(5, _line(error), uri) from None
        except self._broken as error:
            raise OSError(5, _line(error), uri) from None


def _split(uri: str) -> tuple[str, str]:
    """Bucket and key."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def _found(told: dict[str, Any], size: int, version: str | None) -> Found:
    etag = str(told.get("ETag", "")).strip('"')
    at = told.get("LastModified")
    kept = version if version not in (None, "null") else None
    return Found(size, etag, None if at is None else int(at.timestamp()), kept, etag or None)


def _is_unknown(error: Any) -> bool:
    """Whether a server says that it doesn't know the condition of a request."""
    return str(error.response.get("Error", {}).get("Code", "")) == "NotImplemented"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
