"""Pictures that are nearly the same: one file twice, a copy in another size, a burst.

They are grouped, never deleted.

Two pictures are near-duplicates when their files are equal, or by their vectors' cosine and the
bits of 64 in which their thumbnails' dHashes differ: a copy in another size or quality has the same
dHash, a burst the same vector. A group is a clique: every two of its pictures are near-duplicates,
so that a chain of small steps never joins what is far apart (complete linkage).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from zeroshelf.records import Embeddings, Progress

COPY = (0.85, 5)  # least cosine, most bits that differ: saved again, made smaller, brighter
BURST = (0.95, 10)
BLOCK, COLUMNS = 256, 2048  # pictures at once against others: memory stays flat
ALL_PAIRS = 30_000
WINDOW = 256

Floats = npt.NDArray[np.float32]
Thumbnails = Callable[[Iterable[bytes]], Mapping[bytes, bytes]]  # digests -> small JPEGs


def groups(
    embeddings: Embeddings, thumbnails: Thumbnails, progress: Progress | None = None
) -> tuple[tuple[int, ...], ...]:
    """Rows of `embeddings` that are nearly the same picture, two or more a group.

    Every pair is looked at in a folder of up to `ALL_PAIRS` pictures; in a larger one those that
    lie within `WINDOW` of each other in the order of their paths, as a burst does. Only what the
    vectors find alike is drawn.
    """
    rows = np.flatnonzero(_has_alike(embeddings.vectors, progress))
    digests = [embeddings.digests[row] for row in rows]
    drawn = thumbnails(dict.fromkeys(digests))
    hashes = np.array([dhash(drawn[d]) if d in drawn else 0 for d in digests], np.uint64)
    has_hash = np.array([d in drawn for d in digests], bool)
    number = {digest: n for n, digest in enumerate(dict.fromkeys(digests))}
    contents = np.array([number[digest] for digest in digests], np.int64)
    vectors = embeddings.vectors[rows]
    reach = _reach(len(embeddings))

    placed = np.full(len(rows), -1)  # -> an index in `made`
    made: list[list[int]] = []
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        alike = np.empty((len(rows[block]), len(rows)), bool)
        for first in range(0, len(rows), COLUMNS):
            other = slice(first, first + COLUMNS)
            bits = np.bitwise_count(hashes[block, None] ^ hashes[other])
            cosines = _cosines(vectors, block, other)
            near = (cosines >= COPY[0]) & (bits <= COPY[1])
            near |= (cosines >= BURST[0]) & (bits <= BURST[1])
            near &= has_hash[block, None] & has_hash[other]
            near |= contents[block, None] == contents[other]
            alike[:, other] = near & (np.abs(rows[block, None] - rows[other]) <= reach)
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


def dhash(thumbnail: bytes) -> int:
    """64 bits: is each of 8 x 8 cells darker than its right neighbour?"""
    with Image.open(io.BytesIO(thumbnail)) as image:
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
        thumbnails: Thumbnails,
        found: tuple[tuple[int, ...], ...] | None = None,
    ) -> None:
        self._embeddings = embeddings
        self._thumbnails = thumbnails
        self._found = found  # from a run's record, if known

    def groups(self, progress: Progress | None = None) -> tuple[tuple[int, ...], ...]:
        """As the function `groups`."""
        if self._found is None:
            self._found = groups(self._embeddings, self._thumbnails, progress)
        return self._found
