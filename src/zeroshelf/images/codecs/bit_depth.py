"""More than 8 bits a sample -> 8 bits. Pillow's own conversion clips to white or black instead."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_TOPS = (255, 1023, 4095, 16383, 65535)  # white, in 8, 10, 12, 14 and 16 bits
_WHITE_PERCENTILE = 99.5  # of the values of an HDR picture: a few lamps would leave the rest black
_SAMPLE = 1 << 20  # values of which that is taken
_BLOCK = 1 << 22  # values that are held as floats at once


def scaled(
    values: npt.NDArray[np.generic], white: float | None = None, *, colours: bool = False
) -> npt.NDArray[np.uint8]:
    """The same shape in 8 bits.

    `white` is the value that becomes 255, where the file says so. Without it integers are held
    against the smallest of 8, 10, 12, 14 and 16 bits that takes them all, and larger integers, and
    floats, against their own range. With `colours` floats from 0 to 1 keep their brightness, as all
    programs mean them, and brighter ones than 1 are cut at a high percentile.
    """
    if values.dtype == np.uint8 and white in (None, 255):
        return values.astype(np.uint8)
    low, high = (0.0, white) if white is not None else _range(values, colours)
    factor = 255.0 / (high - low) if high > low else 0.0
    made = np.empty(values.shape, np.uint8)
    start = 0
    for block in _blocks(values):
        eight = ((block - low) * factor).clip(0, 255)
        made[start : start + len(block)] = eight.round(out=eight)
        start += len(block)
    return made


def _range(values: npt.NDArray[np.generic], colours: bool) -> tuple[float, float]:
    """What becomes black and what becomes white."""
    ends = [(float(block.min()), float(block.max())) for block in _blocks(values)]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    floats = values.dtype.kind == "f"
    if not floats and low >= 0 and high < 65536:
        return 0.0, next(float(top) for top in _TOPS if high <= top)
    if not colours or low < 0:
        return low, high
    if not floats:
        return 0.0, high
    if high > 1:
        step = max(1, values.size // _SAMPLE)
        step += step % 3 == 0  # not one colour alone
        some = values.reshape(-1)[::step].astype(np.float32)
        high = float(np.percentile(np.nan_to_num(some, posinf=0.0, neginf=0.0), _WHITE_PERCENTILE))
    return 0.0, max(high, 1.0)


def _blocks(values: npt.NDArray[np.generic]) -> Iterator[npt.NDArray[np.float32]]:
    """Some rows after the other, as floats without infinities. A large picture as floats at once
    would take several GB."""
    rows = max(1, _BLOCK * len(values) // max(1, values.size))
    for start in range(0, len(values), rows):
        part = values[start : start + rows].astype(np.float32)
        yield np.nan_to_num(part, copy=False, posinf=0.0, neginf=0.0)
