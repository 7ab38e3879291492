"""What is likely to go wrong with these labels, before a run and after it; each with a way out.

A vision-language model has no notion of "no", cannot see justice, and takes a crane for a bird or
a machine without asking. None of this stops a run: it is advice.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from zeroshelf.labels.negative_labels import bank
from zeroshelf.labels.parse import same, spoken
from zeroshelf.labels.prompts import Texts, asked, label_prompts, mean_vectors
from zeroshelf.labels.senses import context, meanings, sense_fits, visible_senses
from zeroshelf.labels.wordnet import Synset, wordnet
from zeroshelf.records import Label, LabelSet, Model

TWINS = 0.80  # centred cosine of two labels that the model can hardly tell apart
CLOSE_SENSES = 0.50  # how much nearer the best sense must be to stand alone
OFTENER = 15  # or how many times as common
TOLD = 3  # pieces of advice for those who didn't ask; `zeroshelf labels check` has them all
NAMED = 5  # labels of one piece of advice; more are counted
_ABSTRACT = {"attribute", "cognition", "feeling", "motive", "relation", "possession", "state"}
_THINGS = {"animal", "artifact", "object", "body"}  # food is made of animals and plants
_NEGATION = re.compile(r"\b(no|not|non|without|except|isn't|aren't)\b", re.IGNORECASE)
# Where a definition's first words, those that tell what it is, end: "young domestic cat"
_END = re.compile(r"[^a-z ]|\b(?:at|by|for|from|in|of|on|that|to|used|where|which|with)\b")


@dataclass(frozen=True, slots=True)
class Advice:
    labels: tuple[str, ...]
    problem: str
    suggestion: str

    @property
    def names(self) -> str:
        """The labels as a person lists them; of many, the first."""
        more = len(self.labels) - NAMED
        *most, last = (*self.labels[:NAMED], f"{more:,} more") if more > 0 else self.labels
        return f"{', '.join(most)} and {last}" if most else last

    def __str__(self) -> str:
        return f"{self.names}: {self.problem}; {self.suggestion}"


def check(labels: LabelSet, model: Model, texts: Texts) -> tuple[Advice, ...]:
    """Advice before a run, in the order of the labels."""
    found: list[Advice] = []
    named, same_as = _named(labels), _same_as(labels)
    unclear, kinds = _senses(labels, texts), _kinds(labels, texts)
    for at, label in enumerate(labels):
        word = spoken(label.name)
        advice = (
            _negation(label, word, named)
            or _list(label)
            or _same(label, same_as[at])
            or _language(label, word, labels, model)
            or _abstract(label, word, labels)
            or unclear.get(at)
            or kinds.get(at)
        )
        if advice:
            found.append(advice)
    return (*found, *_twins(labels, texts))


def serious(labels: LabelSet, model: Model, texts: Texts) -> tuple[Advice, ...]:
    """What of that spoils a run whatever the pictures are: for those who didn't ask for advice.
    It takes some 20 ms, and no text that the scores don't ask for. One strange word among many may
    be a name that the model knows; where half are strange, it is another language."""
    named = _named(labels)
    found = [_negation(one, spoken(one.name), named) or _list(one) for one in labels]
    foreign = [_language(one, spoken(one.name), labels, model) for one in labels]
    strange = [*filter(None, foreign)]
    if 2 * len(strange) >= len(labels):
        found += strange
    return (*together([*filter(None, found)]), *_twins(labels, texts))


def told(advice: Sequence[Advice]) -> Iterator[str]:
    """What is serious, in a line each, for those who didn't ask."""
    for one in advice[:TOLD]:
        yield f"{one.names}: {one.problem}; `zeroshelf labels check` says what helps"
    if len(advice) > TOLD:
        yield f"... and {len(advice) - TOLD:,} more about these labels"


def for_empty_shelves(labels: LabelSet, empty: Collection[int], model: Model) -> list[Advice]:
    """Advice after a run, for the labels at the rows `empty`, which drew no picture."""
    same_as = _same_as(labels)
    return [
        _language(label, spoken(label.name), labels, model)
        or _same(label, earlier)
        or Advice((label.name,), "drew no picture", f"other words may help: {_line(label)}")
        for at, (label, earlier) in enumerate(zip(labels, same_as, strict=True))
        if at in empty
    ]


