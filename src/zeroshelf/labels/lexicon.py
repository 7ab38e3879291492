"""What people mean by everyday labels: "people" are men, women and children, and girls no reason to
leave a picture out.

data/negative_labels/everyday.toml has the words, a reviewed list: other ways to ask for a label,
and what its pictures show as well. WordNet knows no members of a group, no roles and no contents
of a place.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from zeroshelf.labels.negative_labels import FOLDER
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import forms, wordnet
from zeroshelf.records import LabelSet, Synset

TOGETHER_MOST_LABELS = 100  # of a label set in which labels are asked for together with others


@dataclass(frozen=True, slots=True)
class Entry:
    """One everyday word."""

    names: tuple[str, ...]  # the word itself and those that mean the same
    means: tuple[str, ...]  # sentences that say what is on such a picture
    together: tuple[str, ...]  # sentences of this and another label, for whose name {} stands
    alone: bool  # whether such a picture is of nothing else
    shows: tuple[str, ...]  # words for what such a picture shows as well
    around: tuple[str, ...]  # words for what is around that: it alone is no such picture


def entry(word: str) -> Entry | None:
    """What the lexicon says of a word or its singular; None where it is not there."""
    known, word = _lexicon().entries, word.lower()
    return known.get(word) or known.get(wordnet().singular(word))


def singular(word: str) -> str:
    """The singular of a word that is here in both numbers, "screenshots"; else the word itself."""
    found = entry(word)
    return next((form for form in forms(word)[1:] if found and form in found.names), word)


def names_of(phrase: str) -> frozenset[str]:
    """The words that mean the same as a label's phrase by its own entry, in lower case."""
    found = entry(phrase)
    return frozenset(name.lower() for name in found.names) if found else frozenset()


def around(phrase: str) -> frozenset[str]:
    """Words for what is around the thing on a picture of a label, by its own entry: a desk and a
    computer around people. Not those that it shows as well."""
    found = entry(phrase)
    return frozenset(found.around) - frozenset(found.shows) if found else frozenset()


def styles() -> frozenset[str]:
    """Words for what pictures of any label may be as well: a drawing, a cartoon."""
    return frozenset(word for _, words in _lexicon().every for word in words)


def entry_of(name: str, labels: LabelSet) -> Entry | None:
    """What the lexicon says of a label, by the phrase of its name. It is in English."""
    return entry(name) if labels.language == "en" else None


def means(
    labels: LabelSet, words: Sequence[Sequence[str]], entries: Sequence[Entry | None]
) -> list[tuple[str, ...]]:
    """Other ways to ask for each label: what it means, but for what names another label of the set
    (with the labels `people` and `child`, a photo of a child is none of people's), and what a
    picture of it and of another label shows ("a beach at sunset").

    words: each label's, as templates take them.
    entries: each label's, of `entry_of`. A label with prompts of its own gets no other ways.
    """
    names = [_names(own, found) for own, found in zip(words, entries, strict=True)]
    taken: dict[str, set[int]] = defaultdict(set)  # by which labels
    for row, mine in enumerate(names):
        for name in mine:
            taken[name].add(row)
    others = _others(words, entries)
    found: list[tuple[str, ...]] = []
    for row, (own, label) in enumerate(zip(entries, labels, strict=True)):
        if own is None or label.prompts:
            found.append(())
            continue
        texts = [text for text in own.means if not _names_another(text, row, taken)]
        both = [text.replace("{}", name) for text in own.together for name in others]
        found.append((*texts, *both))
    return found


def shows(own: Entry | None, labels: LabelSet, meant: Synset | None) -> tuple[str, ...]:
    """Words for what pictures of a label show as well: by its own entry, else by what it is a kind
    of in the sense that is meant."""
    lexicon = _lexicon()
    found = [own.shows, own.around] if own else []
    if meant is not None and labels.language == "en":
        above = wordnet().above(meant.row) | {meant.row}
        rules = lexicon.every if own else (*lexicon.every, *lexicon.of_kind)
        found += [words for row, words in rules if row in above]
    return tuple(dict.fromkeys(word for words in found for word in words))


def _names(words: Sequence[str], found: Entry | None) -> set[str]:
    """The label's words, all that mean the same, and what they are a kind of: an "inner city" is a
    city, and a "highway" a road."""
    own = {*(word.lower() for word in words), *(found.names if found else ())}
    heads = {word.rpartition(" ")[2] for word in own}
    above = (row for word in own for one in visible_senses(word)[:1] for row in one.above)
    return own | heads | {lemma.lower() for row in above for lemma in wordnet().synset(row).lemmas}


def _others(words: Sequence[Sequence[str]], entries: Sequence[Entry | None]) -> list[str]:
    """The names of the labels that a picture may show together with another; none where there are
    too many labels, since one of them would fit by chance."""
    if len(words) > TOGETHER_MOST_LABELS:
        return []
    both = zip(words, entries, strict=True)
    return [own[0] for own, found in both if not (found and (found.alone or found.together))]


def _names_another(text: str, row: int, taken: Mapping[str, set[int]]) -> bool:
    """Whether the text has a word, or two or three, of another label and not of label `row`."""
    words = re.findall(r"[\w'-]+", text.lower())
    runs = (" ".join(words[at : at + n]) for n in (1, 2, 3) for at in range(len(words) - n + 1))
    return any(taken.get(run, {row}).isdisjoint({row}) for run in runs)


_Rules = tuple[tuple[int, tuple[str, ...]], ...]  # a WordNet row, what all below it show


@dataclass(frozen=True, slots=True)
class _Lexicon:
    entries: dict[str, Entry]
    of_kind: _Rules  # what labels without an entry show
    every: _Rules  # what all labels show


@cache
def _lexicon() -> _Lexicon:
    data = tomllib.loads((FOLDER / "everyday.toml").read_text(encoding="utf-8"))
    shared, of_kind, every = (data.pop(name) for name in ("shared", "of_kind", "every"))

    def whole(words: Sequence[str]) -> tuple[str, ...]:
        """With the lists that "@..." stands for, which may name others."""
        found = [whole(shared[word[1:]]) if word[0] == "@" else (word,) for word in words]
        return tuple(dict.fromkeys(word for some in found for word in some))

    entries: dict[str, Entry] = {}
    for one in data.values():
        names = tuple(one["names"])
        shown, around = whole(one["shows"]), whole(one.get("around", ()))
        means, together = (tuple(one.get(key, ())) for key in ("means", "together"))
        alone = bool(one.get("alone", False))
        made = Entry(names, means, together, alone, shown, around)
        entries.update(dict.fromkeys(names, made))
        akin = {name: Entry((name,), (), (), alone, shown, around) for name in one.get("akin", ())}
        entries.update(akin)

    def rules(table: Mapping[str, Sequence[str]]) -> _Rules:
        return tuple((visible_senses(word)[0].row, whole(words)) for word, words in table.items())

    return _Lexicon(entries, rules(of_kind), rules(every))
