"""The embedding cache, shared by every run and every process of one user.

A picture is known by the BLAKE3 digest of its content, so a renamed or moved one is not new.
Vectors lie in blobs of many rows, a blob a flush, each with its own checksum. The table `file`
remembers which content lay at a path, so that a second run reads no file that did not change.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from zeroshelf.embeddings.cache_db import CacheFile, wanted
from zeroshelf.images.codecs import optional
from zeroshelf.records import Picture
from zeroshelf.system import app_folders

Half: TypeAlias = npt.NDArray[np.float16]

_RACY_NS = 2_000_000_000  # a file that changed this short before it was read may change unseen
_DAY = 86_400
_DECODERS = 2  # version of how files are read: one more where something more can be read


@dataclass(frozen=True, slots=True)
class Embedded:
    """What is kept of one picture."""

    vector: Half  # (D,)
    thumbnail: bytes  # a small JPEG
    note: str | None = None


class _Embedded(Protocol):
    @property
    def vector(self) -> Half: ...
    @property
    def thumbnail(self) -> bytes: ...
    @property
    def note(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Size:
    path: str
    bytes: int
    embeddings: int
    thumbnails: int
    models: int


def default_path() -> str:
    """In the user's cache folder, or in the folder that ZEROSHELF_CACHE names."""
    return os.path.join(app_folders.cache(), "embeddings.sqlite")


