"""The rows that `decide.explain` builds, as columns: for tables of millions of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import wording
from zeroshelf.decisions.constants import EVEN_ODDS, LIKELY, RUNNER_UP_RATIO, SURE
from zeroshelf.decisions.decide import SHOWN, Decisions
from zeroshelf.decisions.negative_scores import greatest
from zeroshelf.records import Confidence, Scores

CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)  # sure, likely, unsure

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Columns:
    """The decisions about N images under K labels. No image is corrected."""

    label: Ints  # (N,), 0 to K, where K is "other"
    probability: Floats  # (N,), of `label`
    confidence: Codes  # (N,), in CONFIDENCES
    top: Ints  # (N, T), the T = min(K, 5) most probable labels, the most probable first
    top_probability: Floats  # (N, T)
    sentence: Codes  # (N,), in `wording.REASONS`
    named: Ints  # (N,), what that names beside the best label: a label, or K + a negative label

    def reason(self, row: int, names: Sequence[str]) -> str:
        """A row's decision in words. names: of the labels, then of the negative labels."""
        best, other = names[self.top[row, 0]], names[self.named[row]]
        return wording.REASONS[self.sentence[row]].format(best, other)


def columns(decisions: Decisions) -> Columns:
    """The columns of these decisions, in their order."""
    probabilities, chosen = decisions.probabilities, decisions.chosen
    labels = probabilities.shape[1] - 1
    most, top = greatest(probabilities[:, :-1], min(SHOWN, labels))
    own = np.take_along_axis(probabilities, chosen[:, None].astype(np.intp), axis=1)[:, 0]
    confidence = _confidence(decisions, own)
    sentence = _sentences(decisions, most, own, confidence)
    named = top[:, :2][:, -1].copy()  # of one label, that label
    instead = np.isin(sentence, [wording.REASONS.index(one) for one in wording.NAME_NEGATIVE])
    named[instead] = labels + _negatives(decisions.scores, instead, top[instead, 0])
    return Columns(chosen, own, confidence, top, most, sentence, named)


def _sentences(decisions: Decisions, most: Floats, own: Floats, confidence: Codes) -> Codes:
    """(N,), in `wording.REASONS`: what `decide.reason` says of each image.

    most: (N, T), the greatest probabilities of labels. own, confidence: (N,), as in `Columns`.
    """
    labels, other = decisions.probabilities.shape[1] - 1, decisions.probabilities[:, -1]
    near = most[:, 1] >= RUNNER_UP_RATIO * own if labels > 1 else np.zeros(len(own), bool)
    outside, even = decisions.chosen == labels, other <= EVEN_ODDS
    every = np.ones(len(own), bool)
    rules: list[tuple[str, npt.NDArray[np.bool_]]] = [  # the first that applies counts
        (wording.BELOW_THRESHOLD, outside & even & (most[:, 0] >= other)),
        (wording.EITHER_OTHER, outside & even),
        (wording.OTHER_INSTEAD, outside),
        (wording.LOW_THRESHOLD, other > own),
        (wording.EITHER, near),
        (wording.UNSURE, confidence == CONFIDENCES.index("unsure")),
        (wording.CLEAR, every),
    ]
    if decisions.closed:
        rules = [(wording.CLOSED_EITHER, near), (wording.CLOSED, every)]
    found = np.empty(len(own), np.int8)
    for sentence, applies in reversed(rules):
        found[applies] = wording.REASONS.index(sentence)
    return found


def _negatives(scores: Scores, rows: npt.NDArray[np.bool_], best: Ints) -> Ints:
    """(B,): the nearest negative label of each of the rows that isn't spelled like its best label;
    the nearest, if all are."""
    alike = _spelled_alike(scores.labels.names, scores.negative_names)
    nearest = scores.nearest_negatives[rows]
    first = alike[best[:, None], nearest].argmin(axis=1)  # 0 where all are alike
    return np.asarray(nearest[np.arange(len(nearest)), first], np.int32)


@lru_cache(maxsize=1)
def _spelled_alike(labels: tuple[str, ...], negatives: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """(K, M): `decide.spelled_alike` of each label and each negative label."""
    beginning: dict[str, list[int]] = {}
    for row, name in enumerate(negatives):
        for letters in wording.beginnings(name):
            beginning.setdefault(letters, []).append(row)
    alike = np.zeros((len(labels), len(negatives)), bool)
    for mine, label in zip(alike, labels, strict=True):
        for letters in wording.beginnings(label):
            mine[beginning.get(letters, [])] = True
    return alike


def _confidence(decisions: Decisions, own: Floats) -> Codes:
    """(N,), in CONFIDENCES: `decide.confidence_of` for every image."""
    exact = own.astype(np.float64)
    found = np.where(exact >= SURE, 0, np.where(exact >= LIKELY, 1, 2)).astype(np.int8)
    rivals = decisions.scores.has_rival
    if rivals is not None and not decisions.closed:
        on_shelf = decisions.chosen < len(decisions.scores.labels)
        found[(found == 0) & on_shelf & rivals] = 1
    return found
