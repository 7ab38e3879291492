"""What a calibration transferred from the starter is worth.

    python -m benchmarks.accuracy.calibration_transfer [--model DIR]

The model is calibrated without any label, on up to 300 pictures of one development set or of all,
and evaluated on episodes over all sets; for comparison, so are the default and its own calibration.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.accuracy import episodes, rules, sets
from benchmarks.accuracy.__main__ import SEED
from zeroshelf.decisions import calibrate, calibration_transfer, constants
from zeroshelf.decisions.decide import ood_scores
from zeroshelf.decisions.evaluate import harmonic_mean
from zeroshelf.models import select
from zeroshelf.records import Calibration, Embeddings, Picture


def some(pool: sets.Pool, rows: np.ndarray) -> Embeddings:
    count = len(rows)
    return Embeddings(
        (Picture("", "JPEG", 0, 0, 0),) * count, (b"",) * count, pool.vectors[rows], (), pool.model
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default=select.MULTILINGUAL, help="a model's id or folder")
    parser.add_argument("--episodes", type=int, default=150)
    given = parser.parse_args()
    pool, known = sets.load(given.model), sets.load("starter")
    known_calibration = select.calibration(known.model)
    rng = np.random.default_rng(SEED)
    tried = {"default": Calibration(), "the model's own": select.calibration(pool.model)}
    for name in ("all sets", *map(str, np.unique(pool.sets))):
        rows = np.flatnonzero((pool.sets == name) | (name == "all sets"))
        rows = rng.choice(rows, min(constants.TRANSFER_MOST_IMAGES, len(rows)), replace=False)
        tried[f"transferred on {len(rows)} of {name}"] = calibration_transfer.transfer(
            some(pool, rows), pool.texts, some(known, rows), known.texts, known_calibration
        )
    drawn = episodes.draw(pool, given.episodes, SEED)
    scores = [rules.scores(pool, one) for one in drawn]
    print("| calibration | threshold | harmonic mean | kept, clean folders |\n|---|---|---|---|")
    for name, calibration in tried.items():
        harmonic, kept = [], []
        for episode, said in zip(drawn, scores, strict=True):
            typical = calibration.typical_logit
            ood_score, logits = ood_scores(said, typical)
            folder = calibrate.Episode(ood_score, logits, episode.truth(logits), typical or 0.0)
            on_shelf = calibrate.kept(folder, calibration)
            if folder.is_ood.any():
                pair = calibrate.accuracies(folder, on_shelf)
                harmonic.append(harmonic_mean(*pair))
            else:
                kept.append(on_shelf.mean())
        print(
            f"| {name} | {calibration.ood_threshold:.2f} | {100 * np.mean(harmonic):.1f} "
            f"| {100 * np.mean(kept):.1f} |"
        )


if __name__ == "__main__":
    main()
