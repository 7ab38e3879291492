"""labels -> resolved labels: what each label's words are asked as, which sense is meant, and the
prompts. Made once a label set; the scores, the negatives and the checks take it from there."""

from __future__ import annotations

from dataclasses import dataclass

from zeroshelf.labels.prompts import Texts, asked, label_prompts
from zeroshelf.labels.senses import described, meanings, taken_by
from zeroshelf.labels.wordnet import Synset
from zeroshelf.records import Label, LabelSet, Progress

TELL_EVERY = 50  # labels


@dataclass(frozen=True, slots=True)
class ResolvedLabel:
    label: Label
    words: tuple[str, ...]  # its name and its words as templates and dictionary take them
    senses: tuple[Synset | None, ...]  # of each of `words`; None: not in WordNet
    prompts: tuple[tuple[str, ...], ...]  # a group for each word that the model is asked for


def resolve(
    labels: LabelSet, texts: Texts, progress: Progress | None = None
) -> tuple[ResolvedLabel, ...]:
    """A row for each label, in their order. The work grows with the number of labels, not with its
    square, and `texts` is called twice at most.

    `progress` hears of the stage "labels": how many are resolved, of how many.
    """
    words = [tuple(asked(word, labels) for word in (label.name, *label.words)) for label in labels]
    pairs = [(word, label) for label, own in zip(labels, words, strict=True) for word in own]
    if progress:
        progress("labels", 0, len(labels))
    meant = iter(meanings(pairs, labels, texts))
    taken, resolved = taken_by(labels), list[ResolvedLabel]()
    for label, own in zip(labels, words, strict=True):
        senses = tuple(next(meant) for _ in own)
        more, meaning = described(label, senses[0], labels, taken)
        prompts = tuple(map(tuple, label_prompts(more, labels, meaning)))
        resolved.append(ResolvedLabel(label, own, senses, prompts))
        if progress and (len(resolved) % TELL_EVERY == 0 or len(resolved) == len(labels)):
            progress("labels", len(resolved), len(labels))
    return tuple(resolved)