class Store:
    """A context manager. Its methods may be called from any thread, and never raise for what is
    wrong with the cache: see `trouble`."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file
        self._opened_ns = time.time_ns()

    @classmethod
    def open(cls, path: str | None = None) -> Store:
        return cls(CacheFile(os.path.abspath(path) if path else default_path()))

    @property
    def trouble(self) -> str | None:
        """One line for the user, to be shown once: why the cache isn't used, or was made anew."""
        return self._file.trouble

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    # --- pictures ---------------------------------------------------------------------------

    def digests(self, pictures: Iterable[Picture]) -> dict[str, bytes]:
        """path -> digest, of the pictures whose file didn't change since it was read."""

        def look(db: sqlite3.Connection) -> dict[str, bytes]:
            rows = (_file(picture) for picture in pictures)
            with wanted(db, "path BLOB PRIMARY KEY, size, mtime, ctime", rows):
                known = db.execute(
                    "SELECT f.path, f.digest FROM wanted w JOIN file f ON f.path = w.path "
                    "AND f.size = w.size AND f.mtime = w.mtime AND f.ctime = w.ctime"
                )
                return {os.fsdecode(path): digest for path, digest in known}

        return self._file.read(look, {})

    def vectors(
        self, model_digest: str, digests: Sequence[bytes]
    ) -> tuple[npt.NDArray[np.bool_], Half]:
        """Which are known (N,), and their vectors (N, D), zeros where not. D is 1 where none is
        known: nothing then says how long a vector is."""

        def look(db: sqlite3.Connection) -> tuple[npt.NDArray[np.bool_], Half]:
            found = np.zeros(len(digests), bool)
            vectors = np.zeros((len(digests), 1), np.float16)
            for rows, part in self._gather(db, model_digest, digests):
                if not found.any():
                    vectors = np.zeros((len(digests), part.shape[1]), np.float16)
                vectors[rows] = part
                found[rows] = True
            return found, vectors

        nothing = np.zeros(len(digests), bool), np.zeros((len(digests), 1), np.float16)
        return self._file.read(look, nothing)

    def recall(self, model_digest: str, digests: Sequence[bytes]) -> dict[bytes, Embedded | str]:
        """All that is known of some contents: what was kept, or why it can't be decoded."""
        found, vectors = self.vectors(model_digest, digests)
        drawn = self._drawn(digests)
        known: dict[bytes, Embedded | str] = dict(self.unreadable(digests))
        for row in np.flatnonzero(found).tolist():
            jpeg, note = drawn.get(digests[row], (b"", None))
            known[digests[row]] = Embedded(vectors[row], jpeg, note)
        return known

    def thumbnails(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        return {digest: jpeg for digest, (jpeg, _) in self._drawn(digests).items()}

    def notes(self, digests: Iterable[bytes]) -> dict[bytes, str]:
        """What a person should know of a picture: its file is cut short, or it is a dark one."""

        def look(db: sqlite3.Connection) -> dict[bytes, str]:
            with wanted(db, "digest BLOB PRIMARY KEY", ((d,) for d in set(digests))):
                return dict(
                    db.execute(
                        "SELECT digest, note FROM wanted JOIN thumbnail USING (digest) "
                        "WHERE note IS NOT NULL"
                    )
                )

        return self._file.read(look, {})

    def unreadable(self, digests: Iterable[bytes]) -> dict[bytes, str]:
        """Content that can't be decoded, with the reason: no need to try it again. What other
        decoders than today's refused, or none that was installed then, is no longer in here."""
        end = _by_decoders("")

        def look(db: sqlite3.Connection) -> dict[bytes, str]:
            with wanted(db, "digest BLOB PRIMARY KEY", ((d,) for d in set(digests))):
                known = db.execute(
                    "SELECT digest, reason FROM wanted JOIN unreadable USING (digest)"
                )
                return {d: text.removesuffix(end) for d, text in known if text.endswith(end)}

        return self._file.read(look, {})

    def add(
        self, model_digest: str, rows: Sequence[tuple[Picture, bytes, _Embedded | str]]
    ) -> None:
        """(picture, digest, what is kept of it or why it can't be decoded), in one transaction.
        What is there already stays as it is."""
        if not rows:
            return
        kept = [(digest, answer) for _, digest, answer in rows if not isinstance(answer, str)]
        bad = [
            (digest, _by_decoders(answer)) for _, digest, answer in rows if isinstance(answer, str)
        ]
        safe = self._opened_ns - _RACY_NS  # every file was read after that
        files = [
            (*_file(picture), digest)
            for picture, digest, _ in rows
            if max(picture.mtime_ns, picture.ctime_ns) < safe
        ]

        def act(db: sqlite3.Connection) -> None:
            if kept:
                _add_chunk(db, model_digest, kept)
            db.executemany(
                "INSERT OR IGNORE INTO thumbnail(digest, jpeg, note) VALUES (?,?,?)",
                ((digest, answer.thumbnail, answer.note) for digest, answer in kept),
            )
            db.executemany("INSERT OR REPLACE INTO unreadable VALUES (?,?)", bad)
            db.executemany("INSERT OR REPLACE INTO file VALUES (?,?,?,?,?)", files)

        self._file.write(act)

    def same_pixels(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """What is known of the first digest of each pair holds for the second too: the content is
        the same picture with other metadata."""
        pairs = list(pairs)

        def act(db: sqlite3.Connection) -> None:
            for old, new in pairs:
                for table, columns in (
                    ("embedding", "model, {}, chunk, row"),
                    ("thumbnail", "{}, jpeg, note"),
                ):
                    db.execute(
                        f"INSERT OR IGNORE INTO {table}({columns.format('digest')}) "
                        f"SELECT {columns.format('?')} FROM {table} WHERE digest = ?",
                        (new, old),
                    )

        if pairs:
            self._file.write(act)

    # --- texts ------------------------------------------------------------------------------

    def texts(self, model_digest: str, texts: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
        """text -> vector (D,), of those that are known."""

        def look(db: sqlite3.Connection) -> dict[str, npt.NDArray[np.float32]]:
            with wanted(db, "text TEXT PRIMARY KEY", ((t,) for t in set(texts))):
                known = db.execute(
                    "SELECT text, vector, checksum FROM wanted JOIN text USING (text) "
                    "WHERE model = (SELECT id FROM model WHERE digest = ?)",
                    (model_digest,),
                )
                return {
                    text: np.frombuffer(blob, np.float32)
                    for text, blob, checksum in known
                    if _checksum(blob) == checksum
                }

        return self._file.read(look, {})

    def add_texts(self, model_digest: str, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """text -> vector (D,)."""

        def act(db: sqlite3.Connection) -> None:
            model = _model(db, model_digest)
            blobs = ((t, np.asarray(v, np.float32).tobytes()) for t, v in vectors.items())
            db.executemany(
                "INSERT OR REPLACE INTO text VALUES (?,?,?,?)",
                ((model, text, blob, _checksum(blob)) for text, blob in blobs),
            )

        self._file.write(act)

    # --- care -------------------------------------------------------------------------------

    def size(self) -> Size:
        path = self._file.path
        files = [file for end in ("", "-wal") if os.path.exists(file := path + end)]

        def look(db: sqlite3.Connection) -> Size:
            counts = [
                int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                for table in ("embedding", "thumbnail", "model")
            ]
            return Size(path, sum(os.path.getsize(file) for file in files), *counts)

        return self._file.read(look, Size(path, 0, 0, 0, 0))

    def prune(self, unused_days: int) -> None:
        """Forget what no run used for so many days (0: everything) and give the space back."""

        def act(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM chunk WHERE used <= ?", (_today() - unused_days,))
            db.execute("DELETE FROM embedding WHERE chunk NOT IN (SELECT id FROM chunk)")
            for table in ("thumbnail", "file"):
                db.execute(
                    f"DELETE FROM {table} WHERE digest NOT IN (SELECT digest FROM embedding)"
                )
            if unused_days <= 0:
                db.execute("DELETE FROM text")
                db.execute("DELETE FROM unreadable")
            db.execute(
                "DELETE FROM model WHERE id NOT IN "
                "(SELECT model FROM chunk UNION SELECT model FROM text)"
            )

        self._file.write(act)
        self._file.shrink()

    # --- inside -----------------------------------------------------------------------------

    def _gather(
        self, db: sqlite3.Connection, model_digest: str, digests: Sequence[bytes]
    ) -> list[tuple[npt.NDArray[np.int64], Half]]:
        """Rows of the answer with their vectors, a chunk at a time: each blob is read once."""
        with wanted(db, "i INTEGER PRIMARY KEY, digest BLOB", enumerate(digests)):
            places = db.execute(
                "SELECT e.chunk, e.row, w.i FROM wanted w JOIN embedding e ON e.digest = w.digest "
                "AND e.model = (SELECT id FROM model WHERE digest = ?) ORDER BY e.chunk",
                (model_digest,),
            ).fetchall()
        if not places:
            return []
        at = np.array(places, np.int64)  # (M, 3): chunk, row in it, row of the answer
        used: list[int] = []
        damaged: list[int] = []
        parts = []
        for group in np.split(at, np.flatnonzero(np.diff(at[:, 0])) + 1):
            chunk = int(group[0, 0])
            known = _chunk(db, chunk)
            if known is None or group[:, 1].max() >= len(known):
                damaged.append(chunk)
            else:
                used.append(chunk)
                parts.append((group[:, 2], known[group[:, 1]]))
        _after_reading(self._file, db, used, damaged)
        return parts

    def _drawn(self, digests: Iterable[bytes]) -> dict[bytes, tuple[bytes, str | None]]:
        def look(db: sqlite3.Connection) -> dict[bytes, tuple[bytes, str | None]]:
            with wanted(db, "digest BLOB PRIMARY KEY", ((d,) for d in set(digests))):
                known = db.execute(
                    "SELECT digest, jpeg, note FROM wanted JOIN thumbnail USING (digest)"
                )
                return {digest: (jpeg, note) for digest, jpeg, note in known}

        return self._file.read(look, {})


def _by_decoders(reason: str) -> str:
    """A reason as it is kept: with the decoders that found it."""
    return f"{reason}\n{_DECODERS} {optional.installed()}"


def _add_chunk(
    db: sqlite3.Connection, model_digest: str, kept: Sequence[tuple[bytes, _Embedded]]
) -> None:
    model = _model(db, model_digest)
    blob = np.stack([answer.vector for _, answer in kept]).astype(np.float16).tobytes()
    chunk = db.execute(
        "INSERT INTO chunk(model, rows, used, checksum, vectors) VALUES (?,?,?,?,?)",
        (model, len(kept), _today(), _checksum(blob), blob),
    ).lastrowid
    db.executemany(
        "INSERT OR IGNORE INTO embedding VALUES (?,?,?,?)",
        ((model, digest, chunk, row) for row, (digest, _) in enumerate(kept)),
    )


def _chunk(db: sqlite3.Connection, chunk: int) -> Half | None:
    """The vectors of one flush (rows, D), or None where they are not what was written."""
    row = db.execute("SELECT rows, checksum, vectors FROM chunk WHERE id = ?", (chunk,)).fetchone()
    if row is None or _checksum(row[2]) != row[1]:
        return None
    return np.frombuffer(row[2], np.float16).reshape(row[0], -1)


def _after_reading(
    file: CacheFile, db: sqlite3.Connection, used: list[int], damaged: list[int]
) -> None:
    """Note the day for `prune`, once a day; forget what failed its checksum."""
    today = _today()
    (oldest,) = db.execute("SELECT min(used) FROM chunk").fetchone()
    if not damaged and oldest is not None and oldest >= today:
        return

    def act(db: sqlite3.Connection) -> None:
        db.executemany(
            "UPDATE chunk SET used = ? WHERE id = ? AND used < ?", ((today, c, today) for c in used)
        )
        for table, column in (("embedding", "chunk"), ("chunk", "id")):
            db.executemany(f"DELETE FROM {table} WHERE {column} = ?", ((c,) for c in damaged))

    file.write(act)


def _model(db: sqlite3.Connection, model_digest: str) -> int:
    db.execute("INSERT OR IGNORE INTO model(digest) VALUES (?)", (model_digest,))
    row = db.execute("SELECT id FROM model WHERE digest = ?", (model_digest,)).fetchone()
    return int(row[0])


def _file(picture: Picture) -> tuple[bytes, int | bytes, int | bytes, int | bytes]:
    """Path, size and times as SQLite takes them: what its 64 bits don't hold, as text. A share may
    say that a file is of the year 30828."""
    numbers = (picture.size, picture.mtime_ns, picture.ctime_ns)
    held = [n if -(1 << 63) <= n < 1 << 63 else str(n).encode() for n in numbers]
    return os.fsencode(picture.path), held[0], held[1], held[2]


def _checksum(blob: bytes) -> bytes:
    return blake3(blob).digest()


def _today() -> int:
    return int(time.time()) // _DAY
