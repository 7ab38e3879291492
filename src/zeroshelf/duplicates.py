"""Pictures that are nearly the same: one file twice, a copy in another size, a burst.

They are grouped, never deleted.

Two pictures are near-duplicates when their files are equal, or when their vectors' cosine is at
least .95 and their thumbnails differ in at most 10 of 64 dHash bits: a copy in another size or
quality, a burst. A group is a clique: every two of its pictures are near-duplicates,
so that a chain of small steps never joins what is far apart (complete linkage).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from zeroshelf.records import Embeddings

COSINE = 0.95  # at least
BITS = 10  # of the dHash, at most, that differ
BLOCK = 256
ALL_PAIRS = 30_000
WINDOW = 256

Thumbnails = Callable[[Iterable[bytes]], Mapping[bytes, bytes]]  # digests -> small JPEGs


def groups(embeddings: Embeddings, thumbnails: Thumbnails) -> tuple[tuple[int, ...], ...]:
    """Rows of `embeddings` that are nearly the same picture, two or more a group."""
    pairs = _pairs(embeddings, thumbnails)
    placed: dict[int, int] = {}
    made: list[list[int]] = []
    for row in sorted(pairs):
        near = pairs[row]
        for at in dict.fromkeys(placed[other] for other in near if other in placed):
            if near.issuperset(made[at]):
                made[at].append(row)
                placed[row] = at
                break
        else:
            placed[row] = len(made)
            made.append([row])
    return tuple(tuple(group) for group in made if len(group) > 1)


def dhash(thumbnail: bytes) -> int:
    """64 bits: is each of 8 x 8 cells darker than its right neighbour?"""
    with Image.open(io.BytesIO(thumbnail)) as image:
        grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _pairs(embeddings: Embeddings, thumbnails: Thumbnails) -> dict[int, set[int]]:
    """Row -> the rows that are near-duplicates of it. Only what the vectors find alike is drawn."""
    digests = embeddings.digests
    alike = list(_alike(embeddings.vectors))
    involved = {digests[row] for pair in alike for row in pair}
    drawn = thumbnails(involved)
    hashes = {digest: dhash(drawn[digest]) for digest in involved if digest in drawn}
    found: dict[int, set[int]] = {}
    for one, other in alike:
        if digests[one] != digests[other]:
            if not {digests[one], digests[other]} <= hashes.keys():
                continue
            bits = (hashes[digests[one]] ^ hashes[digests[other]]).bit_count()
            if bits > BITS:
                continue
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return found


def _alike(vectors: npt.NDArray[np.floating]) -> Iterator[tuple[int, int]]:
    """Pairs of rows a < b whose vectors are near enough.

    Every pair in a folder of up to `ALL_PAIRS` pictures; in a larger one those that lie within
    `WINDOW` of each other in the order of their paths, as a burst does.
    """
    reach = len(vectors) if len(vectors) <= ALL_PAIRS else WINDOW
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK].astype(np.float32)
        after = vectors[start : start + BLOCK + reach].astype(np.float32)
        cosines = block @ after.T
        for a, b in np.argwhere(cosines >= COSINE):
            if a < b <= a + reach:
                yield int(a) + start, int(b) + start
