"""Images against the negative labels: the nearest ones, and how near they are.

Whether any label fits is measured with normalised logits (`normalise`; scores.py has the formula).
Which negative labels a set of labels leaves is decided in labels/negative_filter.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.constants import (
    CANDIDATE_NEGATIVES,
    CENTRING,
    COHORT_SIZE,
    NEAREST_NEGATIVES,
    SPREAD_FLOOR,
)
from zeroshelf.labels import negative_filter
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts
from zeroshelf.records import NegativeCandidates, NegativeRows, ResolvedLabels, Vectors

BLOCK = 1024  # images at once: 1,024 x 3,500 logits and their ranks are 43 MB
NAMED_NEGATIVES = 3  # nearest negatives of an image that are kept by name

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]
Images = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class NormalisedTexts:
    """W texts with the scale and offset of their logits: logit = x.t * factor - offset."""

    vectors: Vectors  # (W, D), rows of length 1
    factors: Floats  # (W,)
    offsets: Floats  # (W,), logits

    def __getitem__(self, rows: slice) -> NormalisedTexts:
        return NormalisedTexts(self.vectors[rows], self.factors[rows], self.offsets[rows])

    def logits(self, images: Images) -> Floats:
        """(N, D) images -> (N, W) logits."""
        return np.asarray(images @ (self.vectors.T * self.factors) - self.offsets, np.float32)


class NegativeScorer:
    """Scores images against the M negative labels that the negative filter left.

    negatives: M texts, the user's own ("!cartoon") first.
    places: (B,), the row in `negatives` of each text of the unfiltered list; -1 if it was removed.
    own: how many of `negatives` are the user's own.
    implied: (K, M), the negatives that say nothing against label k.
    cohort: which of `negatives` an image's mean logit is taken over; None: all.
    """

    def __init__(
        self,
        negatives: NormalisedTexts,
        places: Rows,
        own: int,
        implied: npt.NDArray[np.bool_],
        cohort: npt.NDArray[np.intp] | None = None,
    ) -> None:
        self.negatives, self.places, self.own = negatives, places, own
        self._implied = implied
        of = slice(None) if cohort is None else cohort
        self._mean_text = (negatives.vectors.T * negatives.factors)[:, of].mean(axis=1)  # (D,)
        self._mean_offset = negatives.offsets[of].mean()

    def nearest(
        self, images: Images, candidates: NegativeCandidates, labels: npt.NDArray[np.intp]
    ) -> tuple[Floats, Rows]:
        """(N, D) images, their candidates and (N,) best labels -> (N,) negative scores, and (N, 3)
        rows of the nearest negatives, nearest first."""
        wanted = min(NEAREST_NEGATIVES, int((~self._implied).sum(axis=1).min()))
        at, negatives = self.places[candidates.rows], self.negatives
        values = self.candidate_logits(candidates)
        values[self._implied[labels[:, None], at] & (at >= 0)] = -np.inf
        if self.own:  # never among the candidates
            rows = np.arange(self.own, dtype=np.int32)
            at = np.hstack((np.broadcast_to(rows, (len(at), self.own)), at))
            values = np.hstack((negatives[: self.own].logits(images), values))
        too_few = np.flatnonzero(np.isfinite(values).sum(axis=1) < wanted)
        best, which = _greatest(values, wanted)
        which = np.take_along_axis(at, which, 1)
        if len(too_few):  # the filter removed most candidates: search all negatives
            found = negatives.logits(images[too_few])
            found[self._implied[labels[too_few]]] = -np.inf
            best[too_few], which[too_few] = _greatest(found, wanted)
        return best.mean(axis=1), which[:, :NAMED_NEGATIVES]

    def candidate_logits(self, candidates: NegativeCandidates) -> Floats:
        """(N, C) normalised logits of the candidates; -inf if the negative filter removed one."""
        at = self.places[candidates.rows]
        values = candidates.cosines * self.negatives.factors[at] - self.negatives.offsets[at]
        values[at < 0] = -np.inf
        return np.asarray(values, np.float32)

    def mean_logits(self, images: Images) -> Floats:
        """(N, D) images -> (N,): the mean logit over all M negatives, or over the cohort."""
        return np.asarray(images @ self._mean_text - self._mean_offset, np.float32)


class Rivals:
    """Finds images of which a negative label beside the best label in WordNet fits about as well.

    resolved: the K labels.
    places: as for `NegativeScorer`.
    """

    def __init__(self, resolved: ResolvedLabels, places: Rows) -> None:
        self._resolved, self._count = resolved.each, len(places)
        self._siblings: dict[int, npt.NDArray[np.bool_]] = {}

    def among(self, labels: npt.NDArray[np.intp], rows: Rows, close: npt.NDArray[np.bool_]) -> Any:
        """(N,) best labels, (N, C) rows of the unfiltered negatives and which of them come close
        -> (N,) bool."""
        found = np.zeros(len(labels), bool)
        for label in map(int, np.unique(labels)):
            if label not in self._siblings:
                self._siblings[label] = np.zeros(self._count, bool)
                beside = list(negative_filter.siblings(self._resolved[label]))
                self._siblings[label][beside] = True
            mine = np.flatnonzero(labels == label)
            found[mine] = (self._siblings[label][rows[mine]] & close[mine]).any(axis=1)
        return found


def nearest_candidates(
    images: Images, texts: Texts, scale: float, searched: NegativeRows | None = None
) -> NegativeCandidates:
    """(N, D) images -> the `CANDIDATE_NEGATIVES` unfiltered negatives of greatest logit each, the
    greatest first, of those `searched`; None: of all."""
    every = negative_labels()
    some = np.arange(len(every)) if searched is None else searched.rows
    cohort = None if searched is None else np.searchsorted(some, searched.cohort)
    vectors = texts([every[row].prompt for row in some.tolist()])
    negatives = normalise(vectors, vectors, scale, cohort)
    count, kept = len(images), min(CANDIDATE_NEGATIVES, len(vectors))
    rows = np.empty((count, kept), np.int32)
    cosines = np.empty((count, kept), np.float32)
    for block in blocks(count):
        found = images[block] @ vectors.T
        logits = found * negatives.factors - negatives.offsets
        best = np.argpartition(logits, -kept, axis=1)[:, -kept:]
        order = np.argsort(-np.take_along_axis(logits, best, axis=1), axis=1, kind="stable")
        nearest = np.take_along_axis(best, order, axis=1)
        rows[block] = some[nearest]
        cosines[block] = np.take_along_axis(found, nearest, axis=1)
    return NegativeCandidates(rows, cosines, searched)


def normalise(
    vectors: Vectors, negatives: Vectors, scale: float, cohort: npt.NDArray[np.intp] | None = None
) -> NormalisedTexts:
    """Cohort normalisation of W texts by M negatives.

    vectors: (W, D), the last M of them the negatives themselves.
    negatives: (M, D).
    scale: the model's logit scale.
    cohort: the rows of `negatives` that make the cohort; None: `COHORT_SIZE`, evenly spaced.
    """
    chosen = negatives[:: max(1, len(negatives) // COHORT_SIZE)]
    cosines = vectors @ (chosen if cohort is None else negatives[cohort]).T
    mean, std = cosines.mean(axis=1), cosines.std(axis=1)
    own = std[-len(negatives) :]
    typical = (own if cohort is None else own[cohort]).mean()
    factor = scale * (typical + SPREAD_FLOOR) / (std + SPREAD_FLOOR)
    offset = factor * CENTRING * mean
    return NormalisedTexts(vectors, factor.astype(np.float32), offset.astype(np.float32))


def _greatest(values: Floats, count: int) -> tuple[Floats, Rows]:
    """The `count` greatest values of each row, greatest first, and their columns."""
    order = np.argsort(-values, axis=1)[:, :count]
    return np.take_along_axis(values, order, 1), order.astype(np.int32)


def blocks(count: int) -> Iterator[slice]:
    """The rows of `count` images, `BLOCK` at a time."""
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))
