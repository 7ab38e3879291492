"""What "!word" is worth: python -m benchmarks.accuracy.unwanted [--model DIR]

Of every development set eight labels in turn, evenly spaced, are kept from every shelf, and the
others are the labels. Printed for each set, in percent, without the "!" and with it: the pictures
of the unwanted label that are on a shelf all the same, and the pictures of the others that are. A
picture that shows both an unwanted and another label isn't counted.

Then drawings of 20 things with "!drawing", and some wide labels with a narrower one unwanted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy import episodes, sets
from benchmarks.accuracy.episodes import JUNK, Episode
from zeroshelf.decisions.decide import decide
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select

EACH = 8  # labels of a set
WIDE = (  # set, labels, unwanted
    ("pacs-photo", ("animal", "guitar", "house", "person"), "dog"),
    ("scenes15", ("room", "street"), "kitchen"),
    ("everyday", ("people", "food", "document"), "receipt"),
    ("everyday", ("people", "building", "food"), "wedding"),
    ("everyday", ("vehicle", "people", "building"), "train"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a model's id or folder; the starter without")
    pool = sets.load(parser.parse_args().model, None)
    print("| set | unwanted, on a shelf | others, on a shelf |")
    print("|---|---|---|")
    for name in sorted({str(x) for x in pool.sets[pool.names != ""]} - {JUNK}):
        whole = episodes.whole(pool, name)
        labels = list(whole.labels)
        rows = []
        for unwanted in labels[:: max(1, len(labels) // EACH)][:EACH]:
            others = [one for one in labels if one != unwanted]
            its, theirs = shows(whole, [unwanted]), shows(whole, others)
            if (its & ~theirs).any():
                shares = both(pool, whole, others, unwanted, its & ~theirs, theirs & ~its)
                rows.append(shares)
        print(line(name, np.mean(rows, axis=0)), flush=True)
    drawings = episodes.whole(pool, "drawings")
    every = np.ones(len(drawings.rows), bool)
    print(line("drawings, all", both(pool, drawings, drawings.labels, "drawing", every, ~every)))
    for name, wide, narrow in WIDE:
        whole = episodes.whole(pool, name)
        its = shows(whole, [narrow])
        print(line(f"{name}, {', '.join(wide)}", both(pool, whole, wide, narrow, its, ~its)))


def shows(whole: Episode, labels: Sequence[str]) -> np.ndarray:
    """(N,): which pictures show one of the labels."""
    columns = [list(whole.labels).index(one) for one in labels]
    return np.asarray(whole.true[:, columns].any(axis=1))


def both(
    pool: sets.Pool,
    whole: Episode,
    labels: Sequence[str],
    unwanted: str,
    its: np.ndarray,
    others: np.ndarray,
) -> tuple[float, ...]:
    """The shares on a shelf: of `its` without and with the unwanted word, and of `others`."""
    shares = []
    for asked in (labels, (*labels, f"!{unwanted}")):
        resolved = resolve(parse(asked), pool.texts)
        scores = score_vectors(pool.vectors[whole.rows], pool.model, resolved, pool.texts)
        chosen = decide(scores, select.calibration(pool.model)).chosen
        on_shelf = chosen < len(labels)
        shares.append([on_shelf[some].mean() if some.any() else np.nan for some in (its, others)])
    return tuple(100 * np.array(shares).T.ravel())


def line(name: str, shares: Sequence[float]) -> str:
    unwanted, unwanted_now, others, others_now = shares
    rest = "" if np.isnan(others) else f"{others:.0f} -> {others_now:.0f}"
    return f"| {name} | {unwanted:.0f} -> {unwanted_now:.0f} | {rest} |"


if __name__ == "__main__":
    main()
