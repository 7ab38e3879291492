"""The rules that are compared: an episode's pictures -> a score to keep by, and each one's label.

Every rule but ours asks one prompt a label, "a photo of a {}.", as the notebook did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.episodes import Episode
from benchmarks.accuracy.sets import Pool
from zeroshelf.decisions.decide import ood_scores, softmax
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import PLAIN
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Calibration, Scores

NEGLABEL_SCALE = 100.0  # NegLabel (ICLR 2024) takes the softmax of cosines / 0.01
GROUPS = 100


@dataclass(frozen=True)
class Seen:
    """An episode with what the rules look at."""

    episode: Episode
    cosines: np.ndarray  # (M, K), single prompt
    negatives: np.ndarray  # (M, B), cosines to all negative labels without the labels' own names
    logit_scale: float
    scores: Scores  # ours
    calibration: Calibration


Rule = Callable[[Seen], tuple[np.ndarray, np.ndarray]]  # (M,) keep by, (M,) label


def see(pool: Pool, episode: Episode, calibration: Calibration) -> Seen:
    vectors = pool.vectors[episode.rows].astype(np.float32)
    labels = pool.texts([PLAIN.format(name) for name in episode.labels])
    others = [one.prompt for one in negative_labels() if one.name not in episode.labels]
    return Seen(
        episode,
        vectors @ labels.T,
        vectors @ pool.texts(others).T,
        pool.model.logit_scale,
        scores(pool, episode),
        calibration,
    )


def scores(pool: Pool, episode: Episode) -> Scores:
    vectors = pool.vectors[episode.rows]
    return score_vectors(
        vectors, pool.model, resolve(parse(episode.labels), pool.texts), pool.texts
    )


def max_softmax(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """The notebook's score; its threshold is 0.6."""
    logits = np.asarray(seen.cosines * seen.logit_scale, np.float32)
    return softmax(logits).max(axis=1), seen.cosines.argmax(axis=1)


def max_cosine(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    return seen.cosines.max(axis=1), seen.cosines.argmax(axis=1)


def mcm(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Maximum concept matching (NeurIPS 2022): softmax of the bare cosines."""
    return softmax(seen.cosines).max(axis=1), seen.cosines.argmax(axis=1)


def neglabel(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """NegLabel: the labels' share of a softmax over labels and negatives, mean over 100 groups."""
    most = np.maximum(seen.cosines.max(axis=1), seen.negatives.max(axis=1))[:, None]
    labels = np.exp(NEGLABEL_SCALE * (seen.cosines - most)).sum(axis=1, keepdims=True)
    away = np.exp(NEGLABEL_SCALE * (seen.negatives - most))
    starts = np.linspace(0, away.shape[1], GROUPS, endpoint=False).astype(int)
    groups = np.add.reduceat(away, starts, axis=1)
    return (labels / (labels + groups + 1e-30)).mean(axis=1), seen.cosines.argmax(axis=1)


def ours(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    ood_score, logits = ood_scores(seen.scores, seen.calibration.typical_logit)
    return ood_score, logits.argmax(axis=1)


RULES: dict[str, Rule] = {
    "max softmax": max_softmax,
    "max cosine": max_cosine,
    "MCM": mcm,
    "NegLabel": neglabel,
    "ours": ours,
}
