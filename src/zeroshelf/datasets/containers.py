"""Pictures inside one file: WebDataset tars, and Parquet with the bytes of pictures.

The uri of a picture is that of its container with "#" and the member's name, or the number of its
row from 0: "s3://bucket/00000.tar#000000017.jpg", "s3://bucket/train.parquet#17".
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from zeroshelf.datasets.places import Place
from zeroshelf.errors import Unreadable, UserError, one_line
from zeroshelf.images import decode, formats
from zeroshelf.output.tables import utf8

TAR, PARQUET = "tar", "parquet"
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_ROWS = 32  # of a Parquet file that are in memory at once
_SUFFIXES = formats.PICTURE_SUFFIXES | formats.RAW_SUFFIXES | formats.VIDEO_SUFFIXES


@dataclass(frozen=True, slots=True)
class Item:
    """A picture that is to be embedded, or the reason why it can't be."""

    uri: str
    etag: str
    suffix: str  # ".jpg"; tells a RAW file from a TIFF
    content: decode.Content | Unreadable


def container_of(uri: str) -> tuple[str, str, str] | None:
    """For the uri of a picture inside a container: that of the container, its kind, and the
    member's name; None for a file or object of its own, in whose name "#" is like any other."""
    for found in re.finditer("#", uri):
        name, member = uri[: found.start()], uri[found.end() :]
        if name.lower().endswith(TAR_SUFFIXES):
            return name, TAR, member
        if name.lower().endswith(".parquet") and member.isdecimal():
            return name, PARQUET, member
    return None


def items(container: Place, kind: str, etag: str, skip: Collection[str]) -> Iterator[Item]:
    """The pictures of one container in their order, without those of the uris `skip`.

    A container that breaks off yields what came before and an item with the error, under the
    container's own uri. Raises `UserError` where a key is in a tar twice, before any picture;
    `OSError` where the container can't be read.
    """
    known = frozenset(skip)
    return (_of_tar if kind == TAR else _of_parquet)(container, etag, known)


def _of_tar(container: Place, etag: str, skip: frozenset[str]) -> Iterator[Item]:
    """An object store's tar is brought into a temporary file as a whole, in one request."""
    with opened(container) as file:
        try:
            tar = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115  # closed with its file
            members, trouble = _members(tar)
        except (tarfile.TarError, EOFError, OSError) as error:
            yield _broken(container, etag, error)
            return
        _check_keys([member.name for member in members], container.uri)
        for member in members:
            uri = f"{container.uri}#{utf8(member.name)}"
            suffix = os.path.splitext(member.name)[1].lower()
            if suffix not in _SUFFIXES or uri in skip:
                continue
            yield Item(uri, etag, suffix, _content(tar, member))
        if trouble is not None:
            yield _broken(container, etag, trouble)


def contents(container: Place, kind: str, members: Sequence[str]) -> Iterator[bytes | Unreadable]:
    """The bytes of some members of a container, in their order; those of a Parquet file by the
    numbers of their rows, which ascend. Raises `OSError` and pyarrow's errors where the container
    can't be read."""
    if kind == TAR:
        with opened(container) as file, _tar(file) as tar:
            there = {utf8(member.name): member for member in _members(tar)[0]}
            for name in members:
                member = there.get(name)
                gone = Unreadable("no longer in its tar")
                yield gone if member is None else _content(tar, member)
        return
    with container.open() as parquet:
        yield from _of_rows(pq.ParquetFile(parquet), [int(name) for name in members])


