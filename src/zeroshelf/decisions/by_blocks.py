"""The decisions of a folder whose vectors don't fit into memory: block by block, the same numbers.

A folder of any size goes through in three passes over its rows, in the order of their paths:

1. the labels' logits and the negative scores of each block (scores.py);
2. both smoothed over nearest neighbours, which are among at most MAX_ANCHORS rows, and the sums for
   the low-rank regression of the OOD score (smoothing.py);
3. the decisions (decide.py).

What lies between two passes is written to `Scratch`; in memory stay the neighbours and coordinates
of `Smoothing` and about 25 bytes an image. Blocks are read and written in one thread and computed
in several. Each pass calls the functions that decide about a folder in memory, on blocks of the
same rows, so that the answers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from zeroshelf.decisions import decide
from zeroshelf.decisions.blocks import blocks, in_threads
from zeroshelf.decisions.decide import Bools, Decisions, Floats
from zeroshelf.decisions.negative_scores import BLOCK, NAMED_NEGATIVES, nearest_candidates
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

CHUNK = 16 * BLOCK  # images at most that are decided and handed over at once
CHUNK_VALUES = 1 << 18  # and of so many labels together, if a BLOCK has no more: 1 MB
SEARCHED = 64 * BLOCK  # images whose negative labels are searched at once
DECIDERS = 2  # threads of the third pass: what comes after it is in one thread, and waits


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
    candidate_rows: ImageRows  # (N, M) whole numbers, as in `NegativeCandidates`
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


def chunk_of(labels: int) -> int:
    """How many images are decided at once under so many labels."""
    return max(BLOCK, min(CHUNK, CHUNK_VALUES // labels // BLOCK * BLOCK))


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
    """The decisions about N images under K labels, `chunk_of(K)` images at a time, in order.

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
        self._of, self._model, self._resolved = prepared, model, resolved
        scorer = ImageScorer(resolved, texts, model.logit_scale, prepared.searched)
        count, labels = len(prepared), len(resolved)
        anchors = anchors_of(count)
        self._scratch, self._names = scratch, scorer.names
        self._logits = scratch(labels)
        self._anchor_logits = np.empty((len(anchors), labels), np.float32)
        self._negative = np.empty(count, np.float32)
        self._mean_logit = np.empty(count, np.float32)
        self._nearest = np.empty((count, NAMED_NEGATIVES), np.int32)
        self._has_rival = np.empty(count, bool)
        self._unwanted = np.empty(count, np.float32) if resolved.labels.negatives else None
        shown = NAMED_NEGATIVES
        for rows, found in scorer.in_blocks(
            prepared.vectors, prepared.candidate_rows, prepared.candidate_cosines
        ):
            self._logits.append(found.logits)
            first, last = np.searchsorted(anchors, (rows.start, rows.stop))
            self._anchor_logits[first:last] = found.logits[anchors[first:last] - rows.start]
            self._negative[rows] = found.negative_score
            self._mean_logit[rows] = found.mean_negative_logit
            shown = found.nearest_negatives.shape[1]  # fewer, where there are fewer negatives
            self._nearest[rows, :shown] = found.nearest_negatives
            self._has_rival[rows] = found.has_rival
            if self._unwanted is not None:
                self._unwanted[rows] = found.unwanted
            if progress:
                progress("scoring", rows.stop, count)
        self._nearest = self._nearest[:, :shown]
        penalise_low_quality(prepared.notes, self._names, self._negative, self._nearest)

    def decided(
        self, calibration: Calibration, request: Request, progress: Progress | None
    ) -> Iterator[Decided]:
        """The second and the third pass."""
        smoothing, typical = self._of.smoothing, calibration.typical_logit
        if smoothing is not None or typical is not None:
            self._negative = decide.without_excess(self._negative, self._mean_logit, typical)
        scores, regression = (
            self._smoothed(smoothing) if smoothing is not None else (self._unsmoothed, None)
        )

        def made(given: tuple[slice, Floats]) -> Decided:
            rows, both = given
            logits, negative = both[:, :-1], both[:, -1]
            ood_scores = self._ood_scores(both)
            if smoothing is not None and regression is not None:
                at = smoothing.coordinates[rows]
                for block in blocks(len(both), BLOCK):
                    of_block = (one[block] for one in ood_scores)
                    smoothed = regression.smooth(at[block], *of_block)
                    for one, values in zip(ood_scores, smoothed, strict=True):
                        one[block] = values
            best, each = ood_scores
            found = decide.of_ood_scores(
                self._scores(rows, logits, negative),
                best[:, 0],
                logits,
                calibration,
                threshold=request.threshold,
                offset=request.offset,
                closed=not request.other,
            )
            fits = decide.in_distribution(each, calibration, unwanted=found.scores.unwanted)
            also = decide.also_likely(fits, self._resolved.labels, found.chosen)
            return Decided(rows, found, also)

        count = len(self._of)
        read = ((rows, scores(rows)) for rows in blocks(count, chunk_of(len(self._resolved))))
        for one in in_threads(made, read, DECIDERS):
            yield one
            if progress:
                progress("deciding", one.rows.stop, count)

    def _unsmoothed(self, rows: slice) -> Floats:
        """(B, K + 1): the logits and the negative scores of rows."""
        return np.column_stack((self._logits[rows], self._negative[rows]))

    def _ood_scores(self, both: Floats) -> tuple[Floats, Floats]:
        """(B, K + 1) logits and negative scores -> the OOD scores of the best label, (B, 1), and of
        each label, (B, K), before low-rank smoothing."""
        logits, negative, labels = both[:, :-1], both[:, -1], self._resolved.labels
        best = decide.above_negatives(logits.max(axis=1, keepdims=True), negative, labels)
        return best, decide.above_negatives(logits, negative, labels)

    def _scores(self, rows: slice, logits: Floats, negative: Floats) -> Scores:
        return Scores(
            pictures=(),
            resolved=self._resolved,
            logits=logits,
            negative_score=negative,
            nearest_negatives=self._nearest[rows],
            negative_names=self._names,
            model=self._model,
            has_rival=self._has_rival[rows],
            unwanted=None if self._unwanted is None else self._unwanted[rows],
        )

    def _smoothed(self, smoothing: Smoothing) -> tuple[Callable[[slice], Floats], Regression]:
        """The second pass: what gives the (B, K + 1) logits and negative scores of rows, smoothed
        over nearest neighbours, and the regression of the OOD scores."""
        count, anchors = len(self._of), anchors_of(len(self._of))
        known = np.column_stack((self._anchor_logits, self._negative[anchors]))
        place = np.zeros(count, np.int32)  # of a row in `anchors`
        place[anchors] = np.arange(len(anchors))

        def smooth(given: tuple[slice, Floats]) -> tuple[Floats, list[Any]]:
            rows, both = given
            near = known[place[smoothing.neighbours[rows]]]
            made = with_neighbours(both, near, smoothing.cosines[rows])
            return made, Regression.sums(smoothing.coordinates[rows], *self._ood_scores(made))

        smoothed, regression = self._scratch(known.shape[1]), Regression()
        read = ((rows, self._unsmoothed(rows)) for rows in blocks(count, BLOCK))
        for made, sums in in_threads(smooth, read):
            smoothed.append(made)
            regression.add(sums)
        regression.solve()
        return smoothed.__getitem__, regression
