"""Labelled images -> a model's calibration.

The OOD threshold is, of all thresholds that leave at least MIN_KEPT_SHARE of a folder without OOD
images on its shelves, the one with the best harmonic mean of the accuracies on in-distribution and
on OOD images. The temperatures are those of the least log loss.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zeroshelf.counting import counted
from zeroshelf.decisions.constants import (
    ALL_KNOWN_EVERY,
    CALIBRATION_EPISODES,
    CALIBRATION_LEAST_IMAGES,
    CALIBRATION_LEAST_NAMES,
    MIN_KEPT_SHARE,
    TEMPERATURES,
    THRESHOLD_QUANTILES,
)
from zeroshelf.decisions.decide import ood_scores, sigmoid, softmax
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.errors import UserError
from zeroshelf.images.scan import scan
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import OTHER, Calibration, Embeddings, Folder, Scores

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


def episodes(scored: Sequence[tuple[Scores, npt.NDArray[np.int64]]]) -> list[Episode]:
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
    *,
    count: int = CALIBRATION_EPISODES,
    seed: int = 0,
) -> Calibration:
    """A calibration from labelled images. Folders are simulated: up to half of the names, drawn at
    random, are labels; images of the other names are OOD. Every third folder has no OOD images.

    embeddings: of N images.
    names: (N,), what each image shows.
    texts: embeds texts with the same model.
    count: how many folders are simulated.
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
    scored = []
    for number in range(count):
        labels = [str(x) for x in rng.choice(known, rng.integers(2, len(known) // 2 + 1), False)]
        inside = np.isin(shown, labels)
        rows = np.flatnonzero(inside if number % ALL_KNOWN_EVERY == 0 else np.ones_like(inside))
        column = {label: at for at, label in enumerate(labels)}
        scores = score_vectors(
            embeddings.vectors[rows], embeddings.model, resolve(parse(labels), texts), texts
        )
        truth = np.array([column.get(str(shown[row]), -1) for row in rows], np.int64)
        scored.append((scores, truth))
    source = f"{len(shown)} pictures under {len(known)} names, {counted(count, 'episode')}"
    return calibrate(episodes(scored), source)


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
    threshold = _best_threshold(made)

    def ood_loss(temperature: float) -> float:
        scaled = [(one.ood_score - threshold) / np.float32(temperature) for one in made]
        losses = [_log_loss(sigmoid(x), ~one.is_ood) for x, one in zip(scaled, made, strict=True)]
        return float(np.mean(losses))

    return Calibration(
        ood_threshold=round(threshold, 3),
        ood_temperature=round(_best_temperature(ood_loss), 3),
        label_temperature=round(_best_temperature(lambda t: _label_loss(made, t)), 3),
        typical_logit=made[0].typical_logit,
        origin="measured",
        source=source,
    )


def accuracies(one: Episode, threshold: float) -> tuple[float, float]:
    """Accuracy on in-distribution images and on OOD images; the second is nan without any."""
    kept = one.ood_score >= threshold
    ood = one.is_ood
    return (
        float((one.correct & kept)[~ood].mean()) if (~ood).any() else float("nan"),
        float((~kept)[ood].mean()) if ood.any() else float("nan"),
    )


def harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


def _best_threshold(made: Sequence[Episode]) -> float:
    clean = [one for one in made if not one.is_ood.any()]
    mixed = [one for one in made if one.is_ood.any() and not one.is_ood.all()]
    candidates = np.quantile(np.concatenate([one.ood_score for one in made]), THRESHOLD_QUANTILES)
    means = np.array(
        [np.mean([harmonic_mean(*accuracies(one, t)) for one in mixed]) for t in candidates]
    )
    if clean:
        kept = np.array(
            [np.mean([(one.ood_score >= t).mean() for one in clean]) for t in candidates]
        )
        means = np.where(kept >= min(MIN_KEPT_SHARE, kept.max()), means, -1)
    return float(candidates[means.argmax()])


def _best_temperature(loss: Callable[[float], float]) -> float:
    return float(min(TEMPERATURES, key=loss))


def _label_loss(made: Sequence[Episode], temperature: float) -> float:
    """The mean log loss of the true label on in-distribution images."""
    losses = []
    for one in made:
        inside = ~one.is_ood
        if inside.any() and one.logits.shape[1] > 1:
            p = softmax(one.logits[inside] / np.float32(temperature))
            losses.append(-np.log(p[np.arange(len(p)), one.truth[inside]] + 1e-9).mean())
    return float(np.mean(losses)) if losses else 0.0


def _log_loss(p: Floats, truth: npt.NDArray[np.bool_]) -> float:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-np.where(truth, np.log(p), np.log(1 - p)).mean())