def _tar(file: IO[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=file, mode="r:*")
    except (tarfile.TarError, EOFError) as error:
        raise OSError(f"broken file: {one_line(error)}") from None


def _of_rows(file: Any, wanted: Sequence[int]) -> Iterator[bytes | Unreadable]:
    column = picture_column(file.schema_arrow)
    if column is None:
        raise OSError("it has no column with pictures")
    numbers = iter(wanted)
    number, row = next(numbers, None), 0
    for batch in file.iter_batches(batch_size=_ROWS, columns=[column]):
        while number is not None and number < row + len(batch):
            value = batch.column(0)[number - row].as_py()
            content = value.get("bytes") if isinstance(value, dict) else value
            yield Unreadable("no picture in this row") if content is None else content
            number = next(numbers, None)
        row += len(batch)
        if number is None:
            return
    while number is not None:
        yield Unreadable("no longer in its file")
        number = next(numbers, None)


def _members(tar: tarfile.TarFile) -> tuple[list[tarfile.TarInfo], Exception | None]:
    """The regular files of a tar, and what broke it off. A block of zeros ends a tar; Python's
    module stops at a header that it can't read without a word."""
    found: list[tarfile.TarInfo] = []
    try:
        for member in tar:
            if member.isreg():
                found.append(member)
        stream: Any = tar.fileobj
        stream.seek(tar.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            return found, tarfile.ReadError("cut short: it has no end")
    except (tarfile.TarError, EOFError, OSError) as error:
        return found, error
    return found, None


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | Unreadable:
    if member.size > decode.MAX_BYTES:
        return Unreadable(f"larger than {decode.MAX_BYTES >> 20} MB")
    try:
        file = tar.extractfile(member)
        return file.read() if file else Unreadable("not a regular file")
    except (tarfile.TarError, EOFError, OSError) as error:
        return Unreadable(f"broken tar: {one_line(error)}")


def _check_keys(names: list[str], container: str) -> None:
    """WebDataset's key is a member's path up to the first dot of its last part; the rest is the
    name of a field, in lower case. Each field of a key is there once; where in the tar the other
    fields of that key are does not matter."""
    seen: set[tuple[str, str]] = set()
    for name in names:
        folder, slash, last = name.removeprefix("./").rpartition("/")
        key, _, of_field = last.partition(".")
        field = (f"{folder}{slash}{key}", of_field.lower())
        if field in seen:
            raise UserError(
                f"{container}: the key {utf8(field[0])!r} is there twice ({utf8(name)}): its "
                "pictures can't be told apart; write the tar anew with different keys"
            )
        seen.add(field)


def opened(container: Place) -> IO[bytes]:
    """A container for reading at any position: its file, or a temporary copy of the object that is
    fetched in one request. Raises `OSError`."""
    if container.local:
        return open(container.path, "rb")
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    try:
        with container.files.open_input_stream(container.path, compression=None) as stream:
            shutil.copyfileobj(stream, file, 1 << 20)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return cast("IO[bytes]", file)


def _broken(container: Place, etag: str, error: Exception) -> Item:
    return Item(container.uri, etag, "", Unreadable(f"broken file: {one_line(error)}"))


def picture_column(schema: pa.Schema) -> str | None:
    """The column with pictures: a struct of `bytes` and `path`, as Hugging Face writes it, or one
    named "image" or "jpg" with bytes alone; of several the one named "image", else the first."""
    found = []
    for field in schema:
        kind = field.type
        if pa.types.is_struct(kind):
            names = [kind.field(at).name for at in range(kind.num_fields)]
            if "bytes" in names and "path" in names:
                found.append(field.name)
        elif field.name in ("image", "jpg") and (
            pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        ):
            found.append(field.name)
    return "image" if "image" in found else found[0] if found else None


def _of_parquet(container: Place, etag: str, skip: frozenset[str]) -> Iterator[Item]:
    with container.open() as opened:
        row = 0
        try:
            file = pq.ParquetFile(opened)
            column = picture_column(file.schema_arrow)
            if column is None:
                raise pa.ArrowInvalid("it has no column with pictures")
            for batch in file.iter_batches(batch_size=_ROWS, columns=[column]):
                for value in batch.column(0):
                    uri = f"{container.uri}#{row}"
                    row += 1
                    if uri not in skip:
                        yield _of_value(uri, etag, value.as_py())
        except pa.ArrowException as error:
            yield _broken(container, etag, error)


def _of_value(uri: str, etag: str, value: Any) -> Item:
    path, content = "", value
    if isinstance(value, dict):
        path, content = value.get("path") or "", value.get("bytes")
    if content is None:
        missing = f"its bytes are not in the file: {path}" if path else "no picture in this row"
        return Item(uri, etag, "", Unreadable(missing))
    return Item(uri, etag, os.path.splitext(path)[1].lower(), content)
