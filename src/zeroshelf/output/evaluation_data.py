"""An evaluation as data: for `--json`, and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zeroshelf.decisions.decide import Decisions
from zeroshelf.decisions.evaluate import Evaluation


@dataclass(frozen=True, slots=True)
class Wrong:
    """A decision that is not right."""

    path: str
    truth: str  # a label, or "other"
    label: str  # the shelf that it is on
    probability: float  # of that shelf
    reason: str
    digest: str  # BLAKE3 of the content in hex: finds the thumbnail


@dataclass(frozen=True, slots=True)
class Confused:
    """Pictures of one truth on one wrong shelf."""

    truth: str
    label: str
    pictures: int


def wrong(decisions: Decisions, found: Evaluation, digests: Sequence[bytes]) -> list[Wrong]:
    """The wrong decisions of an evaluation, the most confident first. digests: (N,), of the
    pictures that `decisions` are about."""
    truth = dict(zip(found.rows, found.truth, strict=True))
    made = []
    for row in found.wrong:
        one = decisions[row]
        made.append(
            Wrong(
                one.picture.path,
                truth[row],
                one.label,
                one.probability,
                one.reason,
                digests[row].hex(),
            )
        )
    return sorted(made, key=lambda one: (-one.probability, one.path))


def confused(found: Evaluation) -> list[Confused]:
    """The pairs of a truth and a wrong shelf, those with the most pictures first."""
    pairs = np.argwhere(found.confusion)
    made = [
        Confused(found.names[true], found.names[shelf], int(found.confusion[true, shelf]))
        for true, shelf in pairs
        if true != shelf
    ]
    return sorted(made, key=lambda one: (-one.pictures, one.truth, one.label))


def as_json(found: Evaluation, wrong: Sequence[Wrong]) -> dict[str, Any]:
    """All of an evaluation, shares from 0 to 1, null where no picture counts."""
    confidences = found.confidences or {}
    return {
        "pictures": found.pictures,
        "accuracy": found.accuracy,
        "label_accuracy": found.label_accuracy,
        "other_accuracy": found.other_accuracy,
        "harmonic_mean": found.harmonic_mean,
        "calibration_error": found.calibration_error,
        "confidences": {word: asdict(one) for word, one in confidences.items()},
        "labels": {name: asdict(one) for name, one in found.labels.items()},
        "thresholds": [asdict(one) for one in found.thresholds],
        "names": list(found.names),
        "confusion": found.confusion.tolist(),
        "wrong": [asdict(one) for one in wrong],
    }
