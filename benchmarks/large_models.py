"""A large model that nothing was measured for: what its decisions keep, with the starter as one.

    python -m benchmarks.large_models negatives [--model starter-multilingual]
    python -m benchmarks.large_models scales
    python -m benchmarks.large_models folders [--model starter-multilingual]

negatives: the texts that 100 images need and the share of decisions that stay the same as with all
    negative labels, as the calibration is and with the same share kept.
scales: the starter's vectors are given the dimension, logit scale, modality gap and range of
    cosines of published models; the decisions with a transferred calibration are compared with the
    starter's own.
folders: what a calibration transferred on folders of one kind keeps, and how often "sure" is right.

It needs ../shared/data (benchmarks/accuracy/sets.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.accuracy import episodes, sets
from benchmarks.accuracy.__main__ import SEED
from zeroshelf.decisions import calibration_transfer, decide, likely_negatives
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.embeddings.compute import shipped_texts
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select
from zeroshelf.records import Calibration, Embeddings, Model, NegativeRows, Picture, Vectors

IMAGES = 100
SETS_OF_FOLDERS = {"only people": {"people", "portrait"}, "only screenshots": {"screenshot"}}


def known_first(pool: sets.Pool) -> Texts:
    """`pool.texts`, with the vectors that come with the model where there are any."""
    known = dict(shipped_texts(pool.model))

    def texts(wanted: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(wanted) if text not in known]
        if missing:
            known.update(zip(missing, pool.texts(missing), strict=True))
        return np.stack([known[text] for text in wanted])

    return texts


def embeddings(vectors: np.ndarray, model: Model) -> Embeddings:
    picture = Picture("", "JPEG", 0, 0, 0)
    return Embeddings((picture,) * len(vectors), (b"",) * len(vectors), vectors, (), model)


def drawn(pool: sets.Pool, count: int) -> list[tuple[episodes.Episode, np.ndarray]]:
    """Episodes, and up to `IMAGES` places in the rows of each."""
    rng = np.random.default_rng(SEED)
    found = []
    for one in episodes.draw(pool, count, SEED):
        size = min(len(one.rows), IMAGES)
        found.append((one, np.sort(rng.choice(len(one.rows), size, replace=False))))
    return found


@dataclass(frozen=True)
class Simulated:
    """A model made of the starter's vectors."""

    name: str
    dim: int
    scale: float
    gap: float  # cosine between the offsets of images and of texts, times their lengths
    narrow: float  # length of each modality's offset: its cosines with itself

    def maps(self, images: Vectors, texts: Vectors) -> tuple[np.ndarray, float, np.ndarray]:
        """(D, dim - 2) rotation to the joint principal axes, gain, and the two offsets."""
        rng = np.random.default_rng(1)
        both = np.concatenate((images, texts))
        _, axes = np.linalg.eigh(both.T @ both)
        inner = min(self.dim - 2, axes.shape[1])
        turn, _ = np.linalg.qr(rng.normal(size=(inner, inner)))
        rotation = axes[:, -inner:] @ turn
        angle = np.arccos(np.clip(self.gap / self.narrow**2, -1, 1))
        offsets = self.narrow * np.array([[1, 0], [np.cos(angle), np.sin(angle)]])
        return rotation, np.sqrt(1 - self.narrow**2), offsets


SIMULATED = (
    Simulated("rotated only", 1384, 0, 0.0, 0.001),
    Simulated("CLIP B/32: 512, scale 100", 512, 100, 0.20, 0.70),
    Simulated("CLIP L/14: 768, scale 100", 768, 100, 0.12, 0.60),
    Simulated("SigLIP B: 768, scale 110", 768, 110, -0.02, 0.60),
    Simulated("SigLIP So400m: 1152, scale 112", 1152, 112, 0.05, 0.80),
    Simulated("small: 384, scale 100", 384, 100, 0.20, 0.85),
)


def moved(vectors: Vectors, rotation: np.ndarray, gain: float, offset: np.ndarray) -> Vectors:
    inner = vectors.astype(np.float32) @ rotation
    inner *= gain / np.linalg.norm(inner, axis=1, keepdims=True)
    outer = np.broadcast_to(offset, (len(inner), len(offset)))
    return np.asarray(np.concatenate((inner, outer), axis=1), np.float32)


def _moved_texts(
    texts: Texts, rotation: np.ndarray, gain: float, offset: np.ndarray, wanted: Sequence[str]
) -> Vectors:
    return moved(texts(wanted), rotation, gain, offset)


def scales(count: int) -> None:
    pool = sets.load("starter")
    texts, own = known_first(pool), select.calibration(pool.model)
    all_texts = texts([one.prompt for one in negative_labels()])
    rng = np.random.default_rng(SEED)
    sample = rng.choice(len(pool), 300, replace=False)
    reference = embeddings(pool.vectors[sample], pool.model)
    folders = drawn(pool, count)
    before = []
    for one, at in folders:
        labels = resolve(parse(one.labels), texts)
        scored = score_vectors(pool.vectors[one.rows[at]], pool.model, labels, texts)
        before.append((labels, decide.decide(scored, own)))
    cohort = likely_negatives.likely(pool.vectors[sample], texts, pool.model.logit_scale)
    print("| model | cosines, 1 to 99 % | threshold | same decision | kept, starter's and its |")
    print("|---|---|---|---|---|")
    for made in SIMULATED:
        rotation, gain, offsets = made.maps(pool.vectors[sample].astype(np.float32), all_texts)
        images = moved(pool.vectors.astype(np.float32), rotation, gain, offsets[0])
        model = replace(
            pool.model, dim=images.shape[1], logit_scale=made.scale or pool.model.logit_scale
        )

        its = partial(_moved_texts, texts, rotation, gain, offsets[1])
        calibration = calibration_transfer.transfer(
            embeddings(images[sample], model), its, reference, texts, own, cohort
        )
        same, kept = [], []
        for (one, at), (labels, decided) in zip(folders, before, strict=True):
            rows = one.rows[at]
            some = likely_negatives.likely(pool.vectors[rows], texts, pool.model.logit_scale)
            scored = score_vectors(images[rows], model, labels, its, negatives=some)
            found = decide.decide(scored, calibration)
            same.append(found.chosen == decided.chosen)
            kept.append([(x.chosen < len(labels)).mean() for x in (decided, found)])
        cosines = np.quantile(
            images[sample] @ its([one.prompt for one in negative_labels()]).T, (0.01, 0.99)
        )
        shares = 100 * np.mean(kept, axis=0)
        print(
            f"| {made.name} | {cosines[0]:.2f} to {cosines[1]:.2f} "
            f"| {calibration.ood_threshold:.2f} "
            f"| {100 * np.concatenate(same).mean():.1f} | {shares[0]:.1f}, {shares[1]:.1f} |",
            flush=True,
        )


