"""Advice: what is likely to go wrong with some labels, and what the user can do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from zeroshelf.records import Label

NAMED = 5  # labels that one piece of advice lists by name; more are counted
SHOWN = 3  # pieces of advice that a run shows; `zeroshelf labels check` shows all


@dataclass(frozen=True, slots=True)
class Advice:
    labels: tuple[str, ...]  # names of the labels that it is about, one at least
    problem: str  # predicate of a sentence about the labels: "got no picture"
    suggestion: str  # what the user can do, in the imperative

    @property
    def names(self) -> str:
        """The labels as text: "cat, dog and bird"; of many labels the first `NAMED`."""
        more = len(self.labels) - NAMED
        *most, last = (*self.labels[:NAMED], f"{more:,} more") if more > 0 else self.labels
        return f"{', '.join(most)} and {last}" if most else last

    def __str__(self) -> str:
        return f"{self.names}: {self.problem}; {self.suggestion}"


def merged(advice: Sequence[Advice]) -> tuple[Advice, ...]:
    """The same advice with one item for all single labels that have the same problem. It keeps the
    suggestion of the first of them."""
    groups: dict[object, list[Advice]] = {}
    for one in advice:
        groups.setdefault(one.problem if len(one.labels) == 1 else one, []).append(one)
    return tuple(
        replace(group[0], labels=tuple(name for one in group for name in one.labels))
        for group in groups.values()
    )


def summary_lines(advice: Sequence[Advice]) -> Iterator[str]:
    """A line for each of the first `SHOWN` items, and one that counts the rest."""
    for one in advice[:SHOWN]:
        yield f"{one.names}: {one.problem}; `zeroshelf labels check` says what helps"
    if len(advice) > SHOWN:
        yield f"... and {len(advice) - SHOWN:,} more about these labels"


def with_word(label: Label, word: str = "word") -> str:
    """How the user gives the label another word, on the command line and in a labels file:
    'with -l "cat=word", or in a labels file: cat = ["word"]'."""
    bare = re.fullmatch("[A-Za-z0-9_-]+", label.name)
    name = label.name if bare else json.dumps(label.name, ensure_ascii=False)
    option = json.dumps(f"{label.name}={word}", ensure_ascii=False)
    line = f"{name} = [{json.dumps(word, ensure_ascii=False)}]"
    return f"with -l {option}, or in a labels file: {line}"
