"""A decoded picture -> a small JPEG for the report, the review page and the contact sheet.

Nothing is decided by a thumbnail: quality and near-duplicates have a small picture of their own
(quality.SIDE), so that `SIDE` may change without changing any answer.
"""

from __future__ import annotations

import io

from PIL import Image

SIDE = 160  # pixels of the longer side
# One more whenever `SIDE` or `jpeg` changes: the next run then makes every thumbnail anew.
VERSION = 1


def shrink(image: Image.Image, side: int) -> Image.Image:
    """The picture with a longer side of `side` pixels; a smaller picture is returned as it is."""
    factor = max(image.size) / side
    if factor <= 1:
        return image
    size = (max(1, round(image.width / factor)), max(1, round(image.height / factor)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.5)


def jpeg(image: Image.Image) -> bytes:
    """An RGB picture as a JPEG file of quality 70."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=70)
    return out.getvalue()
