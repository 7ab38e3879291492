"""The reference words: how well words of which a folder shows nothing fit its best picture.

300 of the negative labels are the reference words. A large model, which embeds few of these, takes
the nouns of its cohort instead, whose vectors it needs anyway. What they tell of a folder depends
on no word that is searched for, so it is kept beside the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import before_labels, negative_scores
from zeroshelf.decisions.before_labels import BeforeLabels
from zeroshelf.decisions.constants import (
    LARGE_REFERENCE_PROMPTED,
    MEAN_LOGIT_SHARE,
    NEAREST_NEGATIVES,
    REFERENCE_PROMPTED,
    REFERENCE_WORDS,
)
from zeroshelf.decisions.negative_scores import NormalisedTexts
from zeroshelf.decisions.smoothing import smooth_by_neighbours
from zeroshelf.decisions.ways import Ways, groups_of
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.embeddings.folder_cache import Arrays
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts, mean_vectors
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import (
    Embeddings,
    Label,
    LabelSet,
    NegativeCandidates,
    NegativeRows,
    ResolvedLabels,
    Scores,
    Smoothing,
)
from zeroshelf.search.exact import Floats, Rows

VERSION = 3  # one more whenever the same folder would give other numbers
PART = 8  # the maxima of every eighth picture say how they grow with the number of pictures


@dataclass(frozen=True, slots=True)
class References:
    """The OOD scores of the best of M pictures under each of R reference words."""

    best: Floats  # (R,), of all M pictures
    best_of_part: Floats  # (R,), of every `PART`-th picture
    prompted: float  # what the prompts of a label add to that of one prompt, median over some words


def resolved(words: str, texts: Texts) -> ResolvedLabels:
    """Words as the one label of a set."""
    return resolve(LabelSet((Label(words),)), texts)


def of_folder(
    embeddings: Embeddings,
    typical_logit: float | None,
    texts: Texts,
    *,
    store: EmbeddingCache | None = None,
    before: Scores | BeforeLabels | None = None,
    negatives: NegativeRows | None = None,
) -> References:
    """Those of M pictures, from the cache where that has them.

    typical_logit: as in `Calibration`.
    texts: embeds texts with the model that made the embeddings.
    store: the cache; what is computed of many pictures is added to it. None: it is not kept.
    before: what no label changes of these pictures' scores; None: it is computed.
    negatives: the negative labels to search; None: all, or those of `before`.
    """
    if before is not None and before.candidates is not None:
        negatives = before.candidates.searched
    if len(embeddings) < before_labels.LEAST:
        store = None
    about = repr((VERSION, typical_logit)).encode()
    key = b"" if store is None else about + before_labels.key_of(embeddings, negatives)
    kept = None if store is None else store.arrays(key)
    if kept is not None and kept.keys() == {"best", "part", "prompted"}:
        return References(kept["best"], kept["part"], float(kept["prompted"]))
    if before is None or before.candidates is None or before.smoothing is None:
        before = before_labels.of_folder(embeddings, texts, store, negatives)
    assert before.candidates is not None and before.smoothing is not None
    found = _Folder(embeddings, before.candidates, before.smoothing, typical_logit).found(texts)
    if store is not None:
        store.add_arrays(key, _to_arrays(found))
    return found


def _to_arrays(found: References) -> Arrays:
    prompted = np.array(found.prompted)
    return {"best": found.best, "part": found.best_of_part, "prompted": prompted}


@dataclass(frozen=True, slots=True)
class _Folder:
    """M pictures, and what no label changes of their scores."""

    embeddings: Embeddings
    candidates: NegativeCandidates
    smoothing: Smoothing
    typical_logit: float | None

    def found(self, texts: Texts) -> References:
        """The reference words are asked by one prompt; some are also asked by all prompts that a
        label has."""
        every, used = negative_labels(), self.candidates.searched
        some = np.arange(len(every)) if used is None else used.rows.astype(np.int64)
        cohort = None if used is None else np.searchsorted(some, used.cohort)
        embedded, scale = texts([every[row].prompt for row in some.tolist()]), self._scale
        negatives = negative_scores.normalise(embedded, embedded, scale, cohort)
        chosen = _reference_rows() if used is None else _nouns_of(used.cohort)
        step = len(chosen) // (REFERENCE_PROMPTED if used is None else LARGE_REFERENCE_PROMPTED)
        step = max(step, 1)
        rows = np.searchsorted(some, chosen)
        negative = self._negative_scores(negatives, some, rows, cohort)
        asked = NormalisedTexts(
            negatives.vectors[rows], negatives.factors[rows], negatives.offsets[rows]
        )
        plain = self._smoothed(asked.logits(self.embeddings.vectors) - negative)
        names = [every[some[row]].name for row in rows[::step]]
        part = embedded[::PART] if cohort is None else embedded[cohort]  # as good a cohort as all
        full = self._smoothed(self._asked_fully(names, part, texts) - negative[:, ::step])
        best = plain.max(axis=0, initial=-np.inf)
        added = full.max(axis=0, initial=-np.inf) - best[::step] if len(plain) else [0.0]
        part_of_them = plain[::PART].max(axis=0, initial=-np.inf)
        return References(best, part_of_them, float(np.median(added)))

    @property
    def _scale(self) -> float:
        return self.embeddings.model.logit_scale

    def _asked_fully(self, names: Sequence[str], cohort: Floats, texts: Texts) -> Floats:
        """(M, W): the logits of W words, asked by all prompts that a label has."""
        resolve(LabelSet(tuple(map(Label, names))), texts)  # embeds their definitions at once
        words = [resolved(name, texts).each[0] for name in names]
        groups = mean_vectors(groups_of(words), texts)
        both = negative_scores.normalise(np.concatenate((groups, cohort)), cohort, self._scale)
        return Ways(words).logits(both[: len(groups)].logits(self.embeddings.vectors))

    def _negative_scores(
        self,
        negatives: NormalisedTexts,
        some: Rows,
        references: Rows,
        cohort: Rows | None,
    ) -> Floats:
        """(M, R): the negative score of each picture beside each of R reference words, less what
        `decide` takes off: the mean logit of the nearest negatives, of which the word itself is
        none.

        negatives: S negative labels, the rows `some` of all; `references` and `cohort` are rows of
        these.
        """
        column = np.full(len(some), -1)
        column[references] = np.arange(len(references))
        near = np.searchsorted(some, self.candidates.rows)
        values = self.candidates.cosines * negatives.factors[near] - negatives.offsets[near]
        order = np.argsort(-values, axis=1)[:, : NEAREST_NEGATIVES + 1]  # one more than averaged
        values = np.take_along_axis(values, order, axis=1)
        words = column[np.take_along_axis(near, order, axis=1)[:, :NEAREST_NEGATIVES]]
        mean = values[:, :NEAREST_NEGATIVES].mean(axis=1)
        found = np.repeat(mean[:, None], len(references), axis=1)
        at, place = np.nonzero(words >= 0)
        found[at, words[at, place]] -= (values[at, place] - values[at, -1]) / NEAREST_NEGATIVES
        rows = slice(None) if cohort is None else cohort
        return np.asarray(found - self._excess(negatives, rows)[:, None], np.float32)

    def _excess(self, negatives: NormalisedTexts, cohort: Rows | slice) -> Floats:
        """(M,): what `decide` takes off a picture's negative score."""
        factors, offsets = negatives.factors[cohort], negatives.offsets[cohort]
        mean_text = (negatives.vectors[cohort] * factors[:, None]).mean(axis=0)
        mean_logit = self.embeddings.vectors @ mean_text - offsets.mean()
        typical = np.median(mean_logit) if self.typical_logit is None else self.typical_logit
        excess = mean_logit - np.float32(typical)
        return np.asarray(np.float32(MEAN_LOGIT_SHARE) * np.maximum(excess, 0))

    def _smoothed(self, values: Floats) -> Floats:
        return smooth_by_neighbours(values, self.smoothing)


def _nouns_of(cohort: npt.NDArray[np.integer]) -> list[int]:
    """The nouns among rows of `negative_labels()`."""
    every = negative_labels()
    return [row for row in cohort.tolist() if every[row].kind == "noun"]


@cache
def _reference_rows() -> list[int]:
    """The rows of `negative_labels()` that are reference words: nouns, evenly spaced."""
    nouns = [row for row, one in enumerate(negative_labels()) if one.kind == "noun"]
    picked = np.linspace(0, len(nouns) - 1, min(REFERENCE_WORDS, len(nouns))).astype(int)
    return [nouns[at] for at in picked]
