"""Embeddings and labels -> scores: what the model says, before anything is decided.

A label's logit is the model's logit scale times the cosine with the best of its n prompt groups,
less PROMPT_COUNT_PENALTY * ln n. Where the lexicon of everyday words adds groups, it is the mean of
that and of the same with these among them, which weighs OTHER_WAYS_RANK_SHARE. Whether any label
fits is measured with normalised logits, where that weighs OTHER_WAYS_SHARE. Some texts have a high
cosine with every image ("thing") and some a low one, so each text's cosines are centred and scaled
by its own mean and spread over the other negative texts v (cohort normalisation; "z-norm" in
speaker recognition):

    n(x, t) = scale * (x.t - CENTRING * mean_v(v.t)) * (typical + floor) / (std_v(v.t) + floor)

`typical` is the mean spread of the negative texts and `floor` is SPREAD_FLOOR. An image's negative
score is the mean normalised logit of its five nearest negative labels, moved so that the best
label's logit lies as far above it as the best label's normalised logit does; a dark or blurred
image gets LOW_QUALITY_PENALTY more.

Everything here is computed from vectors and texts; `texts` is the only access to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.before_labels import BeforeLabels
from zeroshelf.decisions.constants import (
    LOW_QUALITY_PENALTY,
    OTHER_WAYS_RANK_SHARE,
    OTHER_WAYS_SHARE,
    PROMPT_COUNT_PENALTY,
    RIVAL_MARGIN,
)
from zeroshelf.decisions.negative_scores import (
    Floats,
    Images,
    NegativeScorer,
    Rivals,
    Rows,
    blocks,
    nearest_candidates,
    normalise,
)
from zeroshelf.decisions.smoothing import smoothing_of
from zeroshelf.images.quality import PROBLEMS
from zeroshelf.labels import negative_filter
from zeroshelf.labels.prompts import Texts, mean_vectors
from zeroshelf.records import (
    Embeddings,
    Model,
    NegativeCandidates,
    NegativeRows,
    Progress,
    ResolvedLabel,
    ResolvedLabels,
    Scores,
)


def score(
    embeddings: Embeddings,
    resolved: ResolvedLabels,
    texts: Texts,
    before: Scores | BeforeLabels | None = None,
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
    before: Scores | BeforeLabels | None = None,
    progress: Progress | None = None,
    negatives: NegativeRows | None = None,
) -> Scores:
    """The scores of N vectors under K labels; `pictures` of the result is empty.

    vectors: (N, D), rows of length 1.
    model: the model that made the vectors.
    resolved: the K labels, resolved with the same model's texts (labels/resolve.py).
    texts: embeds texts with the same model.
    notes: row -> a note of images/quality.py ("dark picture") on that image.
    before: the scores of the same vectors under other labels, or the part of them that no label
        changes: smoothing and candidate negatives are taken from there.
    progress: called with the stage "scoring" (images scored).
    negatives: the negative labels to search; None: all. With `before`, those searched there.
    """
    if before is None or before.candidates is None:
        candidates = nearest_candidates(vectors, texts, model.logit_scale, negatives)
    else:
        candidates = before.candidates
    scorer = ImageScorer(resolved, texts, model.logit_scale, candidates.searched)
    parts = []
    for rows in blocks(len(vectors)):
        found = NegativeCandidates(candidates.rows[rows], candidates.cosines[rows])
        parts.append(scorer.score(vectors[rows], found))
        if progress:
            progress("scoring", rows.stop, len(vectors))
    logits, negative, nearest, mean_logit, has_rival = (
        (np.concatenate(part) for part in zip(*parts, strict=True))
        if parts
        else scorer.score(vectors, candidates)
    )
    penalise_low_quality(notes, scorer.names, negative, nearest)
    return Scores(
        pictures=(),
        resolved=resolved,
        logits=logits,
        negative_score=negative,
        nearest_negatives=nearest,
        negative_names=scorer.names,
        model=model,
        mean_negative_logit=mean_logit,
        smoothing=smoothing_of(vectors) if before is None else before.smoothing,
        candidates=candidates,
        has_rival=has_rival,
    )


class ImageScorer:
    """Scores images under K labels.

    resolved: the K labels.
    texts: embeds texts with the model that made the images' vectors.
    scale: that model's logit scale.
    negatives: the negative labels to choose from; None: all.
    """

    def __init__(
        self,
        resolved: ResolvedLabels,
        texts: Texts,
        scale: float,
        negatives: NegativeRows | None = None,
    ) -> None:
        words = mean_vectors(groups_of(resolved), texts)
        kept = negative_filter.remaining_negatives(resolved, texts, negatives)
        every = np.concatenate((words, kept.vectors))
        both = normalise(every, kept.vectors, scale, kept.cohort)
        self.names = kept.names
        self._words, self._ways, self._scale = both[: len(words)], Ways(resolved), scale
        self._negatives = NegativeScorer(
            both[len(words) :], kept.rows, len(resolved.labels.negatives), kept.implied, kept.cohort
        )
        self._rivals = Rivals(resolved, kept.rows)

    def score(
        self, images: Images, candidates: NegativeCandidates
    ) -> tuple[Floats, Floats, Rows, Floats, npt.NDArray[np.bool_]]:
        """(N, D) images and their candidates -> (N, K) logits, (N,) negative scores, (N, 3) rows
        of the nearest negatives, (N,) mean logits over all negatives, and (N,) whether a rival of
        the best label fits about as well."""
        cosines = images @ self._words.vectors.T
        logits = self._ways.logits(self._scale * cosines, OTHER_WAYS_RANK_SHARE)
        normalised = self._ways.logits(cosines * self._words.factors - self._words.offsets)
        best, top = normalised.max(axis=1), logits.argmax(axis=1)
        score, nearest = self._negatives.nearest(images, candidates, top)
        close = self._negatives.candidate_logits(candidates) >= best[:, None] - RIVAL_MARGIN
        return (
            logits,
            score - best + logits.max(axis=1),
            nearest,
            self._negatives.mean_logits(images),
            self._rivals.among(top, candidates.rows, close),
        )


def groups_of(resolved: Iterable[ResolvedLabel]) -> list[tuple[str, ...]]:
    """The prompt groups of labels: each label's own, then its other ways."""
    return [group for one in resolved for group in (*one.prompts, *one.other_ways)]


