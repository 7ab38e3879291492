"""The negative labels: about 3,700 things that a picture may show instead of the user's labels.

They are the same for every run, and a picture that fits some of them better than every label goes
to "other". data/negative_labels has them, beside the WordNet extract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

FOLDER = resources.files("zeroshelf") / "data" / "negative_labels"


@dataclass(frozen=True, slots=True)
class Negative:
    """One negative label."""

    name: str  # as shown to the user: "receipt"
    prompt: str  # the text that the model embeds: "a crumpled shop receipt on a table"
    kind: str = "noun"  # or "scene", "junk", "own" (the user's "!cartoon")


@cache
def negative_labels() -> tuple[Negative, ...]:
    """All negative labels: nouns of WordNet, scenes, and pictures that are seldom worth keeping
    ("junk": screenshots, receipts, blurred pictures). Other modules refer to them by their row."""
    nouns = (FOLDER / "nouns.txt").read_text(encoding="utf-8").splitlines()
    return (
        *(Negative(noun, f"a photo of a {noun}.") for noun in nouns),
        *_read("scene"),
        *_read("junk"),
    )


@cache
def cohort() -> npt.NDArray[np.int32]:
    """(C,), ascending: the rows of the negative labels whose mean and covariance stand for those of
    all of them. Where not all negative labels are used, these are, whatever the folder is.

    benchmarks/accuracy/make_cohort.py chooses them, by the starter's vectors.
    """
    lines = (FOLDER / "cohort.txt").read_text(encoding="utf-8").splitlines()
    row = {one.prompt: at for at, one in enumerate(negative_labels())}
    return np.array(sorted(row[line] for line in lines if line in row), np.int32)


@cache
def scene_prompts() -> dict[str, str]:
    """The scenes with a name of one or two words: name without the article ("living room") ->
    prompt."""
    scenes = (one for one in negative_labels() if one.kind == "scene")
    prompts = {re.sub("^(a|an|the) ", "", one.name): one.prompt for one in scenes}
    return {name: prompt for name, prompt in prompts.items() if name.count(" ") <= 1}


def _read(kind: str) -> list[Negative]:
    """The negative labels of `kind`.txt. A line is "name = prompt", or only a name, for which the
    prompt is "a photo of {name}."; lines that begin with "#" are comments."""
    lines = (FOLDER / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    made = []
    for line in lines:
        if line and not line.startswith("#"):
            name, _, prompt = line.partition(" = ")
            made.append(Negative(name, prompt or f"a photo of {name}.", kind))
    return made
