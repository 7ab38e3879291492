"""Decisions and the truth -> how good the decisions are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from zeroshelf import checks
from zeroshelf.decisions.decide import Decisions, confidence_of
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, Confidence

BINS = 10  # of equal width, for the calibration error
THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # probabilities

Truth = Mapping[str, "str | Collection[str]"]  # a picture's path -> its label, or all that are true
Columns = npt.NDArray[np.int64]  # (n,) places in `Evaluation.names`


@dataclass(frozen=True, slots=True)
class LabelResult:
    """One shelf. A share of nothing is None."""

    pictures: int  # that belong on it
    decided: int  # that were put on it
    precision: float | None  # share of `decided` that belongs there
    recall: float | None  # share of `pictures` that was put there


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """What the decisions would be if a picture were on the shelf of its best label where that has
    a probability of `threshold` or more, and in "other" where not. A share of nothing is None."""

    threshold: float
    kept: int  # pictures on a shelf
    precision: float | None  # share of `kept` that belongs on that shelf
    recall: float | None  # of the pictures that fit a label, share on a right shelf
    other_accuracy: float | None  # of the pictures that fit none, share in "other"
    labels: Mapping[str, LabelResult]  # of each label and of "other"


@dataclass(frozen=True, slots=True)
class ConfidenceResult:
    """The decisions of one confidence."""

    decisions: int
    accuracy: float | None  # share that is right; None without any


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
    rows: tuple[int, ...] = ()  # (n,) of the decisions that were looked at, in ascending order
    truth: tuple[str, ...] = ()  # (n,) the name that counts as the truth of each of them
    confidences: Mapping[Confidence, ConfidenceResult] | None = None
    thresholds: tuple[ThresholdResult, ...] = ()  # in ascending order

    @property
    def labels(self) -> dict[str, LabelResult]:
        """Precision and recall of each label and of "other"."""
        return _labels(self.names, self.confusion)


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
    chosen = decisions.chosen[rows].astype(np.int64)
    right, true = _compared(chosen, accepted)
    probabilities = decisions.probabilities[rows]
    stated = probabilities[np.arange(len(rows)), chosen]
    words = np.array([confidence_of(decisions, row) for row in rows], dtype=object)
    confidences = {
        word: ConfidenceResult(int((words == word).sum()), _share(right[words == word]))
        for word in get_args(Confidence)
    }
    by_hand = np.array([row in decisions.corrected for row in rows], bool) & (
        chosen == column[OTHER]
    )
    fits = true < len(names) - 1
    parts = _share(right[fits]), _share(right[~fits])
    return Evaluation(
        pictures=len(rows),
        accuracy=_share(right),
        label_accuracy=parts[0],
        other_accuracy=parts[1],
        harmonic_mean=None if None in parts else harmonic_mean(parts[0] or 0.0, parts[1] or 0.0),
        sure_accuracy=confidences["sure"].accuracy,
        calibration_error=_calibration_error(stated, right),
        names=names,
        confusion=_confusion(true, chosen, len(names)),
        wrong=tuple(row for row, one in zip(rows, right, strict=True) if not one),
        rows=tuple(rows),
        truth=tuple(names[at] for at in true),
        confidences=confidences,
        thresholds=tuple(_at(one, names, probabilities, accepted, by_hand) for one in THRESHOLDS),
    )


def _at(
    threshold: float,
    names: tuple[str, ...],
    probabilities: npt.NDArray[np.float32],
    accepted: list[list[int]],
    by_hand: npt.NDArray[np.bool_],
) -> ThresholdResult:
    """The result at one threshold on the probability of the best label. `by_hand`: what the user
    put on "other", where it stays."""
    other = len(names) - 1
    best, most = probabilities[:, :other].argmax(axis=1), probabilities[:, :other].max(axis=1)
    chosen = np.where((most >= threshold) & ~by_hand, best, other).astype(np.int64)
    right, true = _compared(chosen, accepted)
    kept, fits = chosen < other, true < other
    return ThresholdResult(
        threshold=threshold,
        kept=int(kept.sum()),
        precision=_share(right[kept]),
        recall=_share(right[fits]),
        other_accuracy=_share(right[~fits]),
        labels=_labels(names, _confusion(true, chosen, len(names))),
    )


def _columns(given: object, column: Mapping[str, int]) -> list[int]:
    names = [given] if isinstance(given, str) else checks.texts(given, "the truth of a picture")
    if not names:
        raise UserError(f'the truth of a picture names no label: give "{OTHER}" if none is true')
    found = [column[name] for name in names if name in column]
    return found or [column[OTHER]]


def _compared(chosen: Columns, accepted: list[list[int]]) -> tuple[npt.NDArray[np.bool_], Columns]:
    """Which of the chosen columns are right, and the column that counts as the truth of each."""
    right = np.array([at in fine for at, fine in zip(chosen, accepted, strict=True)], bool)
    first = np.array([columns[0] for columns in accepted], np.int64)
    return right, np.where(right, chosen, first)


def _confusion(true: Columns, chosen: Columns, count: int) -> npt.NDArray[np.int64]:
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (true, chosen), 1)
    return confusion


def _labels(names: tuple[str, ...], confusion: npt.NDArray[np.int64]) -> dict[str, LabelResult]:
    found = {}
    for column, name in enumerate(names):
        true, decided = int(confusion[column].sum()), int(confusion[:, column].sum())
        right = int(confusion[column, column])
        precision, recall = (right / of if of else None for of in (decided, true))
        found[name] = LabelResult(true, decided, precision, recall)
    return found


def _share(right: npt.NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None


def harmonic_mean(a: float, b: float) -> float:
    """Of two accuracies, from 0 to 1; 0 where both are 0."""
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


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
