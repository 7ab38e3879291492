"""Scores and a calibration -> decisions: a label or "other" for every image.

    n      = negative score - MEAN_LOGIT_SHARE * max(mean negative logit - typical logit, 0)
    L, n   smoothed over nearest neighbours
    s      = best label's L - n - LABEL_COUNT_PENALTY * ln K, smoothed low-rank    (the OOD score)
    p      = sigmoid((s - ood_threshold) / ood_temperature)     (in-distribution probability)
    P(k)   = p * softmax(L / label_temperature)[k]
    P(other) = 1 - p

Where the user keeps something from every shelf ("!dog"), p is multiplied by
sigmoid((b - o) / label_temperature): o is the greatest logit of the unwanted words and b that of
the labels (decisions/unwanted.py). In a closed set (every image fits one of the labels, says the
user) p is 1 and P(other) is 0.

The OOD score s tells images that fit a label (in-distribution, high s) from images that fit none
(out-of-distribution, low s). It is absolute, so that it works for one label as for twenty; a
softmax over the labels cannot express "none of these". The best of K labels fits an unrelated image
the better, the larger K is; LABEL_COUNT_PENALTY corrects for that. A small or blurred image has a
high cosine with every text, and so with some negative labels; MEAN_LOGIT_SHARE corrects for that.
An image is on a shelf if its best label is at least as likely as "other". The calibration belongs
to the model and comes beside the scores. docs/decision.md has the figures, and what was tried and
rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import wording
from zeroshelf.decisions.constants import (
    EVEN_ODDS,
    LABEL_COUNT_PENALTY,
    LIKELY,
    MEAN_LOGIT_SHARE,
    RUNNER_UP_RATIO,
    SURE,
)
from zeroshelf.decisions.smoothing import smooth_by_neighbours, smooth_low_rank
from zeroshelf.records import OTHER, Calibration, Confidence, Decision, LabelSet, Scores

SHOWN = 5  # labels in a decision's `top`

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decisions(Sequence[Decision]):
    """One decision per image, stored as arrays; `explain` builds a row on request."""

    scores: Scores
    calibration: Calibration  # that the probabilities were computed with
    probabilities: npt.NDArray[np.float32]  # (N, K + 1), column K is P(other), rows sum to 1
    chosen: npt.NDArray[np.int32]  # (N,), a column of `probabilities`
    corrected: frozenset[int] = (
        frozenset()
    )  # rows on the shelf of a correction or an accepted suggestion
    closed: bool = False  # whether every image fits one of the labels: only the user uses "other"

    @property
    def labels(self) -> list[str]:
        """Each image's label or OTHER, without building rows."""
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


def decide(
    scores: Scores,
    calibration: Calibration,
    *,
    threshold: float | None = None,
    offset: float = 0.0,
    closed: bool = False,
) -> Decisions:
    """One answer per image.

    scores: of N images under K labels.
    calibration: of the model that made the scores.
    threshold: the least P(label) for an image to be on a shelf; None: the calibrated rule. A
        label's own threshold takes precedence.
    offset: logits added to every image's OOD score: above 0, fewer images go to "other".
    closed: every image is on the shelf of its best label: the probabilities are a softmax over the
        labels, P(other) is 0, and neither the offset nor any threshold counts.
    """
    found = ood_scores(scores, calibration.typical_logit)
    return of_ood_scores(
        scores, *found, calibration, threshold=threshold, offset=offset, closed=closed
    )


def of_ood_scores(
    scores: Scores,
    ood_score: Floats,
    logits: Floats,
    calibration: Calibration,
    *,
    threshold: float | None = None,
    offset: float = 0.0,
    closed: bool = False,
) -> Decisions:
    """One answer per image, from the (N,) OOD scores and the smoothed (N, K) logits of `scores`.
    All else as for `decide`."""
    inside = in_distribution(ood_score, calibration, offset, scores.unwanted)
    if closed:
        inside = np.ones_like(inside)
    on_shelf = inside[:, None] * softmax(logits / calibration.label_temperature)
    probabilities = np.column_stack((on_shelf, 1 - inside)).astype(np.float32)
    chosen = choose(probabilities, scores.labels, threshold, closed=closed)
    return Decisions(scores, calibration, probabilities, chosen, closed=closed)


def ood_scores(
    scores: Scores, typical_logit: float | None, *, low_rank: bool = True
) -> tuple[Floats, Floats]:
    """(N,) OOD scores of N images and the smoothed (N, K) label logits that they come from.

    typical_logit: as in `Calibration`.
    low_rank: whether OOD scores are smoothed over the whole folder too. It helps labels that many
        of the images show, and hides what only a few do.
    """
    logits, negative = _smoothed(scores, typical_logit)
    if not low_rank:
        scores = replace(scores, smoothing=None)
    return _ood_score(logits.max(axis=1, keepdims=True), negative, scores)[:, 0], logits


