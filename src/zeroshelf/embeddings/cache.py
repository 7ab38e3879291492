"""The embedding cache, shared by every run and every process of one user.

A picture is known by the BLAKE3 digest of its content, so a renamed or moved file is not embedded
again. The table `file` remembers which content lay at a path, so that a second run reads no file
that did not change. Vectors (cache_vectors), and thumbnails, quality notes and hashes
(cache_derived), lie in tables of their own, each with a version.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zeroshelf import checks
from zeroshelf.embeddings import cache_derived, cache_scan, cache_vectors, folder_cache
from zeroshelf.embeddings.cache_db import FILE_NAME, CacheFile, wanted
from zeroshelf.embeddings.cache_derived import FileState
from zeroshelf.embeddings.cache_vectors import Half
from zeroshelf.embeddings.derived import Derived
from zeroshelf.images.codecs import optional
from zeroshelf.records import Picture
from zeroshelf.system import app_folders, content_hash

# A file that was changed so shortly before it was read may change again without another time.
_RACY_NS = 2_000_000_000
_DECODERS = 2  # version of the decoders: one more whenever something more can be read


@dataclass(frozen=True, slots=True)
class Embedded:
    """What came of one picture."""

    vector: Half  # (D,), of length 1
    derived: Derived | None = None  # None where the cache has it already
    underivable: bool = False  # the cache has an outdated one, and making it anew failed
    size: tuple[int, int] | None = None  # width and height of the full picture, if it was decoded


@dataclass(frozen=True, slots=True)
class Size:
    path: str
    bytes: int
    embeddings: int
    thumbnails: int
    models: int


def default_path() -> str:
    """In the user's cache folder, or in the folder that ZEROSHELF_CACHE names."""
    return os.path.join(app_folders.cache(), FILE_NAME)


