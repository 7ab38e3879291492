"""The SQLite file of the embedding cache: its tables, older and newer versions, and failures.

A cache may never stop a run. What goes wrong (full disk, damage, no permission, a newer version) is
kept in `trouble` for the caller to show once, and the run goes on with a cache in memory.
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
# Version of the tables, in the header of the file (PRAGMA user_version). Version 2 was written by
# zeroshelf 0.1.0 and is upgraded in place.
VERSION = 3
FILE_NAME = "embeddings.sqlite"
_PAGE = 16384  # bytes: the size of a page, as it is set below
_WAIT = 30.0  # seconds to wait for another process's transaction

_SCHEMA = f"""
CREATE TABLE model(id INTEGER PRIMARY KEY, digest TEXT UNIQUE NOT NULL);
CREATE TABLE chunk(id INTEGER PRIMARY KEY, model INTEGER NOT NULL, rows INTEGER NOT NULL,
    used INTEGER NOT NULL, checksum BLOB NOT NULL, vectors BLOB NOT NULL,
    version INTEGER NOT NULL DEFAULT 1);
CREATE TABLE embedding(model INTEGER, digest BLOB, chunk INTEGER NOT NULL, row INTEGER NOT NULL,
    PRIMARY KEY(model, digest)) WITHOUT ROWID;
CREATE INDEX embedding_chunk ON embedding(chunk);
CREATE TABLE text(model INTEGER, text TEXT, vector BLOB NOT NULL, checksum BLOB NOT NULL,
    PRIMARY KEY(model, text));
