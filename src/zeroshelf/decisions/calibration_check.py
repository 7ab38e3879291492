"""What a calibration does on labelled images, before and after, and whether it may be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import decide
from zeroshelf.decisions.constants import CALIBRATION_LEAST_SHARE
from zeroshelf.records import Calibration, Scores

Scored = tuple[Scores, npt.NDArray[np.int64]]  # a folder's scores, and its truth as in `Episode`


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of the images of simulated folders, each folder counting the same; nan for a share of
    nothing."""

    kept: float  # of folders without OOD images: share on a shelf
    right: float  # of in-distribution images: share on the right shelf
    other_right: float  # of OOD images: share in "other"
    sure_right: float  # of the decisions that are "sure", over all folders: share that is right
    sure: float  # share of "sure" among all decisions


def figures(scored: Sequence[Scored], calibration: Calibration) -> Figures:
    """The figures of one calibration."""
    kept, right, other, sure, fine = [], [], [], [], []
    for scores, truth in scored:
        decided = decide.decide(scores, calibration)
        column = len(scores.labels)
        inside, on_shelf = truth >= 0, decided.chosen < column
        correct = decided.chosen == np.where(inside, truth, column)
        if inside.all():
            kept.append(on_shelf.mean())
        if inside.any():
            right.append(correct[inside].mean())
        if not inside.all():
            other.append(correct[~inside].mean())
        is_sure = [decide.confidence_of(decided, row) == "sure" for row in range(len(decided))]
        sure.append(np.array(is_sure, bool))
        fine.append(correct)
    all_sure, all_fine = np.concatenate(sure), np.concatenate(fine)
    return Figures(
        _mean(kept), _mean(right), _mean(other), _mean(all_fine[all_sure]), _mean(all_sure)
    )


def refusal(found: Figures) -> str | None:
    """Why a calibration with these figures must not be stored; None if it may be."""
    if found.other_right < CALIBRATION_LEAST_SHARE:
        return (
            f'it would switch "other" off: {100 * (1 - found.other_right):.0f} % of the pictures '
            "that fit no label would be on a shelf"
        )
    if found.kept < CALIBRATION_LEAST_SHARE or found.right < CALIBRATION_LEAST_SHARE:
        return (
            f"it would leave nothing on the shelves: {100 * found.right:.0f} % of the pictures "
            "that fit a label would be on the right one"
        )
    return None


def _mean(values: Sequence[float] | npt.NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
