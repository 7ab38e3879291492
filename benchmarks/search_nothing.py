"""How often a search finds what isn't there: python -m benchmarks.search_nothing [ROOT]

Each set of pictures is a folder, whole and in random parts. Words of two sorts are searched for
with `--least 0.5`: names of the set's own pictures, and words of benchmarks/absent_words.txt that
nothing in it shows. Printed for each folder:

    absent      share of the absent words that bring any picture
    found       share of the present words that bring a picture of theirs
    recall      share of a present word's pictures that are found

With --every N only every N-th of the absent words is searched for, which takes less time.
Without ROOT the development sets are taken; ROOT is ROOT/SET/NAME/picture or ROOT/NAME/picture.
A word is not asked where WordNet says that it is a label of the set, a kind of one or above one,
nor where it stands in a caption; of the development sets, nor where its group may be seen (ABSENT).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
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
SIZES = (60,)  # pictures of a random part, beside the whole set
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


def measure(
    pool: Pool, rows: np.ndarray, calibration: Calibration, words: Sequence[str]
) -> tuple[float, float, float]:
    """absent, found and recall of one folder; the last two are NaN where nothing is named."""
    pictures = tuple(Picture(f"/{row:08}.jpg", "JPEG", 0, 0, 0) for row in rows)
    embeddings = Embeddings(pictures, (b"",) * len(rows), pool.vectors[rows], (), pool.model)
    judge = fits.Judge(embeddings, calibration, pool.texts)
    known_names = {str(name) for name in pool.names[rows] if name}
    asked = LabelSet(tuple(map(Label, (*words, *sorted(known_names)))))
    # nearly all texts at once: a fraction of the time that one word after the other takes
    pool.texts([text for one in resolve(asked, pool.texts) for way in one.prompts for text in way])

    def hits(word: str) -> np.ndarray:
        return judge.probabilities(fits.resolved(word, pool.texts)) >= LEAST

    wrong = [hits(word).any() for word in words]
    names = pool.names[rows]
    shares = [hits(str(name))[names == name].mean() for name in np.unique(names[names != ""])]
    if not shares:
        return float(np.mean(wrong)), np.nan, np.nan
    return float(np.mean(wrong)), float(np.mean(np.array(shares) > 0)), float(np.mean(shares))


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
    rng = np.random.default_rng(0)
    every = []
    print(f"{'set':14}{'pictures':>9}{'words':>7}{'absent':>8}{'found':>8}{'recall':>8}")
    for name in np.unique(pool.sets):
        whole = np.flatnonzero(pool.sets == name)
        words = absent(pool, whole, str(name))[:: given.every]
        for size in (*SIZES, len(whole)):
            if size > len(whole):
                continue
            rows = np.sort(rng.choice(whole, size, replace=False))
            found = measure(pool, rows, calibration, words)
            every.append(found)
            shown = "".join(f"{100 * share:>7.1f} " for share in found)
            print(f"{name:14}{size:>9}{len(words):>7}{shown}", flush=True)
    means = np.nanmean(np.array(every), axis=0)
    print(f"{'mean':14}{'':>16}{''.join(f'{100 * share:>7.1f} ' for share in means)}")


if __name__ == "__main__":
    main()
