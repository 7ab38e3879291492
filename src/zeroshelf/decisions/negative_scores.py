"""Images against the negative labels: the nearest ones, and how near they are.

Whether any label fits is measured with normalised logits (`normalise`; scores.py has the formula).
Which negative labels a set of labels leaves is decided in labels/negative_filter.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.blocks import blocks, in_threads
from zeroshelf.decisions.constants import (
    CANDIDATE_NEGATIVES,
    CENTRING,
    COHORT_SIZE,
    NEAREST_NEGATIVES,
    SPREAD_FLOOR,
)
from zeroshelf.embeddings.halves import widened
from zeroshelf.labels import negative_filter
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts
from zeroshelf.records import NegativeCandidates, NegativeRows, ResolvedLabels, Vectors

BLOCK = 1024  # images at once: 1,024 x 3,500 cosines, logits and their ranks are 57 MB
SEARCHERS = 4  # threads that have so much in memory
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
        return widened(images) @ (self.vectors.T * self.factors) - self.offsets


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
        # Of each text of the unfiltered list: scale and offset of its logit, and which labels imply
        # it. The offset of one that was removed makes its logit -inf.
        removed = places < 0
        self._factors = np.where(removed, np.float32(0), negatives.factors[places])
        self._offsets = np.where(removed, np.float32(np.inf), negatives.offsets[places])
        self._implied, self._implied_here = implied, implied[:, places] & ~removed
        of = slice(None) if cohort is None else cohort
        self._mean_text = (negatives.vectors.T * negatives.factors)[:, of].mean(axis=1)  # (D,)
        self._mean_offset = negatives.offsets[of].mean()

    def nearest(
        self,
        images: Images,
        rows: Rows,
        logits: Floats,
        labels: npt.NDArray[np.intp],
    ) -> tuple[Floats, Rows]:
        """The nearest negatives of each image but those that its best label implies.

        images: (N, D).
        rows, logits: (N, C), its candidates and their `candidate_logits`, which are changed.
        labels: (N,), its best label.

        Returns (N,) negative scores, and (N, 3) rows of the nearest negatives, nearest first.
        """
        wanted = min(NEAREST_NEGATIVES, int((~self._implied).sum(axis=1).min()))
        if self._implied_here.any():
            logits[_of_labels(self._implied_here, labels, rows)] = -np.inf
        if self.own:  # never among the candidates
            own = self.negatives[: self.own].logits(images)
            logits = np.hstack((own, logits))
        best, which = greatest(logits, wanted)
        too_few = np.flatnonzero((best == -np.inf).any(axis=1))
        which -= self.own
        found = self.places[np.take_along_axis(rows, np.maximum(which, 0), axis=1)]
        found = np.where(which < 0, which + self.own, found).astype(np.int32)
        if len(too_few):  # the filter removed most candidates: search all negatives
            every = self.negatives.logits(images[too_few])
            every[self._implied[labels[too_few]]] = -np.inf
            best[too_few], found[too_few] = greatest(every, wanted)
        return best.mean(axis=1), found[:, :NAMED_NEGATIVES]

    def candidate_logits(self, candidates: NegativeCandidates) -> Floats:
        """(N, C) normalised logits of the candidates; -inf if the negative filter removed one."""
        logits = self._factors[candidates.rows]
        logits *= candidates.cosines
        logits -= self._offsets[candidates.rows]
        return logits

    def mean_logits(self, images: Images) -> Floats:
        """(N, D) images -> (N,): the mean logit over all M negatives, or over the cohort."""
        return np.asarray(images @ self._mean_text - self._mean_offset, np.float32)


class Rivals:
    """Finds images of which a negative label beside the best label in WordNet fits about as well.

    resolved: the K labels.
    count: of the unfiltered negative labels.
    """

    def __init__(self, resolved: ResolvedLabels, count: int) -> None:
        self._resolved = resolved.each
        self._siblings = np.zeros((len(resolved), count), bool)
        self._looked_up: set[int] = set()  # labels; the others' rows of `_siblings` are empty

    def among(self, labels: npt.NDArray[np.intp], rows: Rows, close: npt.NDArray[np.bool_]) -> Any:
        """(N,) best labels, (N, C) rows of the unfiltered negatives and which of them come close
        -> (N,) bool. Several threads may ask at once."""
        for label in set(np.unique(labels).tolist()) - self._looked_up:
            self._siblings[label, list(negative_filter.siblings(self._resolved[label]))] = True
            self._looked_up.add(label)
        return np.asarray((_of_labels(self._siblings, labels, rows) & close).any(axis=1))


def _of_labels(
    table: npt.NDArray[np.bool_], labels: npt.NDArray[np.intp], rows: Rows
) -> npt.NDArray[np.bool_]:
    """(K, M), (N,) labels and (N, C) columns -> (N, C), of each image the row of its label."""
    return np.asarray(np.take(table, labels[:, None] * table.shape[1] + rows))


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

    def search(block: slice) -> None:
        found = widened(images[block]) @ vectors.T
        logits = found * negatives.factors - negatives.offsets
        best = np.argpartition(logits, -kept, axis=1)[:, -kept:]
        order = np.argsort(-np.take_along_axis(logits, best, axis=1), axis=1, kind="stable")
        nearest = np.take_along_axis(best, order, axis=1)
        rows[block] = some[nearest]
        cosines[block] = np.take_along_axis(found, nearest, axis=1)

    for _ in in_threads(search, blocks(count, BLOCK), SEARCHERS):
        pass
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


def greatest(values: Floats, count: int) -> tuple[Floats, Rows]:
    """The `count` greatest values of each row, greatest first, and their columns; of equal ones
    the first. A `count` of numbers above -inf is expected in each row: in one with fewer, -inf
    follows, with any column."""
    left, rows = values.copy(), np.arange(len(values))
    best = np.empty((len(values), count), values.dtype)
    which = np.empty((len(values), count), np.int32)
    for place in range(count):
        at = left.argmax(axis=1)
        best[:, place], which[:, place] = left[rows, at], at
        left[rows, at] = -np.inf
    return best, which
