"""A label's word -> the sense that is meant, the commoner words for it, and what it means.

"camelopard" is sorted as "giraffe" is: how a label is worded should not decide what it draws. And
a model that never saw a word may know those that explain it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf.labels.negative_labels import bank, everyday
from zeroshelf.labels.parse import spoken
from zeroshelf.labels.prompts import PLAIN, Texts, asked
from zeroshelf.labels.wordnet import Synset, wordnet
from zeroshelf.records import Label, LabelSet

_UNSEEN = {"act", "attribute", "cognition", "communication", "feeling", "motive", "possession",
           "process", "quantity", "relation", "state", "time"}  # fmt: skip
_MANY = {"animal", "food", "plant"}  # more of their names are common than the bank holds
ROUNDING = 1e-5  # by which a cosine of two unit vectors may be off
PLAIN_SHARE = 0.7  # of a word's uses that a sense must have to be the one that all expect

Vector: TypeAlias = npt.NDArray[np.float32]  # (D,), of length 1


def described(
    label: Label, meant: Synset | None, labels: LabelSet, taken: Set[str]
) -> tuple[Label, tuple[str, ...]]:
    """The label with the common words for the same, and texts that say what it means: nothing of
    both where WordNet doesn't know the word, or the sense is not plain.

    `meant` is the sense of the label's name (see `meanings`), and `taken` what the labels' words
    and the user's negatives are asked as (see `taken_by`): none of it becomes another label's word.
    """
    word = asked(label.name, labels)
    if labels.language != "en" or label.prompts:
        return label, ()
    if meant is None or not _plain(word, meant, context(label, labels)):
        return label, ()
    more = replace(label, words=(*label.words, *_commoner(word, meant, taken)))
    kinds = [labels.kind, *(wordnet().synset(row).lemmas[0] for row in meant.above)]
    kind = next((f"a photo of a {word}, a type of {one}." for one in kinds if one), "")
    return more, tuple(filter(None, (f"{word}: {meant.gloss}", kind)))


def taken_by(labels: LabelSet) -> frozenset[str]:
    """What the labels' words are asked as, in lower case, and the user's negatives."""
    words = (word for label in labels for word in (label.name, *label.words))
    return frozenset((*(asked(word, labels).lower() for word in words), *labels.negatives))


def _commoner(word: str, meant: Synset, taken: Set[str]) -> list[str]:
    """For a word that is not in everybody's mouth those that are: the words that WordNet, which
    lists a sense's words by how common they are, names before it, where the sense is the first of
    theirs as well. A word of another label is none of this one's.
    """
    lemmas = [lemma.lower() for lemma in meant.lemmas]
    if word.lower() in _common() or word.lower() not in lemmas:
        return []
    return [
        other
        for other in lemmas[: lemmas.index(word.lower())]
        if (other in _common() or meant.lexname in _MANY)
        and other not in taken
        and visible_senses(other)[0] == meant
    ]


@cache
def _common() -> frozenset[str]:
    """The bank's nouns and everyday words."""
    return frozenset((*everyday(), *(one.name for one in bank() if one.kind == "noun")))


def _plain(word: str, meant: Synset, above: frozenset[int]) -> bool:
    """Whether the word can hardly mean anything else: by the shelf above, or by SemCor's counts."""
    if above & wordnet().above(meant.row):
        return True
    often = {one.row: 1 + wordnet().often(word, one.row) for one in wordnet().senses(word)}
    return often.get(meant.row, 0) > PLAIN_SHARE * sum(often.values())


def sense(word: str, label: Label, labels: LabelSet, texts: Texts) -> Synset | None:
    """The sense of one word of `label` that is meant; see `meanings`."""
    return meanings([(word, label)], labels, texts)[0]


def meanings(
    words: Sequence[tuple[str, Label]], labels: LabelSet, texts: Texts
) -> list[Synset | None]:
    """Words, each with the label that it stands for -> the sense of each that is meant.

    It lies below the shelf above or the `kind`; is of a sort with the other labels; has a gloss
    near the prompt; is common. None where WordNet doesn't know the word. The weights put these in
    that order; they are judged by the cases of tests/test_guard.py.

    `texts` is called twice at most, however many words there are, and not for the glosses of
    senses that could not win with the nearest gloss of all.
    """
    found = [visible_senses(word) for word, _ in words]
    beside, asking = Beside.of(labels), {}
    for at, ((word, label), senses) in enumerate(zip(words, found, strict=True)):
        if len(senses) > 1:
            asking[at] = _Ambiguous(word, senses, context(label, labels), beside)
    first = [text for one in asking.values() for text in one.first_texts()]
    known = dict(zip(first, texts(first), strict=True)) if first else {}
    more = [text for one in asking.values() for text in one.more_texts(known)]
    known |= dict(zip(more, texts(more), strict=True)) if more else {}
    return [
        senses[asking[at].best(known)] if at in asking else next(iter(senses), None)
        for at, senses in enumerate(found)
    ]