CREATE TABLE thumbnail(id INTEGER PRIMARY KEY, digest BLOB UNIQUE NOT NULL, jpeg BLOB NOT NULL);
CREATE TABLE thumbnail_version(digest BLOB PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE quality(digest BLOB PRIMARY KEY, version INTEGER NOT NULL, note TEXT) WITHOUT ROWID;
CREATE TABLE hash(digest BLOB PRIMARY KEY, version INTEGER NOT NULL, hash BLOB NOT NULL)
    WITHOUT ROWID;
CREATE TABLE unreadable(digest BLOB PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE file(path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER,
    digest BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""

# The versions of the thumbnails have a table of their own: to read them beside the JPEGs would read
# every JPEG. In version 2 a thumbnail's row held the note too. The column stays, unused: to remove
# it would rewrite every thumbnail. All INSERTs are answered by indices, so the upgrade is quick.
_UPGRADE = {
    2: f"""
ALTER TABLE chunk ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
CREATE TABLE thumbnail_version(digest BLOB PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO thumbnail_version SELECT digest, 1 FROM thumbnail;
CREATE TABLE quality(digest BLOB PRIMARY KEY, version INTEGER NOT NULL, note TEXT) WITHOUT ROWID;
INSERT INTO quality SELECT digest, 1, note FROM thumbnail WHERE note IS NOT NULL;
INSERT OR IGNORE INTO quality SELECT digest, 1, NULL FROM thumbnail;
DROP INDEX thumbnail_note;
CREATE TABLE hash(digest BLOB PRIMARY KEY, version INTEGER NOT NULL, hash BLOB NOT NULL)
    WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""
}


# Made where it is missing. A version that doesn't know it loses nothing, so it has no version.
_UNDERIVABLE = """
CREATE TABLE IF NOT EXISTS underivable(path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER,
    ctime INTEGER, made_by TEXT NOT NULL) WITHOUT ROWID
"""


class NewerCache(Exception):
    """The file was written by a later version of zeroshelf; it is left as it is."""


class NoCache(Exception):
    """The file is something else, such as a picture; it is left as it is."""


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
                if not _was_ours(path):
                    raise NoCache("it is no cache of zeroshelf, and is left as it is") from None
                aside = _set_aside(path)
                self._db = _open(path)
                self.trouble = (
                    f"the cache can't be read ({error}) and is made anew; the old file is {aside}"
                )
        except (OSError, sqlite3.Error, NewerCache, NoCache) as error:
            self._fail(error)

    def close(self) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.close()

    def read(self, look: Callable[[sqlite3.Connection], _T], nothing: _T) -> _T:
        """The result of `look`, or `nothing` if the file fails."""
        with self._lock:
            try:
                return look(self._db)
            except sqlite3.Error as error:
                self._fail(error)
                return nothing

    def write(self, act: Callable[[sqlite3.Connection], object]) -> None:
        """Call `act` in one transaction."""
        with self._lock:
            try:
                with _transaction(self._db):
                    act(self._db)
            except sqlite3.Error as error:
                self._fail(error)

    def shrink(self) -> None:
        """Give free space back to the file system."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _fail(self, error: Exception) -> None:
        """Go on in memory, and say why."""
        with contextlib.suppress(sqlite3.Error, AttributeError):
            self._db.close()
        self._db = _connect(":memory:")
        what = f"can't be used ({error}; ZEROSHELF_CACHE names another folder)"
        if isinstance(error, NewerCache):
            what = f"{error}: update zeroshelf, or name another folder with ZEROSHELF_CACHE"
        elif _is_damage(error):
            with contextlib.suppress(OSError):
                what = f"is damaged and was set aside as {_set_aside(self.path)}"
        self.trouble = f"the cache {self.path} {what}; this run goes on without it"


def _is_damage(error: Exception) -> bool:
    """True for a malformed file; locked, full and forbidden are `OperationalError`s."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError | sqlite3.ProgrammingError
    )


def _was_ours(path: str) -> bool:
    """Whether a file that can't be opened was a cache: by its name, the version in its header, or a
    table in its first page. All else isn't renamed: it may be the user's."""
    with open(path, "rb") as file:
        start = file.read(_PAGE)
    version = int.from_bytes(start[60:64], "big")  # user_version, in SQLite's file format
    known = start.startswith(b"SQLite format 3\0") and version in {VERSION, *_UPGRADE}
    return known or os.path.basename(path) == FILE_NAME or b"CREATE TABLE embedding(" in start


def _open(path: str) -> sqlite3.Connection:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    """A connection to a file with the tables of this version. Transactions are begun and ended by
    this module alone, never by Python's sqlite3."""
    db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        _check_owner(db)
        _version(db)  # before anything is written into a newer file
        db.execute(f"PRAGMA page_size = {_PAGE}")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last flushes, no more
        _bring_up_to_date(db)
    except BaseException:
        db.close()
        raise
    return db


def _bring_up_to_date(db: sqlite3.Connection) -> None:
    """Make the tables, or upgrade those of an older version, in one transaction: after a kill the
    file is as it was before, and a second process waits and finds it done."""
    with _transaction(db):
        version = _version(db)
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and version != VERSION and version not in _UPGRADE:
            raise sqlite3.DatabaseError(f"cache of version {version}")
        script = _UPGRADE.get(version, "") if tables else _SCHEMA
        for statement in script.split(";"):
            db.execute(statement)
        db.execute(_UNDERIVABLE)


def _check_owner(db: sqlite3.Connection) -> None:
    """Raise `NoCache` for the database of another program, before anything is written into it."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if tables and "embedding" not in tables:
        raise NoCache("it is another program's database, and is left as it is")


def _version(db: sqlite3.Connection) -> int:
    """The version in the file's header; 0 for an empty file. Raises `NewerCache`."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise NewerCache(f"was written by a newer zeroshelf (version {version} of the file)")
    return version


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
    """Rename a damaged file and its log. Another process that has it open goes on writing into the
    renamed file, which is never read again. Returns the new path."""
    aside = f"{path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path + end, aside + end)
    return aside


@contextlib.contextmanager
def wanted(
    db: sqlite3.Connection, columns: str, rows: Iterable[tuple[object, ...]]
) -> Iterator[None]:
    """The keys of a bulk query as a temporary table `wanted`: one join instead of N look-ups. May
    be called inside a transaction.

    Write `wanted CROSS JOIN`: SQLite then looks each key up. Left to choose, it reads the other
    table from end to end, such as every thumbnail of a million pictures for one.
    """
    db.execute(f"CREATE TEMP TABLE wanted({columns})")
    try:
        places = ",".join("?" * (columns.count(",") + 1))
        inside = db.in_transaction
        if not inside:
            db.execute("BEGIN")
        db.executemany(f"INSERT INTO wanted VALUES ({places})", rows)
        if not inside:
            db.execute("COMMIT")
        yield
    finally:
        with contextlib.suppress(sqlite3.Error):
            db.execute("DROP TABLE temp.wanted")
