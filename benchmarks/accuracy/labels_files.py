"""The labels files of examples/ over the everyday pictures, as one folder each.

    python -m benchmarks.accuracy.labels_files

The truth has 44 labels; `FITS` says which label of a file a picture of each belongs to. What has
none there counts as fitting no label, though some of it does: a chart is one of the documents. The
words of messenger.toml were chosen on these pictures, those of the others were not.

It needs ../shared/data (benchmarks/accuracy/sets.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.accuracy import episodes, sets
from zeroshelf.decisions import decide
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels import labels_file
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select

EXAMPLES = Path(__file__).parents[2] / "examples"
PERSONS = {"people", "portrait", "group photo", "child", "baby", "wedding"}
EATEN = {"food", "cake", "drink", "coffee"}
LIVING = {"cat", "dog", "bird"}
FITS: dict[str, dict[str, set[str]]] = {  # a file -> its label -> those of the truth
    "messenger": {
        "memes": {"meme"},
        "screenshots": {"screenshot"},
        "documents": {"document"},
        "receipts": {"receipt"},
        "people": PERSONS,
        "food": EATEN,
        "animals": LIVING,
        "stickers": {"drawing"},
        "places": {"beach", "street", "building", "city", "sea", "mountain", "forest", "sunset",
                   "sky", "snow"},
    },
    "papers": {
        "receipts": {"receipt"},
        "letters": {"document"},
        "forms": {"document"},
        "invoices": {"document"},
        "handwriting": {"handwriting"},
        "whiteboards": {"whiteboard"},
        "charts": {"chart"},
    },
    "holiday": {
        "people": PERSONS,
        "beach": {"beach", "sea"},
        "mountains": {"mountain"},
        "forest": {"forest"},
        "city": {"city", "street"},
        "buildings": {"building"},
        "sunset": {"sunset"},
        "food": EATEN,
        "animals": LIVING,
        "flowers": {"flower"},
        "vehicles": {"car", "train", "boat", "airplane", "bicycle"},
        "snow": {"snow"},
        "tickets": {"receipt", "map"},
    },
}  # fmt: skip


def main() -> None:
    pool = sets.load(None, None)
    everyday = episodes.whole(pool, "everyday")
    print("| file | right | on a wrong label | other | fit none: other | fit none: on a label |")
    print("|---|---|---|---|---|---|")
    for name, fits in FITS.items():
        labels = labels_file.read(EXAMPLES / f"{name}.toml")
        shown = [
            [truth in fits.get(label, ()) for truth in everyday.labels] for label in labels.names
        ]
        true = everyday.true @ np.array(shown).T  # (M, K)
        scores = score_vectors(
            pool.vectors[everyday.rows], pool.model, resolve(labels, pool.texts), pool.texts
        )
        chosen = decide.decide(scores, select.calibration(pool.model)).chosen
        inside, other = true.any(axis=1), chosen == len(labels)
        right = np.column_stack((true, ~inside))[np.arange(len(true)), chosen] & inside
        cells = (
            f"{right.sum()} of {inside.sum()}",
            (inside & ~right & ~other).sum(),
            (inside & other).sum(),
            f"{(~inside & other).sum()} of {(~inside).sum()}",
            (~inside & ~other).sum(),
        )
        print(f"| {name}.toml | {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
