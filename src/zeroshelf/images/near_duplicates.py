"""Pictures that are nearly the same: one file twice, a copy in another size, a burst.

They are grouped, never deleted.

Two pictures are near-duplicates when their files are equal, or when the cosine of their vectors is
high and their dHashes differ in few of 64 bits: a copy in another size or quality has the same
dHash, a burst the same vector. A group is a clique: every two of its pictures are near-duplicates,
so that a chain of small steps never joins what is far apart (complete linkage).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin

from zeroshelf.records import Embeddings, Progress

# Least cosine of the vectors, most bits in which the hashes differ.
COPY = (0.85, 5)  # the same picture saved again, made smaller or brighter
BURST = (0.95, 10)  # pictures taken within a moment
BLOCK, COLUMNS = 256, 2048  # pictures that are compared at once: memory stays flat
ALL_PAIRS = 30_000  # pictures up to which every pair is compared
WINDOW = 256  # in larger folders: how far apart two pictures may be in the order of their paths
# One more whenever `dhash`, or the picture that it gets, changes: the next run then computes every
# hash again.
VERSION = 1

Floats = npt.NDArray[np.float32]
Hashes = Callable[[Iterable[bytes]], Mapping[bytes, int]]  # digests -> dHash of those that have one


def groups(
    embeddings: Embeddings, hashes: Hashes, progress: Progress | None = None
) -> tuple[tuple[int, ...], ...]:
    """Rows of `embeddings` that are nearly the same picture, two or more a group.

    Every pair is compared in a folder of up to `ALL_PAIRS` pictures; in a larger one those that are
    within `WINDOW` of each other in the order of their paths, as the pictures of a burst are.
    `hashes` is asked only for pictures whose vectors are similar enough. `progress` is called with
    the stages "comparing" and "grouping".
    """
    rows = np.flatnonzero(_has_alike(embeddings.vectors, progress))
    pairs = _Pairs(embeddings, rows, hashes)
    placed = np.full(len(rows), -1)  # -> an index in `made`
    made: list[list[int]] = []
    for start in range(0, len(rows), BLOCK):
        alike = pairs.alike(slice(start, start + BLOCK))
        for row, near in enumerate(alike, start):
            for at in np.unique(placed[:row][near[:row]]):
                if near[made[at]].all():
                    made[at].append(row)
                    placed[row] = at
                    break
            else:
                placed[row] = len(made)
                made.append([row])
        if progress:
            progress("grouping", start + len(alike), len(rows))
    return tuple(tuple(rows[group].tolist()) for group in made if len(group) > 1)


class _Pairs:
    """Which pairs of some rows of `embeddings` are near-duplicates."""

    def __init__(self, embeddings: Embeddings, rows: npt.NDArray[np.intp], hashes: Hashes) -> None:
        digests = [embeddings.digests[row] for row in rows]
        known = hashes(dict.fromkeys(digests))
        number = {digest: n for n, digest in enumerate(dict.fromkeys(digests))}
        self._rows = rows
        self._vectors = embeddings.vectors[rows]
        self._bits = np.array([known.get(digest, 0) for digest in digests], np.uint64)
        self._has_hash = np.array([digest in known for digest in digests], bool)
        self._contents = np.array([number[digest] for digest in digests], np.int64)
        self._reach = _reach(len(embeddings))

    def alike(self, block: slice) -> npt.NDArray[np.bool_]:
        """(B, N): is each row of the block a near-duplicate of each of all rows?"""
        rows, bits, contents = self._rows, self._bits, self._contents
        found = np.empty((len(rows[block]), len(rows)), bool)
        for first in range(0, len(rows), COLUMNS):
            other = slice(first, first + COLUMNS)
            differ = np.bitwise_count(bits[block, None] ^ bits[other])
            cosines = _cosines(self._vectors, block, other)
            near = (cosines >= COPY[0]) & (differ <= COPY[1])
            near |= (cosines >= BURST[0]) & (differ <= BURST[1])
            near &= self._has_hash[block, None] & self._has_hash[other]
            near |= contents[block, None] == contents[other]
            found[:, other] = near & (np.abs(rows[block, None] - rows[other]) <= self._reach)
        return found


def dhash(jpeg: bytes) -> int:
    """64 bits, one for each of 8 x 8 cells: is it darker than its right neighbour?

    `jpeg`: the picture with a longer side of quality.SIDE pixels, as `thumbnails.jpeg` writes it.
    """
    with JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg)) as image:
        grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _has_alike(
    vectors: npt.NDArray[np.floating], progress: Progress | None
) -> npt.NDArray[np.bool_]:
    """(N, D) -> (N,): is another picture's vector near enough?"""
    count, reach = len(vectors), _reach(len(vectors))
    found = np.zeros(count, bool)
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        for first in range(max(0, start - reach), min(count, end + reach), COLUMNS):
            last = min(first + COLUMNS, count, end + reach)
            near = _cosines(vectors, slice(start, end), slice(first, last)) >= COPY[0]
            near &= np.arange(start, end)[:, None] != np.arange(first, last)  # not itself
            found[start:end] |= near.any(axis=1)
        if progress:
            progress("comparing", end, count)
    return found


def _cosines(vectors: npt.NDArray[np.floating], rows: slice, others: slice) -> Floats:
    return vectors[rows].astype(np.float32) @ vectors[others].astype(np.float32).T


def _reach(count: int) -> int:
    return count if count <= ALL_PAIRS else WINDOW


class NearDuplicates:
    """The groups of some embeddings, found when they are first needed: that can take a minute.
    They do not depend on labels, so that all runs of the same embeddings share them."""

    def __init__(
        self,
        embeddings: Embeddings,
        hashes: Hashes,
        found: tuple[tuple[int, ...], ...] | None = None,
    ) -> None:
        self._embeddings = embeddings
        self._hashes = hashes
        self._found = found  # from a run's record, if known

    def groups(self, progress: Progress | None = None) -> tuple[tuple[int, ...], ...]:
        """As the function `groups`."""
        if self._found is None:
            self._found = groups(self._embeddings, self._hashes, progress)
        return self._found
