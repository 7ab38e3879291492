"""Chooses the sense of an ambiguous word: "crane" beside "heron" is the bird.

The choice weighs the shelf above the label, the categories of the other labels, how common each
sense is, and how near the model puts its definition to the word.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf.labels.normalise import phrase
from zeroshelf.labels.prompts import PLAIN, Texts
from zeroshelf.labels.wordnet import INVISIBLE, wordnet
from zeroshelf.records import Label, LabelSet, Synset

# The weights order the evidence by its strength; tests/test_negative_filter.py has the cases that
# they were chosen by. The model's evidence is a cosine, so at most 1.
BELOW_CONTEXT = 1.0  # for a sense below the shelf above the label, or below the label set's kind
SAME_CATEGORY = 0.5  # times the share of the other labels that are of the sense's category
COMMON = 0.15  # times the logarithm of 1 + the sense's count in SemCor
ROUNDING = 1e-5  # the largest rounding error of a cosine of two unit vectors

Vector: TypeAlias = npt.NDArray[np.float32]  # (D,), of length 1


def choose_senses(
    words: Sequence[tuple[str, frozenset[int]]], names: Sequence[str], texts: Texts
) -> list[Synset | None]:
    """The sense of each word that is meant; None where WordNet has none.

    `words` are dictionary forms, each with the context of its label (see `context`), and `names`
    the dictionary forms of the names of all labels of the set. `texts` is called at most twice,
    and not for the definitions of senses that could not win even at a cosine of 1.
    """
    found = [visible_senses(word) for word, _ in words]
    shares, ambiguous = CategoryShares.of(names), {}
    for at, ((word, above), senses) in enumerate(zip(words, found, strict=True)):
        if len(senses) > 1:
            ambiguous[at] = _Ambiguous(word, senses, above, shares)
    first = [text for one in ambiguous.values() for text in one.first_texts()]
    known = dict(zip(first, texts(first), strict=True)) if first else {}
    more = [text for one in ambiguous.values() for text in one.more_texts(known)]
    known |= dict(zip(more, texts(more), strict=True)) if more else {}
    return [
        senses[ambiguous[at].best(known)] if at in ambiguous else next(iter(senses), None)
        for at, senses in enumerate(found)
    ]


def sense_fits(
    words: Sequence[tuple[str, Sequence[Synset]]], names: Sequence[str], texts: Texts
) -> list[list[float]]:
    """How well each of the given senses fits its word, in the units of `choose_senses`, for labels
    without a context.

    `words` are dictionary forms with the senses to compare; `names` as for `choose_senses`.
    `texts` is called at most once.
    """
    shares = CategoryShares.of(names)
    ambiguous = [_Ambiguous(word, senses, frozenset(), shares) for word, senses in words]
    wanted = [text for one in ambiguous for text in (one.prompt, *one.glosses)]
    known = dict(zip(wanted, texts(wanted), strict=True)) if wanted else {}
    return [[one.fit(at, known) for at in range(len(one.glosses))] for one in ambiguous]


class _Ambiguous:
    """A word of several senses: which definitions must be embedded, and which sense fits best.

    The fit of a sense is the cosine of its definition to the word's prompt plus evidence that needs
    no model. A sense that would lose even at a cosine of 1 is not embedded.
    """

    def __init__(
        self, word: str, senses: Sequence[Synset], above: frozenset[int], shares: CategoryShares
    ) -> None:
        self.prompt = PLAIN.format(word)
        self.glosses = [f"{word}: {one.gloss}" for one in senses]
        # SemCor has "dog" 42 times as the animal, and never as the andiron
        self._common = [COMMON * math.log1p(wordnet().count(word, one.row)) for one in senses]
        self._below = [BELOW_CONTEXT * bool(above & wordnet().above(one.row)) for one in senses]
        self._beside = [SAME_CATEGORY * shares.without(word, one.lexname) for one in senses]

    def fit(self, at: int, known: Mapping[str, Vector]) -> float:
        return self._fit(at, float(known[self.glosses[at]] @ known[self.prompt]))

    def first_texts(self) -> list[str]:
        """The prompt, and the definition of the sense that leads before any cosine is known."""
        return [self.prompt, self.glosses[self._leader]]

    def more_texts(self, known: Mapping[str, Vector]) -> list[str]:
        """The definitions of the other senses that can still win."""
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

    def _fit(self, at: int, cosine: float) -> float:
        return cosine + self._common[at] + self._below[at] + self._beside[at]


@dataclass(frozen=True, slots=True)
class CategoryShares:
    """How many labels are of each category ("animal"), to be asked without one of the names.

    The sums are exact whatever the order of the labels: all weights are powers of one half.
    """

    names: Mapping[str, int]  # a name's dictionary form -> how many labels have that name
    weights: Mapping[str, float]  # category -> sum over the labels
    known: int  # labels that are in WordNet

    @classmethod
    def of(cls, names: Iterable[str]) -> CategoryShares:
        counts = Counter(names)
        total: dict[str, float] = defaultdict(float)
        for word, count in counts.items():
            for category, weight in _categories(word).items():
                total[category] += count * weight
        known = sum(count for word, count in counts.items() if _categories(word))
        return cls(counts, total, known)

    def without(self, word: str, category: str) -> float:
        """The share of the labels of another name than `word` that are of `category`: 0 to 1."""
        own, count = _categories(word), self.names.get(word, 0)
        others = self.known - (count if own else 0)
        weight = self.weights.get(category, 0.0) - count * own.get(category, 0.0)
        return weight / max(others, 1)


@cache
def _categories(word: str) -> dict[str, float]:
    """The categories that a word may be of: 1 for that of its commonest sense, 0.5 for that of the
    next, then 0.25, and so on."""
    found: dict[str, float] = {}
    for rank, one in enumerate(visible_senses(word)):
        found.setdefault(one.lexname, 0.5**rank)
    return found


def context(label: Label, labels: LabelSet) -> frozenset[int]:
    """Rows of the synsets that the meant sense should lie below: every sense of the shelves above
    the label ("animals" of "animals/crane") and of the label set's kind."""
    near = [*label.name.split("/")[:-1], *([labels.kind] if labels.kind else [])]
    return frozenset(one.row for text in near for one in wordnet().senses(phrase(text)))


@lru_cache(maxsize=65_536)
def visible_senses(word: str) -> tuple[Synset, ...]:
    """The senses of `word` in WordNet that are left by `visible`."""
    return visible(word, wordnet().senses(word))


def visible(word: str, senses: Sequence[Synset]) -> tuple[Synset, ...]:
    """Those of a noun's senses that a picture can show, in their order; where there are none, the
    others. A word in lower case has no senses that are names of persons or places."""
    named = [
        one
        for one in senses
        if word != word.lower() or any(lemma == lemma.lower() for lemma in one.lemmas)
    ]
    return tuple(one for one in named if one.lexname not in INVISIBLE) or tuple(named)
