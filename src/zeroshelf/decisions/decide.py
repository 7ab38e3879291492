"""scores -> decisions: a label or "other" for every picture, with a probability and a reason.

    n      = negative score - COMMON * max(mean logit over the whole bank - the typical one, 0)
    L, n   drawn towards those of the pictures that look alike
    d      = best label's L - n - CROWD * ln K, drawn towards its part of the folder
    p_in   = sigmoid((d - delta) / t_open)          is the picture on a shelf at all?
    P(k)   = p_in * softmax(L / t_labels)[k]        and on which?
    P(other) = 1 - p_in

`d` is an absolute score: it works for one label as for twenty, where a softmax over the labels
can never say "none of these". The best of K labels fits a stranger the better, the larger K is;
CROWD takes that off again. A small or blurred picture is near to every text, and so to some
negatives; COMMON takes that off. The other constants belong to the model (`OpenSet`): its `source`
says how they were found. A picture stays on its shelf where p_in is at least a half.
docs/decision.md has the figures, and what was tried and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.smoothing import far_and_wide, near_by
from zeroshelf.records import OTHER, Confidence, Decision, LabelSet, Scores

CROWD = 0.6  # logits; garbage's d grew by .6 to 1.1 on each of four development sets
COMMON = 0.5  # chosen on 150 development episodes, where .3 to .8 differ little
SURE, LIKELY = 0.9, 0.6  # the least probability of "sure" and of "likely"
PLAUSIBLE = 0.9  # the labels that together are that probable are plausible
SHOWN = 5  # labels in a decision's `top`

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decisions(Sequence[Decision]):
    """A decision a picture, held as arrays; `explain` makes a row when it is asked for."""

    scores: Scores
    probabilities: npt.NDArray[np.float32]  # (N, K + 1), column K is P(other), rows sum to 1
    chosen: npt.NDArray[np.int32]  # (N,), a column of `probabilities`
    corrected: frozenset[int] = frozenset()  # rows that are on the shelf the user gave them

    @property
    def labels(self) -> list[str]:
        """Each picture's label or OTHER, without making rows."""
        names = (*self.scores.labels.names, OTHER)
        return [names[column] for column in self.chosen]

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, index: int) -> Decision: ...
    @overload
    def __getitem__(self, index: slice) -> list[Decision]: ...
    def __getitem__(self, index: int | slice) -> Decision | list[Decision]:
        if isinstance(index, slice):
            return [explain(self, i) for i in range(*index.indices(len(self)))]
        return explain(self, range(len(self))[index])


def decide(scores: Scores, *, threshold: float | None = None, offset: float = 0.0) -> Decisions:
    """One answer a picture.

    offset: logits added to every picture's d: above 0, fewer pictures go to "other".
    threshold: the least P(label), if someone insists; a label's own threshold comes before it.
    """
    constants = scores.model.open_set
    d, logits = fit(scores)
    p_in = sigmoid((d + offset - constants.delta) / constants.t_open)
    on_shelf = p_in[:, None] * softmax(logits / constants.t_labels)
    probabilities = np.column_stack((on_shelf, 1 - p_in)).astype(np.float32)
    return Decisions(scores, probabilities, choose(probabilities, scores.labels, threshold))


def fit(scores: Scores) -> tuple[Floats, Floats]:
    """d (N,) and the logits (N, K) that it comes from: what calibration looks at."""
    logits, negative = _drawn(scores)
    return _score(logits.max(axis=1, keepdims=True), negative, scores)[:, 0], logits


def shelves(scores: Scores, *, offset: float = 0.0) -> Floats:
    """(N, K): the probability that a picture belongs on each shelf, every label asked by itself.
    What `also` and tags by several words come from."""
    constants = scores.model.open_set
    logits, negative = _drawn(scores)
    return sigmoid((_score(logits, negative, scores) + offset - constants.delta) / constants.t_open)


def also(decisions: Decisions) -> Bools:
    """(N, K): the labels that likely fit a picture too, beside the one whose shelf it is on; where
    a label has a threshold of its own, by that."""
    own = [LIKELY if one.threshold is None else one.threshold for one in decisions.scores.labels]
    fits = shelves(decisions.scores) >= np.array(own)
    fits[decisions.chosen == fits.shape[1]] = False
    return np.asarray(fits & (np.arange(fits.shape[1]) != decisions.chosen[:, None]))


