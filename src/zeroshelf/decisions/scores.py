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
image gets LOW_QUALITY_PENALTY more, and a drawn one less (drawn.py).

Everything here is computed from vectors and texts; `texts` is the only access to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import negative_scores
from zeroshelf.decisions.before_labels import BeforeLabels
from zeroshelf.decisions.blocks import blocks, in_threads
from zeroshelf.decisions.constants import (
    DRAWN_SHARE,
    LOW_QUALITY_PENALTY,
    OTHER_WAYS_RANK_SHARE,
    RIVAL_MARGIN,
)
from zeroshelf.decisions.drawn import Drawn
from zeroshelf.decisions.negative_scores import (
    Floats,
    Images,
    NegativeScorer,
    Rivals,
    Rows,
    nearest_candidates,
    normalise,
)
from zeroshelf.decisions.smoothing import ImageRows, smoothing_of
from zeroshelf.decisions.unwanted import Unwanted
from zeroshelf.decisions.ways import Ways, groups_of
from zeroshelf.embeddings.halves import widened
from zeroshelf.images.quality import PROBLEMS
from zeroshelf.labels import negative_filter
from zeroshelf.labels.prompts import Texts, mean_vectors
from zeroshelf.records import (
    Embeddings,
    Model,
    NegativeCandidates,
    NegativeRows,
    Progress,
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
    for rows, part in scorer.in_blocks(vectors, candidates.rows, candidates.cosines):
        parts.append(part)
        if progress:
            progress("scoring", rows.stop, len(vectors))
    whole = joined(parts) if parts else scorer.score(vectors, candidates)
    penalise_low_quality(notes, scorer.names, whole.negative_score, whole.nearest_negatives)
    return Scores(
        pictures=(),
        resolved=resolved,
        logits=whole.logits,
        negative_score=whole.negative_score,
        nearest_negatives=whole.nearest_negatives,
        negative_names=scorer.names,
        model=model,
        mean_negative_logit=whole.mean_negative_logit,
        smoothing=smoothing_of(vectors) if before is None else before.smoothing,
        candidates=candidates,
        has_rival=whole.has_rival,
        unwanted=whole.unwanted if resolved.labels.negatives else None,
    )


@dataclass(frozen=True, slots=True)
class ImageScores:
    """The scores of N images under K labels, as in `Scores`."""

    logits: Floats  # (N, K)
    negative_score: Floats  # (N,)
    nearest_negatives: Rows  # (N, 3)
    mean_negative_logit: Floats  # (N,)
    has_rival: npt.NDArray[np.bool_]  # (N,)
    unwanted: Floats  # (N,); minus infinity where the user keeps nothing from every shelf


def joined(parts: Iterable[ImageScores]) -> ImageScores:
    """The scores of blocks of images as those of all, in their order."""
    each = ([getattr(part, one.name) for one in fields(ImageScores)] for part in parts)
    return ImageScores(*map(np.concatenate, zip(*each, strict=True)))


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
        self._rivals = Rivals(resolved, len(kept.rows))
        labels = resolved.labels
        self._drawn = Drawn(texts, scale)
        self._unwanted = None
        if labels.negatives:
            searched = range(len(kept.rows)) if negatives is None else negatives.rows.tolist()
            removed = [row for row in searched if kept.rows[row] < 0]
            self._unwanted = Unwanted(resolved, removed, texts, scale)

    def in_blocks(
        self, vectors: ImageRows, candidate_rows: ImageRows, candidate_cosines: ImageRows
    ) -> Iterator[tuple[slice, ImageScores]]:
        """The scores of N images block by block, in their order: the rows of each block and their
        scores.

        vectors: (N, D). candidate_rows, candidate_cosines: (N, C), as in `NegativeCandidates`.
        """

        def score(given: tuple[slice, Images, Any, Any]) -> tuple[slice, ImageScores]:
            rows, images, near, cosines = given
            return rows, self.score(images, NegativeCandidates(near, cosines))

        read = (
            (rows, vectors[rows], candidate_rows[rows], candidate_cosines[rows])
            for rows in blocks(len(vectors), negative_scores.BLOCK)
        )
        yield from in_threads(score, read)

    def score(self, images: Images, candidates: NegativeCandidates) -> ImageScores:
        """The scores of (N, D) images with these candidates."""
        images = widened(images)
        cosines = (self._words.vectors @ images.T).T  # in the order that `Ways.logits` reads
        logits = self._ways.logits(self._scale * cosines, OTHER_WAYS_RANK_SHARE)
        normalised = self._ways.logits(cosines * self._words.factors - self._words.offsets)
        best, top = normalised.max(axis=1), logits.argmax(axis=1)
        near = self._negatives.candidate_logits(candidates)
        rivals = self._rivals.among(top, candidates.rows, near >= best[:, None] - RIVAL_MARGIN)
        score, nearest = self._negatives.nearest(images, candidates.rows, near, top)
        drawn = self._drawn.logits(images)
        unwanted = np.full(len(images), -np.inf, np.float32)
        if self._unwanted is not None:
            unwanted, nearness, which = self._unwanted.ahead(images, top, logits.max(axis=1), drawn)
            others = np.where(self._negatives.places[candidates.rows] < 0, -1, candidates.cosines)
            farther = nearness < self._scale * others.max(axis=1)
            name_first(nearest, np.where(farther, np.int32(-1), which))
        if self._unwanted is None or not self._unwanted.drawings:
            score -= np.float32(DRAWN_SHARE) * drawn
        return ImageScores(
            np.ascontiguousarray(logits),
            score - best + logits.max(axis=1),
            nearest,
            self._negatives.mean_logits(images),
            rivals,
            unwanted,
        )


def name_first(nearest: Rows, rows: npt.NDArray[np.int32]) -> None:
    """Make `rows` (N,) the first of the (N, 3) nearest negatives, in place; -1 changes nothing."""
    for at in np.flatnonzero(rows >= 0).tolist():
        others = nearest[at][nearest[at] != rows[at]]
        nearest[at] = np.concatenate((rows[at : at + 1], others))[: nearest.shape[1]]


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
