"""The SQLite file under the embedding cache: its tables, and what happens when it fails.

A cache may never stop a run. What goes wrong (full disk, damage, no permission) is kept in
`trouble` for the caller to show once, and the run goes on with a cache in memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_VERSION = 2  # of the schema; another one's file is set aside

_SCHEMA = f"""
CREATE TABLE model(id INTEGER PRIMARY KEY, digest TEXT UNIQUE NOT NULL);
CREATE TABLE chunk(id INTEGER PRIMARY KEY, model INTEGER NOT NULL, rows INTEGER NOT NULL,
    used INTEGER NOT NULL, checksum BLOB NOT NULL, vectors BLOB NOT NULL);
CREATE TABLE embedding(model INTEGER, digest BLOB, chunk INTEGER NOT NULL, row INTEGER NOT NULL,
    PRIMARY KEY(model, digest)) WITHOUT ROWID;
CREATE INDEX embedding_chunk ON embedding(chunk);
CREATE TABLE text(model INTEGER, text TEXT, vector BLOB NOT NULL, checksum BLOB NOT NULL,
    PRIMARY KEY(model, text));
CREATE TABLE thumbnail(id INTEGER PRIMARY KEY, digest BLOB UNIQUE NOT NULL,
    jpeg BLOB NOT NULL, note TEXT);
CREATE INDEX thumbnail_note ON thumbnail(digest, note) WHERE note IS NOT NULL;
CREATE TABLE unreadable(digest BLOB PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE file(path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER,
    digest BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""


class CacheFile:
    """One connection, shared by the threads of this process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.trouble: str | None = None  # one line for the user
        self._lock = threading.RLock()
        try:
            try:
                self._db = _open(path)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                aside = _set_aside(path)
                self._db = _open(path)
                self.trouble = f"the cache was damaged and is made anew; the old one is {aside}"
        except (OSError, sqlite3.Error) as error:
            self._fail(error)

    def close(self) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.close()

    def read(self, look: Callable[[sqlite3.Connection], _T], nothing: _T) -> _T:
        """`nothing` where the file fails."""
        with self._lock:
            try:
                return look(self._db)
            except sqlite3.Error as error:
                self._fail(error)
                return nothing

    def write(self, act: Callable[[sqlite3.Connection], object]) -> None:
        """One transaction."""
        with self._lock:
            try:
                with _transaction(self._db):
                    act(self._db)
            except sqlite3.Error as error:
                self._fail(error)

    def shrink(self) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _fail(self, error: Exception) -> None:
        with contextlib.suppress(sqlite3.Error, AttributeError):
            self._db.close()
        self._db = _connect(":memory:")
        what = f"can't be used ({error}; ZEROSHELF_CACHE names another folder)"
        if _is_damage(error):
            with contextlib.suppress(OSError):
                what = f"is damaged and was set aside as {_set_aside(self.path)}"
        self.trouble = f"the cache {self.path} {what}; this run goes on without it"


def _is_damage(error: Exception) -> bool:
    """True for a malformed file; locked, full and forbidden are `OperationalError`s."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError | sqlite3.ProgrammingError
    )


def _open(path: str) -> sqlite3.Connection:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    """Transactions are ours alone: Python's module opens none by itself."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA page_size = 16384")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last flushes, no more
        with _transaction(db):
            version = db.execute("PRAGMA user_version").fetchone()[0]
            tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version != _VERSION and tables:
                raise sqlite3.DatabaseError(f"cache of version {version}")
            if not tables:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _set_aside(path: str) -> str:
    """Move a damaged file away with its log. Another process that holds it open writes on into
    the moved one, which nobody reads again."""
    aside = f"{path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path + end, aside + end)
    return aside


@contextlib.contextmanager
def wanted(
    db: sqlite3.Connection, columns: str, rows: Iterable[tuple[object, ...]]
) -> Iterator[None]:
    """The keys of a bulk query as a temporary table `wanted`: one join instead of N looks."""
    db.execute(f"CREATE TEMP TABLE wanted({columns})")
    try:
        marks = ",".join("?" * (columns.count(",") + 1))
        db.execute("BEGIN")
        db.executemany(f"INSERT INTO wanted VALUES ({marks})", rows)
        db.execute("COMMIT")
        yield
    finally:
        with contextlib.suppress(sqlite3.Error):
            db.execute("DROP TABLE temp.wanted")
