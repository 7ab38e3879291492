"""Where a file or folder lies: a URI -> a file system and a path in it.

pyarrow's own file systems come first (local, S3, Google Cloud Storage, Azure, HDFS); what pyarrow
doesn't know is opened through fsspec, if that is installed.
"""

from __future__ import annotations

import io
import os
import shutil
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from pyarrow import ArrowInvalid, fs

from zeroshelf.actions.on_store import through_fsspec
from zeroshelf.errors import UserError, one_line
from zeroshelf.system import file_io, machine
from zeroshelf.system.uris import scheme_of

_BLOCK = 1 << 20  # bytes that are copied at once
_CONNECT, _ANSWER, _ATTEMPTS = 20, 60, 5  # seconds, seconds, and requests to S3 for one answer
# Where a file appears as a whole when its upload ends, and where a rename would be a second upload.
_STORES = {"s3", "s3a", "gcs", "gs", "abfs", "abfss", "az", "adl", "oss", "oci", "hf"}


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder on a file system of pyarrow."""

    files: Any  # pyarrow.fs.FileSystem
    path: str  # as `files` wants it: without a scheme, "bucket/key"
    prefix: str  # before a path of `files` to make a URI: "s3://"; "" for the local file system

    @property
    def local(self) -> bool:
        """Whether it is on this machine's own file system, network mounts included."""
        return bool(self.files.type_name == "local")

    @property
    def uri(self) -> str:
        """Its name in a dataset: "s3://bucket/key"; of a local file "file:///home/a%20b.jpg"."""
        return self.uri_of(self.path)

    def uri_of(self, path: str) -> str:
        """The name of another file on the same file system. That of a local file is ASCII, so that
        a name that is no UTF-8 is kept too: `local_path` gives it back."""
        return Path(path).as_uri() if self.local else self.prefix + path

    def below(self, name: str) -> Place:
        """A file or folder in this folder."""
        return Place(self.files, f"{self.path.rstrip('/')}/{name}", self.prefix)

    def info(self) -> Any:
        """pyarrow's FileInfo: type, size, mtime. Its type is NotFound where nothing is there."""
        return self.files.get_file_info(self.path)

    def open(self) -> Any:
        """The file for reading at any position, as pyarrow's NativeFile. Raises `OSError`."""
        return self.files.open_input_file(self.path)

    def read(self) -> bytes:
        """The whole file. Raises `OSError`."""
        with self.stream() as file:
            content: bytes = file.read()
        return content

    def stream(self) -> Any:
        """The file for reading from its start to its end. Raises `OSError`."""
        return self.files.open_input_stream(self.path)

    def write(self, content: bytes) -> None:
        """A file that appears as a whole: readers never see a part of it, also where the process
        is killed. An object store does so by itself; elsewhere the file gets its name at the end.
        A file of that name is replaced. Raises `OSError`."""
        self.write_from(io.BytesIO(content))

    def write_from(self, source: IO[bytes]) -> None:
        """As `write`, the content of an open file, in bounded memory."""
        if self._is_store():
            with self.files.open_output_stream(self.path) as file:
                shutil.copyfileobj(source, file, _BLOCK)
            return
        temporary = self.path.rpartition("/")
        hidden = f"{temporary[0]}/.{temporary[2]}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            if self.local:
                with open(hidden, "wb") as local_file:
                    shutil.copyfileobj(source, local_file, _BLOCK)
                    local_file.flush()
                    file_io.sync_open(local_file.fileno())
                os.replace(hidden, self.path)
            else:
                with self.files.open_output_stream(hidden) as file:
                    shutil.copyfileobj(source, file, _BLOCK)
                self.files.move(hidden, self.path)
        except BaseException:
            if self.files.get_file_info(hidden).type != fs.FileType.NotFound:
                self.files.delete_file(hidden)
            raise

    def make_folder(self) -> None:
        """This folder and those above it. Nothing on an object store, which has no folders."""
        if not self._is_store():
            self.files.create_dir(self.path, recursive=True)

    def names(self) -> list[str]:
        """The names of the files directly in this folder, sorted; [] where there is no folder.
        Raises `UserError` where it can't be listed."""
        try:
            found = self.files.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        except OSError as error:
            raise UserError(f"{self.uri} can't be listed: {one_line(error)}") from None
        return sorted(one.base_name for one in found if one.type == fs.FileType.File)

    def refresh(self) -> None:
        """Forget what fsspec listed earlier in this process: it may be another content by now."""
        if self.files.type_name.startswith("py::fsspec+"):
            self.files.handler.fs.invalidate_cache()

    def _is_store(self) -> bool:
        kind = self.files.type_name
        if kind.startswith("py::fsspec+"):
            protocol = self.files.handler.fs.protocol
            names = {protocol} if isinstance(protocol, str) else {*protocol}
            return not names.isdisjoint(_STORES)
        return kind in _STORES


