"""What the page does to labels: a label set and an edit -> another label set. Pure. All raise
`UserError` if a label is missing or there would be two of one name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from zeroshelf.errors import UserError
from zeroshelf.labels.normalise import comparable, phrase
from zeroshelf.labels.parse import parse
from zeroshelf.records import Label, LabelSet


def added(labels: LabelSet, text: str) -> LabelSet:
    """With the label `text`, written as on the command line: "dog=puppy, golden retriever"."""
    return _with(labels, (*labels, *parse([text])))


def widened(labels: LabelSet, name: str, words: Sequence[str]) -> LabelSet:
    """With further words for the label `name`."""
    own = _find(labels, name)
    (given,) = parse({name: [*own.words, *words]})
    wider = replace(own, words=tuple(dict.fromkeys(given.words)))
    return _with(labels, [wider if one is own else one for one in labels])


def renamed(labels: LabelSet, name: str, to: str) -> tuple[LabelSet, dict[str, str]]:
    """With the label `name` named `to`, which may bring words of its own; and old -> new name."""
    new = parse([to]).labels[0]
    own = _find(labels, name)
    changed = replace(own, name=new.name, words=new.words or own.words)
    return _with(labels, [changed if one is own else one for one in labels]), {name: new.name}


def merged(labels: LabelSet, name: str, into: str) -> LabelSet:
    """Without the label `name`; it and its words and prompts are those of `into` now."""
    own, other = _find(labels, name), _find(labels, into)
    if own is other:
        raise UserError(f"{name!r} can't be merged into itself")
    words = dict.fromkeys((*other.words, phrase(own.name), *own.words))
    prompts = dict.fromkeys(other.prompts + own.prompts)
    both = replace(other, words=tuple(words), prompts=tuple(prompts))
    return _with(labels, [both if one is other else one for one in labels if one is not own])


def dropped(labels: LabelSet, name: str) -> LabelSet:
    """Without the label `name`, which must not be the last one."""
    own = _find(labels, name)
    if len(labels) == 1:
        raise UserError("the last label can't be dropped: add another one first")
    return _with(labels, [one for one in labels if one is not own])


def _find(labels: LabelSet, name: str) -> Label:
    for one in labels:
        if one.name == name:
            return one
    raise UserError(f"the label {name!r} no longer exists")


def _with(labels: LabelSet, changed: Sequence[Label]) -> LabelSet:
    tally = Counter(comparable(one.name) for one in changed)
    for one in changed:
        if tally[comparable(one.name)] > 1:
            raise UserError(f"there is a shelf {one.name!r} already")
    return replace(labels, labels=tuple(changed))
