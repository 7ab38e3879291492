"""The label check: what is likely to go wrong with these labels, before a run and after it.

A vision-language model ignores negations, cannot see what is abstract, and takes one sense of
"crane" without saying which. No problem found here stops a run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache

import numpy as np

from zeroshelf.labels.advice import Advice, merged, with_word
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.normalise import comparable, phrase
from zeroshelf.labels.overlap import (
    earlier_equals,
    equal_labels,
    indistinct_pairs,
    narrower_labels,
)
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.senses import sense_fits, visible
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Model, NegativeRows, ResolvedLabel, ResolvedLabels, Synset

# Two senses are hard to tell apart unless the better one leads by this much, in the units of
# `sense_fits` (1 is a cosine of 1), or is this many times as common in SemCor.
CLEAR_LEAD = 0.50
TIMES_AS_COMMON = 15
_ABSTRACT = {"attribute", "cognition", "feeling", "motive", "relation", "possession", "state"}
# The categories of senses that are compared. Food is left out: it is made of animals and plants.
_THINGS = {"animal", "artifact", "object", "body"}
_NEGATION = re.compile(r"\b(no|not|non|without|except|isn't|aren't)\b", re.IGNORECASE)


def check(
    resolved: ResolvedLabels, model: Model, texts: Texts, negatives: NegativeRows | None = None
) -> tuple[Advice, ...]:
    """All advice that is possible before a run, at most one item per label in the order of the
    labels, then the pairs that the model can hardly tell apart. `negatives`: as for `serious`."""
    found: list[Advice] = []
    names, earlier = _names(resolved), earlier_equals(resolved)
    unclear, narrower = _unclear_senses(resolved, texts), narrower_labels(resolved)
    for row, one in enumerate(resolved):
        advice = (
            _negation(one, names)
            or _list(one)
            or equal_labels(one.label, earlier[row])
            or _language(one, resolved.labels.language, model)
            or _abstract(one, resolved.labels.language)
            or unclear.get(row)
            or narrower.get(row)
        )
        if advice:
            found.append(advice)
    return (*found, *indistinct_pairs(resolved, texts, negatives))


def serious(
    resolved: ResolvedLabels, model: Model, texts: Texts, negatives: NegativeRows | None = None
) -> tuple[Advice, ...]:
    """The advice that every run shows: on problems that spoil it whatever the pictures are.

    It takes some 20 ms and embeds no text that the scores don't embed, which are of the same
    `negatives` (None: all). A single word that is not English may be a name that the model knows:
    they are reported where half of the labels are such.
    """
    names = _names(resolved)
    found = [_negation(one, names) or _list(one) for one in resolved]
    unknown = [*filter(None, (_language(one, resolved.labels.language, model) for one in resolved))]
    if 2 * len(unknown) >= len(resolved):
        found += unknown
    return (*merged([*filter(None, found)]), *indistinct_pairs(resolved, texts, negatives))


def for_empty_shelves(
    resolved: ResolvedLabels, empty: Collection[int], model: Model
) -> list[Advice]:
    """Advice after a run, for the labels at the rows `empty`, which got no picture."""
    return [
        _language(one, resolved.labels.language, model)
        or equal_labels(one.label, earlier)
        or Advice((one.name,), "got no picture", f"other words may help, {with_word(one.label)}")
        for row, (one, earlier) in enumerate(zip(resolved, earlier_equals(resolved), strict=True))
        if row in empty
    ]


def _names(resolved: ResolvedLabels) -> dict[str, str]:
    """The comparable form of each label's phrase -> the name of the first label with it."""
    return {comparable(one.phrase): one.name for one in reversed(resolved.each)}


def _negation(one: ResolvedLabel, names: Mapping[str, str]) -> Advice | None:
    """ "no people": the model would look for people."""
    if one.label.prompts or not _NEGATION.search(one.phrase):
        return None
    bare = phrase(" ".join(_NEGATION.sub(" ", one.phrase).split()))
    there = names.get(comparable(bare))
    return Advice(
        (one.name,),
        "the model doesn't understand negations and will look for what is named",
        f'leave it out: what doesn\'t fit {there} goes to "other"'
        if there
        else f"name what is there, and what is not wanted as a negative: !{bare}",
    )