def together(found: Sequence[Advice]) -> tuple[Advice, ...]:
    """One piece of advice for all labels of which the same is said alone."""
    made: dict[object, list[Advice]] = {}
    for one in found:
        made.setdefault(one.problem if len(one.labels) == 1 else one, []).append(one)
    return tuple(
        replace(alike[0], labels=tuple(name for one in alike for name in one.labels))
        for alike in made.values()
    )


def _named(labels: LabelSet) -> dict[str, str]:
    """What each label looks for, as `same` has it -> the first label that does."""
    return {same(spoken(one.name)): one.name for one in reversed(labels.labels)}


def _negation(label: Label, word: str, named: Mapping[str, str]) -> Advice | None:
    if label.prompts or not _NEGATION.search(word):
        return None
    bare = spoken(" ".join(_NEGATION.sub(" ", word).split()))
    there = named.get(same(bare))
    return Advice(
        (label.name,),
        "the model doesn't understand negations and will look for what is named",
        f'leave it out: what doesn\'t fit {there} goes to "other"'
        if there
        else f"name what is there, and what is not wanted as a negative: !{bare}",
    )


def _list(label: Label) -> Advice | None:
    """ "cat, dog", which is one label."""
    several = [part.strip() for part in label.name.split(",")]
    if label.prompts or len(several) < 2:
        return None
    each = " ".join(f'-l "{one}"' if " " in one else f"-l {one}" for one in several)
    return Advice((label.name,), "is asked as one label", f"give each its own: {each}")


def _language(label: Label, word: str, labels: LabelSet, model: Model) -> Advice | None:
    if label.prompts:  # then the name is only a name, here and below
        return None
    if model.languages and labels.language not in model.languages:
        problem = f"the model doesn't know the language {labels.language!r}"
    elif set(model.languages) != {"en"} or label.words:
        return None
    elif not word.isascii() and not wordnet().senses(word):
        problem = "the model knows English only"
    elif not (_in_bank(word) or any(wordnet().senses(part) for part in (word, *word.split()))):
        problem = "not among WordNet's English nouns, and the model knows English only"
    else:
        return None
    return Advice(
        (label.name,),
        problem,
        f"name in English what such a picture shows: {_line(label)}",
    )


def _abstract(label: Label, word: str, labels: LabelSet) -> Advice | None:
    senses = wordnet().senses(word)[:2]
    if labels.language != "en" or label.words or label.prompts or _in_bank(word):
        return None
    if not senses or not all(one.lexname in _ABSTRACT for one in senses):
        return None
    return Advice(
        (label.name,),
        "is hard to see in a picture",
        f"name what such a picture shows: {_line(label)}",
    )


def _in_bank(word: str) -> bool:
    """Is it among what pictures are known to show?"""
    return word in _bank_names()


@cache
def _bank_names() -> frozenset[str]:
    return frozenset(one.name for one in bank())


def _senses(labels: LabelSet, texts: Texts) -> dict[int, Advice]:
    """Row of a label -> advice, where its word has two senses or more that are hard to tell."""
    words: dict[int, tuple[str, list[Synset]]] = {}
    for at, label in enumerate(labels):
        if labels.language != "en" or label.words or label.prompts or context(label, labels):
            continue
        senses = [one for one in visible_senses(spoken(label.name)) if one.lexname in _THINGS]
        if len({one.lexname for one in senses}) > 1:
            words[at] = asked(label.name, labels), senses
    fits = sense_fits(list(words.values()), labels, texts)
    found: dict[int, Advice] = {}
    for (at, (_, senses)), fit in zip(words.items(), fits, strict=True):
        if advice := _unclear(labels.labels[at], senses, fit):
            found[at] = advice
    return found


