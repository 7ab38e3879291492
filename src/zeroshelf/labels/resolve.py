"""A label set -> resolved labels: each label's words in dictionary form, their senses, synonyms and
prompts.

A run resolves its label set once. The scores, the negative filter, the label check and the advice
after a run take the resolved labels; no later stage normalises a label or looks its sense up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zeroshelf.labels import lexicon
from zeroshelf.labels.normalise import dictionary_form, phrase
from zeroshelf.labels.prompts import Texts, label_prompts
from zeroshelf.labels.senses import choose_senses, context
from zeroshelf.labels.synonyms import commoner_words, glosses, is_unambiguous
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Label, LabelSet, Progress, ResolvedLabel, ResolvedLabels, ResolvedWord

REPORT_EVERY = 50  # labels between two calls of `progress`


def resolve(labels: LabelSet, texts: Texts, progress: Progress | None = None) -> ResolvedLabels:
    """Resolve every label of the set.

    `texts` embeds texts; it is called at most twice, for the prompts and definitions of ambiguous
    words. The work grows with the number of labels, not with its square. `progress` is told the
    stage "labels", how many are resolved, and of how many.
    """
    phrases = [tuple(phrase(word) for word in (one.name, *one.words)) for one in labels]
    words = [tuple(_dictionary_form(one, labels.language) for one in own) for own in phrases]
    contexts = [context(label, labels) for label in labels]
    if progress:
        progress("labels", 0, len(labels))
    pairs = [(word, above) for own, above in zip(words, contexts, strict=True) for word in own]
    senses = iter(choose_senses(pairs, [own[0] for own in words], texts))
    taken = frozenset((*(word.lower() for own in words for word in own), *labels.negatives))
    resolved: list[ResolvedLabel] = []
    entries = [lexicon.entry_of(own[0], labels) for own in phrases]
    other_ways = lexicon.means(labels, words, entries)
    for row, label in enumerate(labels):
        found = [
            ResolvedWord(word, next(senses), in_wordnet=bool(wordnet().senses(word)))
            for word in words[row]
        ]
        one = _resolved(label, labels, phrases[row][0], found, contexts[row], taken)
        more = tuple((text,) for text in other_ways[row])
        also_shown = lexicon.shows(entries[row], labels, found[0].sense)
        resolved.append(replace(one, other_ways=more, also_shown=also_shown))
        if progress and (len(resolved) % REPORT_EVERY == 0 or len(resolved) == len(labels)):
            progress("labels", len(resolved), len(labels))
    return ResolvedLabels(labels, tuple(resolved))


def _dictionary_form(word: str, language: str) -> str:
    """As `normalise.dictionary_form`, also of everyday words that WordNet doesn't have."""
    found = dictionary_form(word, language)
    return found if language != "en" or wordnet().senses(found) else lexicon.singular(found)


def _resolved(
    label: Label,
    labels: LabelSet,
    name: str,
    words: Sequence[ResolvedWord],
    above: frozenset[int],
    taken: frozenset[str],
) -> ResolvedLabel:
    """One label, of whose `words` the senses are known. `name` is the phrase of the label's name,
    `above` its context and `taken` the words that are no synonyms for it."""
    first, texts = words[0], [one.text for one in words]
    more: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    # WordNet has English alone, and a label with prompts of its own is asked by them only
    looked_up = labels.language == "en" and not label.prompts
    if looked_up and first.sense and is_unambiguous(first.text, first.sense, above):
        more = commoner_words(first.text, first.sense, taken)
        explained = glosses(first.text, first.sense, labels.kind)
    singular = [dictionary_form(phrase(word), labels.language) for word in more]
    prompts = label_prompts([*texts, *singular], label.prompts, labels, explained)
    return ResolvedLabel(
        label=label,
        phrase=name,
        phrase_senses=wordnet().senses(first.text),
        words=tuple(words),
        context=above,
        synonyms=more,
        glosses=explained,
        own_prompts=_groups(label_prompts(texts, label.prompts, labels)),
        prompts=_groups(prompts),
    )


def _groups(prompts: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group) for group in prompts)
