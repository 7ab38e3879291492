"""A person's marks -> better answers for the rest of the folder. Pure, and exactly the answers as
they were where nothing is marked.

An answer has two parts (see decisions): is the picture on a shelf at all, and on which? Each part
learns for itself, by logistic regression anchored at what the model says: with z = log P the logits
of either part, z' = z + s x.W, where s is the model's logit scale and W (classes, D) the least of

    sum_i w_i cross-entropy(z'_i, y_i) + (lam / classes) |W|^2          lam = 10

over the pictures marked by a person (weight 1) and pseudo-shots: pictures of the folder that the
model is surest of and no mark speaks against (weight 1/4, a dozen a class), the weights balanced
over the classes. Without pseudo-shots, what is learnt for one label spoils the others. The anchor
is that of CLAP (Silva-Rodriguez et al., CVPR 2024), kept as an offset so that it holds for labels
of several prompts and for "other" as well. docs/review.md has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions import Decisions

ANCHOR = 10.0  # lam
SHOTS, SHOT_WEIGHT = 12, 0.25  # pseudo-shots a class, and what each counts against a mark
SAME = 0.95  # cosine from which a picture shows what a mark shows: contradicted with it
_LEAST = 1e-7  # of a probability, so that its logarithm is finite: what float32 holds of 1 - P

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Vectors = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Marks:
    """What a person said: picture `rows[i]` belongs on shelf `columns[i]`. Column K is "other"."""

    rows: Rows  # (M,), each once
    columns: Rows  # (M,)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, columns: Mapping[int, int]) -> Marks:
        """From a picture's row to its column."""
        rows = sorted(columns)
        return cls(np.array(rows, np.intp), np.array([columns[row] for row in rows], np.intp))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Marked pictures of other folders, and what the model says about them under these labels."""

    vectors: Vectors  # (M, D), each row of length 1
    probabilities: npt.NDArray[np.float32]  # (M, K + 1)
    columns: Rows  # (M,)


def teach(
    vectors: Vectors, decisions: Decisions, marks: Marks, elsewhere: Elsewhere | None = None
) -> Decisions:
    """The answers after `marks`: a marked picture has its mark, the rest follows what was learnt.

    vectors: (N, D), each row of length 1, of the pictures that `decisions` are about.
    """
    if not len(marks) and elsewhere is None:
        return decisions
    scale = decisions.scores.model.logit_scale
    if elsewhere is None:
        probabilities = learn(vectors, decisions.probabilities, marks, scale)
    else:
        count = len(vectors)
        probabilities = learn(
            np.concatenate((vectors, elsewhere.vectors)),
            np.concatenate((decisions.probabilities, elsewhere.probabilities)),
            Marks(
                np.concatenate((marks.rows, count + np.arange(len(elsewhere.columns)))),
                np.concatenate((marks.columns, elsewhere.columns)),
            ),
            scale,
        )[:count]
    other = probabilities.shape[1] - 1
    best = probabilities[:, :other].argmax(axis=1)
    chosen = np.where(probabilities[:, other] <= 0.5, best, other)  # as decisions.decide does
    chosen[marks.rows] = marks.columns
    probabilities[marks.rows] = np.eye(other + 1, dtype=np.float32)[marks.columns]
    return replace(decisions, probabilities=probabilities, chosen=chosen.astype(np.int32))


def learn(
    vectors: Vectors, probabilities: npt.NDArray[np.float32], marks: Marks, scale: float
) -> npt.NDArray[np.float32]:
    """(N, D) unit vectors, (N, K+1) probabilities, column K "other" -> the same after `marks`."""
    other = probabilities.shape[1] - 1
    features = scale * vectors.astype(np.float32)
    inside = np.clip(1 - probabilities[:, other], _LEAST, 1 - _LEAST)
    best = probabilities[:, :other].argmax(axis=1)
    free = np.ones(len(probabilities), bool)
    free[marks.rows] = False

    most = min(SHOTS, 1 + len(vectors) // (3 * (other + 1)))  # else a small folder is all shots

    def surest(
        score: npt.NDArray[np.float32], among: npt.NDArray[np.bool_], against: npt.NDArray[np.bool_]
    ) -> Rows:
        """The surest pictures of a class; `against`: the marks that speak against it."""
        rows = np.flatnonzero(among & free)
        rows = rows[np.argsort(-score[rows], kind="stable")[: 4 * most]]
        marked = vectors[marks.rows[against]].astype(np.float32)
        alike = (vectors[rows].astype(np.float32) @ marked.T).max(axis=1, initial=-1.0)
        return np.asarray(rows[alike < SAME][:most])

    # on which shelf? The surest of each label, whether it was on the shelf or in "other"
    on_shelf = marks.columns < other
    shots = [
        surest(probabilities[:, column], best == column, on_shelf & (marks.columns != column))
        for column in range(other)
    ]
    which = _refit(
        features,
        probabilities[:, :other],
        Marks(marks.rows[on_shelf], marks.columns[on_shelf]),
        _together(shots),
    )
    # on a shelf at all? Column 0 says yes, column 1 no
    yes = [surest(inside, (best == c) & (inside >= 0.5), ~on_shelf) for c in range(other)]
    no = surest(-inside, inside < 0.5, on_shelf)
    whether = _refit(
        features,
        np.column_stack((inside, 1 - inside)),
        Marks(marks.rows, (~on_shelf).astype(np.intp)),
        _together([np.concatenate(yes), no]),
    )
    return np.column_stack((which * whether[:, :1], whether[:, 1]))


def _together(rows: list[Rows]) -> Marks:
    """A list of rows for each column -> marks."""
    return Marks(np.concatenate(rows), np.repeat(np.arange(len(rows)), [len(own) for own in rows]))


def _refit(
    features: npt.NDArray[np.float32],
    probabilities: npt.NDArray[np.float32],
    marks: Marks,
    shots: Marks,
) -> npt.NDArray[np.float32]:
    """(N, D), (N, C) -> (N, C): softmax(log P + x.W) with the W that `marks` and `shots` teach."""
    classes = probabilities.shape[1]
    logits = np.log(np.maximum(probabilities, _LEAST))
    if len(marks):
        rows = np.concatenate((marks.rows, shots.rows))
        columns = np.concatenate((marks.columns, shots.columns))
        weights = np.concatenate((np.ones(len(marks)), np.full(len(shots), SHOT_WEIGHT)))
        totals = np.bincount(columns, weights, minlength=classes)
        weights *= weights.sum() / np.count_nonzero(totals) / totals[columns]
        learnt = minimise(
            features[rows].astype(np.float64),
            logits[rows].astype(np.float64),
            columns,
            weights,
            ANCHOR / classes,
        )
        logits += features @ learnt.T.astype(np.float32)
    return np.asarray(_softmax(logits), np.float32)


def minimise(
    features: Floats, logits: Floats, columns: Rows, weights: Floats, penalty: float
) -> Floats:
    """The W (C, D) with the least sum_i w_i cross-entropy(logits_i + W x_i, y_i) + penalty |W|^2.

    Gradient steps in the basis of the features' singular vectors, where Boehning's bound on the
    softmax's curvature (1/2 sum w x x^T, Ann. Inst. Stat. Math. 44, 1992) is diagonal and gives
    every direction its own safe step; Nesterov's momentum, begun anew where it points uphill
    (O'Donoghue and Candes 2015). The problem is convex, so that the start does not matter. SciPy's
    L-BFGS finds the same (tests/test_teach.py), but weighs more than all else that is installed.
    """
    root = np.sqrt(weights)[:, None]
    _, singular, basis = np.linalg.svd(root * features, full_matrices=False)
    inside = features @ basis.T  # (n, r)
    wanted = np.eye(logits.shape[1])[columns]
    step = 1 / (singular**2 / 2 + 2 * penalty)
    here = ahead = np.zeros((logits.shape[1], len(singular)))
    momentum = 1.0
    for _ in range(1000):
        error = weights[:, None] * (_softmax(logits + inside @ ahead.T) - wanted)
        downhill = -step * (error.T @ inside + 2 * penalty * ahead)
        there = ahead + downhill
        if np.abs(downhill).max() < 1e-5:
            here = there
            break
        if (downhill / step * (there - here)).sum() < 0:
            momentum, ahead = 1.0, here
            continue
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = there + (momentum - 1) / faster * (there - here)
        here, momentum = there, faster
    return np.asarray(here @ basis)


def _softmax(logits: Vectors) -> Vectors:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))