def sense_fits(
    words: Sequence[tuple[str, Sequence[Synset]]], labels: LabelSet, texts: Texts
) -> list[list[float]]:
    """How well each of the given senses fits each word, among these labels: for words that no shelf
    above tells more of. `texts` is called once."""
    beside = Beside.of(labels)
    asking = [_Ambiguous(word, senses, frozenset(), beside) for word, senses in words]
    wanted = [text for one in asking for text in (one.prompt, *one.glosses)]
    known = dict(zip(wanted, texts(wanted), strict=True)) if wanted else {}
    return [[one.fit(at, known) for at in range(len(one.glosses))] for one in asking]


class _Ambiguous:
    """A word of several senses: which of their glosses must be compared, and which sense fits best.

    How near a gloss is to the word's prompt is a cosine, so at most 1: a sense that is behind
    another even with that needs no embedding.
    """

    def __init__(
        self, word: str, senses: Sequence[Synset], above: frozenset[int], beside: Beside
    ) -> None:
        self.prompt = PLAIN.format(word)
        self.glosses = [f"{word}: {one.gloss}" for one in senses]
        # "dog" is found 42 times as the animal in SemCor, and never as the andiron
        self._common = [0.15 * math.log1p(wordnet().often(word, one.row)) for one in senses]
        self._below = [1.0 * bool(above & wordnet().above(one.row)) for one in senses]
        self._beside = [0.5 * beside.share(word, one.lexname) for one in senses]

    def fit(self, at: int, known: Mapping[str, Vector]) -> float:
        return self._fit(at, float(known[self.glosses[at]] @ known[self.prompt]))

    def first_texts(self) -> list[str]:
        """The prompt, and the gloss of the sense that leads as long as no gloss is compared."""
        return [self.prompt, self.glosses[self._leader]]

    def more_texts(self, known: Mapping[str, Vector]) -> list[str]:
        """The glosses of the other senses that may still be the best."""
        return [self.glosses[at] for at in self._rivals(known) if at != self._leader]

    def best(self, known: Mapping[str, Vector]) -> int:
        rivals = self._rivals(known)
        return rivals[int(np.argmax([self.fit(at, known) for at in rivals]))]

    @property
    def _leader(self) -> int:
        return int(np.argmax([self._fit(at, 0.0) for at in range(len(self.glosses))]))

    def _rivals(self, known: Mapping[str, Vector]) -> list[int]:
        least = self.fit(self._leader, known) - ROUNDING
        return [at for at in range(len(self.glosses)) if self._fit(at, 1.0) >= least]

    def _fit(self, at: int, near: float) -> float:
        return near + self._common[at] + self._below[at] + self._beside[at]


@dataclass(frozen=True, slots=True)
class Beside:
    """What sorts of thing ("animal") the labels' names may be, to be asked for each name of what
    the others are. Exact: only halves, quarters, ... are added."""

    named: Mapping[str, int]  # a name as it is asked -> labels of that name
    sorts: Mapping[str, float]  # sort -> sum over the labels
    known: int  # labels that WordNet knows

    @classmethod
    def of(cls, labels: LabelSet) -> Beside:
        named = Counter(asked(one.name, labels) for one in labels)
        total: dict[str, float] = defaultdict(float)
        for word, count in named.items():
            for sort, weight in _sorts(word).items():
                total[sort] += count * weight
        return cls(named, total, sum(count for word, count in named.items() if _sorts(word)))

    def share(self, word: str, sort: str) -> float:
        """How much the labels whose name is not `word` are of that sort: 0 to 1."""
        mine, count = _sorts(word), self.named.get(word, 0)
        others = self.known - (count if mine else 0)
        weight = self.sorts.get(sort, 0.0) - count * mine.get(sort, 0.0)
        return weight / max(others, 1)


@cache
def _sorts(word: str) -> dict[str, float]:
    """What sorts of thing ("animal") a word may be: its commonest sense counts for one, the next
    for a half, and so on."""
    found: dict[str, float] = {}
    for rank, one in enumerate(visible_senses(word)):
        found.setdefault(one.lexname, 0.5**rank)
    return found


def context(label: Label, labels: LabelSet) -> frozenset[int]:
    """Senses that the meant one must lie below: of the shelves above the label, and of the kind."""
    near = [*label.name.split("/")[:-1], *([labels.kind] if labels.kind else [])]
    return frozenset(one.row for text in near for one in wordnet().senses(spoken(text)))


@lru_cache(maxsize=65_536)
def visible_senses(word: str) -> tuple[Synset, ...]:
    """A noun's senses without names of persons and places, those that can be seen before others."""
    senses = [
        one
        for one in wordnet().senses(word)
        if word != word.lower() or any(lemma == lemma.lower() for lemma in one.lemmas)
    ]
    return tuple(one for one in senses if one.lexname not in _UNSEEN) or tuple(senses)