def ambiguous(decisions: Decisions) -> Bools:
    """(N,): is the picture on a shelf, with two labels or more plausible?"""
    labels = decisions.probabilities[:, :-1]
    among = labels / np.maximum(labels.sum(axis=1, keepdims=True), 1e-9)
    on_shelf = decisions.chosen < labels.shape[1]
    return np.asarray(on_shelf & (among.max(axis=1) < PLAUSIBLE))


def confidence(probability: float) -> Confidence:
    return "sure" if probability >= SURE else "likely" if probability >= LIKELY else "unsure"


def explain(decisions: Decisions, i: int) -> Decision:
    """Row i as a person reads it."""
    scores = decisions.scores
    names = (*scores.labels.names, OTHER)
    row = decisions.probabilities[i]
    chosen = int(decisions.chosen[i])
    order = np.argsort(-row[:-1], kind="stable")
    best = int(order[0])
    looks_like = scores.negatives[scores.nearest[i, 0]]
    return Decision(
        picture=scores.pictures[i],
        label=names[chosen],
        top_label=names[best],
        probability=float(row[chosen]),
        margin=float(row[best] - np.delete(row, best).max()),
        confidence=confidence(float(row[chosen])),
        reason=_reason(decisions, i, order),
        top=tuple((names[k], float(row[k])) for k in order[:SHOWN]),
        looks_like=looks_like if names[chosen] == OTHER else None,
    )


def _reason(decisions: Decisions, i: int, order: npt.NDArray[np.intp]) -> str:
    scores, row, chosen = decisions.scores, decisions.probabilities[i], int(decisions.chosen[i])
    names = scores.labels.names
    best = names[order[0]]
    instead = scores.negatives[scores.nearest[i, 0]]
    if i in decisions.corrected:
        return f"put on {(*names, OTHER)[chosen]} by hand"
    if chosen == len(names) and row[-1] <= 0.5:
        return f"looks like {best}, but the threshold asks for more"
    if chosen == len(names):
        return f"nearest label is {best}, but it looks more like {instead}"
    if row[-1] > 0.5:
        return f"looks more like {instead} than {best}, but the threshold asks for no more"
    if len(order) > 1 and row[order[1]] >= 0.5 * row[chosen]:
        return f"looks like {best}, or like {names[order[1]]}"
    unsure = confidence(float(row[chosen])) == "unsure"
    return f"looks like {best}" + (f", but nearly as much like {instead}" if unsure else "")


def choose(
    probabilities: Floats, labels: LabelSet, threshold: float | None
) -> npt.NDArray[np.int32]:
    """(N, K + 1) -> (N,): the best label's column where P(other) is a half at most, or where
    P(label) reaches the threshold if one is given; else K."""
    on_shelf, other = probabilities[:, :-1], probabilities[:, -1]
    best = on_shelf.argmax(axis=1)
    own = [threshold if label.threshold is None else label.threshold for label in labels]
    asked = np.array([np.nan if limit is None else limit for limit in own])[best]
    stays = np.where(np.isnan(asked), other <= 0.5, on_shelf.max(axis=1) >= asked)
    return np.where(stays, best, len(labels)).astype(np.int32)


def _score(logits: Floats, negative: Floats, scores: Scores) -> Floats:
    """d (N, C), in logits, of C labels or best labels (N, C), after all that is drawn together."""
    d = logits - negative[:, None] - np.float32(CROWD * np.log(len(scores.labels)))
    return d if scores.likeness is None else far_and_wide(d, scores.likeness)


def _drawn(scores: Scores) -> tuple[Floats, Floats]:
    """(N, K) logits and (N,) negative scores, drawn towards those of what looks alike."""
    negative, common = scores.negative, scores.common
    if common is not None and len(common):
        typical = scores.model.open_set.typical
        nearer = common - np.float32(np.median(common) if typical is None else typical)
        negative = negative - np.float32(COMMON) * np.maximum(nearer, 0)
    if scores.likeness is None:
        return scores.logits, negative
    drawn = near_by(np.column_stack((scores.logits, negative)), scores.likeness)
    return drawn[:, :-1], drawn[:, -1]


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), np.float32)


def softmax(logits: Floats) -> Floats:
    """(N, K) -> (N, K), rows sum to 1."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)
