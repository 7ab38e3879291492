"""A local S3 server (moto) in a process of its own, whose log tells what was fetched."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote

from tests import waiting

KEYS = {"AWS_ACCESS_KEY_ID": "zeroshelf", "AWS_SECRET_ACCESS_KEY": "zeroshelf"}
_GET = re.compile(r'"(?:\x1b\[\d+m)*GET /([^ ?"]+) HTTP')  # in colour where it is a part


class S3Server:
    """Empty at first. Programs that get `environment` use it as S3."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "s3.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        with self._log.open("wb") as log:
            command = ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            self._process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log)
        waiting.until(self._answers)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(self._log.read_text())
        try:
            urllib.request.urlopen(f"{self.endpoint}/moto-api/").close()
        except OSError:
            return False
        return True

    @property
    def environment(self) -> Mapping[str, str]:
        return KEYS | {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": "us-east-1"}

    def put(self, bucket: str, contents: Mapping[str, bytes]) -> None:
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=bucket)
        for key, content in contents.items():
            client.put_object(Bucket=bucket, Key=key, Body=content)

    def position(self) -> int:
        """A place in the log, for `fetched`."""
        return self._log.stat().st_size

    def fetched(self, start: int = 0, end: int | None = None) -> Counter[str]:
        """ "bucket/key" -> how often it was read between two places in the log."""
        text = self._log.read_bytes()[start:end].decode(errors="replace")
        return Counter(unquote(name) for name in _GET.findall(text) if "/" in name)

    def __enter__(self) -> S3Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
