"""A file's content -> the pixels of its frames and what is derived from them, in one decoding; and
the frames' vectors -> the file's vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zeroshelf.embeddings.cache import Embedded
from zeroshelf.embeddings.derived import Collector, Derived
from zeroshelf.images import decode
from zeroshelf.images.preprocess import to_pixels
from zeroshelf.records import Preprocessing, Vectors


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """What embedding one file needs: nothing is read from the file any more."""

    # (3, size, size) of each frame, normalised; empty once the frames are in a batch
    pixels: list[npt.NDArray[np.floating]]
    frames: int
    derived: Derived
    size: tuple[int, int] | None  # width and height of the first frame, at its full scale


def decode_file(
    suffix: str,
    content: decode.Content,
    preprocessing: Preprocessing,
    dtype: npt.DTypeLike = np.float32,
) -> DecodedFile:
    """Decode the file once. `dtype`: of the pixels. Raises `Unreadable`."""
    pixels: list[npt.NDArray[np.floating]] = []
    derived = Collector()
    for frame in decode.frames(content, preprocessing.size, suffix=suffix):
        derived.add(frame)
        pixels.append(to_pixels(frame, preprocessing).astype(dtype, copy=False))
    return DecodedFile(pixels, len(pixels), derived.result(), derived.size)


def stack(files: Sequence[DecodedFile]) -> npt.NDArray[np.floating]:
    """The frames of all files, one file after the other: (F, 3, size, size). The files give them
    up, so that they are in memory once."""
    batch = np.stack([frame for file in files for frame in file.pixels])
    for file in files:
        file.pixels.clear()
    return batch


def join(files: Sequence[DecodedFile], vectors: Vectors) -> list[Embedded]:
    """The answers for the files, from the vectors (F, D) of what `stack` made of them: the mean
    over a file's frames, of length 1, rounded to half precision."""
    starts = np.cumsum([0, *(file.frames for file in files[:-1])])
    means = np.add.reduceat(vectors, starts, axis=0)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    halves = means.astype(np.float16)
    return [
        Embedded(vector, file.derived, size=file.size)
        for vector, file in zip(halves, files, strict=True)
    ]
