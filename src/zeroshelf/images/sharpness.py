"""How sharp a picture is, to choose the best one of several that show nearly the same."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 1024  # pixels of the longer side at which pictures are compared


def sharpness(image: Image.Image) -> float:
    """The variance of the Laplacian of the grey levels (Pech-Pacheco and others, 2000), from 0.

    `image` is first given a longer side of `SIDE` pixels, so that a copy made smaller is measured
    as it looks beside its original: blurred. Only values of pictures of one scene can be compared.
    """
    factor = SIDE / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    grey = np.asarray(
        image.convert("L").resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0), np.float32
    )
    if min(grey.shape) < 3:
        return 0.0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())
