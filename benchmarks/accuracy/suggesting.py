"""What `suggest` finds in a mixed folder: python -m benchmarks.accuracy.suggesting [--model DIR]

Every named picture of the development sets together (or of --sets alone), the names hidden. A true
group is *found* where some shelf has more of it than of any other group; *purity* is the share of
pictures whose shelf's largest group is theirs, those of "mixed" counted as wrong. A shelf's name is
right where it is the name of its largest group, a word for the same, a kind of it or what it is a
kind of, by WordNet's first three senses, up to three levels: "dog" for poodles, not "animal".
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable

import numpy as np

from benchmarks.accuracy import sets
from benchmarks.accuracy.episodes import JUNK
from zeroshelf.labels.suggest import suggest
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Embeddings, Picture

SENSES, LEVELS = 3, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a model's id or folder; the starter without")
    parser.add_argument("--sets", nargs="+", default=["pacs-photo", "scenes15", "tiny32"])
    parser.add_argument("--count", type=int, help="how many groups; by silhouette without")
    parser.add_argument("--all", action="store_true", help="show every shelf")
    given = parser.parse_args()
    pool = sets.load(given.model)
    rows = np.flatnonzero((pool.names != "") & np.isin(pool.sets, given.sets))
    rows = rows[pool.sets[rows] != JUNK]
    truth = [f"{pool.sets[row]}/{pool.names[row]}" for row in rows]
    embeddings = Embeddings(
        (Picture("", "JPEG", 0, 0, 0),) * len(rows),
        (b"",) * len(rows),
        pool.vectors[rows],
        (),
        pool.model,
    )
    shelves = suggest(embeddings, pool.texts, count=given.count)
    largest = {}
    for shelf in shelves:
        counted = Counter(truth[row] for row in shelf.rows).most_common(3)
        largest[shelf.name] = counted[0]
        if given.all:
            name = counted[0][0].partition("/")[2]
            sign = "-" if shelf.name == "mixed" else "+" if same(shelf.name, name) else " "
            print(sign, shelf.name, len(shelf.rows), counted, ", ".join(shelf.words))
    named = {name: group for name, group in largest.items() if name != "mixed"}
    right = sum(same(name, group.partition("/")[2]) for name, (group, _) in named.items())
    found = {group for group, _ in named.values()}
    guesses = {shelf.name for shelf in shelves if shelf.is_guess}
    good = sum(same(name, named[name][0].partition("/")[2]) for name in guesses)
    purity = sum(count for _, count in named.values()) / len(rows)
    print(
        f"{len(rows)} pictures, {len(set(truth))} groups: {len(named)} shelves, "
        f"{len(found)} groups found, purity {purity:.2f}, {right} of {len(named)} names right: "
        f"{right - good} of {len(named) - len(guesses)}, and of those that are guesses "
        f"{good} of {len(guesses)}"
    )


def same(name: str, truth: str) -> bool:
    """Whether one is a word for the other, a kind of it, or what it is a kind of."""
    mine, theirs = _senses(name), _senses(truth)
    return name == truth or any(
        a == b or a in _above(b) or b in _above(a) for a in mine for b in theirs
    )


def _senses(word: str) -> list[int]:
    net = wordnet()
    found = net.senses(word) or net.senses(word.rpartition(" ")[2])
    return [one.row for one in found[:SENSES]]


def _above(row: int) -> set[int]:
    above: set[int] = set()
    step: Iterable[int] = (row,)
    for _ in range(LEVELS):
        step = {up for one in step for up in wordnet().synset(one).above}
        above |= step
    return above


if __name__ == "__main__":
    main()
