"""Where a search finds its vectors: in memory, or in the cache's file without loading them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.embeddings.cache_scan import Places
from zeroshelf.embeddings.cache_vectors import Half
from zeroshelf.records import Embeddings, Model, Picture
from zeroshelf.search import exact
from zeroshelf.search.exact import Floats, Rows


class Source(Protocol):
    """N pictures with vectors."""

    def __len__(self) -> int:
        """N; of vectors in the cache known after `cosines`."""
        ...

    def cosines(self, queries: Floats) -> Floats:
        """(T, D) queries, rows of length 1 -> (N, T)."""
        ...

    def embeddings(self, rows: Sequence[int]) -> tuple[Embeddings, Rows]:
        """The pictures of some rows in the order of their paths, and the row of each: one vector
        may belong to several files, and to none that is still there."""
        ...


class InMemory:
    """The vectors of a folder that was embedded."""

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings

    def __len__(self) -> int:
        return len(self._embeddings)

    def cosines(self, queries: Floats) -> Floats:
        return exact.cosines(self._embeddings.vectors, queries)

    def embeddings(self, rows: Sequence[int]) -> tuple[Embeddings, Rows]:
        at = sorted(rows)
        whole = self._embeddings
        some = whole if len(at) == len(whole) else whole.some(at)
        return some, np.array(at, np.int64)


class InCache:
    """The vectors that the cache has of the files below a folder, as these were when they were last
    embedded: the folder itself is not looked at. A search reads the cache's file once, a chunk
    after the other; of each picture only its place stays in memory."""

    def __init__(self, store: EmbeddingCache, model: Model, root: str) -> None:
        self._store, self._model, self._root = store, model, root
        self._places = np.empty((0, 2), np.int64)  # where each row lies, in the order of the file

    def __len__(self) -> int:
        return len(self._places)

    def cosines(self, queries: Floats) -> Floats:
        scan = exact.Scan(queries)
        found: list[Places] = [self._places[:0]]

        def visit(places: Places, vectors: Half) -> None:
            found.append(places)
            scan.add(vectors)

        self._store.visit(self._model.digest, self._root, visit)
        self._places = np.concatenate(found)
        return scan.cosines

    def embeddings(self, rows: Sequence[int]) -> tuple[Embeddings, Rows]:
        contents = self._store.digests_at(self._places[list(rows)])
        wanted = dict(zip(contents, rows, strict=False))  # none where the file has failed since
        files = [
            (path, digest)
            for path, digest, size, changed in self._store.files(self._root, wanted)
            if _unchanged(path, size, changed)
        ]
        files.sort(key=lambda file: os.fsencode(file[0]))
        digests = tuple(digest for _, digest in files)
        known, vectors = self._store.vectors(self._model.digest, digests)
        assert known.all()  # seen a moment ago
        made = Embeddings(
            pictures=tuple(Picture(path, "", 0, 0, 0) for path, _ in files),
            digests=digests,
            vectors=vectors,
            skipped=(),
            model=self._model,
            notes=compute.noted(digests, self._store),
        )
        return made, np.array([wanted[digest] for digest in digests], np.int64)


def _unchanged(path: str, size: int, changed: int) -> bool:
    """Whether the file is still there, as it was when it was embedded."""
    try:
        at = os.stat(path)
    except OSError:
        return False
    return (at.st_size, at.st_mtime_ns) == (size, changed)