def in_distribution(
    ood_score: Floats,
    calibration: Calibration,
    offset: float = 0.0,
    unwanted: Floats | None = None,
) -> Floats:
    """OOD scores (N,) or (N, K) -> as many probabilities that the image fits. `offset` as for
    `decide`, `unwanted` as in `Scores`."""
    fits = sigmoid((ood_score + offset - calibration.ood_threshold) / calibration.ood_temperature)
    if unwanted is None:
        return fits
    share = sigmoid(-unwanted / calibration.label_temperature)
    return np.asarray(fits * share.reshape(-1, *[1] * (fits.ndim - 1)), np.float32)


def label_probabilities(scores: Scores, calibration: Calibration, *, offset: float = 0.0) -> Floats:
    """(N, K): the probability that an image fits each label, the labels taken one by one: a row may
    sum to more than 1. `also` and tags with several labels are computed from it."""
    logits, negative = _smoothed(scores, calibration.typical_logit)
    found = _ood_score(logits, negative, scores)
    return in_distribution(found, calibration, offset, scores.unwanted)


def also(decisions: Decisions) -> Bools:
    """(N, K): the labels other than the chosen one that the image likely fits: with a probability
    of `LIKELY`, or of the label's own threshold. All false for an image in "other"."""
    found = label_probabilities(decisions.scores, decisions.calibration)
    return also_likely(found, decisions.scores.labels, decisions.chosen)


def also_likely(each: Floats, labels: LabelSet, chosen: npt.NDArray[np.int32]) -> Bools:
    """`also` from the (N, K) probabilities of the labels one by one and the (N,) chosen columns."""
    own = [LIKELY if one.threshold is None else one.threshold for one in labels]
    fits = each >= np.array(own)
    fits[chosen == fits.shape[1]] = False
    return np.asarray(fits & (np.arange(fits.shape[1]) != chosen[:, None]))


def ambiguous(decisions: Decisions) -> Bools:
    """(N,): true for an image on a shelf that fits a second label about as well.

    The second label is at least RUNNER_UP_RATIO times as probable as the first, and the two
    together are at least as probable as all else, EVEN_ODDS: probability that is spread thinly over
    many labels speaks for none of them.
    """
    labels = decisions.probabilities[:, :-1]
    if labels.shape[1] < 2:
        return np.zeros(len(labels), bool)
    second, first = np.partition(labels, labels.shape[1] - 2, axis=1)[:, -2:].T
    on_shelf = decisions.chosen < labels.shape[1]
    near = second >= RUNNER_UP_RATIO * first
    return np.asarray(on_shelf & near & (first + second >= EVEN_ODDS))


def confidence(probability: float) -> Confidence:
    return "sure" if probability >= SURE else "likely" if probability >= LIKELY else "unsure"


def confidence_of(decisions: Decisions, i: int) -> Confidence:
    """The confidence of row i's answer. It is not "sure" of a label where something beside the
    label in WordNet fits about as well, except for a correction by the user and in a closed set,
    where the labels are all that there is."""
    chosen, rivals = int(decisions.chosen[i]), decisions.scores.has_rival
    found = confidence(float(decisions.probabilities[i, chosen]))
    if (
        found != "sure"
        or decisions.closed
        or rivals is None
        or chosen == len(decisions.scores.labels)
    ):
        return found
    return "likely" if rivals[i] and i not in decisions.corrected else "sure"


def explain(decisions: Decisions, i: int) -> Decision:
    """The decision of row i, with its reason in words."""
    scores = decisions.scores
    names = (*scores.labels.names, OTHER)
    row = decisions.probabilities[i]
    chosen = int(decisions.chosen[i])
    order = np.argsort(-row[:-1], kind="stable")
    best = int(order[0])
    return Decision(
        picture=scores.pictures[i],
        label=names[chosen],
        top_label=names[best],
        probability=float(row[chosen]),
        margin=float(row[best] - np.delete(row, best).max()),
        confidence=confidence_of(decisions, i),
        reason=reason(decisions, i, order),
        top=tuple((names[k], float(row[k])) for k in order[:SHOWN]),
        looks_like=_nearest_negative(scores, i, names[best]) if names[chosen] == OTHER else None,
    )


