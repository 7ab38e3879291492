"""Few-shot adaptation: the user's corrections -> better decisions for the other pictures. Pure, and
without corrections the decisions stay exactly as they are.

A decision has two parts (decisions/decide.py): is the picture on a shelf at all, and on which? Each
part is adapted by itself, by logistic regression anchored at the model's probabilities: with
z = log P the logits of either part, z' = z + s W (x - m), where s is the model's logit scale and
W (classes, D) minimises

    sum_i w_i cross-entropy(z'_i, y_i) + (lam / classes) |W|^2

over three groups of pictures. (1) Corrected pictures, with y the user's label. (2) For "which",
pseudo-labelled pictures: up to two dozen of each label without corrections, among those that the
model is surest of; none that resembles a corrected picture. Without them, what is learnt for one
label spoils the others. A label with corrections has none: some would be wrong, and outweigh the
corrections. Each label's pictures of (1) and (2) have the same weight together, and a corrected one
has weight 1 in the mean. (3) Unlabelled pictures, which stand for the rest of the folder, with y
the model's own probabilities: they hold the decisions where they are unless the corrections agree.
For "which", m is the folder's mean; without it, each correction would make its label likelier for
every picture. For "whether", m is 0, because there a correction should do just that.

The anchor is that of CLAP (Silva-Rodriguez et al., CVPR 2024), kept as an offset so that it works
for labels with several prompts and for "other" as well; the unlabelled pictures are used as in
learning without forgetting (Li and Hoiem, ECCV 2016). docs/review.md has the figures, and how the
constants were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.decide import Decisions, choose, softmax

ANCHOR_WHICH = 200.0  # lam for "which shelf"
ANCHOR_WHETHER = 50.0  # and for "on a shelf at all"
PSEUDO_LABELLED = 24  # pseudo-labelled pictures of a label without corrections, at most
UNLABELLED = 256  # pictures that stand for the rest of the folder
UNLABELLED_WHICH = 1 / UNLABELLED  # weight of one of them for "which shelf"
UNLABELLED_WHETHER = 12 / UNLABELLED  # and for "on a shelf at all"
SAME = 0.95  # cosine from which a picture counts as showing the same as a corrected one
BLOCK = 8192  # pictures computed at once
_LEAST = 1e-7  # least probability, so that its logarithm is finite: the precision of 1 - P

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Vectors = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled pictures: `rows[i]` belongs in column `columns[i]`. Of K labels, column K is
    "other"."""

    rows: Rows  # (M,), each once
    columns: Rows  # (M,)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, columns: Mapping[int, int]) -> Examples:
        """From a picture's row -> its column."""
        rows = sorted(columns)
        return cls(np.array(rows, np.intp), np.array([columns[row] for row in rows], np.intp))


@dataclass(frozen=True, slots=True)
class ExternalExamples:
    """Corrected pictures that are not in this run."""

    vectors: Vectors  # (M, D), each row of length 1
    probabilities: npt.NDArray[np.float32]  # (M, K + 1), by the model under this run's labels
    columns: Rows  # (M,), the user's labels


def adapt(
    vectors: Vectors,
    decisions: Decisions,
    examples: Examples,
    external: ExternalExamples | None = None,
    threshold: float | None = None,
) -> Decisions:
    """`decisions` adapted to `examples` and `external`. A picture of `examples` has the label given
    there, with probability 1; the other pictures are decided anew (in a closed set: among the
    labels).

    vectors: (N, D), each row of length 1, of the pictures that `decisions` are about.
    threshold: as for `decide.decide`.
    """
    if not len(examples) and external is None:
        return decisions
    scale = decisions.scores.model.logit_scale
    if external is None:
        probabilities = adapted(vectors, decisions.probabilities, examples, scale)
    else:
        count = len(vectors)
        probabilities = adapted(
            np.concatenate((vectors, external.vectors)),
            np.concatenate((decisions.probabilities, external.probabilities)),
            Examples(
                np.concatenate((examples.rows, count + np.arange(len(external.columns)))),
                np.concatenate((examples.columns, external.columns)),
            ),
            scale,
        )[:count]
    if decisions.closed:
        probabilities = np.column_stack((_among(probabilities[:, :-1]), np.zeros(len(vectors))))
        probabilities = probabilities.astype(np.float32)
    rows, columns = examples.rows, examples.columns
    chosen = choose(probabilities, decisions.scores.labels, threshold, closed=decisions.closed)
    chosen[rows] = columns
    probabilities[rows] = np.eye(probabilities.shape[1], dtype=np.float32)[columns]
    corrected = frozenset(rows.tolist())
    return replace(decisions, probabilities=probabilities, chosen=chosen, corrected=corrected)


