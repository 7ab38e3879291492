"""Words -> prompts -> one vector a word. Owns the prompt templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from zeroshelf.labels import spoken
from zeroshelf.records import Label, LabelSet, Vectors

Texts: TypeAlias = Callable[[Sequence[str]], Vectors]  # N texts -> (N, D), rows of length 1

PLAIN = "a photo of a {}."

# An ensemble: OpenAI's seven templates (CLIP's notebook Prompt_Engineering_for_ImageNet), which do a
# little better than all eighty, with the plain one and the bare word.
TEMPLATES = (
    "{}",
    PLAIN,
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)


def label_prompts(label: Label, labels: LabelSet) -> list[list[str]]:
    """A list of prompts for each of the label's words, and one for each prompt of its own."""
    words = [spoken(label.name), *map(spoken, label.words)]
    if label.prompts:
        words = words[1:]
    templates = labels.templates or TEMPLATES
    suffix = f", a type of {labels.kind}." if labels.kind else None
    made = []
    for word in words:
        prompts = [template.format(word) for template in templates]
        if suffix:
            prompts = [prompt.removesuffix(".") + suffix for prompt in prompts]
        made.append(prompts)
    return [*made, *([prompt] for prompt in label.prompts)]


def mean_vectors(prompts: Sequence[Sequence[str]], texts: Texts) -> Vectors:
    """N lists of prompts -> (N, D): the mean of each list's unit vectors, made unit again."""
    flat = texts([prompt for group in prompts for prompt in group])
    starts = np.cumsum([0, *(len(group) for group in prompts)])[:-1]
    means = np.add.reduceat(flat, starts, axis=0)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)
