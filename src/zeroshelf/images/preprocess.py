"""Picture -> pixels for a model, equal to the original preprocessing, in one pass.

The makers resize the whole picture and then cut out the middle. Here the same box is cut while it
is resized: Pillow's `resize(box=...)` computes the very same samples (its filter reaches beyond the
box as theirs does), no intermediate is made, and a picture of 1 x 100,000 pixels costs nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from zeroshelf.records import Preprocessing

if TYPE_CHECKING:
    from zeroshelf.images.decode import Decoded

Box = tuple[float, float, float, float]

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def crop_box(width: int, height: int, preprocessing: Preprocessing) -> Box:
    """The part of a picture that the model sees: (left, top, right, bottom) in its own pixels.

    "shortest" is torchvision's Resize(size), CenterCrop(size): the long side becomes
    int(size * long / short) and the square starts at round((long - size) / 2) of it (transformers:
    rounded down).
    """
    if preprocessing.resize_mode == "squash":
        return 0.0, 0.0, float(width), float(height)
    size, short, long = preprocessing.size, min(width, height), max(width, height)
    resized = size * long // short
    step = long / resized  # source pixels for each resized one, along the long side
    spare = resized - size
    start = (round(spare / 2) if preprocessing.crop == "round" else spare // 2) * step
    end = min(start + size * step, float(long))
    return (start, 0.0, end, float(height)) if width > height else (0.0, start, float(width), end)


def to_pixels(decoded: Decoded, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """A decoded picture -> (3, size, size), normalised.

    The box is taken from the full size and divided by the draft's scale: taken from the draft's own
    rounded size it would be off by up to a pixel, which shows in the embedding.
    """
    image, scale = decoded.image, decoded.scale
    left, top, right, bottom = crop_box(decoded.width, decoded.height, preprocessing)
    box = (
        left / scale,
        top / scale,
        min(right / scale, image.width),
        min(bottom / scale, image.height),
    )
    size = (preprocessing.size, preprocessing.size)
    square = np.asarray(image.resize(size, RESAMPLING[preprocessing.interpolation], box=box))
    factor, offset = _affine(preprocessing)
    pixels = np.empty((3, *size), np.float32)
    np.multiply(square.transpose(2, 0, 1), factor, out=pixels)
    pixels += offset
    return pixels


@lru_cache(maxsize=8)
def _affine(
    preprocessing: Preprocessing,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(x / 255 - mean) / std as factor * x + offset, each (3, 1, 1)."""
    mean = np.array(preprocessing.mean, np.float64).reshape(3, 1, 1)
    std = np.array(preprocessing.std, np.float64).reshape(3, 1, 1)
    return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)