def _unclear(label: Label, senses: Sequence[Synset], fits: Sequence[float]) -> Advice | None:
    word, best = spoken(label.name), int(np.argmax(fits))
    rivals = [row for row, one in enumerate(senses) if one.lexname != senses[best].lexname]
    rival = max(rivals, key=lambda row: fits[row])
    rare, common = sorted(wordnet().often(word, senses[row].row) for row in (best, rival))
    if fits[best] - fits[rival] > CLOSE_SENSES or common >= OFTENER * (rare + 1):
        return None
    return Advice(
        (label.name,),
        f'has several senses: "{_short(senses[best].gloss)}" and "{_short(senses[rival].gloss)}"',
        f'say which: {_line(label, "another word for it")}, or put it on a shelf: "kind/{word}"',
    )


def _kinds(labels: LabelSet, texts: Texts) -> dict[int, Advice]:
    """Row of a label -> advice, where it is a kind of another: "kitten" beside "cat", but not
    "cat/kitten"."""
    if labels.language != "en":
        return {}
    rows = [at for at, label in enumerate(labels) if not label.prompts]
    pairs = [(asked(one.name, labels), one) for one in (labels.labels[at] for at in rows)]
    meant = dict(zip(rows, meanings(pairs, labels, texts), strict=True))
    by_sense: dict[int, list[int]] = defaultdict(list)  # row of WordNet -> rows of labels
    by_word: dict[str, list[int]] = defaultdict(list)
    for at, label in enumerate(labels):
        if (one := meant.get(at)) is not None:
            by_sense[one.row].append(at)
            by_word[asked(label.name, labels).lower()].append(at)
    found: dict[int, Advice] = {}
    for at, mine in meant.items():
        if mine is None:
            continue
        label = labels.labels[at]
        first = _END.split(mine.gloss.lower(), maxsplit=1)[0].split()
        above = {other for row in wordnet().above(mine.row) for other in by_sense.get(row, ())}
        above.update(other for word in first for other in by_word.get(word, ()))
        for other in (labels.labels[row] for row in sorted(above) if meant[row] != mine):
            if not label.name.startswith(f"{other.name}/"):
                found[at] = _kind(label, other)
                break
    return found


def _kind(label: Label, other: Label) -> Advice:
    return Advice(
        (label.name, other.name),
        "the first is a kind of the second, and such a picture fits both",
        f"make them one, {_line(other, label.name)}, or a shelf in the other: "
        f'"{other.name}/{label.name}"',
    )


def _same(label: Label, earlier: Label | None) -> Advice | None:
    """A label that says the same as one before it, "cats" after "cat", never draws a picture."""
    if earlier is None:
        return None
    return Advice((earlier.name, label.name), "ask for the same", "make them one label")


def _same_as(labels: LabelSet) -> list[Label | None]:
    """Of each label the first before it that is asked alike."""
    first: dict[object, Label] = {}
    earlier = [first.setdefault(_asking(label, labels), label) for label in labels]
    return [None if one is label else one for one, label in zip(earlier, labels, strict=True)]


def _asking(label: Label, labels: LabelSet) -> tuple[object, ...]:
    """Equal for two labels that are asked in the same words, and in the same sense as far as the
    shelf above tells."""
    return tuple(map(tuple, label_prompts(label, labels))), context(label, labels)


def _twins(labels: LabelSet, texts: Texts) -> list[Advice]:
    if len(labels) < 2:
        return []
    prompts = [
        [prompt for group in label_prompts(label, labels) for prompt in group] for label in labels
    ]
    vectors = mean_vectors(prompts, texts)
    vectors = vectors - texts([negative.prompt for negative in bank()]).mean(axis=0)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    cosines = np.triu(vectors @ vectors.T, k=1)
    asking = [_asking(label, labels) for label in labels]
    return [
        Advice(
            (labels.names[a], labels.names[b]),
            "the model can hardly tell them apart",
            "make them one label, or give each words of its own",
        )
        for a, b in np.argwhere(cosines >= TWINS)
        if asking[a] != asking[b]  # that is `_same`
    ]


def _line(label: Label, word: str = "word") -> str:
    """How a labels file gives the label another word."""
    plain = re.fullmatch("[A-Za-z0-9_-]+", label.name)
    name = label.name if plain else json.dumps(label.name, ensure_ascii=False)
    return f"{name} = [{json.dumps(word, ensure_ascii=False)}]"


def _short(gloss: str) -> str:
    return gloss if len(gloss) <= 50 else gloss[:50].rpartition(" ")[0] + " ..."
