"""`Opened`: what every opener returns, an image for Pillow with its size and completeness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from zeroshelf.errors import Unreadable

MOST = 0.9  # of a picture must be there in a truncated file
CUT_SHORT = "cut short: the end is missing"

Limit = Callable[[int, int], None]  # raises Unreadable where width x height is too much


class CutShort(Unreadable):
    """Too little of a picture is there, or could be decoded."""


@dataclass(frozen=True, slots=True)
class Opened:
    image: Image.Image  # decoded or not: `load()` decides
    data: bytes  # what the image is decoded from; of a RAW the preview inside, of a video nothing
    orientation: int | None = None  # as EXIF counts, where only the container knows
    note: str | None = None  # `CUT_SHORT`, where the opener saw it


def note_on(there: int, wanted: int) -> str | None:
    """None where all is there, the note where most is. Raises `CutShort` where it is less."""
    if there >= wanted:
        return None
    if there < MOST * wanted:
        raise CutShort(f"cut short: {100 * there // wanted} % of it is there")
    return CUT_SHORT


def note_on_rows(rows: npt.NDArray[np.generic]) -> str:
    """The same for a picture (H, W) or (H, W, samples) that is known to be cut short: the rows
    that no decoder wrote are missing."""
    there = len(rows) - max(_blank_rows(rows), _blank_rows(rows[::-1]))
    return note_on(there, len(rows)) or CUT_SHORT


def _blank_rows(rows: npt.NDArray[np.generic]) -> int:
    """How many rows hold nothing but the first row's value. They may lie anywhere, for a GIF comes
    interlaced."""
    return int((rows == rows[0, 0]).reshape(len(rows), -1).all(axis=1).sum())
