"""A label's word -> the sense that is meant, the commoner words for it, and what it means.

"camelopard" is sorted as "giraffe" is: how a label is worded should not decide what it draws. And
a model that never saw a word may know those that explain it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from zeroshelf.labels import spoken
from zeroshelf.records import Label, LabelSet
from zeroshelf.words.bank import bank, everyday
from zeroshelf.words.prompts import PLAIN, Texts, asked
from zeroshelf.words.wordnet import Synset, wordnet

_UNSEEN = {"act", "attribute", "cognition", "communication", "feeling", "motive", "possession",
           "process", "quantity", "relation", "state", "time"}  # fmt: skip
_MANY = {"animal", "food", "plant"}  # more of their names are common than the bank holds
PLAIN_SHARE = 0.7  # of a word's uses that a sense must have to be the one that all expect


def described(label: Label, labels: LabelSet, texts: Texts) -> tuple[Label, tuple[str, ...]]:
    """The label with the common words for the same, and texts that say what it means: nothing of
    both where WordNet doesn't know the word, or the sense is not plain.
    """
    word = asked(label.name, labels)
    if labels.language != "en" or label.prompts:
        return label, ()
    meant = sense(word, label, labels, texts)
    if meant is None or not _plain(word, meant, context(label, labels)):
        return label, ()
    more = replace(label, words=(*label.words, *_commoner(word, meant, labels)))
    kinds = [labels.kind, *(wordnet().synset(row).lemmas[0] for row in meant.above)]
    kind = next((f"a photo of a {word}, a type of {one}." for one in kinds if one), "")
    return more, tuple(filter(None, (f"{word}: {meant.gloss}", kind)))


def _commoner(word: str, meant: Synset, labels: LabelSet) -> list[str]:
    """For a word that is not in everybody's mouth those that are: the words that WordNet, which
    lists a sense's words by how common they are, names before it, where the sense is the first of
    theirs as well. A word of another label is none of this one's.
    """
    lemmas = [lemma.lower() for lemma in meant.lemmas]
    if word.lower() in _common() or word.lower() not in lemmas:
        return []
    others = (one for other in labels for one in (other.name, *other.words))
    taken = {*(asked(one, labels).lower() for one in others), *labels.negatives}
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
    """The sense that is meant: below the shelf above or the `kind`; of a sort with the other
    labels; with a gloss near the prompt; common. None where WordNet doesn't know the word.

    The weights put these in that order; they are judged by the cases of tests/test_guard.py.
    """
    senses = visible_senses(word)
    if len(senses) < 2:
        return senses[0] if senses else None
    return senses[int(np.argmax(sense_fits(word, senses, label, labels, texts)))]


def sense_fits(
    word: str, senses: Sequence[Synset], label: Label, labels: LabelSet, texts: Texts
) -> list[float]:
    """How well each sense fits the word of this label, among these labels."""
    above = context(label, labels)
    others = [other for one in labels if (other := asked(one.name, labels)) != word]
    sorts = [found for other in others if (found := _sorts(other))]
    return [
        fit
        + 1.0 * bool(above & wordnet().above(one.row))
        + 0.5 * sum(found.get(one.lexname, 0) for found in sorts) / max(len(sorts), 1)
        for one, fit in zip(senses, _gloss_fits(word, senses, texts), strict=True)
    ]


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


def _gloss_fits(word: str, senses: Sequence[Synset], texts: Texts) -> list[float]:
    """How near each sense's gloss is to the word's prompt, and how common the sense is: "dog" is
    found 42 times as the animal in SemCor, and never as the andiron."""
    prompt = texts([PLAIN.format(word)])[0]
    glosses = texts([f"{word}: {one.gloss}" for one in senses])
    often = [wordnet().often(word, one.row) for one in senses]
    return [
        float(gloss @ prompt) + 0.15 * math.log1p(count)
        for gloss, count in zip(glosses, often, strict=True)
    ]


def visible_senses(word: str) -> list[Synset]:
    """A noun's senses without names of persons and places, those that can be seen before others."""
    senses = [
        one
        for one in wordnet().senses(word)
        if word != word.lower() or any(lemma == lemma.lower() for lemma in one.lemmas)
    ]
    return [one for one in senses if one.lexname not in _UNSEEN] or senses
