"""Embeddings and labels -> scores: what the model says, before anything is decided.

A label's logit is the model's logit scale times the cosine with the best of its n prompt groups,
less PROMPT_COUNT_PENALTY * ln n. Where the lexicon of everyday words adds groups, it is the mean
(OTHER_WAYS_SHARE) of that and of the same with these among them. Whether any label fits is measured
with normalised logits. Some texts have a high cosine with every image ("thing") and some a low one,
so each text's cosines are centred and scaled by its own mean and spread over the other negative
texts v (cohort normalisation; "z-norm" in speaker recognition):

    n(x, t) = scale * (x.t - CENTRING * mean_v(v.t)) * (typical + floor) / (std_v(v.t) + floor)

`typical` is the mean spread of the negative texts and `floor` is SPREAD_FLOOR. An image's negative
score is the mean normalised logit of its five nearest negative labels, moved so that the best
label's logit lies as far above it as the best label's normalised logit does; a dark or blurred
image gets LOW_QUALITY_PENALTY more.

Everything here is computed from vectors and texts; `texts` is the only access to the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.constants import (
    CANDIDATE_NEGATIVES,
    CENTRING,
    COHORT_SIZE,
    LOW_QUALITY_PENALTY,
    NEAREST_NEGATIVES,
    OTHER_WAYS_SHARE,
    PROMPT_COUNT_PENALTY,
    RIVAL_MARGIN,
    SPREAD_FLOOR,
)
from zeroshelf.decisions.smoothing import smoothing_of
from zeroshelf.images.quality import PROBLEMS
from zeroshelf.labels import negative_filter
from zeroshelf.labels.negative_filter import RemainingNegatives
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts, mean_vectors
from zeroshelf.records import (
    Embeddings,
    Model,
    NegativeCandidates,
    NegativeRows,
    Progress,
    ResolvedLabels,
    Scores,
    Vectors,
)

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


def score(
    embeddings: Embeddings,
    resolved: ResolvedLabels,
    texts: Texts,
    before: Scores | None = None,
    progress: Progress | None = None,
    negatives: NegativeRows | None = None,
) -> Scores:
    """The scores of N embedded images under K labels; `score_vectors` documents the arguments."""
    scores = score_vectors(
        embeddings.vectors,
        embeddings.model,
        resolved,
        texts,
        notes=embeddings.notes,
        before=before,
        progress=progress,
        negatives=negatives,
    )
    return replace(scores, pictures=embeddings.pictures)


def score_vectors(
    vectors: Images,
    model: Model,
    resolved: ResolvedLabels,
    texts: Texts,
    *,
    notes: Mapping[int, str] = MappingProxyType({}),
    before: Scores | None = None,
    progress: Progress | None = None,
    negatives: NegativeRows | None = None,
) -> Scores:
    """The scores of N vectors under K labels; `pictures` of the result is empty.

    vectors: (N, D), rows of length 1.
    model: the model that made the vectors.
    resolved: the K labels, resolved with the same model's texts (labels/resolve.py).
    texts: embeds texts with the same model.
    notes: row -> a note of images/quality.py ("dark picture") on that image.
    before: scores of the same vectors, from which all that no label changes is taken.
    progress: called with the stage "scoring" (images scored).
    negatives: the negative labels that are used; None: all. Those of `before` come first.
    """
    candidates = None if before is None else before.candidates
    candidates = candidates or nearest_candidates(vectors, texts, model.logit_scale, negatives)
    kept = negative_filter.remaining_negatives(resolved, texts, candidates.searched)
    asked, scorer = _normalised(resolved, kept, texts, model.logit_scale)
    ways, rivals = Ways(resolved), Rivals(resolved, kept.rows)
    count = len(vectors)
    logits = np.empty((count, len(resolved)), np.float32)
    negative, mean_logit = np.empty(count, np.float32), np.empty(count, np.float32)
    nearest, has_rival = np.empty((count, NAMED_NEGATIVES), np.int32), np.zeros(count, bool)
    for rows in _blocks(count):
        cosines = vectors[rows] @ asked.vectors.T
        logits[rows] = ways.logits(model.logit_scale * cosines)
        best = ways.logits(cosines * asked.factors - asked.offsets).max(axis=1)
        found = NegativeCandidates(candidates.rows[rows], candidates.cosines[rows])
        top = logits[rows].argmax(axis=1)
        negative[rows], nearest[rows] = scorer.nearest(vectors[rows], found, top)
        negative[rows] = negative[rows] - best + logits[rows].max(axis=1)
        has_rival[rows] = rivals.among(
            top, found.rows, scorer.candidate_logits(found) >= best[:, None] - RIVAL_MARGIN
        )
        mean_logit[rows] = scorer.mean_logits(vectors[rows])
        if progress:
            progress("scoring", rows.stop, count)
    _penalise_low_quality(notes, kept.names, negative, nearest)
    return Scores(
        pictures=(),
        resolved=resolved,
        logits=logits,
        negative_score=negative,
        nearest_negatives=nearest,
        negative_names=kept.names,
        model=model,
        mean_negative_logit=mean_logit,
        smoothing=smoothing_of(vectors) if before is None else before.smoothing,
        candidates=candidates,
        has_rival=has_rival,
    )


def _normalised(
    resolved: ResolvedLabels, kept: RemainingNegatives, texts: Texts, scale: float
) -> tuple[NormalisedTexts, NegativeScorer]:
    """The texts of the labels' prompt groups, in the order of `Ways`, and the negatives."""
    groups = [group for one in resolved for group in (*one.prompts, *one.other_ways)]
    words, own = mean_vectors(groups, texts), len(resolved.labels.negatives)
    both = np.concatenate((words, kept.vectors))
    every = normalise(both, kept.vectors, scale, kept.cohort)
    left = every[len(words) :]
    return every[: len(words)], NegativeScorer(left, kept.rows, own, kept.implied, kept.cohort)