def adapted(
    vectors: Vectors, probabilities: npt.NDArray[np.float32], examples: Examples, scale: float
) -> npt.NDArray[np.float32]:
    """(N, K + 1) probabilities, column K "other" -> the same shape, adapted to `examples`.

    vectors: (N, D), each row of length 1. scale: the model's logit scale.
    """
    other = probabilities.shape[1] - 1
    inside = np.clip(1 - probabilities[:, other], _LEAST, 1 - _LEAST)
    on_shelf = examples.columns < other
    unlabelled = _unlabelled(vectors, examples)

    labels = probabilities[:, :other] / inside[:, None]
    labelled = Examples(examples.rows[on_shelf], examples.columns[on_shelf])
    which = _refit(
        scale,
        vectors,
        vectors.mean(axis=0, dtype=np.float32),
        _among(labels),
        labelled,
        _pseudo_labelled(vectors, probabilities[:, :other], labelled),
        unlabelled,
        UNLABELLED_WHICH,
        ANCHOR_WHICH,
    )
    whether = _refit(
        scale,
        vectors,
        np.zeros(vectors.shape[1], np.float32),
        np.column_stack((inside, 1 - inside)),
        Examples(examples.rows, (~on_shelf).astype(np.intp)),
        Examples.of({}),
        unlabelled,
        UNLABELLED_WHETHER,
        ANCHOR_WHETHER,
    )
    return np.column_stack((which * whether[:, :1], whether[:, 1]))


def _among(labels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, K) probabilities of labels -> each one's share of their sum."""
    return np.asarray(labels / np.maximum(labels.sum(axis=1, keepdims=True), _LEAST))


def _pseudo_labelled(
    vectors: Vectors, probabilities: npt.NDArray[np.float32], examples: Examples
) -> Examples:
    """A few pictures for each label without examples, evenly spread over those that the model is
    surest of, as many as the label's even share of the folder; none that shows the same as an
    example."""
    count, labels = probabilities.shape
    best = probabilities.argmax(axis=1)
    best[examples.rows] = -1
    share = 1 + count // (labels + 1)
    corrected = vectors[examples.rows].astype(np.float32)
    found: dict[int, int] = {}
    for label in np.setdiff1d(np.arange(labels), examples.columns).tolist():
        rows = np.flatnonzero(best == label)
        rows = rows[np.argsort(-probabilities[rows, label], kind="stable")[:share]]
        rows = rows[_spread(len(rows), PSEUDO_LABELLED)]
        alike = (vectors[rows].astype(np.float32) @ corrected.T).max(axis=1, initial=-1.0)
        found |= dict.fromkeys(rows[alike < SAME].tolist(), label)
    return Examples.of(found)


def _spread(count: int, most: int) -> Rows:
    """Up to `most` of the indices below `count`, evenly spread, the first and the last included."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most), dtype=np.intp))


def _unlabelled(vectors: Vectors, examples: Examples) -> Rows:
    """Up to `UNLABELLED` rows, evenly spread over the folder, that show the same as no example."""
    rows = np.setdiff1d(np.arange(len(vectors)), examples.rows)
    rows = rows[_spread(len(rows), UNLABELLED)]
    corrected = vectors[examples.rows].astype(np.float32)
    alike = (vectors[rows].astype(np.float32) @ corrected.T).max(axis=1, initial=-1.0)
    return np.asarray(rows[alike < SAME])


def _refit(
    scale: float,
    vectors: Vectors,
    centre: npt.NDArray[np.float32],
    probabilities: npt.NDArray[np.float32],
    examples: Examples,
    pseudo_labelled: Examples,
    unlabelled: Rows,
    weight: float,
    anchor: float,
) -> npt.NDArray[np.float32]:
    """(N, D), (N, C) -> (N, C): softmax(log P + scale W (x - centre)), with W fitted to `examples`,
    `pseudo_labelled` and the `unlabelled` rows, each of the last with this `weight`; `anchor` is
    lam."""
    classes = probabilities.shape[1]
    logits = np.log(np.maximum(probabilities, _LEAST))
    if len(examples):
        columns = np.concatenate((examples.columns, pseudo_labelled.columns))
        per_label = len(examples) / len(np.unique(examples.columns))
        weights = per_label / np.bincount(columns)[columns]
        rows = np.concatenate((examples.rows, pseudo_labelled.rows, unlabelled))
        fitted = minimise(
            scale * (vectors[rows].astype(np.float64) - centre),
            logits[rows].astype(np.float64),
            np.concatenate((np.eye(classes)[columns], probabilities[unlabelled])),
            np.concatenate((weights, np.full(len(unlabelled), weight))),
            anchor / classes,
        ).astype(np.float32)
        for start in range(0, len(vectors), BLOCK):
            block = slice(start, start + BLOCK)
            logits[block] += scale * (vectors[block].astype(np.float32) - centre) @ fitted.T
    return np.asarray(softmax(logits), np.float32)


def minimise(
    features: Floats, logits: Floats, wanted: Floats, weights: Floats, penalty: float
) -> Floats:
    """The W (C, D) that minimises sum_i w_i cross-entropy(logits_i + W x_i, y_i) + penalty |W|^2.

    features: (n, D), the x_i. logits: (n, C). wanted: (n, C), the y_i; rows sum to 1.
    weights: (n,), the w_i, above 0.

    Gradient steps in the basis of the features' singular vectors, where Boehning's bound on the
    softmax's curvature (1/2 sum w x x^T, Ann. Inst. Stat. Math. 44, 1992) is diagonal and gives
    every direction its own safe step; Nesterov's momentum, restarted where it points uphill
    (O'Donoghue and Candes 2015). The problem is convex, so the start does not matter. SciPy's
    L-BFGS finds the same (tests/test_few_shot.py), but SciPy is larger than all other dependencies.
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
