"""A thumbnail -> what keeps it from showing anything, as the bank of negatives names it.

Such a picture fits many labels a little; it must fit one better than others do
(decisions/scores.py). How often that is right is measured by benchmarks/flaws.py.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

FLAWS = DARK, BLURRED = "dark picture", "blurred picture"
LEAST_LIGHT = 24  # of 255: a night sky has stars
LEAST_EDGE = 0.2  # of the standard deviation of the greys; the least of 8,430 photographs had .25


def flaw(thumbnail: Image.Image) -> str | None:
    """DARK or BLURRED, or None for nearly all.

    Blurred is what has no edge: by the greatest values of the Laplacian against the contrast
    (Pech-Pacheco and others 2000 take its variance).
    """
    grey = np.asarray(thumbnail.convert("L"), np.float32)
    if grey.max() < LEAST_LIGHT:
        return DARK
    if min(grey.shape) < 8:
        return None
    inside = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    edges = np.abs(around - 4 * inside)
    return BLURRED if np.quantile(edges, 0.99) < LEAST_EDGE * grey.std() else None
