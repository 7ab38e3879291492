"""The rows that `decide.explain` builds, as columns: for tables of millions of images.

Only texts that differ are put into words: of a million images a few thousand do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import decide
from zeroshelf.decisions.constants import EVEN_ODDS, LIKELY, RUNNER_UP_RATIO, SURE
from zeroshelf.decisions.decide import SHOWN, Decisions
from zeroshelf.decisions.negative_scores import greatest
from zeroshelf.records import Confidence, Scores

CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)  # sure, likely, unsure

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Columns:
    """The decisions about N images under K labels. No image is corrected."""

    label: Ints  # (N,), 0 to K, where K is "other"
    probability: npt.NDArray[np.float32]  # (N,), of `label`
    confidence: npt.NDArray[np.int8]  # (N,), in CONFIDENCES
    top: Ints  # (N, T), the T = min(K, 5) most probable labels, the most probable first
    top_probability: npt.NDArray[np.float32]  # (N, T)
    reason: Ints  # (N,), in `Explainer.texts`


class Explainer:
    """Puts blocks of decisions about one folder under one label set into columns. `texts` are the
    reasons that occurred so far."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._known: dict[int, int] = {}  # key of a reason -> its place in `texts`
        self._alike: npt.NDArray[np.bool_] | None = None  # (K, M), label and negative label

    def columns(self, decisions: Decisions) -> Columns:
        """The columns of these decisions, in their order."""
        probabilities, chosen = decisions.probabilities, decisions.chosen
        most, top = greatest(probabilities[:, :-1], min(SHOWN, probabilities.shape[1] - 1))
        own = np.take_along_axis(probabilities, chosen[:, None].astype(np.intp), axis=1)[:, 0]
        confidence = _confidence(decisions, own)
        return Columns(
            label=chosen,
            probability=own,
            confidence=confidence,
            top=top,
            top_probability=most,
            reason=self._reasons(decisions, top, _cases(decisions, most, own, confidence)),
        )

    def _reasons(self, decisions: Decisions, top: Ints, cases: npt.NDArray[np.int8]) -> Ints:
        """(N,): the place of each image's reason in `texts`. What a reason depends on is packed
        into one number, a key; `decide.reason` words one image of each key.

        top, cases: (N, T) and (N,), as in `Columns` and from `_cases`.
        """
        best, named = top[:, 0].astype(np.int64), np.zeros(len(top), np.int64)
        second = np.isin(cases, _NAME_SECOND)
        named[second] = top[second, :2][:, -1]  # of one label, that label
        negative = np.isin(cases, _NAME_NEGATIVE)
        named[negative] = self._negatives(decisions.scores, negative, best[negative])
        names = max(decisions.probabilities.shape[1], len(decisions.scores.negative_names))
        keys = (best * names + named) * len(_CASES) + cases
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        places = np.empty(len(first), np.int32)
        for place, row in enumerate(first.tolist()):
            key = int(keys[row])
            if key not in self._known:
                self._known[key] = len(self.texts)
                self.texts.append(decide.reason(decisions, row, top[row].astype(np.intp)))
            places[place] = self._known[key]
        return places[which.reshape(-1)]

    def _negatives(self, scores: Scores, rows: Any, best: Any) -> Any:
        """(B,): the nearest negative label of each of the rows that isn't spelled like its best
        label; the nearest, if all are."""
        if self._alike is None:
            self._alike = _spelled_alike(scores.labels.names, scores.negative_names)
        nearest = scores.nearest_negatives[rows]
        first = self._alike[best[:, None], nearest].argmin(axis=1)  # 0 where all are alike
        return nearest[np.arange(len(nearest)), first]


# What `decide.reason` distinguishes, by the reason's beginning or end; and what it names.
_CASES = (
    "of these labels, most like",
    "... or second",
    "looks like, but the threshold asks for more",
    "could be",
    "nearest label is",
    "looks more like",
    "looks like, or like",
    "looks like, but nearly as much like",
    "looks like",
)
_NAME_SECOND, _NAME_NEGATIVE = (1, 3, 6), (4, 5, 7)


def _cases(
    decisions: Decisions,
    most: npt.NDArray[np.float32],
    own: npt.NDArray[np.float32],
    confidence: npt.NDArray[np.int8],
) -> npt.NDArray[np.int8]:
    """(N,), in _CASES: what the reason of each image says, as `decide.reason` words it.

    most: (N, T), the greatest probabilities of labels. own, confidence: (N,), as in `Columns`.
    """
    labels, other = decisions.probabilities.shape[1] - 1, decisions.probabilities[:, -1]
    near = np.zeros(len(own), bool)
    if labels > 1:
        near = most[:, 1] >= RUNNER_UP_RATIO * own
    if decisions.closed:
        return near.astype(np.int8)
    outside, even = decisions.chosen == labels, other <= EVEN_ODDS
    found = np.full(len(own), 8, np.int8)
    for case, applies in (  # the later counts
        (7, confidence == CONFIDENCES.index("unsure")),
        (6, near),
        (5, other > own),
        (4, outside),
        (3, outside & even),
        (2, outside & even & (most[:, 0] >= other)),
    ):
        found[applies] = case
    return found


def _spelled_alike(labels: Sequence[str], negatives: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(K, M): `decide.spelled_alike` of each label and each negative label."""
    beginning: dict[str, list[int]] = {}
    for row, name in enumerate(negatives):
        for letters in decide.beginnings(name):
            beginning.setdefault(letters, []).append(row)
    alike = np.zeros((len(labels), len(negatives)), bool)
    for mine, label in zip(alike, labels, strict=True):
        for letters in decide.beginnings(label):
            mine[beginning.get(letters, [])] = True
    return alike


def _confidence(decisions: Decisions, own: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """(N,), in CONFIDENCES: `decide.confidence_of` for every image."""
    exact = own.astype(np.float64)
    found = np.where(exact >= SURE, 0, np.where(exact >= LIKELY, 1, 2)).astype(np.int8)
    rivals = decisions.scores.has_rival
    if rivals is not None and not decisions.closed:
        on_shelf = decisions.chosen < len(decisions.scores.labels)
        found[(found == 0) & on_shelf & rivals] = 1
    return found
