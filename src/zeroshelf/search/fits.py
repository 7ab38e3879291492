"""Whether anything fits: the probability that a picture shows the words that are searched for.

A word is judged as a label of a run is (decisions/decide.py): its own score against that of the
negative labels, smoothed over the folder, and the model's calibration. But a run's labels were
chosen for the folder, while a search may be for something that no picture of it shows; and the best
of N pictures fits any word the better, the more there are. So the threshold depends on the folder:

    m(v)   = greatest OOD score of a picture under the reference word v, for 300 reference words
    fence  = Q3 + 1.25 * (Q3 - Q1) over all m(v), and what more prompts than one add to m (12 words)
    t      = the fence, but no lower than the calibrated threshold, nor by more than 4 calibrated
             temperatures higher
    p      = sigmoid((OOD score - t) / calibrated temperature)

The reference words are negative labels, of which nearly all are about nothing in the folder; a
fence above the quartiles is how Tukey tells outliers ("Exploratory Data Analysis", 1977).
docs/decision.md has what this costs and brings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from zeroshelf.decisions import decide, negative_scores, scores
from zeroshelf.decisions.constants import (
    MEAN_LOGIT_SHARE,
    NEAREST_NEGATIVES,
    REFERENCE_CAP,
    REFERENCE_FENCE,
    REFERENCE_PROMPTED,
    REFERENCE_WORDS,
)
from zeroshelf.decisions.smoothing import smooth_by_neighbours, smooth_low_rank
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts, mean_vectors
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import (
    Calibration,
    Embeddings,
    Label,
    LabelSet,
    NegativeCandidates,
    NegativeRows,
    ResolvedLabels,
    Scores,
)
from zeroshelf.search.exact import Floats, Rows

_PART = 8  # the maxima of every eighth picture say how they grow with the number of pictures
_STEP = REFERENCE_WORDS // REFERENCE_PROMPTED


def resolved(words: str, texts: Texts) -> ResolvedLabels:
    """Words as the one label of a set."""
    return resolve(LabelSet((Label(words),)), texts)


class Judge:
    """Judges M pictures of a folder. What does not depend on the words is computed once.

    embeddings: the M pictures, in the order of their paths.
    calibration: of the model that made the embeddings.
    texts: embeds texts with that model.
    total: how many pictures the folder has, of which these were drawn.
    drawn: the rows of `embeddings` that were drawn evenly from the folder, whatever is searched
        for; None: all.
    before: scores of the same pictures under any labels, if there are some.
    negatives: the negative labels to search beside the reference words; None: all, or those of
        `before`.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        calibration: Calibration,
        texts: Texts,
        *,
        total: int | None = None,
        drawn: Sequence[int] | None = None,
        before: Scores | None = None,
        negatives: NegativeRows | None = None,
    ) -> None:
        self._embeddings = embeddings
        self._calibration = calibration
        self._texts = texts
        self._total = len(embeddings) if total is None else total
        self._drawn = range(len(embeddings)) if drawn is None else drawn
        self._scores = before
        if before is not None and (before.candidates is None or before.smoothing is None):
            self._scores = None
        self._threshold: float | None = None
        self._negatives = negatives and with_references(negatives)

    def probabilities(self, label: ResolvedLabels) -> Floats:
        """(M,): the probability that each picture fits the one label of `label`."""
        self._scores = scores.score(
            self._embeddings, label, self._texts, self._scores, negatives=self._negatives
        )
        found, _ = decide.ood_scores(self._scores, self._calibration.typical_logit)
        if self._threshold is None:
            least = self._calibration.ood_threshold
            most = least + REFERENCE_CAP * self._calibration.ood_temperature
            self._threshold = min(max(self._fence(self._scores), least), most)
        distance = (found - np.float32(self._threshold)) / self._calibration.ood_temperature
        return decide.sigmoid(np.asarray(distance, np.float32))

    def _fence(self, known: Scores) -> float:
        """The OOD score from which the best picture of a folder is unusual for a word."""
        plain, full = self._references(known)
        plain, full = plain[list(self._drawn)], full[list(self._drawn)]
        if not len(plain):
            return -math.inf
        best = plain.max(axis=0)
        fence = _upper_fence(best)
        if self._total > len(plain) >= _PART:
            growth = fence - _upper_fence(plain[::_PART].max(axis=0))
            fence += max(growth, 0.0) * math.log(self._total / len(plain)) / math.log(_PART)
        return fence + float(np.median(full.max(axis=0) - best[::_STEP]))

    def _references(self, known: Scores) -> tuple[Floats, Floats]:
        """The OOD score of each picture under each reference word: (M, R) asked by one prompt, and
        (M, R / `_STEP`) of every `_STEP`-th word asked by all prompts that a label has."""
        candidates = known.candidates
        assert candidates is not None and known.smoothing is not None  # `score` made them
        every, searched, scale = negative_labels(), candidates.searched, known.model.logit_scale
        used = searched and with_references(searched)
        some = np.arange(len(every)) if used is None else used.rows
        cohort = None if used is None else np.searchsorted(some, used.cohort)
        texts = self._texts([every[row].prompt for row in some.tolist()])
        negatives = negative_scores.normalise(texts, texts, scale, cohort)
        rows = np.searchsorted(some, _reference_rows())
        column = np.full(len(texts), -1)
        column[rows] = np.arange(len(rows))
        near = replace(candidates, rows=np.searchsorted(some, candidates.rows).astype(np.int32))
        negative = _negative_scores(near, negatives, column) - self._excess(known)[:, None]
        vectors = self._embeddings.vectors
        asked = negative_scores.NormalisedTexts(
            negatives.vectors[rows], negatives.factors[rows], negatives.offsets[rows]
        )
        names = [every[some[row]].name for row in rows[::_STEP]]
        words = [resolved(name, self._texts).each[0] for name in names]
        groups = mean_vectors(scores.groups_of(words), self._texts)
        part = texts[::_PART] if cohort is None else texts[cohort]  # as good a cohort as all
        both = negative_scores.normalise(np.concatenate((groups, part)), part, scale)
        full = scores.Ways(words).logits(both[: len(groups)].logits(vectors))

        def smoothed(values: Floats) -> Floats:
            assert known.smoothing is not None
            return smooth_low_rank(smooth_by_neighbours(values, known.smoothing), known.smoothing)

        return smoothed(asked.logits(vectors) - negative), smoothed(full - negative[:, ::_STEP])

    def _excess(self, known: Scores) -> Floats:
        """(M,): what is taken off a picture's negative score, as `decide` does it."""
        mean_logit, typical = known.mean_negative_logit, self._calibration.typical_logit
        assert mean_logit is not None  # `score` made it
        excess = mean_logit - np.float32(np.median(mean_logit) if typical is None else typical)
        return np.asarray(np.float32(MEAN_LOGIT_SHARE) * np.maximum(excess, 0))


