"""Pictures that show almost nothing: too dark, or blurred all over.

The negative labels contain the same two names. A picture with such a problem fits many labels a
little, so a label must fit it clearly better than others do (decisions/scores.py).
benchmarks/quality.py measures how often the answer is right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

PROBLEMS = DARK, BLURRED = "dark picture", "blurred picture"
SIDE = 160  # pixels of the longer side at which a picture is measured; the thresholds hold for it
# One more whenever the rule below changes: the next run then measures every picture again.
VERSION = 1

# Grey level of 255 below which every pixel of a dark picture lies; a night sky with stars or lamps
# has brighter pixels.
LEAST_LIGHT = 24
# Edge strength below which a picture counts as blurred, as a share of the standard deviation of its
# grey levels. The least of 8,430 photographs had 0.25.
LEAST_EDGE = 0.2


def problem(small: Image.Image) -> str | None:
    """DARK, BLURRED, or None for nearly all pictures.

    `small` is the picture with a longer side of `SIDE` pixels. A picture is blurred if it has no
    edge: if the 99th percentile of the absolute Laplacian is small beside the contrast.
    (Pech-Pacheco and others, 2000, take the Laplacian's variance.)
    """
    grey = np.asarray(small.convert("L"), np.float32)
    if grey.max() < LEAST_LIGHT:
        return DARK
    if min(grey.shape) < 8:
        return None
    inside = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    edges = np.abs(around - 4 * inside)
    return BLURRED if _is_quantile_below(edges, 0.99, LEAST_EDGE * grey.std()) else None


def _is_quantile_below(values: npt.NDArray[np.float32], share: float, limit: np.floating) -> bool:
    """`np.quantile(values, share) < limit`. Counting tells it for nearly all pictures, at a tenth
    of the time: the quantile lies between the two values of these ranks."""
    rank = int(share * (values.size - 1))
    below = int(np.count_nonzero(values < limit))
    if rank < below < rank + 2:  # one on either side
        return bool(np.quantile(values, share) < limit)
    return below > rank
