"""The cache's tables of vectors: `model`, `chunk` and `embedding`.

Vectors lie in chunks, one for each `EmbeddingCache.add`, each a blob of many rows with its own
checksum. `embedding` tells in which row of which chunk the vector of a picture lies.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf.embeddings.cache_db import wanted
from zeroshelf.system import content_hash

Half: TypeAlias = npt.NDArray[np.float16]

# One more whenever the same picture and model would give another vector, as after a change in
# images/preprocess.py: vectors of other versions are then made anew.
VERSION = 1
_DAY = 86_400  # seconds


@dataclass(slots=True)
class Found:
    """The vectors of one look-up."""

    parts: list[tuple[npt.NDArray[np.int64], Half]] = field(default_factory=list)  # rows, vectors
    stale: list[int] = field(default_factory=list)  # chunks read for the first time on this day
    damaged: list[int] = field(default_factory=list)  # chunks that failed their checksum


def find(db: sqlite3.Connection, model_digest: str, digests: Sequence[bytes]) -> Found:
    """For each chunk with some of `digests`: their indices (M,) and vectors (M, D)."""
    with wanted(db, "i INTEGER PRIMARY KEY, digest BLOB", enumerate(digests)):
        places = db.execute(
            "SELECT e.chunk, e.row, w.i FROM wanted w CROSS JOIN embedding e "
            "ON e.digest = w.digest AND e.model = (SELECT id FROM model WHERE digest = ?) "
            "ORDER BY e.chunk",
            (model_digest,),
        ).fetchall()
    found = Found()
    if not places:
        return found
    at = np.array(places, np.int64)  # (M, 3): chunk, row in it, index in `digests`
    for group in np.split(at, np.flatnonzero(np.diff(at[:, 0])) + 1):  # each blob is read once
        chunk = int(group[0, 0])
        read = db.execute(
            "SELECT rows, version, checksum, vectors, used FROM chunk WHERE id = ?", (chunk,)
        ).fetchone()
        if read is not None and read[1] != VERSION:
            continue
        if (
            read is None
            or content_hash.of_bytes(read[3]) != read[2]
            or group[:, 1].max() >= read[0]
        ):
            found.damaged.append(chunk)
            continue
        if read[4] < today():
            found.stale.append(chunk)
        vectors = np.frombuffer(read[3], np.float16).reshape(read[0], -1)
        found.parts.append((group[:, 2], vectors[group[:, 1]]))
    return found


def count(db: sqlite3.Connection, model_digest: str, digests: Sequence[bytes]) -> int:
    """How many of `digests` have a vector. None is read."""
    with wanted(db, "i INTEGER PRIMARY KEY, digest BLOB", enumerate(digests)):
        (found,) = db.execute(
            "SELECT count(*) FROM wanted w CROSS JOIN embedding e ON e.digest = w.digest "
            "AND e.model = (SELECT id FROM model WHERE digest = ?)",
            (model_digest,),
        ).fetchone()
    return int(found)


def note_use(db: sqlite3.Connection, found: Found) -> None:
    """Note today as the day of last use, for `prune`, and delete damaged chunks."""
    day = today()
    db.executemany(
        "UPDATE chunk SET used = ? WHERE id = ? AND used < ?", ((day, c, day) for c in found.stale)
    )
    for table, column in (("embedding", "chunk"), ("chunk", "id")):
        db.executemany(f"DELETE FROM {table} WHERE {column} = ?", ((c,) for c in found.damaged))


def add(db: sqlite3.Connection, model_digest: str, vectors: Mapping[bytes, Half]) -> None:
    """Digest -> vector (D,), as one chunk. Vectors of this version that are there already stay."""
    model = model_id(db, model_digest)
    with wanted(db, "digest BLOB PRIMARY KEY", ((digest,) for digest in vectors)):
        there = db.execute(
            "SELECT digest FROM wanted CROSS JOIN embedding e USING (digest) "
            "JOIN chunk c ON c.id = e.chunk WHERE e.model = ? AND c.version = ?",
            (model, VERSION),
        ).fetchall()
    known = {digest for (digest,) in there}
    new = [digest for digest in vectors if digest not in known]
    if not new:
        return
    chunk = insert_chunk(db, model, np.stack([vectors[digest] for digest in new]))
    db.executemany(
        "INSERT OR REPLACE INTO embedding VALUES (?,?,?,?)",
        ((model, digest, chunk, row) for row, digest in enumerate(new)),
    )


def insert_chunk(db: sqlite3.Connection, model: int, vectors: Half) -> int:
    """(N, D) vectors as one chunk; its id."""
    blob = vectors.astype(np.float16).tobytes()
    chunk = db.execute(
        "INSERT INTO chunk(model, rows, used, version, checksum, vectors) VALUES (?,?,?,?,?,?)",
        (model, len(vectors), today(), VERSION, content_hash.of_bytes(blob), blob),
    ).lastrowid
    assert chunk is not None
    return chunk


def prune(db: sqlite3.Connection, unused_days: int) -> None:
    """Delete the chunks that no run used for so many days."""
    db.execute("DELETE FROM chunk WHERE used <= ?", (today() - unused_days,))
    db.execute("DELETE FROM embedding WHERE chunk NOT IN (SELECT id FROM chunk)")


def model_id(db: sqlite3.Connection, model_digest: str) -> int:
    """The number of a model in this cache; it is given one where it has none yet."""
    db.execute("INSERT OR IGNORE INTO model(digest) VALUES (?)", (model_digest,))
    row = db.execute("SELECT id FROM model WHERE digest = ?", (model_digest,)).fetchone()
    return int(row[0])


def today() -> int:
    """Days since 1970 in UTC."""
    return int(time.time()) // _DAY
