"""All vectors below one folder, straight from the cache's file: what a search goes through.

The files below the folder are those of the table `file`; the disk is not looked at. Chunks are read
one after the other, so that memory does not grow with them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf.embeddings.cache_db import wanted
from zeroshelf.embeddings.cache_vectors import VERSION, Half
from zeroshelf.system import content_hash

Digests: TypeAlias = npt.NDArray[np.uint8]  # (M, 32), BLAKE3
Places: TypeAlias = npt.NDArray[np.int64]  # (M, 2): the chunk of each vector, and its row in it
Visit: TypeAlias = Callable[[Places, Half], None]  # called with M places and their (M, D) vectors
File: TypeAlias = tuple[str, bytes, int, int]  # path, digest, size in bytes, mtime in nanoseconds

_ROWS = 10_000  # digests that are fetched at once


def visit(db: sqlite3.Connection, model_digest: str, folder: str, look: Visit) -> None:
    """Call `look` for each chunk that contains vectors of files below `folder`, each content once.
    A chunk that fails its checksum is passed over: the next run embeds its pictures anew."""
    places = _places(db, model_digest, _keys(db, folder))
    for group in np.split(places, np.flatnonzero(np.diff(places[:, 0])) + 1):
        if not len(group):
            continue
        count, version, checksum, blob = db.execute(
            "SELECT rows, version, checksum, vectors FROM chunk WHERE id = ?", (int(group[0, 0]),)
        ).fetchone() or (0, 0, b"", b"")
        if version != VERSION or content_hash.of_bytes(blob) != checksum:
            continue
        vectors = np.frombuffer(blob, np.float16).reshape(count, -1)
        whole = len(group) == count  # then in order, and nothing has to be copied
        look(group, vectors if whole else vectors[group[:, 1]])


def digests(db: sqlite3.Connection, places: Places) -> list[bytes]:
    """The digest of the content of each place."""
    with wanted(db, "i INTEGER PRIMARY KEY, chunk, row", _numbered(places)):
        found = db.execute(
            "SELECT e.digest FROM wanted w CROSS JOIN embedding e "
            "ON e.chunk = w.chunk AND e.row = w.row ORDER BY w.i"
        )
        return [digest for (digest,) in found]


def _numbered(places: Places) -> Iterator[tuple[int, int, int]]:
    return ((i, int(chunk), int(row)) for i, (chunk, row) in enumerate(places))


def _places(db: sqlite3.Connection, model_digest: str, keys: npt.NDArray[np.uint64]) -> Places:
    """The places of those vectors whose digest begins as one of `keys`, in the order in which they
    lie. The table is read from its beginning to its end: to look each digest up takes longer."""
    rows = db.execute(
        "SELECT digest, chunk, row FROM embedding "
        "WHERE model = (SELECT id FROM model WHERE digest = ?)",
        (model_digest,),
    )
    parts: list[Places] = [np.empty((0, 2), np.int64)]
    while some := rows.fetchmany(_ROWS):
        joined = np.frombuffer(b"".join(digest for digest, _, _ in some), np.uint8).reshape(-1, 32)
        here = np.flatnonzero(_contained(keys, _key(joined)))
        at = np.fromiter((n for _, *place in some for n in place), np.int64).reshape(-1, 2)
        parts.append(at[here])
    found = np.concatenate(parts)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def files(db: sqlite3.Connection, folder: str, digests: Collection[bytes]) -> list[File]:
    """The files below `folder` whose content has one of these digests."""
    with wanted(db, "digest BLOB PRIMARY KEY", ((digest,) for digest in digests)):
        found = db.execute(
            "SELECT path, digest, size, mtime FROM file JOIN wanted USING (digest) "
            "WHERE path >= ? AND path < ?",
            _range(folder),
        )
        return [
            (os.fsdecode(path), digest, size, changed)
            for path, digest, size, changed in found
            if isinstance(size, int) and isinstance(changed, int)
        ]


def _keys(db: sqlite3.Connection, folder: str) -> npt.NDArray[np.uint64]:
    """The first 8 bytes of the digest of each file below `folder`, sorted."""
    found = db.execute("SELECT digest FROM file WHERE path >= ? AND path < ?", _range(folder))
    parts: list[npt.NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    while some := found.fetchmany(_ROWS):
        joined = b"".join(digest for (digest,) in some)
        parts.append(_key(np.frombuffer(joined, np.uint8).reshape(-1, 32)))
    return np.unique(np.concatenate(parts))


def _key(digests: Digests) -> npt.NDArray[np.uint64]:
    """(M, 32) -> (M,). Of a million contents two share 8 bytes with a probability of 3e-8; one
    that is not below the folder would then be among those that are compared, and `files` has no
    path for it."""
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64)[:, 0]


def _contained(
    keys: npt.NDArray[np.uint64], asked: npt.NDArray[np.uint64]
) -> npt.NDArray[np.bool_]:
    at = np.searchsorted(keys, asked)
    found = (
        keys[np.minimum(at, len(keys) - 1)] == asked if len(keys) else np.zeros(len(asked), bool)
    )
    return np.asarray(found, np.bool_)


def _range(folder: str) -> tuple[bytes, bytes]:
    """From which path on, and before which, the paths below `folder` lie in the order of bytes."""
    below = os.fsencode(os.path.join(folder, ""))
    return below, below[:-1] + bytes([below[-1] + 1])
