"""Pictures that are nearly the same: one file twice, a copy in another size, a burst.

They are grouped, never deleted.

Two pictures are near-duplicates when their files are equal; when their thumbnails differ in at most
4 of 64 dHash bits and their cosine is at least .97 (a copy in another size or quality); or in at
most 10 bits at .95 (a burst). A group is a clique: every two of its pictures are near-duplicates,
so that a chain of small steps never joins what is far apart (complete linkage).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from zeroshelf.records import Embeddings

COPY = (4, 0.97)  # most dHash bits that differ, least cosine
BURST = (10, 0.95)
BLOCK = 2048

Bits = npt.NDArray[np.uint64]
Thumbnails = Callable[[Iterable[bytes]], Mapping[bytes, bytes]]  # digests -> small JPEGs


def groups(embeddings: Embeddings, thumbnails: Thumbnails) -> tuple[tuple[int, ...], ...]:
    """Rows of `embeddings` that are nearly the same picture, two or more a group."""
    drawn = thumbnails(embeddings.digests)
    hashes = np.array([dhash(drawn.get(digest)) for digest in embeddings.digests], np.uint64)
    pairs = _pairs(embeddings, hashes)
    placed: dict[int, int] = {}
    made: list[list[int]] = []
    for row in range(len(embeddings)):
        near = pairs.get(row, set())
        for at in dict.fromkeys(placed[other] for other in near if other in placed):
            if near.issuperset(made[at]):
                made[at].append(row)
                placed[row] = at
                break
        else:
            placed[row] = len(made)
            made.append([row])
    return tuple(tuple(group) for group in made if len(group) > 1)


def dhash(thumbnail: bytes | None) -> int:
    """64 bits: is each of 8 x 8 cells darker than its right neighbour? 0 without a thumbnail."""
    if thumbnail is None:
        return 0
    with Image.open(io.BytesIO(thumbnail)) as image:
        grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _pairs(embeddings: Embeddings, hashes: Bits) -> dict[int, set[int]]:
    """Row -> the rows that are near-duplicates of it."""
    vectors = embeddings.vectors.astype(np.float32)
    names = np.array(embeddings.digests, object)
    found: dict[int, set[int]] = {}
    for start in range(0, len(vectors), BLOCK):
        cosines = vectors[start : start + BLOCK] @ vectors.T
        for a, b in np.argwhere(cosines >= BURST[1]):
            one, other = int(a) + start, int(b)
            if one == other:
                continue
            bits = int(hashes[one] ^ hashes[other]).bit_count()
            drawn = hashes[one] != 0 and hashes[other] != 0
            same = names[one] == names[other]
            copied = drawn and bits <= COPY[0] and cosines[a, b] >= COPY[1]
            if same or copied or (drawn and bits <= BURST[0]):
                found.setdefault(one, set()).add(other)
    return found
