"""Whether anything fits: the probability that a picture shows the words that are searched for.

A word is judged as a label of a run is (decisions/decide.py): its own score against that of the
negative labels, smoothed over nearest neighbours, and the model's calibration. Low-rank smoothing
is left out: a search is often for what few pictures of many show. So is what a drawing's negative
score is less for (decisions/drawn.py): the threshold, below, is that of the folder's own pictures
already, and drawings among photographs would be found by absent words. A run's labels were chosen
for the folder, while a search may be for something that no picture of it shows; and the best of N
pictures fits any word the better, the more there are. So the threshold depends on the folder:

    m(v)   = greatest OOD score of a picture under the reference word v, of some hundred
    m      = median of all m(v), and what more prompts than one add to it (some words)
    u      = (m - T) / tau
    t      = T + tau * (3.9 + 0.3 * u), where u is above 0; else T + tau * (3.9 + u), at least T
    p      = sigmoid((OOD score - t) / tau)

with the calibrated threshold T and temperature tau. The reference words are negative labels, of
which most are about nothing in the folder; as long as that is true of half of them, the median is
that of words that nothing fits. Where it is high it is followed by a third: the rest is what other
folders say. docs/decision.md has what this costs and brings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from zeroshelf.decisions import before_labels, decide, scores
from zeroshelf.decisions.before_labels import BeforeLabels
from zeroshelf.decisions.constants import DRAWN_SHARE, REFERENCE_BASE, REFERENCE_SHARE
from zeroshelf.decisions.drawn import Drawn
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.labels.prompts import Texts
from zeroshelf.records import Calibration, Embeddings, NegativeRows, ResolvedLabels, Scores
from zeroshelf.search import references
from zeroshelf.search.exact import Floats
from zeroshelf.search.references import References, resolved

__all__ = ["Judge", "resolved", "threshold_of"]


class Judge:
    """Judges M pictures of a folder. What does not depend on the words is computed once.

    embeddings: the M pictures, in the order of their paths.
    calibration: of the model that made the embeddings.
    texts: embeds texts with that model.
    store: the cache, which keeps what no word changes; None: it is not kept.
    total: how many pictures the folder has, of which these were drawn.
    drawn: the rows of `embeddings` that were drawn evenly from the folder, whatever is searched
        for; None: all.
    before: what no label changes of the same pictures' scores, if it is known.
    negatives: the negative labels to search; None: all, or those of `before`.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        calibration: Calibration,
        texts: Texts,
        *,
        store: EmbeddingCache | None = None,
        total: int | None = None,
        drawn: Sequence[int] | None = None,
        before: Scores | BeforeLabels | None = None,
        negatives: NegativeRows | None = None,
    ) -> None:
        self._embeddings, self._calibration, self._texts = embeddings, calibration, texts
        self._store, self._drawn = store, drawn
        self._total = len(embeddings) if total is None else total
        self._negatives = negatives
        self._before = before
        if before is not None and (before.candidates is None or before.smoothing is None):
            self._before = None

    def probabilities(self, label: ResolvedLabels) -> Floats:
        """(M,): the probability that each picture fits the one label of `label`."""
        found = self.ood_scores(label)
        distance = (found - np.float32(self.threshold)) / self._calibration.ood_temperature
        return decide.sigmoid(np.asarray(distance, np.float32))

    def ood_scores(self, label: ResolvedLabels) -> Floats:
        """(M,): the OOD score of each picture under the one label of `label`."""
        if self._before is None:
            store = self._store if self._drawn is None else None  # the others are another time's
            self._before = before_labels.of_folder(
                self._embeddings, self._texts, store, self._negatives
            )
        found = scores.score(self._embeddings, label, self._texts, self._before)
        drawn = Drawn(self._texts, self._embeddings.model.logit_scale)
        taken_off = np.float32(DRAWN_SHARE) * drawn.logits(self._embeddings.vectors)
        found = replace(found, negative_score=found.negative_score + taken_off)
        return decide.ood_scores(found, self._calibration.typical_logit, low_rank=False)[0]

    @cached_property
    def threshold(self) -> float:
        """The OOD score from which a picture is a hit with a probability of one half."""
        if not len(self._embeddings):
            return self._calibration.ood_threshold
        drawn, before = self._embeddings, self._before
        if self._drawn is not None:
            drawn, before = self._embeddings.some(list(self._drawn)), None
        found = references.of_folder(
            drawn,
            self._calibration.typical_logit,
            self._texts,
            store=self._store,
            before=before,
            negatives=self._negatives,
        )
        return threshold_of(found, len(drawn), self._total, self._calibration)


def threshold_of(found: References, count: int, total: int, calibration: Calibration) -> float:
    """The threshold for a folder of `total` pictures, from the reference words' best of `count`."""
    typical = float(np.median(found.best))
    if total > count >= references.PART:
        growth = typical - float(np.median(found.best_of_part))
        typical += max(growth, 0.0) * math.log(total / count) / math.log(references.PART)
    least, step = calibration.ood_threshold, calibration.ood_temperature
    above = (typical + found.prompted - least) / step
    followed = REFERENCE_SHARE * above if above > 0 else above
    return least + step * max(REFERENCE_BASE + followed, 0.0)