def _list(one: ResolvedLabel) -> Advice | None:
    """ "cat, dog", which is one label."""
    several = [part.strip() for part in one.name.split(",")]
    if one.label.prompts or len(several) < 2:
        return None
    each = " ".join(f'-l "{part}"' if " " in part else f"-l {part}" for part in several)
    suggestion = f"give each its own: {each}, or a line each in a labels file"
    return Advice((one.name,), "is one label, not several", suggestion)


def _language(one: ResolvedLabel, language: str, model: Model) -> Advice | None:
    """A label in a language that the model doesn't know. With prompts of its own a label's name is
    not asked, here and below."""
    if one.label.prompts:
        return None
    if model.languages and language not in model.languages:
        problem = f"the model doesn't know the language {language!r}"
    elif set(model.languages) != {"en"} or one.label.words or one.phrase_senses or one.other_ways:
        return None
    elif not one.phrase.isascii():
        problem = "the model knows English only"
    elif not (_is_negative_label(one.words[0].text) or _known_part(one.phrase)):
        problem = "not among WordNet's English nouns, and the model knows English only"
    else:
        return None
    return Advice(
        (one.name,), problem, f"name in English what such a picture shows, {with_word(one.label)}"
    )


def _known_part(text: str) -> bool:
    """Whether WordNet has a word of a phrase of several words."""
    parts = text.split()
    return len(parts) > 1 and any(wordnet().senses(part) for part in parts)


def _abstract(one: ResolvedLabel, language: str) -> Advice | None:
    """A label whose two commonest senses are nothing that a picture shows: "freedom"."""
    senses = one.phrase_senses[:2]
    own = one.label.words or one.label.prompts
    if language != "en" or own or _is_negative_label(one.words[0].text):
        return None
    if not senses or not all(sense.lexname in _ABSTRACT for sense in senses):
        return None
    return Advice(
        (one.name,),
        "is hard to see in a picture",
        f"name what such a picture shows, {with_word(one.label)}",
    )


def _is_negative_label(text: str) -> bool:
    """Whether it is one of the negative labels, all of which pictures can show."""
    return text in _negative_names()


@cache
def _negative_names() -> frozenset[str]:
    return frozenset(one.name for one in negative_labels())


def _unclear_senses(resolved: ResolvedLabels, texts: Texts) -> dict[int, Advice]:
    """Row of a label -> advice, where its name has two senses or more that are hard to tell."""
    if resolved.labels.language != "en":
        return {}
    words: dict[int, tuple[str, list[Synset]]] = {}
    for row, one in enumerate(resolved):
        if one.label.words or one.label.prompts or one.context:
            continue
        senses = [s for s in visible(one.phrase, one.phrase_senses) if s.lexname in _THINGS]
        if len({sense.lexname for sense in senses}) > 1:
            words[row] = one.words[0].text, senses
    names = [one.words[0].text for one in resolved]
    fits = sense_fits(list(words.values()), names, texts)
    found: dict[int, Advice] = {}
    for (row, (_, senses)), fit in zip(words.items(), fits, strict=True):
        if advice := _unclear(resolved.each[row], senses, fit):
            found[row] = advice
    return found


def _unclear(one: ResolvedLabel, senses: Sequence[Synset], fits: Sequence[float]) -> Advice | None:
    """Advice unless the best of the senses is clear; `fits` are theirs, from `sense_fits`."""
    best = int(np.argmax(fits))
    rivals = [row for row, sense in enumerate(senses) if sense.lexname != senses[best].lexname]
    rival = max(rivals, key=lambda row: fits[row])
    counts = (wordnet().count(one.phrase, senses[row].row) for row in (best, rival))
    rare, common = sorted(counts)
    if fits[best] - fits[rival] > CLEAR_LEAD or common >= TIMES_AS_COMMON * (rare + 1):
        return None
    return Advice(
        (one.name,),
        f'has several senses: "{_short(senses[best].gloss)}" and "{_short(senses[rival].gloss)}"',
        f'put it on a shelf, "kind/{one.phrase}", or say which, '
        f"{with_word(one.label, 'another word for it')}",
    )


def _short(gloss: str) -> str:
    return gloss if len(gloss) <= 50 else gloss[:50].rpartition(" ")[0] + " ..."
