"""Labelled images -> a model's calibration.

The temperatures are those of the least log loss: the label temperature of the softmax over the
labels, the OOD temperature of a logistic regression of "fits a label" on the OOD score. The OOD
threshold is then judged by the decision itself, which puts an image on no shelf that is less likely
than "other": of all thresholds that leave at least MIN_KEPT_SHARE of a folder without OOD images on
its shelves, it is the one with the best harmonic mean of the accuracies on in-distribution and on
OOD images.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zeroshelf.counting import counted
from zeroshelf.decisions.calibration_check import Scored
from zeroshelf.decisions.constants import (
    ALL_KNOWN_EVERY,
    CALIBRATION_EPISODES,
    CALIBRATION_LEAST_IMAGES,
    CALIBRATION_LEAST_NAMES,
    MIN_KEPT_SHARE,
    NEWTON_STEPS,
    SLOPE_RIDGE,
    TEMPERATURES,
    THRESHOLD_QUANTILES,
)
from zeroshelf.decisions.decide import ood_scores, sigmoid, softmax
from zeroshelf.decisions.evaluate import harmonic_mean
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.errors import UserError
from zeroshelf.images.scan import scan
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import OTHER, Calibration, Embeddings, Folder, NegativeRows, Scores

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Episode:
    """A folder of N images with their true labels, as calibration uses it."""

    ood_score: Floats  # (N,)
    logits: Floats  # (N, K), smoothed
    truth: npt.NDArray[np.int64]  # (N,), the column of the true label; -1: an OOD image
    typical_logit: float  # `Calibration.typical_logit` that the OOD scores were computed with

    @property
    def is_ood(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.truth < 0)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """True where the best label is the true one."""
        return np.asarray(self.logits.argmax(axis=1) == self.truth)


def episode(scores: Scores, truth: npt.NDArray[np.int64], typical_logit: float) -> Episode:
    ood_score, logits = ood_scores(scores, typical_logit)
    return Episode(ood_score, logits, truth, typical_logit)


def episodes(scored: Sequence[Scored]) -> list[Episode]:
    """The scores of each folder and its truth (as in `Episode`) -> what `calibrate` takes."""
    typical = typical_logit([scores for scores, _ in scored])
    return [episode(scores, truth, typical) for scores, truth in scored]


def typical_logit(scores: Sequence[Scores]) -> float:
    """The median over all images of their mean logit over the negative labels."""
    means = [one.mean_negative_logit for one in scores if one.mean_negative_logit is not None]
    return round(float(np.median(np.concatenate(means))), 3)


def scan_sorted(folders: Sequence[str]) -> tuple[Folder, dict[str, str]]:
    """The pictures in a named sub-folder of one of `folders`, and each one's name by its path.
    Pictures directly in such a folder, and in a sub-folder "other", are left out."""
    names: dict[str, str] = {}
    found = [scan(os.path.expanduser(one), follow=True) for one in folders]  # also links
    for one in found:
        for picture in one.pictures:
            name, inside, _ = os.path.relpath(picture.path, one.root).partition(os.sep)
            if inside and name != OTHER:
                names[picture.path] = name
    return (
        Folder(
            root=", ".join(one.root for one in found),
            pictures=tuple(p for one in found for p in one.pictures if p.path in names),
            skipped=tuple(skipped for one in found for skipped in one.skipped),
        ),
        names,
    )


def from_labelled(
    embeddings: Embeddings,
    names: Sequence[str],
    texts: Texts,
    negatives: NegativeRows | None = None,
) -> tuple[Calibration, list[Scored]]:
    """A calibration from labelled images, and the simulated folders (`simulated`) that it was made
    from. Arguments and errors as there."""
    scored = simulated(embeddings, names, texts, negatives)
    shown, known = names, set(names)
    source = f"{len(shown)} pictures under {len(known)} names, {counted(len(scored), 'episode')}"
    return calibrate(episodes(scored), source), scored


def simulated(
    embeddings: Embeddings,
    names: Sequence[str],
    texts: Texts,
    negatives: NegativeRows | None = None,
    *,
    count: int = CALIBRATION_EPISODES,
    seed: int = 0,
) -> list[Scored]:
    """Folders simulated from labelled images: up to half of the names, drawn at random, are labels;
    images of the other names are OOD. Every third folder has no OOD images.

    embeddings: of N images.
    names: (N,), what each image shows.
    texts: embeds texts with the same model.
    negatives: the negative labels that the model uses for these images; None: all.
    count: how many folders are simulated.
    Returns: the scores of each folder, and its truth as in `Episode`.
    Raises `UserError` if there are too few images or names.
    """
    shown = np.array(names)
    known = sorted(set(names))
    if len(known) < CALIBRATION_LEAST_NAMES:
        raise UserError(
            f"calibration needs pictures under {CALIBRATION_LEAST_NAMES} names or more; "
            f"found {len(known)}"
        )
    if len(shown) < CALIBRATION_LEAST_IMAGES:
        raise UserError(
            f"calibration needs {CALIBRATION_LEAST_IMAGES} pictures or more; found {len(shown)}"
        )
    rng = np.random.default_rng(seed)
    scored: list[Scored] = []
    for number in range(count):
        labels = [str(x) for x in rng.choice(known, rng.integers(2, len(known) // 2 + 1), False)]
        inside = np.isin(shown, labels)
        rows = np.flatnonzero(inside if number % ALL_KNOWN_EVERY == 0 else np.ones_like(inside))
        column = {label: at for at, label in enumerate(labels)}
        scores = score_vectors(
            embeddings.vectors[rows],
            embeddings.model,
            resolve(parse(labels), texts),
            texts,
            negatives=negatives,
        )
        truth = np.array([column.get(str(shown[row]), -1) for row in rows], np.int64)
        scored.append((scores, truth))
    return scored


def calibrate(made: Sequence[Episode], source: str) -> Calibration:
    """The calibration that does best on these episodes; each counts the same, whatever its number
    of images. `source` is stored with it. Raises `UserError` if there are too few images."""
    ood = sum(int(one.is_ood.sum()) for one in made)
    inside = sum(int((~one.is_ood).sum()) for one in made)
    if ood < CALIBRATION_LEAST_IMAGES or inside < CALIBRATION_LEAST_IMAGES:
        raise UserError(
            f"calibration needs {CALIBRATION_LEAST_IMAGES} pictures that fit a label and "
            f"{CALIBRATION_LEAST_IMAGES} that fit none; here are {inside} and {ood}"
        )
    label_temperature = float(min(TEMPERATURES, key=lambda t: _label_loss(made, t)))
    ood_temperature = _ood_temperature(made)
    threshold = _best_threshold(made, ood_temperature, label_temperature)
    return Calibration(
        ood_threshold=round(threshold, 3),
        ood_temperature=round(ood_temperature, 3),
        label_temperature=round(label_temperature, 3),
        typical_logit=made[0].typical_logit,
        origin="measured",
        source=source,
    )


def greatest_threshold(
    ood_score: Floats, logits: Floats, ood_temperature: float, label_temperature: float
) -> Floats:
    """OOD scores (N,) and logits (N, K) of `decide.ood_scores` -> (N,): the greatest OOD threshold
    with which each image stays on a shelf. The in-distribution probability times the best label's
    share reaches P(other) where (ood_score - threshold) / ood_temperature >= -ln(share)."""
    share = softmax(logits / np.float32(label_temperature)).max(axis=1)
    return np.asarray(ood_score + np.float32(ood_temperature) * np.log(share), np.float32)


def kept(one: Episode, calibration: Calibration) -> npt.NDArray[np.bool_]:
    """(N,): the images that the calibration leaves on a shelf."""
    temperatures = calibration.ood_temperature, calibration.label_temperature
    greatest = greatest_threshold(one.ood_score, one.logits, *temperatures)
    return np.asarray(greatest >= calibration.ood_threshold)


def accuracies(one: Episode, on_shelf: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Accuracy on in-distribution images and on OOD images; the second is nan without any.
    `on_shelf` (N,): the images that are on a shelf."""
    ood = one.is_ood
    return (
        float((one.correct & on_shelf)[~ood].mean()) if (~ood).any() else float("nan"),
        float((~on_shelf)[ood].mean()) if ood.any() else float("nan"),
    )


