"""Calibration transfer: a model without a calibration gets one from the starter model.

Logits differ in level and spread between models, so a threshold of one model is meaningless for
another. Both models score the same images under the same made-up label sets. The new threshold
keeps as many images on shelves as the starter does; the temperatures are scaled by the ratio of
the models' spreads of scores. No image needs a label. benchmarks/accuracy/calibration_transfer.py
measures the effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zeroshelf.counting import counted
from zeroshelf.decisions.calibrate import greatest_threshold, typical_logit
from zeroshelf.decisions.constants import (
    SCALE_RATIO_FLOOR,
    TRANSFER_DIVERSITY,
    TRANSFER_LABEL_SETS,
    TRANSFER_LABELS,
    TRANSFER_LEAST_IMAGES,
)
from zeroshelf.decisions.decide import ood_scores
from zeroshelf.decisions.likely_negatives import starter_sample
from zeroshelf.decisions.scores import score
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import calibrations, select
from zeroshelf.records import (
    Calibration,
    Embeddings,
    Encoder,
    Label,
    LabelSet,
    NegativeRows,
    Progress,
    Scores,
)

Floats = npt.NDArray[np.float32]
ScoresAndLogits = tuple[Floats, Floats]  # (N,) OOD scores, (N, K) logits


def calibrate_once(
    embedded: Embeddings,
    encoder: Encoder,
    store: EmbeddingCache,
    negatives: NegativeRows | None = None,
    progress: Progress | None = None,
) -> Calibration | None:
    """Transfer a calibration and store it, so that later runs find it. None where that is not
    possible (`from_starter`). If it can't be stored, or is provisional, later runs transfer it
    again."""
    calibration = from_starter(embedded, encoder, store, negatives, progress)
    if calibration is not None:
        with contextlib.suppress(UserError):
            calibrations.store(embedded.model, calibration)
    return calibration


def from_starter(
    embedded: Embeddings,
    encoder: Encoder,
    store: EmbeddingCache,
    negatives: NegativeRows | None = None,
    progress: Progress | None = None,
) -> Calibration | None:
    """A calibration for the encoder's model, transferred from the starter on up to
    `TRANSFER_MOST_IMAGES` of the images that it embedded.

    embedded: images embedded by `encoder`.
    store: the cache; the starter's embeddings of these images are added to it.
    negatives: the negative labels that the encoder's model uses; None: all.
    progress: called with the stage "calibrating".
    None if there are too few images, or if the model knows no English (the label sets are
    English).
    """
    languages = embedded.model.languages
    if len(embedded) < TRANSFER_LEAST_IMAGES or (languages and "en" not in languages):
        return None

    def report(_stage: str, done: int, total: int) -> None:
        if progress:
            progress("calibrating", done, total)

    reference = starter_sample(embedded, store, report)
    starter = select.load(reference.model)
    row_of = {picture.path: row for row, picture in enumerate(embedded.pictures)}
    own = embedded.some(row_of[picture.path] for picture in reference.pictures)
    if len(own) < TRANSFER_LEAST_IMAGES:
        return None
    return transfer(
        own,
        compute.text_embedder(encoder, store, report),
        reference,
        compute.text_embedder(starter, store, report),
        select.calibration(starter.model),
        negatives,
    )


def transfer(
    own: Embeddings,
    own_texts: Texts,
    reference: Embeddings,
    reference_texts: Texts,
    calibration: Calibration,
    negatives: NegativeRows | None = None,
) -> Calibration:
    """A calibration for the model of `own`.

    own, reference: the same N images in the same order, embedded by the two models.
    own_texts, reference_texts: embed texts with these models.
    calibration: of the reference model.
    negatives: the negative labels that the model of `own` uses, and here the reference model too;
        None: all.
    """
    own_scores: list[ScoresAndLogits] = []
    reference_scores: list[ScoresAndLogits] = []
    last: tuple[Scores | None, Scores | None] = None, None
    typical: float | None = None
    sets = _label_sets(reference, reference_texts, negatives)
    # the definitions of all words at once take a fraction of the time of one set after the other
    every = {one.name: one for labels in sets for one in labels}
    resolve(LabelSet(tuple(every.values())), reference_texts)
    for labels in sets:
        resolved = resolve(labels, reference_texts)
        both = (
            score(own, resolved, own_texts, last[0], negatives=negatives),
            score(reference, resolved, reference_texts, last[1], negatives=negatives),
        )
        typical = typical_logit(both[:1]) if typical is None else typical
        own_scores.append(ood_scores(both[0], typical))
        reference_scores.append(ood_scores(both[1], calibration.typical_logit))
        last = both
    spreads = _ratio(_mean_spread(own_scores), _mean_spread(reference_scores))
    margins = _ratio(_mean_margin(own_scores), _mean_margin(reference_scores))
    reference_temperatures = calibration.ood_temperature, calibration.label_temperature
    temperatures = reference_temperatures[0] * spreads, reference_temperatures[1] * margins
    own_limits, reference_limits = (
        np.concatenate([greatest_threshold(*scores, *both) for scores in one])
        for one, both in (
            (own_scores, temperatures),
            (reference_scores, reference_temperatures),
        )
    )
    kept = float((reference_limits >= calibration.ood_threshold).mean())
    return Calibration(
        ood_threshold=round(float(np.quantile(own_limits, 1 - kept)), 3),
        ood_temperature=round(temperatures[0], 3),
        label_temperature=round(temperatures[1], 3),
        typical_logit=typical,
        origin="transferred" if _diversity(reference) >= TRANSFER_DIVERSITY else "provisional",
        source=f"{reference.model.id} on {counted(len(reference), 'picture')}",
    )


def _diversity(images: Embeddings) -> float:
    """1 less the mean cosine of any two images: 0 if all are the same."""
    return float(1 - np.linalg.norm(images.vectors.astype(np.float32).mean(axis=0)) ** 2)


def _label_sets(
    reference: Embeddings, texts: Texts, negatives: NegativeRows | None
) -> list[LabelSet]:
    """Sets of 2 to 20 labels, drawn from the negative nouns that are nearest to some image. Each is
    asked by the prompt that it has as a negative label, which is embedded already."""
    every = negative_labels()
    rows = range(len(every)) if negatives is None else negatives.rows.tolist()
    nouns = [every[row] for row in rows if every[row].kind == "noun"]
    cosines = reference.vectors.astype(np.float32) @ texts([one.prompt for one in nouns]).T
    centred = (cosines - cosines.mean(axis=0)) / (cosines.std(axis=0) + 1e-6)
    seen = [
        Label(nouns[row].name, prompts=(nouns[row].prompt,))
        for row in np.unique(centred.argmax(axis=1))
    ]
    rng = np.random.default_rng(0)
    least, most = np.log(TRANSFER_LABELS)
    counts = np.exp(rng.uniform(least, most, TRANSFER_LABEL_SETS)).round().astype(int)
    return [
        LabelSet(
            tuple(seen[at] for at in rng.choice(len(seen), min(count, len(seen)), replace=False))
        )
        for count in counts
    ]


def _mean_spread(scored: Sequence[ScoresAndLogits]) -> float:
    """The mean standard deviation of the OOD scores."""
    return float(np.mean([ood_score.std() for ood_score, _ in scored]))


def _mean_margin(scored: Sequence[ScoresAndLogits]) -> float:
    """The mean difference between the best and the second-best label, in logits."""
    best = [np.sort(logits, axis=1)[:, -2:] for _, logits in scored if logits.shape[1] > 1]
    return float(np.mean([(two[:, 1] - two[:, 0]).mean() for two in best])) if best else 0.0


def _ratio(own: float, reference: float) -> float:
    """At least `SCALE_RATIO_FLOOR`, for a model that scores all images alike; 1 if unknown."""
    return max(own / reference, SCALE_RATIO_FLOOR) if own > 0 and reference > 0 else 1.0
