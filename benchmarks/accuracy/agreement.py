"""What constants by the starter's answers are worth.

    python -m benchmarks.accuracy.agreement [--model DIR]

The model gets its constants without a single name, from up to 300 pictures of one development set,
or of all, and is then judged by episodes over all; beside it the generic ones, and its own.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.accuracy import episodes, rules, sets
from benchmarks.accuracy.__main__ import SEED
from zeroshelf.decisions import calibrate, calibration_transfer
from zeroshelf.decisions.decide import fit
from zeroshelf.models import select
from zeroshelf.records import Embeddings, OpenSet


def some(pool: sets.Pool, rows: np.ndarray) -> Embeddings:
    count = len(rows)
    return Embeddings((rules.NOWHERE,) * count, (b"",) * count, pool.vectors[rows], (), pool.model)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default=select.MULTILINGUAL, help="a model's id or folder")
    parser.add_argument("--episodes", type=int, default=150)
    given = parser.parse_args()
    pool, known = sets.load(given.model), sets.load("starter")
    rng = np.random.default_rng(SEED)
    tried = {"generic": OpenSet(), "the model's own": pool.model.open_set}
    for name in ("all sets", *map(str, np.unique(pool.sets))):
        rows = np.flatnonzero((pool.sets == name) | (name == "all sets"))
        rows = rng.choice(rows, min(calibration_transfer.MOST, len(rows)), replace=False)
        tried[f"agreement on {len(rows)} of {name}"] = calibration_transfer.agree(
            some(pool, rows), pool.texts, some(known, rows), known.texts
        )
    drawn = episodes.draw(pool, given.episodes, SEED)
    scores = [rules.scores(pool, one) for one in drawn]
    print("| constants | delta | harmonic mean | kept, no garbage |\n|---|---|---|---|")
    for name, constants in tried.items():
        harmonic, kept = [], []
        for episode, said in zip(drawn, scores, strict=True):
            d, logits = fit(calibrate.with_constants(said, constants))
            folder = calibrate.Folder(d, logits, episode.truth, constants.typical or 0.0)
            if folder.garbage.any():
                outcome = calibrate.outcome(folder, constants.delta)
                harmonic.append(calibrate.harmonic(*outcome))
            else:
                kept.append((d >= constants.delta).mean())
        print(
            f"| {name} | {constants.delta:.2f} | {100 * np.mean(harmonic):.1f} "
            f"| {100 * np.mean(kept):.1f} |"
        )


if __name__ == "__main__":
    main()
