"""Decisions and the truth -> how good the decisions are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zeroshelf import checks
from zeroshelf.decisions.constants import SURE
from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER

BINS = 10  # of equal width, for the calibration error

Truth = Mapping[str, "str | Collection[str]"]  # a picture's path -> its label, or all that are true


@dataclass(frozen=True, slots=True)
class LabelResult:
    """One shelf. A share of nothing is None."""

    pictures: int  # that belong on it
    decided: int  # that were put on it
    precision: float | None  # share of `decided` that belongs there
    recall: float | None  # share of `pictures` that was put there


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Decisions compared with the truth. All accuracies are shares from 0 to 1; None where no
    picture counts."""

    pictures: int  # with a known truth: the others are not looked at
    accuracy: float | None  # share on a right shelf
    label_accuracy: float | None  # of the pictures that fit a label, share on a right shelf
    other_accuracy: float | None  # of the pictures that fit none, share in "other"
    harmonic_mean: float | None  # of the last two
    sure_accuracy: float | None  # of the decisions that are "sure", share that is right
    calibration_error: float | None  # expected calibration error (Naeini et al. 2015), 10 bins
    names: tuple[str, ...]  # K labels and "other": rows and columns of `confusion`
    confusion: npt.NDArray[np.int64]  # (K + 1, K + 1) pictures: the truth's row, the shelf's column
    wrong: tuple[int, ...]  # rows of the decisions that are wrong

    @property
    def labels(self) -> dict[str, LabelResult]:
        """Precision and recall of each label and of "other"."""
        return {name: self._label(column) for column, name in enumerate(self.names)}

    def _label(self, column: int) -> LabelResult:
        true, decided = self.confusion[column].sum(), self.confusion[:, column].sum()
        right = self.confusion[column, column]
        return LabelResult(
            pictures=int(true),
            decided=int(decided),
            precision=float(right / decided) if decided else None,
            recall=float(right / true) if true else None,
        )


def evaluate(decisions: Decisions, truth: Mapping[int, str | Collection[str]]) -> Evaluation:
    """Compare decisions with the truth.

    truth: row -> the picture's label, or all labels that are true of it. A name that is no label of
        the run means "other". Of several true labels any is right, and the first counts where
        none was chosen.

    Raises `UserError` where a truth is no text or names nothing.
    """
    names = (*decisions.scores.labels.names, OTHER)
    column = {name: at for at, name in enumerate(names)}
    rows = sorted(truth)
    accepted = [_columns(truth[row], column) for row in rows]
    chosen = decisions.chosen[rows] if rows else np.empty(0, np.int32)
    right = np.array([at in right for at, right in zip(chosen, accepted, strict=True)], bool)
    true = np.where(right, chosen, [columns[0] for columns in accepted]).astype(np.int64)
    stated = decisions.probabilities[rows, chosen] if rows else np.empty(0, np.float32)
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (true, chosen), 1)
    fits = true < len(names) - 1
    parts = _share(right[fits]), _share(right[~fits])
    both = None
    if parts[0] is not None and parts[1] is not None:
        both = 2 * parts[0] * parts[1] / (sum(parts) or 1.0)  # type: ignore[arg-type]
    return Evaluation(
        pictures=len(rows),
        accuracy=_share(right),
        label_accuracy=parts[0],
        other_accuracy=parts[1],
        harmonic_mean=both,
        sure_accuracy=_share(right[stated >= SURE]),
        calibration_error=_calibration_error(stated, right),
        names=names,
        confusion=confusion,
        wrong=tuple(row for row, one in zip(rows, right, strict=True) if not one),
    )


def _columns(given: object, column: Mapping[str, int]) -> list[int]:
    names = [given] if isinstance(given, str) else checks.texts(given, "the truth of a picture")
    if not names:
        raise UserError(f'the truth of a picture names no label: give "{OTHER}" if none is true')
    found = [column[name] for name in names if name in column]
    return found or [column[OTHER]]


def _share(right: npt.NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None


def _calibration_error(
    stated: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]
) -> float | None:
    """Mean distance, over pictures, of a bin's mean stated probability from its share of right."""
    if not len(stated):
        return None
    bins = np.minimum((stated * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    difference = np.bincount(bins, stated, BINS) - np.bincount(bins, right, BINS)
    return float(np.abs(difference).sum() / counts.sum())
