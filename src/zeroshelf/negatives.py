"""The bank: what a picture may show instead of the labels. Frozen, shipped, the same for every run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from zeroshelf.labels import spoken
from zeroshelf.records import LabelSet

BANK = resources.files("zeroshelf") / "data" / "bank"


@dataclass(frozen=True, slots=True)
class Negative:
    name: str  # as a person reads it: "receipt"
    prompt: str  # as the model is asked: "a crumpled shop receipt on a table"
    junk: bool = False


@cache
def bank() -> tuple[Negative, ...]:
    nouns = (BANK / "nouns.txt").read_text(encoding="utf-8").splitlines()
    junk = [
        line.split(" = ")
        for line in (BANK / "junk.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return (
        *(Negative(noun, f"a photo of a {noun}.") for noun in nouns),
        *(Negative(name, prompt, junk=True) for name, prompt in junk),
    )


def kept(labels: LabelSet) -> tuple[Negative, ...]:
    """The bank without what would compete with a label for its own pictures, and the user's own."""
    words = {
        word.casefold()
        for label in labels
        for text in (spoken(label.name), *label.words)
        for word in (text, text.split()[-1])
    }
    own = (Negative(text, f"a photo of a {text}.") for text in labels.negatives)
    return (
        *own,
        *(one for one in bank() if one.name not in words and one.name.split()[-1] not in words),
    )
