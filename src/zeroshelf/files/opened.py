"""What every opener gives: a picture that Pillow knows how to go on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

Limit = Callable[[int, int], None]  # raises Unreadable where width x height is too much


@dataclass(frozen=True, slots=True)
class Opened:
    image: Image.Image  # decoded or not: `load()` decides
    data: bytes  # what the image is decoded from; of a RAW the preview inside, of a film nothing
    orientation: int | None = None  # as EXIF counts, where only the container knows
