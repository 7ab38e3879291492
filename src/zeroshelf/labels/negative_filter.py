"""Labels -> the negative labels that stay: those that don't compete with a label for its pictures.

The label "cat" must not lose a kitten to the negative label "kitten". So a negative is removed when
WordNet says that it is the label, a kind of it, above it, or a part of it; when it shares the
label's head noun ("mountain bike" and "bike"); or when its definition begins with the label ("a
young dog"). Siblings stay: "dog" keeps dogs off the shelf "cat". A phrase that WordNet doesn't have
("my red bicycle") is compared with the negatives by its vector instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf.labels.negative_index import negative_index
from zeroshelf.labels.negative_labels import Negative, negative_labels
from zeroshelf.labels.prompts import PLAIN, Texts
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import NegativeRows, ResolvedLabel, ResolvedLabels, Synset, Vectors

Relation: TypeAlias = Literal[
    "same word", "same head noun", "same thing", "kind of it", "above it", "part of it",
    "named in its gloss",
]  # fmt: skip

# The least cosine between a phrase and a negative that means the same, both centred on the mean of
# all negatives.
SAME_MEANING = 0.50
BLOCK = 256  # phrases compared with the negatives at once: 4 MB
SIBLING_STEPS = 3  # hypernyms above a label, below which its siblings lie


@dataclass(frozen=True, slots=True)
class RemainingNegatives:
    """The M negatives that stay, the user's own first."""

    negatives: tuple[Negative, ...]
    vectors: Vectors  # (M, D)
    rows: npt.NDArray[np.int32]  # (B,): the row here of each of `negative_labels()`; -1: removed
    implied: npt.NDArray[np.bool_]  # (K, M): what a picture that fits label k shows as well
    cohort: npt.NDArray[np.intp] | None = (
        None  # which of the M are in `wanted.cohort`; None: no such
    )

    @property
    def names(self) -> tuple[str, ...]:
        """As shown to the user."""
        return tuple(one.name for one in self.negatives)


def remaining_negatives(
    resolved: ResolvedLabels, texts: Texts, wanted: NegativeRows | None = None
) -> RemainingNegatives:
    """The negative labels that stay beside these labels, after the user's own, which always do.

    resolved: the K labels.
    texts: embeds texts; only those of the negative labels that may stay are embedded.
    wanted: the negative labels to choose from; None: all.

    What means the same as any of the labels is removed. What a label's pictures show as well says
    nothing against that label, but as much as ever against the others: `implied` tells it apart.
    Where the labels would remove all of them, those of the kind "junk" stay, so that a picture is
    compared with something.
    """
    negatives = negative_labels()
    some = list(range(len(negatives))) if wanted is None else wanted.rows.tolist()
    vectors = texts([negatives[row].prompt for row in some])
    removed: set[int] = set()
    unknown: dict[str, None] = {}  # an ordered set
    for label in resolved:
        for word in label.words:
            removed |= related(word.text, word.sense).keys()
            if not word.in_wordnet:
                unknown[word.text] = None
    common = np.ones(len(some), bool) if wanted is None else np.isin(wanted.rows, wanted.cohort)
    near = _same_meaning(list(unknown), vectors, texts, vectors[common].mean(axis=0))
    removed |= {some[place] for place in near}
    own = tuple(
        Negative(text, text if " " in text else PLAIN.format(text), "own")
        for text in resolved.labels.negatives
    )
    left = [place for place, row in enumerate(some) if row not in removed]
    stay, vectors, common = [some[place] for place in left], vectors[left], common[left]
    if not stay and not own:
        stay = [row for row, one in enumerate(negatives) if one.kind == "junk"]
        vectors = texts([negatives[row].prompt for row in stay])
    rows = np.full(len(negatives), -1, np.int32)
    rows[stay] = np.arange(len(own), len(own) + len(stay))
    if own:
        vectors = np.concatenate((texts([negative.prompt for negative in own]), vectors))
    implied = np.zeros((len(resolved), len(vectors)), bool)
    for at, label in enumerate(resolved):
        shown = rows[list(shown_as_well(label.also_shown))]
        implied[at, shown[shown >= 0]] = True
    implied[implied.all(axis=1)] = False  # a picture is always compared with something
    cohort = None if wanted is None or not left else len(own) + np.flatnonzero(common)
    every = (*own, *(negatives[row] for row in stay))
    return RemainingNegatives(every, vectors, rows, implied, cohort)


def siblings(label: ResolvedLabel) -> set[int]:
    """The rows of `negative_labels()` beside a label in WordNet: what lies below a hypernym up to
    `SIBLING_STEPS` above the sense of its name."""
    sense, found = label.words[0].sense, set[int]()
    above = set(sense.above) if sense else set[int]()
    for _ in range(SIBLING_STEPS):
        found |= {row for synset in above for row in negative_index().rows("above", synset)}
        above = {row for synset in above for row in wordnet().synset(synset).above}
    return found


def shown_as_well(words: Iterable[str]) -> set[int]:
    """The rows of `negative_labels()` that hold one of the words, or a kind of what a word first
    means."""
    index, found = negative_index(), set[int]()
    for word in words:
        found |= index.rows("word", word.lower())
        for one in visible_senses(word)[:1]:
            found |= index.rows("sense", one.row) | index.rows("above", one.row)
    return found


def related(word: str, sense: Synset | None) -> dict[int, Relation]:
    """The rows of `negative_labels()` that show the same pictures as a label's word, and why.

    `word` is in dictionary form; `sense` is the one that is meant, None where WordNet has none.
    """
    word, index = word.lower(), negative_index()
    head = word.split()[-1]
    found: dict[int, Relation] = {}

    def add(rows: Iterable[int], why: Relation) -> None:
        for row in rows:
            found.setdefault(row, why)

    add(index.rows("word", word), "same word")
    add(index.rows("head", head), "same head noun")
    if " " in word:
        add(index.rows("word", head), "same head noun")
    if sense is not None:
        above = wordnet().above(sense.row)
        add(index.rows("sense", sense.row), "same thing")
        add(index.rows("above", sense.row), "kind of it")
        add((row for synset in above for row in index.rows("sense", synset)), "above it")
        add(index.rows("whole", sense.row), "part of it")
        add(index.rows("gloss", word), "named in its gloss")
    return found


def _same_meaning(
    phrases: Sequence[str], vectors: Vectors, texts: Texts, centre: Vectors | None = None
) -> set[int]:
    """The rows of `vectors` (S, D), the negatives', that are near to any of the phrases, both
    centred on `centre` (D,); None: on the mean of `vectors`."""
    if not phrases:
        return set()
    centre = vectors.mean(axis=0) if centre is None else centre
    centred = vectors - centre
    lengths = np.linalg.norm(centred, axis=1)
    embedded = texts([PLAIN.format(phrase) for phrase in phrases])
    near = np.zeros(len(vectors), bool)
    for start in range(0, len(phrases), BLOCK):
        block = embedded[start : start + BLOCK] - centre
        products = centred @ block.T
        cosines = products / (lengths[:, None] * np.linalg.norm(block, axis=1) + 1e-9)
        near |= (cosines >= SAME_MEANING).any(axis=1)
    return {int(row) for row in np.flatnonzero(near)}
