"""The calibration that a model ships with, from the development sets or a labelled folder.

    python -m benchmarks.accuracy.calibrate          the starter; writes its config.json
    python -m benchmarks.accuracy.calibrate --model DIR --out F.json

Prints the calibration without each data set, and how it does on the set left out: an estimate of
what the shipped one, from all sets, does on unseen pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.accuracy import episodes, rules, sets
from zeroshelf.decisions import calibrate
from zeroshelf.decisions.evaluate import harmonic_mean
from zeroshelf.models import calibrations, select
from zeroshelf.records import Calibration, Scores

EPISODES, SEED = 300, 20


def asked(pool: sets.Pool, count: int = EPISODES) -> list[tuple[episodes.Episode, Scores]]:
    return [(one, rules.scores(pool, one)) for one in episodes.draw(pool, count, SEED)]


def constants(
    made: list[tuple[episodes.Episode, Scores]], without: str = "", source: str = ""
) -> Calibration:
    """Those of all episodes but the ones of a set."""
    rest = [(scores, one.truth(scores.logits)) for one, scores in made if one.set != without]
    return calibrate.calibrate(calibrate.episodes(rest), source)


def source(pool: sets.Pool, count: int) -> str:
    names = ", ".join(str(name) for name in np.unique(pool.sets))
    return f"{count} episodes over {names} by benchmarks/accuracy/calibrate.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a model's id or folder; the starter without")
    parser.add_argument("--pictures", type=Path, help=sets.LAYOUTS)
    parser.add_argument("--out", type=Path, help="where the constants go; else the model's config")
    parser.add_argument("--episodes", type=int, default=EPISODES)
    given = parser.parse_args()
    started = time.perf_counter()
    pool = sets.load(given.model, given.pictures)
    made = asked(pool, given.episodes)
    for name in sorted({one.set for one, _ in made}):
        found = constants(made, without=name)
        mine = [
            calibrate.episode(scores, one.truth(scores.logits), found.typical_logit or 0.0)
            for one, scores in made
            if one.set == name
        ]
        pairs = [calibrate.accuracies(folder, calibrate.kept(folder, found)) for folder in mine]
        mixed = [harmonic_mean(*pair) for pair in pairs if pair[1] == pair[1]]
        kept = [float(calibrate.kept(f, found).mean()) for f in mine if not f.is_ood.any()]
        print(
            f"without {name:12s} threshold {found.ood_threshold:6.2f} temperatures "
            f"{found.ood_temperature:.2f} {found.label_temperature:.2f}; on it: "
            f"harmonic mean {100 * np.mean(mixed):.1f}, "
            f"kept in clean folders {100 * np.mean(kept):.1f}"
        )
    found = constants(made, source=source(pool, len(made)))
    print(json.dumps(calibrations.as_json(found), indent=1))
    if given.out:
        given.out.write_text(json.dumps(calibrations.as_json(found), indent=1) + "\n")
    else:
        path = select.find(given.model).folder / "config.json"
        config = json.loads(path.read_text())
        path.write_text(
            json.dumps(config | {"open_set": calibrations.as_json(found)}, indent=2) + "\n"
        )
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
