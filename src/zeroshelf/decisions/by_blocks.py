"""The decisions of a folder whose vectors don't fit into memory: block by block, the same numbers.

A folder of any size goes through in three passes over its rows, in the order of their paths:

1. the labels' logits and the negative scores of each block (scores.py);
2. both smoothed over nearest neighbours, which are among at most MAX_ANCHORS rows, and the sums for
   the low-rank regression of the OOD score (smoothing.py);
3. the decisions (decide.py).

What lies between two passes is written to `Scratch`; in memory stay the neighbours and coordinates
of `Smoothing` and about 21 bytes an image. Each pass calls the functions that decide about a folder
in memory, on blocks of the same rows, so that the answers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import decide
from zeroshelf.decisions.decide import Bools, Decisions, Floats
from zeroshelf.decisions.negative_scores import BLOCK, blocks, nearest_candidates
from zeroshelf.decisions.scores import ImageScorer, penalise_low_quality
from zeroshelf.decisions.smoothing import ImageRows, Regression, anchors_of, with_neighbours
from zeroshelf.labels.prompts import Texts
from zeroshelf.records import (
    Calibration,
    Model,
    NegativeCandidates,
    NegativeRows,
    Progress,
    Request,
    ResolvedLabels,
    Scores,
    Smoothing,
)

CHUNK = 16 * BLOCK  # images that are decided and handed over at once
SEARCHED = 64 * BLOCK  # images whose negative labels are searched at once


class Scratch(Protocol):
    """A table of float32 on the disk, written from the first row to the last, then read."""

    def append(self, rows: Floats) -> None:
        """Write (B, C) rows behind those that are there."""
        ...

    def __getitem__(self, rows: Any, /) -> Floats:
        """The rows of a slice."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of N images before there are labels: the same for every label set."""

    vectors: ImageRows  # (N, D) float16, rows of length 1
    candidate_rows: ImageRows  # (N, M) int32, as in `NegativeCandidates`
    candidate_cosines: ImageRows  # (N, M) float32
    smoothing: Smoothing | None  # None: each image by itself
    notes: Mapping[int, str] = field(default_factory=dict)  # row -> a note of images/quality.py
    searched: NegativeRows | None = None  # the negative labels among the candidates; None: all

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions of one block of images."""

    rows: slice
    decisions: Decisions  # of these rows; `pictures` is empty
    also: Bools  # (B, K), the labels that an image fits too


def candidates(
    vectors: ImageRows,
    texts: Texts,
    model: Model,
    progress: Progress | None = None,
    searched: NegativeRows | None = None,
) -> Iterator[NegativeCandidates]:
    """The nearest negative labels of all images, of those `searched` (None: of all), block by
    block.

    progress: called with the stage "negatives" (images).
    """
    for start in range(0, len(vectors), SEARCHED):
        block = vectors[start : start + SEARCHED]
        yield nearest_candidates(block, texts, model.logit_scale, searched)
        if progress:
            progress("negatives", start + len(block), len(vectors))


def decide_by_blocks(
    prepared: Prepared,
    model: Model,
    resolved: ResolvedLabels,
    texts: Texts,
    calibration: Calibration,
    request: Request,
    scratch: Callable[[int], Scratch],
    progress: Progress | None = None,
) -> Iterator[Decided]:
    """The decisions about N images under K labels, CHUNK images at a time, in order.

    model, calibration: of the vectors. Where the calibration has no typical logit, that of the
        median image is used; where each image is decided by itself, none.
    resolved, texts: as for `scores.score_vectors`.
    request: the threshold and the offset, and whether the labels are a closed set.
    scratch: makes an empty table of so many columns.
    progress: called with the stages "scoring" and "deciding" (images).
    """
    scored = _Scored(prepared, model, resolved, texts, scratch, progress)
    return scored.decided(calibration, request, progress)


class _Scored:
    """The scores of all images: the first pass."""

    def __init__(
        self,
        prepared: Prepared,
        model: Model,
        resolved: ResolvedLabels,
        texts: Texts,
        scratch: Callable[[int], Scratch],
        progress: Progress | None,
    ) -> None:
        self._of, self._model, self._resolved, self._scratch = prepared, model, resolved, scratch
        scorer = ImageScorer(resolved, texts, model.logit_scale, prepared.searched)
        count = len(prepared)
        self._names = scorer.names
        self._logits = scratch(len(resolved))
        self._negative = np.empty(count, np.float32)
        self._mean_logit = np.empty(count, np.float32)
        self._nearest = np.empty((count, 3), np.int32)
        self._has_rival = np.empty(count, bool)
        for rows in blocks(count):
            found = NegativeCandidates(
                np.asarray(prepared.candidate_rows[rows], np.int32),
                np.asarray(prepared.candidate_cosines[rows], np.float32),
            )
            logits, negative, nearest, mean_logit, has_rival = scorer.score(
                prepared.vectors[rows], found
            )
            here = {
                row: prepared.notes[row + rows.start]
                for row in range(len(negative))
                if row + rows.start in prepared.notes
            }
            penalise_low_quality(here, scorer.names, negative, nearest)
            self._logits.append(logits)
            self._negative[rows], self._mean_logit[rows] = negative, mean_logit
            self._nearest[rows, : nearest.shape[1]] = nearest
            self._has_rival[rows], self._shown = has_rival, nearest.shape[1]
            if progress:
                progress("scoring", rows.stop, count)

    def decided(
        self, calibration: Calibration, request: Request, progress: Progress | None
    ) -> Iterator[Decided]:
        """The second and the third pass."""
        count, labels = len(self._of), self._resolved.labels
        smoothed = self._smoothed(calibration.typical_logit)
        best, each = self._regressions(smoothed)
        for start in range(0, count, CHUNK):
            rows = slice(start, min(start + CHUNK, count))
            both = smoothed(rows)
            logits, negative = both[:, :-1], both[:, -1]
            above = decide.above_negatives(logits, negative, labels)
            top = decide.above_negatives(logits.max(axis=1, keepdims=True), negative, labels)
            made = decide.of_ood_scores(
                self._scores(rows, logits, negative),
                best(top, rows)[:, 0],
                logits,
                calibration,
                threshold=request.threshold,
                offset=request.offset,
                closed=not request.other,
            )
            fits = decide.in_distribution(each(above, rows), calibration)
            yield Decided(rows, made, decide.also_likely(fits, labels, made.chosen))
            if progress:
                progress("deciding", rows.stop, count)

    def _scores(self, rows: slice, logits: Floats, negative: Floats) -> Scores:
        return Scores(
            pictures=(),
            resolved=self._resolved,
            logits=logits,
            negative_score=negative,
            nearest_negatives=self._nearest[rows, : self._shown],
            negative_names=self._names,
            model=self._model,
            has_rival=self._has_rival[rows],
        )

    def _smoothed(self, typical_logit: float | None) -> Callable[[slice], Floats]:
        """What gives the (B, K + 1) logits and negative scores of rows, smoothed over nearest
        neighbours."""
        negative, smoothing = self._negative, self._of.smoothing
        if smoothing is not None or typical_logit is not None:
            negative = decide.without_excess(negative, self._mean_logit, typical_logit)

        def both(rows: slice) -> Floats:
            return np.column_stack((self._logits[rows], negative[rows]))

        if smoothing is None:
            return both
        anchors = anchors_of(len(negative))
        known = np.vstack([both(slice(row, row + 1)) for row in anchors.tolist()])
        made = self._scratch(known.shape[1])
        for rows in blocks(len(negative)):
            near = known[np.searchsorted(anchors, smoothing.neighbours[rows])]
            made.append(with_neighbours(both(rows), near, smoothing.cosines[rows]))
        return made.__getitem__

    def _regressions(self, smoothed: Callable[[slice], Floats]) -> tuple[_Smooth, _Smooth]:
        """What smooths the OOD scores of the best label, (B, 1), and of each label, (B, K)."""
        smoothing, labels = self._of.smoothing, self._resolved.labels
        if smoothing is None:
            return _unchanged, _unchanged
        coordinates = smoothing.coordinates
        best = Regression(coordinates.shape[1], 1)
        each = Regression(coordinates.shape[1], len(labels))
        for rows in blocks(len(self._of)):
            both = smoothed(rows)
            logits, negative = both[:, :-1], both[:, -1]
            top = decide.above_negatives(logits.max(axis=1, keepdims=True), negative, labels)
            best.add(top, coordinates[rows])
            each.add(decide.above_negatives(logits, negative, labels), coordinates[rows])
        return _by_blocks(best, coordinates), _by_blocks(each, coordinates)


_Smooth = Callable[[Floats, slice], Floats]  # values of the rows of a slice -> smoothed values


def _unchanged(values: Floats, rows: slice) -> Floats:
    return values


def _by_blocks(regression: Regression, coordinates: npt.NDArray[np.float16]) -> _Smooth:
    smooth = regression.solved()

    def smooth_rows(values: Floats, rows: slice) -> Floats:
        made = np.empty_like(values)
        at = coordinates[rows]
        for block in blocks(len(values)):
            made[block] = smooth(values[block], at[block])
        return made

    return smooth_rows
