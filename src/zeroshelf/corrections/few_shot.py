"""A person's marks -> better answers for the rest of the folder. Pure, and exactly the answers as
they were where nothing is marked.

An answer has two parts (see decisions): is the picture on a shelf at all, and on which? Each part
learns for itself, by logistic regression anchored at what the model says: with z = log P the logits
of either part, z' = z + s (x - m).W, where s is the model's logit scale and W (classes, D) the
least of

    sum_i w_i cross-entropy(z'_i, y_i) + (lam / classes) |W|^2          lam = 50

over three kinds of pictures. Those marked by a person, of weight 1. Where "which" is asked,
pseudo-shots: those that the model is surest of and no mark speaks against (weight 1/2, at most two
dozen a label), the weights of both balanced over the labels; without them, what is learnt for one
label spoils the others. And the rest of the folder, with y the very probabilities that the model
gives: it holds the answers where they are, unless the marks speak with one voice. For "which", m
is the folder's mean, without which every mark would make its label likelier for every picture; for
"whether" m is 0, because there that is what a mark should do.

The anchor is that of CLAP (Silva-Rodriguez et al., CVPR 2024), kept as an offset so that it holds
for labels of several prompts and for "other" as well; the rest is held as in learning without
forgetting (Li and Hoiem, ECCV 2016). docs/review.md has the figures, and how the constants were
chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.decide import Decisions, choose, softmax

ANCHOR = 50.0  # lam
SHOTS, SHOT_WEIGHT = 24, 0.5  # pseudo-shots a label, and what each counts against a mark
HELD = 256  # pictures that stand for the rest of the folder
HELD_WHICH, HELD_WHETHER = 1 / HELD, 12 / HELD  # what each counts against a mark
SAME = 0.95  # cosine from which a picture shows what a mark shows: contradicted with it
BLOCK = 8192  # pictures at once
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
    vectors: Vectors,
    decisions: Decisions,
    marks: Marks,
    elsewhere: Elsewhere | None = None,
    threshold: float | None = None,
) -> Decisions:
    """The answers after `marks`: a marked picture has its mark, the rest follows what was learnt.

    vectors: (N, D), each row of length 1, of the pictures that `decisions` are about.
    threshold: as for `decide`.
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
    chosen = choose(probabilities, decisions.scores.labels, threshold)
    chosen[marks.rows] = marks.columns
    probabilities[marks.rows] = np.eye(probabilities.shape[1], dtype=np.float32)[marks.columns]
    placed = frozenset(marks.rows.tolist())
    return replace(decisions, probabilities=probabilities, chosen=chosen, placed=placed)


def learn(
    vectors: Vectors, probabilities: npt.NDArray[np.float32], marks: Marks, scale: float
) -> npt.NDArray[np.float32]:
    """(N, D) unit vectors, (N, K+1) probabilities, column K "other" -> the same after `marks`."""
    other = probabilities.shape[1] - 1
    inside = np.clip(1 - probabilities[:, other], _LEAST, 1 - _LEAST)
    on_shelf = marks.columns < other
    free = _free(vectors, marks)

    labels = probabilities[:, :other] / inside[:, None]
    labelled = Marks(marks.rows[on_shelf], marks.columns[on_shelf])
    which = _refit(
        scale,
        vectors,
        vectors.mean(axis=0, dtype=np.float32),
        labels / np.maximum(labels.sum(axis=1, keepdims=True), _LEAST),
        labelled,
        _surest(vectors, probabilities[:, :other], labelled),
        free,
        HELD_WHICH,
    )
    whether = _refit(
        scale,
        vectors,
        np.zeros(vectors.shape[1], np.float32),
        np.column_stack((inside, 1 - inside)),
        Marks(marks.rows, (~on_shelf).astype(np.intp)),
        Marks.of({}),
        free,
        HELD_WHETHER,
    )
    return np.column_stack((which * whether[:, :1], whether[:, 1]))


