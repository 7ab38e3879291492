"""scores -> decisions: a label or "other" for every picture, with a probability and a reason.

    d      = best label's logit - mean logit of the three nearest negatives
    p_in   = sigmoid((d - delta) / t_open)               is the picture on a shelf at all?
    P(k)   = p_in * softmax(logits / t_labels)[k]        and on which?
    P(other) = 1 - p_in

`d` is an absolute score: it works for one label as for twenty, where a softmax over the labels can
never say "none of these". The three constants belong to the model (`OpenSet`), whose `source` says
how they were found. docs/decision.md has the figures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zeroshelf.records import OTHER, Confidence, Decision, Decisions, Scores

SURE, LIKELY = 0.9, 0.6  # the least probability of "sure" and of "likely"
SHOWN = 5  # labels in a decision's `top`

Floats = npt.NDArray[np.float32]


def decide(scores: Scores, *, threshold: float | None = None, boldness: float = 0.0) -> Decisions:
    """One answer a picture.

    boldness: logits added to every picture's d: above 0, fewer pictures go to "other".
    threshold: the least P(label), if someone insists; a label's own threshold comes before it.
    """
    constants = scores.model.open_set
    d = scores.logits.max(axis=1, initial=-np.inf) - scores.negative
    p_in = _sigmoid((d + boldness - constants.delta) / constants.t_open)
    probabilities = np.column_stack(
        (p_in[:, None] * _softmax(scores.logits / constants.t_labels), 1 - p_in)
    )
    best = scores.logits.argmax(axis=1)
    limits = np.array(
        [np.nan if (own := label.threshold if label.threshold is not None else threshold) is None else own
         for label in scores.labels]
    )[best]  # fmt: skip
    p_best = probabilities[np.arange(len(d)), best]
    stays = np.where(np.isnan(limits), p_in >= 0.5, p_best >= limits)
    return Decisions(
        scores=scores,
        probabilities=probabilities.astype(np.float32),
        chosen=np.where(stays, best, len(scores.labels)).astype(np.int32),
    )


def explain(decisions: Decisions, i: int) -> Decision:
    """Row i as a person reads it."""
    scores = decisions.scores
    names = (*scores.labels.names, OTHER)
    row = decisions.probabilities[i]
    chosen = int(decisions.chosen[i])
    order = np.argsort(-row[:-1], kind="stable")
    best = int(order[0])
    next_best = float(np.delete(row, best).max())
    looks_like = scores.negatives[scores.nearest[i, 0]] if names[chosen] == OTHER else None
    return Decision(
        picture=scores.pictures[i],
        label=names[chosen],
        top_label=names[best],
        probability=float(row[chosen]),
        margin=float(row[best]) - next_best,
        confidence=confidence(float(row[chosen])),
        reason=_reason(decisions, i, order),
        top=tuple((names[k], float(row[k])) for k in order[:SHOWN]),
        looks_like=looks_like,
    )


def confidence(probability: float) -> Confidence:
    return "sure" if probability >= SURE else "likely" if probability >= LIKELY else "unsure"


def _reason(decisions: Decisions, i: int, order: npt.NDArray[np.intp]) -> str:
    scores = decisions.scores
    names = scores.labels.names
    best = names[order[0]]
    instead = scores.negatives[scores.nearest[i, 0]]
    if decisions.chosen[i] == len(names):
        return f"nearest label is {best}, but it looks more like {instead}"
    if len(order) > 1 and decisions.probabilities[i, order[1]] > 0.3:
        return f"looks like {best}, or {names[order[1]]}"
    return f"looks like {best}"


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), np.float32)


def _softmax(logits: Floats) -> Floats:
    """(N, K) -> (N, K), rows sum to 1."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)
