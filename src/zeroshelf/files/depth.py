"""More than 8 bits a sample -> 8 bits. Pillow's own conversion clips to white or black instead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_TOPS = (255, 1023, 4095, 16383, 65535)  # white, in 8, 10, 12, 14 and 16 bits
_WHITE_PERCENTILE = 99.5  # of the values of an HDR picture: a few lamps would leave the rest black


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
    floats = values.dtype.kind == "f"
    numbers = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if white is not None:
        low, high = 0.0, white
    elif not floats and low >= 0 and high < 65536:
        low, high = 0.0, next(float(top) for top in _TOPS if high <= top)
    elif colours and low >= 0:
        low = 0.0
        if floats:
            bright = float(np.percentile(numbers, _WHITE_PERCENTILE)) if high > 1 else 1.0
            high = max(bright, 1.0)
    numbers -= low
    numbers *= 255.0 / (high - low) if high > low else 0.0
    return numbers.clip(0, 255).round().astype(np.uint8)
