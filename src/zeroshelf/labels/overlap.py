"""Labels that compete with each other for the same pictures: labels that mean the same, a label
that is a kind of another, and two that the model can hardly tell apart."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np

from zeroshelf.labels.advice import Advice, with_word
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts, mean_vectors
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Label, NegativeRows, ResolvedLabel, ResolvedLabels

# The least cosine of two labels that the model can hardly tell apart, centred on the mean of the
# negative labels.
INDISTINCT = 0.80
# Ends the first words of a definition, those that name what the thing is: "young domestic cat"
_DEFINED_AS = re.compile(r"[^a-z ]|\b(?:at|by|for|from|in|of|on|that|to|used|where|which|with)\b")


def earlier_equals(resolved: ResolvedLabels) -> list[Label | None]:
    """For each label the first label before it that asks for the same; None where there is none."""
    first: dict[object, Label] = {}
    earlier = [first.setdefault(_identity(one), one.label) for one in resolved]
    return [
        None if found is one.label else found for found, one in zip(earlier, resolved, strict=True)
    ]


def equal_labels(label: Label, earlier: Label | None) -> Advice | None:
    """Advice on a label that asks for the same as an earlier one ("cats" after "cat"), because it
    never draws a picture."""
    if earlier is None:
        return None
    return Advice((earlier.name, label.name), "mean the same", "make them one label")


def narrower_labels(resolved: ResolvedLabels) -> dict[int, Advice]:
    """Row of a label -> advice, where it is a kind of another label: "kitten" beside "cat", but not
    "cat/kitten"."""
    if resolved.labels.language != "en":
        return {}
    meant = {row: one.words[0] for row, one in enumerate(resolved) if not one.label.prompts}
    by_sense: dict[int, list[int]] = defaultdict(list)  # row of WordNet -> rows of labels
    by_word: dict[str, list[int]] = defaultdict(list)
    for row, word in meant.items():
        if word.sense is not None:
            by_sense[word.sense.row].append(row)
            by_word[word.text.lower()].append(row)
    found: dict[int, Advice] = {}
    for row, word in meant.items():
        if word.sense is None:
            continue
        label = resolved.labels.labels[row]
        defined = _DEFINED_AS.split(word.sense.gloss.lower(), maxsplit=1)[0].split()
        above = {at for up in wordnet().above(word.sense.row) for at in by_sense.get(up, ())}
        above.update(at for part in defined for at in by_word.get(part, ()))
        for other in sorted(above):
            name = resolved.labels.labels[other].name
            if meant[other].sense != word.sense and not label.name.startswith(f"{name}/"):
                found[row] = _kind_of(label, resolved.labels.labels[other])
                break
    return found


def indistinct_pairs(
    resolved: ResolvedLabels, texts: Texts, negatives: NegativeRows | None = None
) -> list[Advice]:
    """Advice on each pair of labels whose prompts lie so close together that the model can hardly
    tell them apart. Pairs that mean the same are left out (`equal_labels`). `negatives`: those that
    the model has embedded; None: all."""
    if len(resolved) < 2:
        return []
    prompts = [[prompt for group in one.own_prompts for prompt in group] for one in resolved]
    vectors = mean_vectors(prompts, texts)
    every = negative_labels()
    rows = range(len(every)) if negatives is None else negatives.cohort.tolist()
    vectors = vectors - texts([every[row].prompt for row in rows]).mean(axis=0)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    cosines = np.triu(vectors @ vectors.T, k=1)
    identities, names = [_identity(one) for one in resolved], resolved.labels.names
    return [
        Advice(
            (names[a], names[b]),
            "the model can hardly tell them apart",
            "make them one label, or give each words of its own",
        )
        for a, b in np.argwhere(cosines >= INDISTINCT)
        if identities[a] != identities[b]
    ]


def _identity(label: ResolvedLabel) -> tuple[object, ...]:
    """Equal for two labels that are asked in the same words, and in the same sense as far as the
    shelf above tells."""
    return label.own_prompts, label.context


def _kind_of(label: Label, other: Label) -> Advice:
    return Advice(
        (label.name, other.name),
        "the first is a kind of the second, and such a picture fits both",
        f'make it a shelf in the other, "{other.name}/{label.name}", or make them one, '
        f"{with_word(other, label.name)}",
    )
