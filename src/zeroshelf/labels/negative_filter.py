"""labels -> the negatives that stay: the bank without what would compete with a label for its own.

The label "cat" must not lose a kitten to the negative "kitten". So a negative goes when WordNet
says that it is the label, a kind of it, above it, or a part of it; when it shares the label's head
noun ("mountain bike" and "bike"); or when its definition begins with the label ("a young dog").
Siblings stay: "dog" is what keeps dogs off the shelf "cat". What no dictionary knows ("my red
bicycle") is compared by its vector instead.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf.labels.negative_labels import Negative, bank
from zeroshelf.labels.prompts import PLAIN, Texts
from zeroshelf.labels.resolve import ResolvedLabel
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import Synset, wordnet
from zeroshelf.records import LabelSet, Vectors

Relation: TypeAlias = Literal[
    "same word", "same head noun", "same thing", "kind of it", "above it", "part of it",
    "named in its gloss", "alike",
]  # fmt: skip

ALIKE = 0.50  # least cosine, centred on the bank's mean, between a phrase and what means the same
BLOCK = 256  # phrases compared with the bank at once: 4 MB
GLOSS_WORDS = 5  # how much of a definition tells what it is


@dataclass(frozen=True, slots=True)
class Kept:
    """The M negatives that stay, the user's own first, and where the whole bank's texts are now."""

    negatives: tuple[Negative, ...]
    vectors: Vectors  # (M, D)
    places: npt.NDArray[np.int32]  # (B,): of each text of the bank its row above; -1: it went


def kept(labels: LabelSet, resolved: Sequence[ResolvedLabel], texts: Texts) -> Kept:
    """What stays of the bank beside these labels, and the user's own negatives, which always do.

    `resolved` are the labels of `labels`.
    """
    whole = bank()
    vectors = texts([negative.prompt for negative in whole])
    gone: set[int] = set()
    unknown: dict[str, None] = {}
    for label in resolved:
        for word, meant in zip(label.words, label.senses, strict=True):
            gone |= related(word, meant).keys()
            if not wordnet().senses(word):
                unknown[word] = None
    gone |= _alike(list(unknown), vectors, texts)
    own = tuple(
        Negative(text, text if " " in text else PLAIN.format(text), "own")
        for text in labels.negatives
    )
    stay = [row for row in range(len(whole)) if row not in gone]
    if not stay and not own:  # a picture is compared with something, whatever the labels are
        stay = [row for row, one in enumerate(whole) if one.kind == "junk"]
    places = np.full(len(whole), -1, np.int32)
    places[stay] = np.arange(len(own), len(own) + len(stay))
    vectors = vectors[stay]
    if own:
        vectors = np.concatenate((texts([negative.prompt for negative in own]), vectors))
    return Kept((*own, *(whole[row] for row in stay)), vectors, places)


def related(word: str, meant: Synset | None) -> dict[int, Relation]:
    """Rows of the bank that share the pictures of a label's word, in the sense that is meant."""
    word, index = word.lower(), _index()
    head = word.split()[-1]
    found: dict[int, Relation] = {}

    def add(rows: Iterable[int], why: Relation) -> None:
        for row in rows:
            found.setdefault(row, why)

    add(index.word.get(word, ()), "same word")
    add(index.head.get(head, ()), "same head noun")
    if " " in word:
        add(index.word.get(head, ()), "same head noun")
    if meant is not None:
        above = wordnet().above(meant.row)
        add(index.sense.get(meant.row, ()), "same thing")
        add(index.above.get(meant.row, ()), "kind of it")
        add((row for synset in above for row in index.sense.get(synset, ())), "above it")
        add(index.whole.get(meant.row, ()), "part of it")
        add(index.gloss.get(word, ()), "named in its gloss")
    return found


def _alike(phrases: Sequence[str], vectors: Vectors, texts: Texts) -> set[int]:
    """Rows of the bank's `vectors` (M, D) that are near to any of the phrases."""
    if not phrases:
        return set()
    centre = vectors.mean(axis=0)
    away = vectors - centre
    lengths = np.linalg.norm(away, axis=1)
    asked_as = texts([PLAIN.format(phrase) for phrase in phrases])
    near = np.zeros(len(vectors), bool)
    for start in range(0, len(phrases), BLOCK):
        mine = asked_as[start : start + BLOCK] - centre
        products = away @ mine.T
        cosines = products / (lengths[:, None] * np.linalg.norm(mine, axis=1) + 1e-9)
        near |= (cosines >= ALIKE).any(axis=1)
    return {int(row) for row in np.flatnonzero(near)}


class _Index:
    """The bank's rows by whole word, by head noun, by sense, by what is above, and so on."""

    def __init__(self) -> None:
        self.word: dict[str, set[int]] = defaultdict(set)
        self.head: dict[str, set[int]] = defaultdict(set)
        self.gloss: dict[str, set[int]] = defaultdict(set)
        self.sense: dict[int, set[int]] = defaultdict(set)
        self.above: dict[int, set[int]] = defaultdict(set)
        self.whole: dict[int, set[int]] = defaultdict(set)
        for row, negative in enumerate(bank()):
            if negative.kind == "noun":
                self._noun(row, negative.name)
            else:  # "a sailing boat", "a dog playing": every noun in it counts
                self.word[negative.name].add(row)
                for word in re.findall("[a-z]+", negative.name.lower()):
                    self.word[word].add(row)
                    self.head[word].add(row)
                    for one in visible_senses(word)[:1]:
                        self._sense(row, one)

    def _noun(self, row: int, noun: str) -> None:
        self.word[noun].add(row)
        self.head[noun.rpartition(" ")[2]].add(row)
        senses = visible_senses(noun)
        for one in senses[1:2]:  # "vessel" is first a container, then a boat
            self.sense[one.row].add(row)
        for one in senses[:1]:
            self._sense(row, one)
            for word in re.findall("[a-z]+", one.gloss.lower())[:GLOSS_WORDS]:
                self.gloss[word].add(row)
            for whole in one.wholes:
                self.whole[whole].add(row)

    def _sense(self, row: int, one: Synset) -> None:
        self.sense[one.row].add(row)
        for above in wordnet().above(one.row):
            self.above[above].add(row)


@cache
def _index() -> _Index:
    return _Index()
