"""Exact nearest neighbours: every vector is compared with the query, and no index has to be built.

A block of half-precision vectors is widened into one buffer, which is used again for the next
block, and multiplied with the query. The widened numbers are too small by a factor
(embeddings/halves.py), and the query is made larger by as much.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from zeroshelf.embeddings import halves

BLOCK = 512  # vectors at once: with 1,384 numbers each the buffer takes 2.8 MB

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Rows = npt.NDArray[np.int64]


class Scan:
    """Compares blocks of vectors with T queries; the buffer lasts as long as the scan.

    queries: (T, D), each row of length 1.
    """

    def __init__(self, queries: Floats) -> None:
        self._queries = queries.astype(np.float32).T * halves.SCALE  # (D, T)
        self._buffer = np.empty((BLOCK, len(self._queries)), np.int32)
        self._found: list[Floats] = []

    def add(self, block: Halves) -> None:
        """block: (M, D), each row of length 1; M may be any number, also 0."""
        products = np.empty((len(block), self._queries.shape[1]), np.float32)
        for start in range(0, len(block), BLOCK):
            part = block[start : start + BLOCK]
            wide = halves.unscaled(part, self._buffer[: len(part)])
            np.matmul(wide, self._queries, out=products[start : start + BLOCK])
        self._found.append(products)

    @property
    def cosines(self) -> Floats:
        """(N, T): of all N vectors so far, in the order in which they came."""
        nothing = np.empty((0, self._queries.shape[1]), np.float32)
        return np.concatenate([nothing, *self._found])


def cosines(vectors: Halves, queries: Floats) -> Floats:
    """(N, D) vectors and (T, D) queries, rows of length 1 -> (N, T)."""
    scan = Scan(queries)
    scan.add(vectors)
    return scan.cosines


def combined(values: Floats, queries: Floats, weights: Iterable[float]) -> Floats:
    """The cosine with the weighted sum of T queries, (N,).

    values: (N, T), the cosines with each query.
    queries: (T, D), rows of length 1.
    weights: T numbers. Each is divided by the spread of its query's cosines: texts are nearly
        equally far from all pictures and pictures are not, and an unscaled sum of both would follow
        the picture alone.
    """
    if not len(values):
        return np.empty(0, np.float32)
    spread: npt.NDArray[np.float64] = values.std(axis=0, dtype=np.float64)
    spread[spread < 1e-6] = 1.0  # of one picture, or of copies of one
    shares = np.array([*weights], np.float64) / spread
    length = float(np.linalg.norm(shares @ queries.astype(np.float64)))
    return np.asarray(values @ (shares / max(length, 1e-12)), np.float32)


def best(values: Floats, count: int) -> Rows:
    """The rows of the `count` greatest of (N,) values, greatest first; of equal ones, the earlier
    row first."""
    rows = np.arange(len(values))
    if 0 < count < len(values):
        least = np.partition(values, len(values) - count)[len(values) - count]
        rows = np.flatnonzero(values >= least)  # those equal to the last are decided by order
    order = np.argsort(-values[rows], kind="stable")[:count]
    return np.asarray(rows[order], np.int64)
