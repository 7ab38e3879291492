"""A label -> the negative labels that its pictures may well show: words that the user may want to
count as the label.

The negative filter removes what is certain to mean the same. This is wider, and changes no decision
by itself: what is a kind or a part of the label, in the sense that is meant and in further common
ones; what the lexicon says that its pictures show, but for what is around it; and what names the
label in its definition ("gown: a woman's dress") or is named in the label's. Left out are what the
label is a kind of, and what lies beside it in WordNet: a woman is "opposed to a man", and no man.
"""

from __future__ import annotations

import re
from functools import cache

from zeroshelf.labels import lexicon, negative_filter
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import ResolvedLabel, Synset

LEAST_LETTERS = 3  # of a word of a definition
_TOO_WIDE = ("above it", "same word")  # relations of the negative filter that add nothing here


@cache
def related_words(label: ResolvedLabel) -> frozenset[int]:
    """The rows of `negative_labels()` that pictures of a label may well show; none that is no thing
    ("a blurry photo"), and none of the label's own words."""
    below, names, inside = set[int](), set[str](), set[str]()
    beside, above, further = set[int](), set[int](), set[int]()
    for word in label.words:
        names.add(word.text.lower())
        if word.sense is not None:
            why = negative_filter.related(word.text, word.sense)
            below |= {row for row, one in why.items() if one not in _TOO_WIDE}
            above |= {row for row, one in why.items() if one in _TOO_WIDE}
            names |= {one.lower() for one in word.sense.lemmas if _first_means(one, word.sense)}
            inside |= _words(word.sense.gloss)
            beside |= {row for row, one in enumerate(_first_senses()) if _beside(one, word.sense)}
        further |= _in_other_senses(word.text, word.sense)
    near = negative_filter.siblings(label) | beside
    by_gloss = {
        row
        for row, one in enumerate(_first_senses())
        if one is not None
        and row not in near
        and (names & _gloss_of(row) or negative_labels()[row].name.lower() in inside)
    }
    no_sign = lexicon.styles() | lexicon.around(label.phrase)
    shown = negative_filter.shown_as_well(set(label.also_shown) - no_sign)
    found = (below | by_gloss | (further - near) | (shown - beside)) - above
    every, known = negative_labels(), names | lexicon.names_of(label.phrase)
    return frozenset(
        row for row in found if every[row].kind != "junk" and every[row].name.lower() not in known
    )


def _in_other_senses(word: str, meant: Synset | None) -> set[int]:
    """What is the word, a kind of it or a part of it, in a further sense that SemCor knows."""
    found: set[int] = set()
    for sense in visible_senses(word):
        if sense != meant and wordnet().count(word, sense.row):
            why = negative_filter.related(word, sense)
            found |= {row for row, one in why.items() if one not in _TOO_WIDE}
    return found


def _beside(one: Synset | None, sense: Synset) -> bool:
    """Whether a negative's sense is another direct kind of what the label's sense is a kind of, or
    another person beside a person: a photo of a bride may show a man, who is none."""
    if one is None or one == sense:
        return False
    above, person = wordnet().above(one.row), _person()
    persons = person in above and person in wordnet().above(sense.row)
    return (persons and sense.row not in above) or not set(one.above).isdisjoint(sense.above)


@cache
def _person() -> int:
    return visible_senses("person")[0].row


def _first_means(lemma: str, sense: Synset) -> bool:
    """Whether a word first of all has that sense: "automobile" a car, "machine" none."""
    return sense in visible_senses(lemma)[:1]


@cache
def _first_senses() -> tuple[Synset | None, ...]:
    """The first sense of each negative label that is a noun; None for all others."""
    return tuple(
        next(iter(visible_senses(one.name)), None) if one.kind == "noun" else None
        for one in negative_labels()
    )


@cache
def _gloss_of(row: int) -> frozenset[str]:
    sense = _first_senses()[row]
    return frozenset() if sense is None else frozenset(_words(sense.gloss))


def _words(gloss: str) -> set[str]:
    """The words of a definition, each as it is and in the singular."""
    words = {word for word in re.findall("[a-z]+", gloss.lower()) if len(word) >= LEAST_LETTERS}
    return words | {wordnet().singular(word) for word in words}