def _surest(vectors: Vectors, probabilities: npt.NDArray[np.float32], marks: Marks) -> Marks:
    """The pictures that the model is surest of, a few a label, fewer where it has marks; none that
    a mark speaks against."""
    count, labels = probabilities.shape
    best = probabilities.argmax(axis=1)
    best[marks.rows] = -1
    half = 1 + count // (2 * (labels + 1))  # of an even share: what follows is doubtful
    known = np.bincount(marks.columns, minlength=labels)
    found: dict[int, int] = {}
    for label in range(labels):
        most = max(min(SHOTS - int(known[label]), half), 0)  # where marks are many, none
        rows = np.flatnonzero(best == label)
        rows = rows[np.argsort(-probabilities[rows, label], kind="stable")[: 4 * most]]
        against = vectors[marks.rows[marks.columns != label]].astype(np.float32)
        alike = (vectors[rows].astype(np.float32) @ against.T).max(axis=1, initial=-1.0)
        found |= dict.fromkeys(rows[alike < SAME][:most].tolist(), label)
    return Marks.of(found)


def _free(vectors: Vectors, marks: Marks) -> Rows:
    """Pictures that show nothing that is marked, evenly spread over the folder."""
    rows = np.setdiff1d(np.arange(len(vectors)), marks.rows)
    rows = rows[np.unique(np.linspace(0, max(len(rows) - 1, 0), min(len(rows), HELD), dtype=int))]
    marked = vectors[marks.rows].astype(np.float32)
    alike = (vectors[rows].astype(np.float32) @ marked.T).max(axis=1, initial=-1.0)
    return np.asarray(rows[alike < SAME])


def _refit(
    scale: float,
    vectors: Vectors,
    centre: npt.NDArray[np.float32],
    probabilities: npt.NDArray[np.float32],
    marks: Marks,
    shots: Marks,
    free: Rows,
    held: float,
) -> npt.NDArray[np.float32]:
    """(N, D), (N, C) -> (N, C): softmax(log P + scale (x - centre).W) with the W that is learnt
    from `marks`, `shots`, and the `free` pictures, each of weight `held`."""
    classes = probabilities.shape[1]
    logits = np.log(np.maximum(probabilities, _LEAST))
    if len(marks):
        columns = np.concatenate((marks.columns, shots.columns))
        weights = np.concatenate((np.ones(len(marks)), np.full(len(shots), SHOT_WEIGHT)))
        totals = np.bincount(columns, weights, minlength=classes)
        weights *= weights.sum() / np.count_nonzero(totals) / totals[columns]
        rows = np.concatenate((marks.rows, shots.rows, free))
        learnt = minimise(
            scale * (vectors[rows].astype(np.float64) - centre),
            logits[rows].astype(np.float64),
            np.concatenate((np.eye(classes)[columns], probabilities[free])),
            np.concatenate((weights, np.full(len(free), held))),
            ANCHOR / classes,
        ).astype(np.float32)
        for start in range(0, len(vectors), BLOCK):
            block = slice(start, start + BLOCK)
            logits[block] += scale * (vectors[block].astype(np.float32) - centre) @ learnt.T
    return np.asarray(softmax(logits), np.float32)


def minimise(
    features: Floats, logits: Floats, wanted: Floats, weights: Floats, penalty: float
) -> Floats:
    """The W (C, D) with the least sum_i w_i cross-entropy(logits_i + W x_i, y_i) + penalty |W|^2;
    `wanted` (n, C) holds the y_i, rows sum to 1.

    Gradient steps in the basis of the features' singular vectors, where Boehning's bound on the
    softmax's curvature (1/2 sum w x x^T, Ann. Inst. Stat. Math. 44, 1992) is diagonal and gives
    every direction its own safe step; Nesterov's momentum, begun anew where it points uphill
    (O'Donoghue and Candes 2015). The problem is convex, so that the start does not matter. SciPy's
    L-BFGS finds the same (tests/test_teach.py), but weighs more than all else that is installed.
    """
    root = np.sqrt(weights)[:, None]
    weighted = root * features
    squares, left = np.linalg.eigh(weighted @ weighted.T)  # n is small: quicker than a SVD
    left = left[:, squares > 1e-10 * squares[-1]]
    if not left.shape[1]:  # all features are zero, as of a folder of one picture
        return np.zeros((logits.shape[1], features.shape[1]))
    singular = np.sqrt(squares[-left.shape[1] :])
    inside = left * singular / root  # (n, r)
    step = 1 / (singular**2 / 2 + 2 * penalty)
    here = ahead = np.zeros((logits.shape[1], len(singular)))
    momentum = 1.0
    for _ in range(1000):
        error = weights[:, None] * (softmax(logits + inside @ ahead.T) - wanted)
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
    return np.asarray((here / singular) @ left.T @ weighted)