def _best_threshold(
    made: Sequence[Episode], ood_temperature: float, label_temperature: float
) -> float:
    limits = [
        greatest_threshold(one.ood_score, one.logits, ood_temperature, label_temperature)
        for one in made
    ]
    pairs = list(zip(made, limits, strict=True))
    clean = [limit for one, limit in pairs if not one.is_ood.any()]
    mixed = [(one, limit) for one, limit in pairs if one.is_ood.any() and not one.is_ood.all()]
    candidates = np.quantile(np.concatenate(limits), THRESHOLD_QUANTILES)
    means = np.array(
        [
            np.mean([harmonic_mean(*accuracies(one, of >= t)) for one, of in mixed])
            for t in candidates
        ]
    )
    if clean:
        shares = np.array([np.mean([(limit >= t).mean() for limit in clean]) for t in candidates])
        means = np.where(shares >= min(MIN_KEPT_SHARE, shares.max()), means, -1)
    return float(candidates[means.argmax()])


def _ood_temperature(made: Sequence[Episode]) -> float:
    """1 / slope of the logistic regression, by Newton's method; each episode counts the same."""
    score = np.concatenate([one.ood_score for one in made]).astype(np.float64)
    inside = np.concatenate([~one.is_ood for one in made])
    weights = np.concatenate([np.full(len(one.truth), 1 / len(one.truth)) for one in made])
    weights = weights * len(score) / weights.sum()
    spread = score.std() + 1e-9
    x = np.column_stack(((score - score.mean()) / spread, np.ones_like(score)))
    beta = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        p = sigmoid(np.asarray(x @ beta, np.float32)).astype(np.float64)
        slope = x.T @ (weights * (inside - p)) - SLOPE_RIDGE * beta
        curve = (x * (weights * p * (1 - p))[:, None]).T @ x + SLOPE_RIDGE * np.eye(2)
        beta = beta + np.linalg.solve(curve, slope)
    return float(np.clip(spread / max(beta[0], 1e-9), TEMPERATURES[0], TEMPERATURES[-1]))


def _label_loss(made: Sequence[Episode], temperature: float) -> float:
    """The mean log loss of the true label on in-distribution images."""
    losses = []
    for one in made:
        inside = ~one.is_ood
        if inside.any() and one.logits.shape[1] > 1:
            p = softmax(one.logits[inside] / np.float32(temperature))
            losses.append(-np.log(p[np.arange(len(p)), one.truth[inside]] + 1e-9).mean())
    return float(np.mean(losses)) if losses else 0.0