def _negative_scores(
    candidates: NegativeCandidates, negatives: negative_scores.NormalisedTexts, column: Rows
) -> Floats:
    """(M, R): the negative score of each picture beside each of R reference words: the mean logit
    of the nearest negatives, of which the word itself is none.

    candidates: with rows of `negatives`.
    column: of each of `negatives` its place among the reference words; -1 if it is none.
    """
    values = candidates.cosines * negatives.factors[candidates.rows]
    values -= negatives.offsets[candidates.rows]
    order = np.argsort(-values, axis=1)[:, : NEAREST_NEGATIVES + 1]  # one more than are averaged
    values = np.take_along_axis(values, order, axis=1)
    words = column[np.take_along_axis(candidates.rows, order, axis=1)[:, :NEAREST_NEGATIVES]]
    mean = values[:, :NEAREST_NEGATIVES].mean(axis=1)
    found = np.repeat(mean[:, None], column.max() + 1, axis=1)
    at, place = np.nonzero(words >= 0)
    found[at, words[at, place]] -= (values[at, place] - values[at, -1]) / NEAREST_NEGATIVES
    return np.asarray(found, np.float32)


def with_references(negatives: NegativeRows) -> NegativeRows:
    """These negative labels and the reference words."""
    return replace(negatives, rows=np.union1d(negatives.rows, _reference_rows()).astype(np.int32))


@cache
def _reference_rows() -> list[int]:
    """The rows of `negative_labels()` that are reference words: nouns, evenly spaced."""
    nouns = [row for row, one in enumerate(negative_labels()) if one.kind == "noun"]
    picked = np.linspace(0, len(nouns) - 1, min(REFERENCE_WORDS, len(nouns))).astype(int)
    return [nouns[at] for at in picked]


def _upper_fence(values: Floats) -> float:
    """Tukey's fence of (R,) values: `REFERENCE_FENCE` interquartile ranges above the third
    quartile."""
    lower, upper = np.quantile(values, (0.25, 0.75))
    return float(upper + REFERENCE_FENCE * (upper - lower))
