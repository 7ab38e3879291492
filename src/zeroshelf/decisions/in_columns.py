"""The rows that `decide.explain` builds, as columns: for tables of millions of images.

Only texts that differ are put into words: of a million images a few thousand do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import decide
from zeroshelf.decisions.constants import EVEN_ODDS, LIKELY, RUNNER_UP_RATIO, SURE
from zeroshelf.decisions.decide import SHOWN, Decisions
from zeroshelf.records import Confidence

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
        self._alike: dict[int, bool] = {}  # label * M + negative label -> spelled alike

    def columns(self, decisions: Decisions) -> Columns:
        """The columns of these decisions, in their order."""
        probabilities, chosen = decisions.probabilities, decisions.chosen
        labels = probabilities[:, :-1]
        order = np.argsort(-labels, axis=1, kind="stable").astype(np.int32)
        top = order[:, :SHOWN]
        own = np.take_along_axis(probabilities, chosen[:, None].astype(np.intp), axis=1)[:, 0]
        confidence = _confidence(decisions, own)
        return Columns(
            label=chosen,
            probability=own,
            confidence=confidence,
            top=top,
            top_probability=np.take_along_axis(labels, top, axis=1),
            reason=self._reasons(decisions, order, own, confidence),
        )

    def _reasons(
        self,
        decisions: Decisions,
        order: Ints,
        own: npt.NDArray[np.float32],
        confidence: npt.NDArray[np.int8],
    ) -> Ints:
        """(N,): the place of each image's reason in `texts`. What a reason depends on is packed
        into one number, a key; `decide.reason` words one image of each key."""
        keys = self._keys(decisions, order, own, confidence)
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        places = np.empty(len(first), np.int32)
        for place, row in enumerate(first.tolist()):
            key = int(keys[row])
            if key not in self._known:
                self._known[key] = len(self.texts)
                self.texts.append(decide.reason(decisions, row, order[row].astype(np.intp)))
            places[place] = self._known[key]
        return np.asarray(places[which.reshape(-1)], np.int32)

    def _keys(
        self,
        decisions: Decisions,
        order: Ints,
        own: npt.NDArray[np.float32],
        confidence: npt.NDArray[np.int8],
    ) -> npt.NDArray[np.int64]:
        probabilities, chosen = decisions.probabilities, decisions.chosen
        rows, labels = np.arange(len(order)), order.shape[1]
        best, other = order[:, 0].astype(np.int64), probabilities[:, -1]
        second = order[:, min(1, labels - 1)].astype(np.int64)
        near = (probabilities[rows, second] >= RUNNER_UP_RATIO * own) & (labels > 1)
        outside, even = chosen == labels, other <= EVEN_ODDS
        case = np.select(
            [
                np.full(len(rows), decisions.closed),
                outside & even & (probabilities[rows, best] >= other),
                outside & even,
                outside,
                other > own,
                near,
                confidence == CONFIDENCES.index("unsure"),
            ],
            [0 + near, 2, 3, 4, 5, 6, 7],
            default=8,
        )
        names_second = (case == 1) | (case == 3) | (case == 6)
        names_negative = (case == 4) | (case == 5) | (case == 7)
        count = max(len(decisions.scores.negative_names), 1)
        negative = np.zeros(len(rows), np.int64)
        if names_negative.any():
            asked = np.flatnonzero(names_negative)
            negative[asked] = self._negatives(decisions, asked, best[asked])
        key = best * labels + np.where(names_second, second, 0)
        return np.asarray((key * count + negative) * 9 + case, np.int64)

    def _negatives(self, decisions: Decisions, rows: Any, best: Any) -> npt.NDArray[np.int64]:
        """(B,): the nearest negative label of each of the rows that isn't spelled like its best
        label; the nearest, if all are."""
        scores = decisions.scores
        names, labels = scores.negative_names, scores.labels.names
        nearest = scores.nearest_negatives[rows].astype(np.int64)
        pairs, which = np.unique(best[:, None] * len(names) + nearest, return_inverse=True)
        alike = np.empty(len(pairs), bool)
        for place, pair in enumerate(pairs.tolist()):
            if pair not in self._alike:
                label, negative = divmod(pair, len(names))
                self._alike[pair] = decide.spelled_alike(labels[label], names[negative])
            alike[place] = self._alike[pair]
        first = (~alike[which.reshape(nearest.shape)]).argmax(axis=1)  # 0 where all are alike
        return np.asarray(nearest[np.arange(len(nearest)), first], np.int64)


def _confidence(decisions: Decisions, own: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """(N,), in CONFIDENCES: `decide.confidence_of` for every image."""
    exact = own.astype(np.float64)
    found = np.where(exact >= SURE, 0, np.where(exact >= LIKELY, 1, 2)).astype(np.int8)
    rivals = decisions.scores.has_rival
    if rivals is not None and not decisions.closed:
        on_shelf = decisions.chosen < len(decisions.scores.labels)
        found[(found == 0) & on_shelf & rivals] = 1
    return found
