"""Active learning: the pictures whose correction would help the others most. Pure.

Greedy facility location, weighted by doubt: each next picture is the one that adds most to how well
the doubtful pictures of the folder are covered by the chosen and the corrected ones (Nemhauser,
Wolsey and Fisher 1978: at least 1 - 1/e of the best choice). It chooses pictures that are typical
and in doubt, never two that are much alike, and needs no rounds and no clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

POOL = 2000  # pictures compared with each other: 2,000 x 2,000 cosines take 16 MB
_FLOOR = 0.2  # weight of a picture without any doubt; doubt adds up to 1


def choose(
    vectors: npt.NDArray[np.floating[Any]],
    probabilities: npt.NDArray[np.float32],
    corrected: Sequence[int] | npt.NDArray[np.intp],
    count: int,
) -> list[int]:
    """Up to `count` rows, the most helpful first. None of `corrected`; fewer if fewer are left.

    vectors: (N, D), each row of length 1.
    probabilities: (N, K + 1), column K is "other".
    corrected: rows that the user corrected already.
    """
    doubt = 1 - _margin(probabilities[:, :-1])
    open_rows = np.setdiff1d(np.arange(len(vectors)), corrected)
    if len(open_rows) > POOL:  # an even sample covers a large folder as well
        open_rows = np.sort(np.random.default_rng(0).choice(open_rows, POOL, replace=False))
    pool = vectors[open_rows].astype(np.float32)
    alike = np.maximum(pool @ pool.T, 0)
    covered = np.zeros(len(pool), np.float32)
    if len(corrected):
        known = vectors[np.asarray(corrected)].astype(np.float32)
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
    """(N, K) -> (N,): the best label's probability less the next best's, given that the picture is
    on a shelf."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities), np.float32) * probabilities[:, 0]
    among = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    two = np.partition(among, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0], np.float32)
