"""The bytes of the pictures of a dataset again: of files, objects, tars and Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa

from zeroshelf.datasets import containers
from zeroshelf.datasets.containers import PARQUET, container_of
from zeroshelf.datasets.places import local_path, place
from zeroshelf.errors import Unreadable, UserError, one_line
from zeroshelf.images import decode
from zeroshelf.system import content_hash, uris
from zeroshelf.system.ahead import ahead

_FETCHERS = 8  # requests that are open at once, and pictures that wait in memory


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture of a dataset with what was decided about it."""

    uri: str
    label: str
    probability: float
    confidence: str
    digest: str  # BLAKE3 of its content when it was embedded, in hex
    number: int  # among the pictures of its label, from 0


def contents(
    rows: Iterable[Labelled], endpoint: str | None
) -> Iterator[tuple[Labelled, bytes | Unreadable]]:
    """The pictures with their bytes, or the reason why they can't be had: also where they have
    changed since they were embedded. In the order of the rows; those of a Parquet file, which come
    one after the other, in the order of its rows."""
    with ThreadPoolExecutor(_FETCHERS, thread_name_prefix="pictures") as pool:
        for container, some in groupby(rows, _container):
            if container is None:
                yield from ahead(pool, lambda row: (row, _fetched(row, endpoint)), some, _FETCHERS)
                continue
            uri, kind = container
            yield from _members(uri, kind, list(some), endpoint)


def _container(row: Labelled) -> tuple[str, str] | None:
    found = container_of(row.uri)
    return None if found is None else found[:2]


def _fetched(row: Labelled, endpoint: str | None) -> bytes | Unreadable:
    try:
        if uris.is_uri(row.uri):
            here = place(row.uri, endpoint)
            with here.files.open_input_stream(here.path, compression=None) as file:
                content = file.read(decode.MAX_BYTES + 1)
        else:
            with open(local_path(row.uri), "rb") as file:
                content = file.read(decode.MAX_BYTES + 1)
    except (OSError, UserError) as error:
        return Unreadable(f"can't be read: {one_line(error)}")
    return _unchanged(row, content)


def _unchanged(row: Labelled, content: bytes | Unreadable) -> bytes | Unreadable:
    if isinstance(content, Unreadable):
        return content
    if len(content) > decode.MAX_BYTES:
        return Unreadable(f"larger than {decode.MAX_BYTES >> 20} MB")
    if content_hash.of_bytes(content).hex() != row.digest:
        return Unreadable("changed since it was embedded")
    return content


def _members(
    uri: str, kind: str, rows: list[Labelled], endpoint: str | None
) -> Iterator[tuple[Labelled, bytes | Unreadable]]:
    """The pictures of one container, which is opened once."""
    names = {row.uri: row.uri[len(uri) + 1 :] for row in rows}
    if kind == PARQUET:
        rows = sorted(rows, key=lambda row: int(names[row.uri]))
    done = 0
    try:
        found = containers.contents(place(uri, endpoint), kind, [names[row.uri] for row in rows])
        for row, content in zip(rows, found, strict=True):
            done += 1
            yield row, _unchanged(row, content)
    except (OSError, UserError, EOFError, pa.ArrowException) as error:
        for row in rows[done:]:
            yield row, Unreadable(f"can't be read: {one_line(error)}")
