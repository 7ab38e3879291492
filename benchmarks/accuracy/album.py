"""A family's album: 15 everyday labels over the everyday pictures, as one folder.

    python -m benchmarks.accuracy.album

Other than with all 44 labels of the set (`python -m benchmarks.accuracy`), a picture of people has
no "party" or "portrait" to go to: it is on `people`, or lost. Printed twice: of all pictures, a
third of which fit no label, and of those that fit one. The calibration is the shipped one, which
was made with these pictures among others.

It needs ../shared/data (benchmarks/accuracy/sets.py).
"""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy import episodes, sets
from zeroshelf.decisions import decide
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select

LABELS = (
    "people", "dog", "cat", "flower", "boat", "beach", "building", "mountain", "receipt",
    "screenshot", "sunset", "city", "document", "food", "car",
)  # fmt: skip


def judged(pool: sets.Pool, rows: np.ndarray, true: np.ndarray) -> None:
    """Print how the pictures `rows` (M,) of the pool are sorted; `true`: (M, K) bool."""
    labels = resolve(parse(LABELS), pool.texts)
    scores = score_vectors(pool.vectors[rows], pool.model, labels, pool.texts)
    found = decide.decide(scores, select.calibration(pool.model))
    inside, at = true.any(axis=1), np.arange(len(rows))
    every = np.column_stack((true, ~inside))
    right = every[at, found.chosen]
    best = decide.ood_scores(scores, found.calibration.typical_logit)[1].argmax(axis=1)
    plain = pool.vectors[rows] @ pool.texts([f"a photo of a {one}." for one in LABELS]).T
    sure = np.array([decide.confidence_of(found, row) == "sure" for row in range(len(rows))])
    kept = found.chosen < len(LABELS)
    shares = {
        "top label": true[at, best][inside],
        "plain prompt's": true[at, plain.argmax(axis=1)][inside],
        "kept": kept[inside],
        "right": right[inside],
        "unknowns right": ~kept[~inside],
        "sure right": right[sure],
    }
    told = (f"{name} {100 * one.mean():.1f}" for name, one in shares.items() if len(one))
    print(f"\n{len(rows)} pictures: {', '.join(told)}\n")
    print("| label | pictures | on its shelf | on a shelf that is right | in other | precision |")
    print("|---|---|---|---|---|---|")
    for column, label in enumerate(LABELS):
        shown, there = true[:, column], found.chosen == column
        figures = (there[shown], right[shown], ~kept[shown], shown[there])
        cells = (f"{100 * one.mean():.0f}" if len(one) else "-" for one in figures)
        print(f"| {label} | {shown.sum()} | {' | '.join(cells)} |")


def main() -> None:
    pool = sets.load("starter")
    whole = episodes.whole(pool, "everyday")
    true = whole.true[:, [whole.labels.index(label) for label in LABELS]]
    judged(pool, whole.rows, true)
    known = true.any(axis=1)
    judged(pool, whole.rows[known], true[known])


if __name__ == "__main__":
    main()