class Ways:
    """Joins the logits of the prompt groups of K labels, in the order of `groups_of`, to one logit
    a label."""

    def __init__(self, resolved: Iterable[ResolvedLabel]) -> None:
        resolved = list(resolved)
        own = np.array([len(one.prompts) for one in resolved])
        every = own + np.array([len(one.other_ways) for one in resolved])
        self._starts = np.cumsum([0, *every])[:-1]
        place = np.arange(every.sum()) - np.repeat(self._starts, every)
        self._others = place >= np.repeat(own, every)  # (W,), groups of `other_ways`
        self._own_penalty = np.float32(PROMPT_COUNT_PENALTY) * np.log(own).astype(np.float32)
        self._penalty = np.float32(PROMPT_COUNT_PENALTY) * np.log(every).astype(np.float32)

    def logits(self, groups: npt.NDArray[np.floating], others: float = OTHER_WAYS_SHARE) -> Floats:
        """(N, W) logits of the groups -> (N, K) of the labels; `others` is the weight of the best
        group with `other_ways` among them, against the best of the label's own."""
        every = np.maximum.reduceat(groups, self._starts, axis=1) - self._penalty
        if not self._others.any():
            return np.asarray(every, np.float32)
        alone = np.where(self._others, np.float32(-np.inf), groups)
        own = np.maximum.reduceat(alone, self._starts, axis=1) - self._own_penalty
        return np.asarray(own + np.float32(others) * (every - own), np.float32)


def penalise_low_quality(
    notes: Mapping[int, str], names: tuple[str, ...], negative: Floats, nearest: Rows
) -> None:
    """Raise the negative score of dark and blurred images, and name that first, in place. Where
    the labels themselves ask for such images, the negative filter has removed the name."""
    column = {one: names.index(one) for one in PROBLEMS if one in names}
    for row, note in notes.items():
        if note in column:
            negative[row] += LOW_QUALITY_PENALTY
            nearest[row] = (column[note], *nearest[row, :-1])
