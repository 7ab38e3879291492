"""Labelled pictures -> a model's three constants of the open-set decision.

`delta` is the lowest bar that serves folders with and without garbage alike: of all bars that leave
at least KEPT of a folder without garbage on its shelves, the one with the best harmonic mean of
accuracy on kept and on garbage. The temperatures are those of the least log loss.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.decide import fit, sigmoid, softmax
from zeroshelf.decisions.scores import score
from zeroshelf.errors import UserError
from zeroshelf.images.scan import scan
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import OTHER, Embeddings, OpenSet, Scores
from zeroshelf.records import Folder as PictureFolder

KEPT = 0.94  # of a folder without garbage
TEMPERATURES = np.geomspace(0.1, 20, 60)
LEAST = 50  # pictures of each sort

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder with its truth: as decisions.fit sees it."""

    d: Floats  # (N,)
    logits: Floats  # (N, K)
    truth: npt.NDArray[np.int64]  # (N,), a label's place, or -1: garbage
    typical: float  # `OpenSet.typical` that d was made with

    @property
    def garbage(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.truth < 0)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Where the best label is the true one."""
        return np.asarray(self.logits.argmax(axis=1) == self.truth)


def folder(scores: Scores, truth: npt.NDArray[np.int64], typical: float) -> Folder:
    d, logits = fit(with_constants(scores, OpenSet(typical=typical)))
    return Folder(d, logits, truth, typical)


def folders(asked: Sequence[tuple[Scores, npt.NDArray[np.int64]]]) -> list[Folder]:
    """What was said of each folder, and its truth -> what `calibrate` takes."""
    level = typical([scores for scores, _ in asked])
    return [folder(scores, truth, level) for scores, truth in asked]


def typical(scores: Sequence[Scores]) -> float:
    """The median picture's mean logit over the whole bank."""
    common = [one.common for one in scores if one.common is not None]
    return round(float(np.median(np.concatenate(common))), 3)


def sorted_already(folders: Sequence[str]) -> tuple[PictureFolder, dict[str, str]]:
    """The pictures that lie in a folder of a name, below one of `folders`; each path's name. What
    lies in "other" has none."""
    names: dict[str, str] = {}
    found = [scan(os.path.expanduser(one), follow=True) for one in folders]  # also links
    for one in found:
        for picture in one.pictures:
            name, inside, _ = os.path.relpath(picture.path, one.root).partition(os.sep)
            if inside and name != OTHER:
                names[picture.path] = name
    return (
        PictureFolder(
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
    episodes: int = 60,
    seed: int = 0,
) -> OpenSet:
    """`names[i]` is what picture i truly shows. Folders are made of it: half of the names, drawn by
    chance, are labels; the pictures of the others are garbage, and every third folder has none.
    """
    truth = np.array(names)
    known = sorted(set(names))
    if len(known) < 4:
        raise UserError(f"calibration needs pictures under 4 names or more; found {len(known)}")
    if len(truth) < LEAST:
        raise UserError(f"calibration needs {LEAST} pictures or more; found {len(truth)}")
    rng = np.random.default_rng(seed)
    asked = []
    for episode in range(episodes):
        labels = [str(x) for x in rng.choice(known, rng.integers(2, len(known) // 2 + 1), False)]
        inside = np.isin(truth, labels)
        rows = np.flatnonzero(inside if episode % 3 == 0 else np.ones(len(truth), bool))
        place = {label: at for at, label in enumerate(labels)}
        asked.append(
            (
                score(embeddings.some(rows), resolve(parse(labels), texts), texts),
                np.array([place.get(str(truth[row]), -1) for row in rows], np.int64),
            )
        )
    return calibrate(
        folders(asked), f"{len(truth)} pictures under {len(known)} names, {episodes} episodes"
    )


def calibrate(made: Sequence[Folder], source: str) -> OpenSet:
    """Every folder counts the same, however many pictures it holds."""
    garbage = sum(int(one.garbage.sum()) for one in made)
    inside = sum(int((~one.garbage).sum()) for one in made)
    if garbage < LEAST or inside < LEAST:
        raise UserError(
            f"calibration needs {LEAST} pictures that fit a label and {LEAST} that fit none; "
            f"here are {inside} and {garbage}"
        )
    delta = _delta(made)
    return OpenSet(
        delta=round(delta, 3),
        t_open=round(_temperature_open(made, delta), 3),
        t_labels=round(_temperature_labels(made), 3),
        typical=made[0].typical,
        source=source,
    )


def outcome(one: Folder, delta: float) -> tuple[float, float]:
    """Accuracy on pictures that fit a label, and on garbage; the second nan without garbage."""
    kept = one.d >= delta
    bad = one.garbage
    return (
        float((one.right & kept)[~bad].mean()) if (~bad).any() else float("nan"),
        float((~kept)[bad].mean()) if bad.any() else float("nan"),
    )


def harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


def _delta(folders: Sequence[Folder]) -> float:
    clean = [one for one in folders if not one.garbage.any()]
    mixed = [one for one in folders if one.garbage.any() and not one.garbage.all()]
    bars = np.quantile(np.concatenate([one.d for one in folders]), np.linspace(0.01, 0.99, 120))
    means = np.array([np.mean([harmonic(*outcome(one, bar)) for one in mixed]) for bar in bars])
    if clean:
        kept = np.array([np.mean([(one.d >= bar).mean() for one in clean]) for bar in bars])
        means = np.where(kept >= min(KEPT, kept.max()), means, -1)
    return float(bars[means.argmax()])


def _temperature_open(folders: Sequence[Folder], delta: float) -> float:
    def loss(temperature: float) -> float:
        return float(
            np.mean(
                [
                    _log_loss(sigmoid((one.d - delta) / np.float32(temperature)), ~one.garbage)
                    for one in folders
                ]
            )
        )

    return float(min(TEMPERATURES, key=loss))


def _temperature_labels(folders: Sequence[Folder]) -> float:
    def loss(temperature: float) -> float:
        losses = []
        for one in folders:
            inside = ~one.garbage
            if inside.any() and one.logits.shape[1] > 1:
                p = softmax(one.logits[inside] / np.float32(temperature))
                losses.append(-np.log(p[np.arange(len(p)), one.truth[inside]] + 1e-9).mean())
        return float(np.mean(losses)) if losses else 0.0

    return float(min(TEMPERATURES, key=loss))


def _log_loss(p: Floats, truth: npt.NDArray[np.bool_]) -> float:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-np.where(truth, np.log(p), np.log(1 - p)).mean())


def with_constants(scores: Scores, constants: OpenSet) -> Scores:
    return replace(scores, model=replace(scores.model, open_set=constants))