def negatives(name: str, count: int) -> None:
    pool, starter = sets.load(name), sets.load("starter")
    texts, theirs = known_first(pool), known_first(starter)
    calibration = select.calibration(pool.model)
    used, every, some = [], [], []
    for one, at in drawn(pool, count):
        rows, labels = one.rows[at], resolve(parse(one.labels), texts)
        near = likely_negatives.likely(starter.vectors[rows], theirs, starter.model.logit_scale)
        used.append(len(near.rows))
        every.append(score_vectors(pool.vectors[rows], pool.model, labels, texts))
        some.append(score_vectors(pool.vectors[rows], pool.model, labels, texts, negatives=near))
    wanted = [decide.decide(scores, calibration) for scores in every]

    def kept(found: Sequence[decide.Decisions]) -> float:
        return float(np.mean(np.concatenate([x.chosen < len(x.scores.labels) for x in found])))

    def same(found: Sequence[decide.Decisions]) -> float:
        pairs = zip(found, wanted, strict=True)
        return float(np.mean(np.concatenate([x.chosen == y.chosen for x, y in pairs])))

    tried = {
        offset: [decide.decide(scores, calibration, offset=offset) for scores in some]
        for offset in np.linspace(-0.5, 0.5, 21)
    }
    offset = min(tried, key=lambda one: abs(kept(tried[one]) - kept(wanted)))
    plain = [decide.decide(scores, calibration) for scores in some]
    print("| images | texts, mean and most | same decision | same, as many kept | offset |")
    print("|---|---|---|---|---|")
    print(
        f"| {IMAGES} | {np.mean(used):.0f}, {max(used)} of {len(negative_labels())} "
        f"| {100 * same(plain):.2f} | {100 * same(tried[offset]):.2f} | {offset:+.2f} |"
    )


def folders(name: str, count: int) -> None:
    pool, starter = sets.load(name), sets.load("starter")
    texts, theirs = known_first(pool), known_first(starter)
    own = select.calibration(starter.model)
    rng = np.random.default_rng(SEED)
    everyday = np.flatnonzero(pool.sets == "everyday")
    chosen = {
        what: np.array([row for row in everyday if pool.true[row] & names])
        for what, names in SETS_OF_FOLDERS.items()
    }
    chosen |= {"60 of everyday": rng.choice(everyday, 60, replace=False)}
    chosen |= {"300 of everyday": rng.choice(everyday, min(300, len(everyday)), replace=False)}
    judged = drawn(pool, count)
    print("| calibrated on | threshold | kept, clean | right of OOD | sure | sure is right |")
    print("|---|---|---|---|---|---|")
    tried: dict[str, tuple[Calibration, NegativeRows | None]] = {
        "the model's own": (select.calibration(pool.model), None)
    }
    for what, rows in chosen.items():
        near = likely_negatives.likely(starter.vectors[rows], theirs, starter.model.logit_scale)
        made = calibration_transfer.transfer(
            embeddings(pool.vectors[rows], pool.model), texts,
            embeddings(starter.vectors[rows], starter.model), theirs, own, near,
        )  # fmt: skip
        tried[f"{len(rows)}: {what}"] = made, near
    for what, (calibration, _) in tried.items():
        clean, ood, sure, right = [], [], [], []
        for one, at in judged:
            rows, labels = one.rows[at], resolve(parse(one.labels), texts)
            near = likely_negatives.likely(starter.vectors[rows], theirs, starter.model.logit_scale)
            scored = score_vectors(pool.vectors[rows], pool.model, labels, texts, negatives=near)
            found = decide.decide(scored, calibration)
            here = replace(one, rows=rows, true=one.true[at])
            correct = here.right(found.chosen)
            if one.share == 0:
                clean.append((found.chosen < len(labels)).mean())
            else:
                ood.append(correct[~here.inside])
            said = np.array([decide.confidence_of(found, i) == "sure" for i in range(len(rows))])
            sure.append(said)
            right.append(correct[said])
        print(
            f"| {what} | {calibration.ood_threshold:.2f} | {100 * np.mean(clean):.1f} "
            f"| {100 * np.concatenate(ood).mean():.1f} | {100 * np.concatenate(sure).mean():.1f} "
            f"| {100 * np.concatenate(right).mean():.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("negatives", "scales", "folders"))
    parser.add_argument("--model", default=select.MULTILINGUAL, help="stands in for a large model")
    parser.add_argument("--episodes", type=int, default=45)
    given = parser.parse_args()
    if given.what == "scales":
        scales(given.episodes)
    elif given.what == "negatives":
        negatives(given.model, given.episodes)
    else:
        folders(given.model, given.episodes)


if __name__ == "__main__":
    main()