class Ways:
    """Joins the logits of a label's prompt groups to one logit.

    resolved: the K labels; the groups are those of the first label's `prompts`, then of its
        `other_ways`, then of the next label's.
    """

    def __init__(self, resolved: ResolvedLabels) -> None:
        own = np.array([len(one.prompts) for one in resolved])
        every = own + np.array([len(one.other_ways) for one in resolved])
        self._starts = np.cumsum([0, *every])[:-1]
        place = np.arange(every.sum()) - np.repeat(self._starts, every)
        self._others = place >= np.repeat(own, every)  # (W,), groups of `other_ways`
        self._own_penalty = np.float32(PROMPT_COUNT_PENALTY) * np.log(own).astype(np.float32)
        self._penalty = np.float32(PROMPT_COUNT_PENALTY) * np.log(every).astype(np.float32)

    def logits(self, groups: npt.NDArray[np.floating]) -> Floats:
        """(N, W) logits of the groups -> (N, K) of the labels."""
        every = np.maximum.reduceat(groups, self._starts, axis=1) - self._penalty
        if not self._others.any():
            return np.asarray(every, np.float32)
        alone = np.where(self._others, np.float32(-np.inf), groups)
        own = np.maximum.reduceat(alone, self._starts, axis=1) - self._own_penalty
        return np.asarray(own + np.float32(OTHER_WAYS_SHARE) * (every - own), np.float32)


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
        left = (~self._implied).sum(axis=1).min()
        wanted = max(1, min(NEAREST_NEGATIVES, int(left)))
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


def nearest_candidates(
    images: Images, texts: Texts, scale: float, searched: NegativeRows | None = None
) -> NegativeCandidates:
    """(N, D) images -> the `CANDIDATE_NEGATIVES` unfiltered negatives of greatest logit each, of
    those `searched`; None: of all."""
    every = negative_labels()
    some = np.arange(len(every)) if searched is None else searched.rows
    cohort = None if searched is None else np.searchsorted(some, searched.cohort)
    vectors = texts([every[row].prompt for row in some.tolist()])
    negatives = normalise(vectors, vectors, scale, cohort)
    count, kept = len(images), min(CANDIDATE_NEGATIVES, len(vectors))
    rows = np.empty((count, kept), np.int32)
    cosines = np.empty((count, kept), np.float32)
    for block in _blocks(count):
        found = images[block] @ vectors.T
        logits = found * negatives.factors - negatives.offsets
        best = np.argpartition(logits, -kept, axis=1)[:, -kept:]
        rows[block] = some[best]
        cosines[block] = np.take_along_axis(found, best, axis=1)
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


def _penalise_low_quality(
    notes: Mapping[int, str], names: tuple[str, ...], negative: Floats, nearest: Rows
) -> None:
    """Raise the negative score of dark and blurred images, and name that first, in place. Where
    the labels themselves ask for such images, the negative filter has removed the name."""
    column = {one: names.index(one) for one in PROBLEMS if one in names}
    for row, note in notes.items():
        if note in column:
            negative[row] += LOW_QUALITY_PENALTY
            nearest[row] = (column[note], *nearest[row, :-1])


def _greatest(values: Floats, count: int) -> tuple[Floats, Rows]:
    """The `count` greatest values of each row, greatest first, and their columns."""
    order = np.argsort(-values, axis=1)[:, :count]
    return np.take_along_axis(values, order, 1), order.astype(np.int32)


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))
