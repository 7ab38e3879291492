"""Whether anything fits: the probability that a picture shows the words that are searched for.

A word is judged as a label of a run is (decisions/decide.py): its own score against that of the
negative labels, smoothed over the folder, and the model's calibration. But a run's labels were
chosen for the folder, while a search may be for something that no picture of it shows; and the best
of N pictures fits any word the better, the more there are. So the threshold depends on the folder:

    m(v)   = greatest OOD score of a picture under the reference word v, for 300 reference words
    fence  = Q3 + 1.5 * (Q3 - Q1) over all m(v)     (Tukey's upper fence, for outliers)
    p      = sigmoid((OOD score - max(fence, calibrated threshold)) / calibrated temperature)

The reference words are negative labels, of which nearly all are about nothing in the folder.
docs/decision.md has what this costs and brings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from zeroshelf.decisions import decide, scores
from zeroshelf.decisions.constants import (
    MEAN_LOGIT_SHARE,
    NEAREST_NEGATIVES,
    REFERENCE_FENCE,
    REFERENCE_WORDS,
)
from zeroshelf.decisions.smoothing import smooth_by_neighbours, smooth_low_rank
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Calibration, Embeddings, Label, LabelSet, ResolvedLabels, Scores
from zeroshelf.search.exact import Floats

_PART = 8  # the maxima of every eighth picture say how they grow with the number of pictures


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
    ) -> None:
        self._embeddings = embeddings
        self._calibration = calibration
        self._texts = texts
        self._total = len(embeddings) if total is None else total
        self._drawn = range(len(embeddings)) if drawn is None else drawn
        self._scores = before
        self._threshold: float | None = None

    def probabilities(self, label: ResolvedLabels) -> Floats:
        """(M,): the probability that each picture fits the one label of `label`."""
        self._scores = scores.score(self._embeddings, label, self._texts, self._scores)
        found, _ = decide.ood_scores(self._scores, self._calibration.typical_logit)
        if self._threshold is None:
            fence = self._fence(self._scores)
            self._threshold = max(fence, self._calibration.ood_threshold)
        distance = (found - np.float32(self._threshold)) / self._calibration.ood_temperature
        return decide.sigmoid(np.asarray(distance, np.float32))

    def _fence(self, known: Scores) -> float:
        """The OOD score above which the best picture of a folder is unusual for a word."""
        values = self._reference_scores(known)[list(self._drawn)]
        if not len(values):
            return -math.inf
        fence = _upper_fence(values.max(axis=0))
        if self._total > len(values) >= _PART:
            growth = fence - _upper_fence(values[::_PART].max(axis=0))
            fence += max(growth, 0.0) * math.log(self._total / len(values)) / math.log(_PART)
        return fence

    def _reference_scores(self, known: Scores) -> Floats:
        """(M, R): the OOD score of each picture under each of R reference words."""
        candidates = known.candidates
        assert candidates is not None and known.smoothing is not None  # `score` made them
        texts = self._texts([one.prompt for one in negative_labels()])
        negatives = scores.normalise(texts, texts, known.model.logit_scale)
        rows = candidates.rows
        values = candidates.cosines * negatives.factors[rows] - negatives.offsets[rows]
        nearest = np.argsort(-values, axis=1)[:, : NEAREST_NEGATIVES + 1]
        values = np.take_along_axis(values, nearest, axis=1)  # one more than are averaged
        nearest = np.take_along_axis(rows, nearest, axis=1)
        column = np.full(len(texts), -1)
        column[_references()] = np.arange(len(_references()))
        reference = scores.NormalisedTexts(
            texts[_references()],
            negatives.factors[_references()],
            negatives.offsets[_references()],
        )
        found = reference.logits(self._embeddings.vectors) - values[:, :NEAREST_NEGATIVES].mean(axis=1)[:, None]
        # a word is no negative of its own: the next one takes its place in the mean
        at, place = np.nonzero(column[nearest[:, :NEAREST_NEGATIVES]] >= 0)
        instead = (values[at, place] - values[at, -1]) / NEAREST_NEGATIVES
        found[at, column[nearest[at, place]]] += instead
        mean_logit, typical = known.mean_negative_logit, self._calibration.typical_logit
        assert mean_logit is not None  # `score` made it too
        excess = mean_logit - np.float32(np.median(mean_logit) if typical is None else typical)
        found += (np.float32(MEAN_LOGIT_SHARE) * np.maximum(excess, 0))[:, None]
        smoothed = smooth_by_neighbours(found, known.smoothing)
        return smooth_low_rank(smoothed, known.smoothing)


@cache
def _references() -> list[int]:
    """The rows of `negative_labels()` that are reference words: nouns, evenly spaced."""
    nouns = [row for row, one in enumerate(negative_labels()) if one.kind == "noun"]
    picked = np.linspace(0, len(nouns) - 1, min(REFERENCE_WORDS, len(nouns))).astype(int)
    return [nouns[at] for at in picked]


def _upper_fence(values: Floats) -> float:
    """Tukey's upper fence of (R,) values."""
    lower, upper = np.quantile(values, (0.25, 0.75))
    return float(upper + REFERENCE_FENCE * (upper - lower))
