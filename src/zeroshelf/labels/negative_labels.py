"""The bank: what a picture may show instead of the labels. Frozen, the same for every run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

FOLDER = resources.files("zeroshelf") / "data" / "bank"


@dataclass(frozen=True, slots=True)
class Negative:
    name: str  # as a person reads it: "receipt"
    prompt: str  # as the model is asked: "a crumpled shop receipt on a table"
    kind: str = "noun"  # or "scene", "junk", "own" (the user's "!cartoon")


@cache
def bank() -> tuple[Negative, ...]:
    """Nouns of WordNet, scenes, and junk in whole sentences."""
    nouns = (FOLDER / "nouns.txt").read_text(encoding="utf-8").splitlines()
    return (
        *(Negative(noun, f"a photo of a {noun}.") for noun in nouns),
        *_sentences("scene"),
        *_sentences("junk"),
    )


@cache
def everyday() -> dict[str, str]:
    """Short names of scenes, without the article, and their prompts: "living room"."""
    scenes = {re.sub("^(a|an|the) ", "", one.name): one for one in bank() if one.kind == "scene"}
    return {name: one.prompt for name, one in scenes.items() if name.count(" ") <= 1}


@cache
def junk_names() -> frozenset[str]:
    return frozenset(negative.name for negative in bank() if negative.kind == "junk")


def _sentences(kind: str) -> list[Negative]:
    """Lines of "name = prompt", or of a name that is its own prompt."""
    lines = (FOLDER / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    made = []
    for line in lines:
        if line and not line.startswith("#"):
            name, _, prompt = line.partition(" = ")
            made.append(Negative(name, prompt or f"a photo of {name}.", kind))
    return made
