"""How often a search finds what isn't there: python -m benchmarks.search_nothing [ROOT]

Each set of pictures is a folder, whole and in random parts; so are mixtures of two sets and of all.
Words of two sorts are searched for with `--least 0.5`: names of the folder's own pictures, and
words of benchmarks/absent_words.txt that nothing in its sets shows. Printed for each folder:

    absent      share of the absent words that bring any picture
    found       share of the present words that bring a picture of theirs
    recall      share of a present word's pictures that are found

With --every N only every N-th of the absent words is searched for, which takes less time, and of
more than 40 names only 40 are.
Without ROOT the development sets are taken; ROOT is ROOT/SET/NAME/picture or ROOT/NAME/picture.
A word is not asked where WordNet says that it is a label of the set, a kind of one or above one,
nor where it stands in a caption; of the development sets, nor where its group may be seen (ABSENT).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy import sets
from benchmarks.accuracy.sets import Pool
from zeroshelf.labels.resolve import resolve
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.models import select
from zeroshelf.records import Calibration, Embeddings, Label, LabelSet, Picture
from zeroshelf.search import fits

WORDS = Path(__file__).with_name("absent_words.txt")
LEAST = 0.5
SIZES = (30, 60, 300)  # pictures of a random part, beside the whole set
MIXED = (100, 500, 2000)  # pictures of a mixture of all sets
PAIRED = 600  # pictures of a mixture of two, at most
PAIRS = (  # of the development sets
    ("animals", "scenes15"),
    ("pacs-photo", "scenes15"),
    ("animals", "everyday"),
    ("animals", "junk"),
)
MOST_NAMES = 40  # of a folder's own, where not all words are searched for
ABSENT = {  # of the development sets: which groups of words nothing in them shows
    "animals": ("dishes", "instruments", "sports", "papers"),
    "scenes15": ("animals", "dishes", "instruments", "sports", "papers"),
    "pacs-photo": ("animals", "dishes", "instruments", "papers"),
    "tiny32": ("animals", "dishes", "instruments", "papers"),
    "junk": ("animals", "dishes", "instruments", "sports"),
    "drawings": ("dishes", "instruments", "sports", "papers"),
    "flickr8k": ("animals", "dishes", "instruments", "papers"),
}


def groups() -> dict[str, list[str]]:
    text = WORDS.read_text(encoding="utf-8").partition("\n\n")[2]
    parts = re.split(r"\[(\w+)\]\n", text)[1:]
    return {
        name: [word.strip() for word in words.replace("\n", " ").split(",")]
        for name, words in zip(parts[::2], parts[1::2], strict=True)
    }


def related(word: str, other: str) -> bool:
    """Whether a picture of one may be a picture of the other, as far as WordNet tells."""
    if word in other.split() or other in word.split() or head(word) == head(other):
        return True
    one = {sense.row for part in (word, head(word)) for sense in wordnet().senses(part)}
    two = {sense.row for part in (other, head(other)) for sense in wordnet().senses(part)}
    above = {row for sense in one for row in wordnet().above(sense)}
    below = {row for sense in two for row in wordnet().above(sense)}
    return bool(one & two or above & two or below & one)


def head(words: str) -> str:
    """The last word: of "hot dog" the dog."""
    return words.rpartition(" ")[2]


def absent(pool: Pool, rows: np.ndarray, name: str) -> list[str]:
    own = {str(label) for label in pool.names[rows] if label}
    told = " ".join(pool.captions[row] for row in rows)
    return [
        word
        for group, words in groups().items()
        if group in ABSENT.get(name, tuple(groups()))
        for word in words
        if not any(related(word, label) for label in own)
        and word not in told
        and head(word) not in told
    ]


@dataclass(frozen=True)
class Mixture:
    """A folder of pictures of some sets."""

    name: str
    sets: tuple[str, ...]
    rows: np.ndarray  # of the pool, ascending


def mixtures(pool: Pool) -> Iterator[Mixture]:
    """Each set in random parts and whole, then pairs and all of them together. Seeded."""
    rng = np.random.default_rng(0)
    names = [str(name) for name in np.unique(pool.sets)]

    def drawn(name: str, sets: tuple[str, ...], size: int) -> Iterator[Mixture]:
        whole = np.flatnonzero(np.isin(pool.sets, sets))
        if size <= len(whole):
            yield Mixture(name, sets, np.sort(rng.choice(whole, size, replace=False)))

    for name in names:
        whole = int((pool.sets == name).sum())
        for size in (*(size for size in SIZES if size < whole), whole):
            yield from drawn(name, (name,), size)
    for pair in PAIRS:
        size = min(PAIRED, int(np.isin(pool.sets, pair).sum()))
        if {*pair} <= {*names}:
            yield from drawn("+".join(pair), pair, size)
    for size in MIXED if len(names) > 1 else ():
        yield from drawn("all sets", tuple(names), size)


def absent_in_all(pool: Pool, sets: Sequence[str]) -> list[str]:
    """The words that nothing in any of the sets shows."""
    each = [absent(pool, np.flatnonzero(pool.sets == name), name) for name in sets]
    return [word for word in each[0] if all(word in words for words in each)]


def measure(
    pool: Pool,
    rows: np.ndarray,
    calibration: Calibration,
    words: Sequence[str],
    known_names: Sequence[str],
) -> tuple[float, float, float]:
    """absent, found and recall of one folder; the last two are NaN where nothing is named."""
    pictures = tuple(Picture(f"/{row:08}.jpg", "JPEG", 0, 0, 0) for row in rows)
    embeddings = Embeddings(pictures, (b"",) * len(rows), pool.vectors[rows], (), pool.model)
    judge = fits.Judge(embeddings, calibration, pool.texts)
    asked = LabelSet(tuple(map(Label, dict.fromkeys((*words, *known_names)))))
    # nearly all texts at once: a fraction of the time that one word after the other takes
    pool.texts([text for one in resolve(asked, pool.texts) for way in one.prompts for text in way])

    def hits(word: str) -> np.ndarray:
        return judge.probabilities(fits.resolved(word, pool.texts)) >= LEAST

    wrong = float(np.mean([hits(word).any() for word in words])) if words else np.nan
    names = pool.names[rows]
    shares = [hits(name)[names == name].mean() for name in known_names]
    if not shares:
        return wrong, np.nan, np.nan
    return wrong, float(np.mean(np.array(shares) > 0)), float(np.mean(shares))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("root", nargs="?", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    given = parser.parse_args()
    pool = sets.load(given.model, given.root)
    calibration = select.calibration(pool.model)
    every = []
    print(f"{'folder':20}{'pictures':>9}{'words':>7}{'absent':>8}{'found':>8}{'recall':>8}")
    for folder in mixtures(pool):
        words = absent_in_all(pool, folder.sets)[:: given.every]
        names = [str(name) for name in np.unique(pool.names[folder.rows]) if name]
        if given.every > 1:
            names = names[:: -(-len(names) // MOST_NAMES) or 1]
        every.append(measure(pool, folder.rows, calibration, words, names))
        shown = "".join(f"{100 * share:>7.1f} " for share in every[-1])
        print(f"{folder.name:20}{len(folder.rows):>9}{len(words):>7}{shown}", flush=True)
    means = np.nanmean(np.array(every), axis=0)
    print(f"{'mean':20}{'':>16}{''.join(f'{100 * share:>7.1f} ' for share in means)}")
    print(f"{'worst':20}{'':>16}{100 * np.nanmax(np.array(every)[:, 0]):>7.1f} ")


if __name__ == "__main__":
    main()
