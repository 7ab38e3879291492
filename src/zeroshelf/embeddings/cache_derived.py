"""The cache's tables `thumbnail`, `quality` and `hash`: what is derived of a picture's pixels.

Each row carries the version of the code that made it, a thumbnail's in `thumbnail_version`. A row
of another version counts as missing for `outdated`, which tells what the next run has to make anew;
vectors are never touched by that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from zeroshelf.embeddings.cache_db import wanted
from zeroshelf.embeddings.derived import Derived
from zeroshelf.images import near_duplicates, quality, thumbnails

# Path, size, mtime and ctime, as in the table `file`.
FileState = tuple[bytes, int | bytes, int | bytes, int | bytes]
TABLES = ("thumbnail", "thumbnail_version", "quality", "hash")
# The hash of version 1 is computed from the very JPEG that is the thumbnail of version 1. Caches of
# zeroshelf 0.1.0 hold the thumbnails alone: their hashes are computed when they are needed.
_SAME_JPEG = 1


def outdated(db: sqlite3.Connection, digests: Iterable[bytes]) -> set[bytes]:
    """Those of `digests` whose thumbnail, note or hash is missing or of another version."""
    with _wanted(db, digests):
        found = db.execute(
            "SELECT w.digest FROM wanted w LEFT JOIN thumbnail_version t USING (digest) "
            "LEFT JOIN quality q USING (digest) LEFT JOIN hash h USING (digest) "
            "WHERE t.version IS NOT ? OR q.version IS NOT ? OR (h.version IS NOT ? "
            "AND NOT (h.version IS NULL AND t.version = ? AND ? = ?))",
            (
                thumbnails.VERSION,
                quality.VERSION,
                near_duplicates.VERSION,
                _SAME_JPEG,
                near_duplicates.VERSION,
                _SAME_JPEG,
            ),
        )
        return {digest for (digest,) in found}


def read_thumbnails(db: sqlite3.Connection, digests: Iterable[bytes]) -> dict[bytes, bytes]:
    """Digest -> JPEG. An outdated thumbnail is better than none: any version is returned."""
    with _wanted(db, digests):
        return dict(
            db.execute("SELECT digest, jpeg FROM wanted CROSS JOIN thumbnail USING (digest)")
        )


def read_notes(db: sqlite3.Connection, digests: Iterable[bytes]) -> dict[bytes, str]:
    """Digest -> note, of pictures that have one. Any version: a run that is opened again, maybe
    without its pictures, keeps the notes by which it was decided."""
    with _wanted(db, digests):
        return dict(
            db.execute(
                "SELECT digest, note FROM wanted CROSS JOIN quality USING (digest) "
                "WHERE note IS NOT NULL"
            )
        )


def read_hashes(db: sqlite3.Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    """Digest -> hash of this version; hashes of two versions can't be compared."""
    with _wanted(db, digests):
        found = db.execute(
            "SELECT digest, hash FROM wanted CROSS JOIN hash USING (digest) WHERE version = ?",
            (near_duplicates.VERSION,),
        )
        return {digest: int.from_bytes(blob, "big") for digest, blob in found}


def hashes_of_thumbnails(db: sqlite3.Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    """Digest -> hash, where the thumbnail is the JPEG that the hash is computed from."""
    if near_duplicates.VERSION != _SAME_JPEG:
        return {}
    with _wanted(db, digests):
        found = db.execute(
            "SELECT digest, jpeg FROM wanted CROSS JOIN thumbnail USING (digest) "
            "JOIN thumbnail_version USING (digest) WHERE version = ?",
            (_SAME_JPEG,),
        )
        return {digest: near_duplicates.dhash(jpeg) for digest, jpeg in found}


def add(db: sqlite3.Connection, made: Mapping[bytes, Derived]) -> None:
    """Digest -> what was derived of its picture just now, in place of what was there."""
    db.executemany(
        "INSERT OR REPLACE INTO thumbnail(digest, jpeg) VALUES (?,?)",
        ((digest, one.thumbnail) for digest, one in made.items()),
    )
    db.executemany(
        "INSERT OR REPLACE INTO thumbnail_version(digest, version) VALUES (?,?)",
        ((digest, thumbnails.VERSION) for digest in made),
    )
    db.executemany(
        "INSERT OR REPLACE INTO quality(digest, version, note) VALUES (?,?,?)",
        ((digest, quality.VERSION, one.note) for digest, one in made.items()),
    )
    add_hashes(db, {d: one.hash for d, one in made.items() if one.hash is not None})


def add_hashes(db: sqlite3.Connection, hashes: Mapping[bytes, int]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO hash(digest, version, hash) VALUES (?,?,?)",
        ((d, near_duplicates.VERSION, one.to_bytes(8, "big")) for d, one in hashes.items()),
    )


def failed(db: sqlite3.Connection, files: Iterable[FileState], decoders: str) -> set[bytes]:
    """The paths of those files that `add_failed` noted for the same versions and decoders."""
    with wanted(db, "path BLOB PRIMARY KEY, size, mtime, ctime", files):
        found = db.execute(
            "SELECT u.path FROM wanted w CROSS JOIN underivable u ON u.path = w.path "
            "AND u.size = w.size AND u.mtime = w.mtime AND u.ctime = w.ctime WHERE u.made_by = ?",
            (_made_by(decoders),),
        )
        return {path for (path,) in found}


def add_failed(db: sqlite3.Connection, files: Iterable[FileState], decoders: str) -> None:
    """Remember that nothing could be derived of these files, as they are."""
    db.executemany(
        "INSERT OR REPLACE INTO underivable VALUES (?,?,?,?,?)",
        ((*file, _made_by(decoders)) for file in files),
    )


def _made_by(decoders: str) -> str:
    versions = (thumbnails.VERSION, quality.VERSION, near_duplicates.VERSION)
    return f"{'.'.join(map(str, versions))} {decoders}"


def prune(db: sqlite3.Connection) -> None:
    """Delete what belongs to no embedding any more, and every failure: it is found out again."""
    db.execute("DELETE FROM underivable")
    for table in TABLES:
        db.execute(f"DELETE FROM {table} WHERE digest NOT IN (SELECT digest FROM embedding)")


def _wanted(db: sqlite3.Connection, digests: Iterable[bytes]) -> AbstractContextManager[None]:
    return wanted(db, "digest BLOB PRIMARY KEY", ((digest,) for digest in set(digests)))