def place(uri: str, endpoint: str | None = None) -> Place:
    """The place that a path or URI names.

    uri: a path, or a URI with a scheme that pyarrow or fsspec knows.
    endpoint: URL of a server that speaks S3's or Google's protocol, "http://127.0.0.1:9000"; None:
        the environment's (AWS_ENDPOINT_URL for S3), else the provider's own.

    Raises `UserError` where the scheme isn't known or the file system can't be opened, and
    `MissingPackage` where it needs fsspec or a package of fsspec.
    """
    scheme = scheme_of(uri)
    if scheme in ("", "file"):
        path = local_path(uri)
        try:
            path.encode()
        except UnicodeEncodeError:
            raise UserError(f"{path!r} is no UTF-8: pyarrow can't open it, so rename it") from None
        return Place(fs.LocalFileSystem(), _spelled(path), "")
    try:
        if scheme == "s3":  # not by pyarrow's own reading, to which a "?" in a key begins options
            path = uri.partition("://")[2].rstrip("/")
            bucket = path.partition("/")[0]
            return Place(_s3(bucket, endpoint or _endpoint_variable()), path, "s3://")
        if scheme in ("gs", "gcs"):
            path = uri.partition("://")[2].rstrip("/")
            return Place(_google(endpoint), path, "gs://")
        files, path = fs.FileSystem.from_uri(uri)
        if uri.rstrip("/").endswith(path):
            return Place(files, path, uri.rstrip("/").removesuffix(path))
    except ArrowInvalid:
        pass  # a scheme that pyarrow doesn't know
    except OSError as error:
        raise UserError(f"{uri} can't be opened: {one_line(error)}") from None
    return _fsspec(uri, scheme)


def absolute(uri: str) -> str:
    """A URI as it is; of a path the absolute path."""
    return uri if scheme_of(uri) else local_path(uri)


def local_path(uri: str) -> str:
    """The absolute path of a local file by its URI or path."""
    if scheme_of(uri) != "file":
        return os.path.abspath(os.path.expanduser(uri))
    parts = urlsplit(uri)
    written = os.fsdecode(unquote(parts.path, errors="surrogateescape"))
    if machine.WINDOWS:  # /C:/Photos, or a share: file://server/share
        written = f"//{parts.netloc}{written}" if parts.netloc else written.lstrip("/")
    return os.path.abspath(written)


def _spelled(path: str) -> str:
    """pyarrow writes paths with "/" on Windows too."""
    return path.replace(os.sep, "/")


def _endpoint_variable() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


@lru_cache(maxsize=8)  # finding a bucket's region asks its server
def _s3(bucket: str, endpoint: str | None) -> Any:
    given: dict[str, Any] = {}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        given = {"endpoint_override": endpoint, "region": region or "us-east-1"}
        if endpoint.startswith("http://"):
            given["scheme"] = "http"
    else:
        given["region"] = region or fs.resolve_s3_region(bucket)
    # pyarrow gives up after three seconds without a byte, which a busy server may need.
    return fs.S3FileSystem(
        allow_bucket_creation=False,
        connect_timeout=_CONNECT,
        request_timeout=_ANSWER,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        **given,
    )


@lru_cache(maxsize=2)
def _google(endpoint: str | None) -> Any:
    if endpoint is None:
        return fs.GcsFileSystem()
    scheme, _, host = endpoint.rpartition("://")
    return fs.GcsFileSystem(anonymous=True, scheme=scheme or "https", endpoint_override=host)


def _fsspec(uri: str, scheme: str) -> Place:
    files, path = through_fsspec.file_system(uri)
    prefix = "" if path.startswith(f"{scheme}://") else f"{scheme}://"
    return Place(fs.PyFileSystem(fs.FSSpecHandler(files)), path.rstrip("/"), prefix)
