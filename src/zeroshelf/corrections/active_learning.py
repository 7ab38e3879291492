"""Which pictures to ask a person about: those whose answers help most. Pure.

Greedy facility location, weighted by doubt: each next picture is the one that adds most to how well
the doubtful pictures of the folder are covered by one that was asked about (Nemhauser, Wolsey and
Fisher 1978: at least 1 - 1/e of the best choice). It asks about what is typical and in doubt, never
twice about much the same picture, and needs no rounds and no clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

POOL = 2000  # pictures that are weighed against each other: 2,000 x 2,000 similarities are 16 MB
_FLOOR = 0.2  # what a picture without any doubt still counts


def ask(
    vectors: npt.NDArray[np.floating[Any]],
    probabilities: npt.NDArray[np.float32],
    marked: Sequence[int] | npt.NDArray[np.intp],
    count: int,
) -> list[int]:
    """Rows to ask about, the most helpful first; none of `marked`, and fewer where none is left.

    vectors (N, D), each row of length 1; probabilities (N, K+1), column K "other".
    """
    doubt = 1 - _margin(probabilities[:, :-1])
    open_rows = np.setdiff1d(np.arange(len(vectors)), marked)
    if len(open_rows) > POOL:  # any fair sample covers what a large folder is made of
        open_rows = np.sort(np.random.default_rng(0).choice(open_rows, POOL, replace=False))
    pool = vectors[open_rows].astype(np.float32)
    alike = np.maximum(pool @ pool.T, 0)
    covered = np.zeros(len(pool), np.float32)
    if len(marked):
        known = vectors[np.asarray(marked)].astype(np.float32)
        covered = np.maximum(pool @ known.T, 0).max(axis=1)
    weight = (doubt[open_rows] + _FLOOR).astype(np.float32)
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        gain = weight @ np.maximum(alike - covered[:, None], 0)
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        covered = np.maximum(covered, alike[:, best])
    return [int(open_rows[row]) for row in chosen]


def _margin(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Between the best and the next best label, as if the picture were surely on a shelf."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities), np.float32) * probabilities[:, 0]
    among = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    two = np.partition(among, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0], np.float32)