class EmbeddingCache:
    """A context manager. Its methods may be called from any thread, and never raise for what is
    wrong with the cache: see `trouble`."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file
        self._opened_ns = time.time_ns()

    @classmethod
    def open(cls, path: str | None = None) -> EmbeddingCache:
        """The cache in the file `path`, or in `default_path()`; it is made where there is none.

        A file that is something else is left as it is, and the cache is in memory then.
        Raises `ArgumentError` if `path` is no path.
        """
        path = None if path is None else checks.path(path, "path")
        return cls(CacheFile(os.path.abspath(path) if path else default_path()))

    @property
    def trouble(self) -> str | None:
        """One line for the user: why the cache isn't used, or was made anew; None normally."""
        return self._file.trouble

    def __enter__(self) -> EmbeddingCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the cache can't be used any more."""
        self._file.close()

    # --- pictures ---------------------------------------------------------------------------

    def digests(self, pictures: Iterable[Picture]) -> dict[str, bytes]:
        """Path -> digest, of the pictures whose file didn't change since it was read."""

        def look(db: sqlite3.Connection) -> dict[str, bytes]:
            rows = (_file(picture) for picture in pictures)
            with wanted(db, "path BLOB PRIMARY KEY, size, mtime, ctime", rows):
                known = db.execute(
                    "SELECT f.path, f.digest FROM wanted w CROSS JOIN file f ON f.path = w.path "
                    "AND f.size = w.size AND f.mtime = w.mtime AND f.ctime = w.ctime"
                )
                return {os.fsdecode(path): digest for path, digest in known}

        return self._file.read(look, {})

    def vectors(
        self, model_digest: str, digests: Sequence[bytes]
    ) -> tuple[npt.NDArray[np.bool_], Half]:
        """Which pictures are known (N,), and their vectors (N, D), zeros where not. D is 1 if none
        is known: nothing then tells how long a vector is."""
        nothing = cache_vectors.Found()
        found = self._file.read(lambda db: cache_vectors.find(db, model_digest, digests), nothing)
        if found.damaged or found.stale:
            self._file.write(lambda db: cache_vectors.note_use(db, found))
        width = found.parts[0][1].shape[1] if found.parts else 1
        known = np.zeros(len(digests), bool)
        vectors = np.zeros((len(digests), width), np.float16)
        for rows, part in found.parts:
            vectors[rows] = part
            known[rows] = True
        return known, vectors

    def has_vectors(self, model_digest: str, digests: Sequence[bytes]) -> bool:
        """Whether all of these pictures are known. No vector is read."""
        found = self._file.read(lambda db: cache_vectors.count(db, model_digest, digests), 0)
        return found == len(digests)

    def visit(self, model_digest: str, folder: str, look: cache_scan.Visit) -> None:
        """Call `look` with the vectors of all files below `folder` that the cache knows, a block
        after the other; see `cache_scan.visit`."""
        self._file.read(lambda db: cache_scan.visit(db, model_digest, folder, look), None)

    def digests_at(self, places: cache_scan.Places) -> list[bytes]:
        """The digest of the content of each place that `visit` named."""
        nothing: list[bytes] = []
        return self._file.read(lambda db: cache_scan.digests(db, places), nothing)

    def files(self, folder: str, digests: Collection[bytes]) -> list[cache_scan.File]:
        """The files below `folder` that had one of these contents when they were last read."""
        nothing: list[cache_scan.File] = []
        return self._file.read(lambda db: cache_scan.files(db, folder, digests), nothing)

    def known(self, model_digest: str, digests: Sequence[bytes]) -> dict[bytes, Half | str]:
        """Digest -> its vector (D,), or the reason why the content can't be decoded."""
        found, vectors = self.vectors(model_digest, digests)
        known: dict[bytes, Half | str] = dict(self.unreadable(digests))
        known |= {digests[row]: vectors[row] for row in np.flatnonzero(found).tolist()}
        return known

    def unreadable(self, digests: Iterable[bytes]) -> dict[bytes, str]:
        """Digest -> reason, of content that can't be decoded. What an older version or another set
        of decoders refused is left out, so that it is tried again."""
        end = _by_decoders("")

        def look(db: sqlite3.Connection) -> dict[bytes, str]:
            with wanted(db, "digest BLOB PRIMARY KEY", ((d,) for d in set(digests))):
                known = db.execute(
                    "SELECT digest, reason FROM wanted CROSS JOIN unreadable USING (digest)"
                )
                return {d: text.removesuffix(end) for d, text in known if text.endswith(end)}

        return self._file.read(look, {})

    def outdated(self, digests: Iterable[bytes]) -> set[bytes]:
        """Pictures whose thumbnail, quality note or hash has to be made anew."""
        return self._file.read(lambda db: cache_derived.outdated(db, digests), set())

    def underivable(self, pictures: Iterable[Picture]) -> set[str]:
        """The paths of those whose thumbnail, quality note or hash could not be made anew: by this
        version, with the decoders installed, of the file as it is."""
        rows = [_file(picture) for picture in pictures]
        if not rows:
            return set()
        nothing: set[bytes] = set()
        by = _by_decoders("")
        found = self._file.read(lambda db: cache_derived.failed(db, rows, by), nothing)
        return {os.fsdecode(path) for path in found}

    def add_underivable(self, pictures: Sequence[Picture]) -> None:
        """Remember that theirs can't be made anew, until one of these things is another."""
        rows = [_file(picture) for picture in pictures]
        if rows:
            self._file.write(lambda db: cache_derived.add_failed(db, rows, _by_decoders("")))

    def thumbnails(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """Digest -> a small JPEG."""
        return self._file.read(lambda db: cache_derived.read_thumbnails(db, digests), {})

    def notes(self, digests: Iterable[bytes]) -> dict[bytes, str]:
        """Digest -> "cut short: ...", quality.DARK or quality.BLURRED, where there is one."""
        return self._file.read(lambda db: cache_derived.read_notes(db, digests), {})

    def hashes(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """Digest -> the 64 bits that tell near-duplicates (images/near_duplicates.py)."""
        digests = set(digests)
        nothing: dict[bytes, int] = {}
        known = self._file.read(lambda db: cache_derived.read_hashes(db, digests), nothing)
        missing = digests - known.keys()
        made = self._file.read(lambda db: cache_derived.hashes_of_thumbnails(db, missing), nothing)
        if made:
            self._file.write(lambda db: cache_derived.add_hashes(db, made))
        return known | made

    def add(self, model_digest: str, rows: Sequence[tuple[Picture, bytes, Embedded | str]]) -> None:
        """(picture, digest, what came of it or why it can't be decoded), in one transaction.
        Vectors that are there already stay."""
        made = {digest: came for _, digest, came in rows if isinstance(came, Embedded)}
        vectors = {digest: one.vector for digest, one in made.items()}
        derived = {d: one.derived for d, one in made.items() if one.derived is not None}
        bad = [(d, _by_decoders(reason)) for _, d, reason in rows if isinstance(reason, str)]
        safe = self._opened_ns - _RACY_NS  # every file was read after that
        files = [
            (*_file(picture), digest)
            for picture, digest, _ in rows
            if max(picture.mtime_ns, picture.ctime_ns) < safe
        ]

        def act(db: sqlite3.Connection) -> None:
            cache_vectors.add(db, model_digest, vectors)
            cache_derived.add(db, derived)
            db.executemany("INSERT OR REPLACE INTO unreadable VALUES (?,?)", bad)
            db.executemany("INSERT OR REPLACE INTO file VALUES (?,?,?,?,?)", files)

        if rows:
            self._file.write(act)

    def same_pixels(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Copy what is known of the first digest of each pair to the second: the content is the
        same picture with other metadata."""
        pairs = list(pairs)
        columns = {
            "embedding": "model, {}, chunk, row",
            "thumbnail": "{}, jpeg",
            "thumbnail_version": "{}, version",
            "quality": "{}, version, note",
            "hash": "{}, version, hash",
        }

        def act(db: sqlite3.Connection) -> None:
            for old, new in pairs:
                for table, names in columns.items():
                    db.execute(
                        f"INSERT OR IGNORE INTO {table}({names.format('digest')}) "
                        f"SELECT {names.format('?')} FROM {table} WHERE digest = ?",
                        (new, old),
                    )

        if pairs:
            self._file.write(act)

    # --- texts ------------------------------------------------------------------------------

    def texts(self, model_digest: str, texts: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Text -> vector (D,), of those that are known."""

        def look(db: sqlite3.Connection) -> dict[str, npt.NDArray[np.float32]]:
            with wanted(db, "text TEXT PRIMARY KEY", ((t,) for t in set(texts))):
                known = db.execute(
                    "SELECT text, vector, checksum FROM wanted CROSS JOIN text USING (text) "
                    "WHERE model = (SELECT id FROM model WHERE digest = ?)",
                    (model_digest,),
                )
                return {
                    text: np.frombuffer(blob, np.float32)
                    for text, blob, written in known
                    if content_hash.of_bytes(blob) == written
                }

        return self._file.read(look, {})

    def add_texts(self, model_digest: str, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Text -> vector (D,)."""

        def act(db: sqlite3.Connection) -> None:
            model = cache_vectors.model_id(db, model_digest)
            blobs = ((t, np.asarray(v, np.float32).tobytes()) for t, v in vectors.items())
            db.executemany(
                "INSERT OR REPLACE INTO text VALUES (?,?,?,?)",
                ((model, text, blob, content_hash.of_bytes(blob)) for text, blob in blobs),
            )

        self._file.write(act)

    # --- whole folders ----------------------------------------------------------------------

    def arrays(self, key: bytes) -> folder_cache.Arrays | None:
        """What `add_arrays` kept under `key`; None where there is nothing that can be read."""
        return folder_cache.load(self._file.path, key)

    def add_arrays(self, key: bytes, arrays: folder_cache.Arrays) -> None:
        """Keep arrays in a file beside the cache's own. key: stands for all they depend on."""
        folder_cache.save(self._file.path, key, arrays)

    # --- size -------------------------------------------------------------------------------

    def size(self) -> Size:
        """The bytes of all files, and how many rows there are."""
        path = self._file.path
        files = [file for end in ("", "-wal") if os.path.exists(file := path + end)]

        def look(db: sqlite3.Connection) -> Size:
            counts = [
                int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                for table in ("embedding", "thumbnail", "model")
            ]
            used = sum(os.path.getsize(file) for file in files) + folder_cache.size(path)
            return Size(path, used, *counts)

        return self._file.read(look, Size(path, 0, 0, 0, 0))

    def prune(self, unused_days: int) -> None:
        """Forget what no run used for so many days (0: everything) and give the space back."""

        def act(db: sqlite3.Connection) -> None:
            cache_vectors.prune(db, unused_days)
            cache_derived.prune(db)
            db.execute("DELETE FROM file WHERE digest NOT IN (SELECT digest FROM embedding)")
            if unused_days <= 0:
                db.execute("DELETE FROM text")
                db.execute("DELETE FROM unreadable")
            db.execute(
                "DELETE FROM model WHERE id NOT IN "
                "(SELECT model FROM chunk UNION SELECT model FROM text)"
            )

        self._file.write(act)
        self._file.shrink()
        folder_cache.prune(self._file.path, unused_days)


def _by_decoders(reason: str) -> str:
    """A reason as it is stored: with the version of the decoders and the libraries installed."""
    return f"{reason}\n{_DECODERS} {optional.installed()}"


def _file(picture: Picture) -> FileState:
    """Path, size and times as SQLite takes them: numbers of more than 64 bits as text. A share may
    say that a file is of the year 30828."""
    numbers = (picture.size, picture.mtime_ns, picture.ctime_ns)
    held = [n if -(1 << 63) <= n < 1 << 63 else str(n).encode() for n in numbers]
    return os.fsencode(picture.path), held[0], held[1], held[2]