def reason(decisions: Decisions, i: int, order: npt.NDArray[np.intp]) -> str:
    """Row i's decision in words. order: (K,), the labels, the most probable first."""
    names = decisions.scores.labels.names
    if i in decisions.corrected:
        return f"put on {(*names, OTHER)[decisions.chosen[i]]} by a correction"
    sentence, best = _sentence(decisions, i, order), names[order[0]]
    if sentence in wording.NAME_NEGATIVE:
        return sentence.format(best, _nearest_negative(decisions.scores, i, best))
    return sentence.format(best, names[order[:2][-1]])


def _sentence(decisions: Decisions, i: int, order: npt.NDArray[np.intp]) -> str:
    """What `reason` says, without the names."""
    row, chosen = decisions.probabilities[i], int(decisions.chosen[i])
    near = len(order) > 1 and row[order[1]] >= RUNNER_UP_RATIO * row[chosen]
    if decisions.closed:
        return wording.CLOSED_EITHER if near else wording.CLOSED
    if chosen == len(order):
        if row[-1] > EVEN_ODDS:
            return wording.OTHER_INSTEAD
        reached = row[order[0]] >= row[-1]
        return wording.BELOW_THRESHOLD if reached else wording.EITHER_OTHER
    if row[-1] > row[chosen]:
        return wording.LOW_THRESHOLD
    if near:
        return wording.EITHER
    unsure = confidence_of(decisions, i) == "unsure"
    return wording.UNSURE if unsure else wording.CLEAR


def _nearest_negative(scores: Scores, i: int, label: str) -> str:
    """The nearest negative label of image i that is not spelled like the label: a text tower reads
    pieces of words, and so places "rump" near "ruminant"."""
    names = [scores.negative_names[at] for at in scores.nearest_negatives[i]]
    return str(next((name for name in names if not spelled_alike(label, name)), names[0]))


@lru_cache(maxsize=1 << 16)
def spelled_alike(label: str, name: str) -> bool:
    """Whether a word of the negative label `name` begins like a word of the label."""
    return not wording.beginnings(label).isdisjoint(wording.beginnings(name))


def choose(
    probabilities: Floats, labels: LabelSet, threshold: float | None, *, closed: bool = False
) -> npt.NDArray[np.int32]:
    """(N, K + 1) -> (N,): the best label's column where it is at least as likely as "other", or
    where P(label) reaches the threshold if one is given; else K. In a closed set always the best
    label's."""
    on_shelf, other = probabilities[:, :-1], probabilities[:, -1]
    best, most = on_shelf.argmax(axis=1), on_shelf.max(axis=1)
    if closed:
        return np.asarray(best, np.int32)
    own = [threshold if label.threshold is None else label.threshold for label in labels]
    asked = np.array([np.nan if limit is None else limit for limit in own])[best]
    stays = np.where(np.isnan(asked), most >= other, most >= asked)
    return np.where(stays, best, len(labels)).astype(np.int32)


def without_excess(negative: Floats, mean_logit: Floats, typical_logit: float | None) -> Floats:
    """(N,) negative scores, lower where the (N,) mean negative logits exceed the typical one."""
    typical = np.median(mean_logit) if typical_logit is None else typical_logit
    excess = mean_logit - np.float32(typical)
    return np.asarray(negative - np.float32(MEAN_LOGIT_SHARE) * np.maximum(excess, 0), np.float32)


def above_negatives(logits: Floats, negative: Floats, labels: LabelSet) -> Floats:
    """(N, C) OOD scores for logits (N, C) and negative scores (N,), before low-rank smoothing."""
    penalty = np.float32(LABEL_COUNT_PENALTY * np.log(len(labels)))
    return np.asarray(logits - negative[:, None] - penalty, np.float32)


def _ood_score(logits: Floats, negative: Floats, scores: Scores) -> Floats:
    """(N, C) OOD scores for smoothed logits (N, C) and negative scores (N,), low-rank smoothed."""
    found = above_negatives(logits, negative, scores.labels)
    return found if scores.smoothing is None else smooth_low_rank(found, scores.smoothing)


def _smoothed(scores: Scores, typical_logit: float | None) -> tuple[Floats, Floats]:
    """(N, K) logits and (N,) negative scores, smoothed over nearest neighbours."""
    negative, mean_logit = scores.negative_score, scores.mean_negative_logit
    if mean_logit is not None and len(mean_logit):
        negative = without_excess(negative, mean_logit, typical_logit)
    if scores.smoothing is None:
        return scores.logits, negative
    both = np.column_stack((scores.logits, negative))
    smoothed = smooth_by_neighbours(both, scores.smoothing)
    return smoothed[:, :-1], smoothed[:, -1]


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), np.float32)


def softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[Any]:
    """(N, K) -> (N, K) of the same type; rows sum to 1."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))
