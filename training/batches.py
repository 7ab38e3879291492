"""What training shows: pictures, a text for each, and what the pictures are drawn towards."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy, normalize

from training.alike import neighbours_words
from training.index import Picture

PICTOGRAMS = ("mulberry", "emoji", "icons", "flags", "clipart", "stamps", "picdict")


def emphasis(pictograms: float) -> tuple[tuple[str, float], ...]:
    """Sets, and how much more their labels count; `pictograms`: those of `PICTOGRAMS`."""
    places = (("miniplaces", 3.0), ("everyday", 3.0), ("tiny32", 2.0))
    return (*places, *((name, pictograms) for name in PICTOGRAMS))


@dataclass(frozen=True, slots=True)
class Settings:
    steps: int = 300
    rate: float = 1e-3
    decay: float = 0.1
    hidden: int = 1024
    dropout: float = 0.3
    captions: int = 256  # pictures with captions in a batch
    labels: int = 64  # labels of each set in a batch
    caption_weight: float = 0.5  # against labels
    set_power: float = 0.5
    plain: float = 0.5  # of the pictures come as they are, the rest as a view
    names: float = 0.6  # of the labels come by name, the rest by kind or gloss
    alike: float = 2.0  # weight of the distance to what a picture's neighbours are called
    captions_only: tuple[str, ...] = ("ikea", "coco", "flickr8k", "pexels-vn")
    emphasis: tuple[tuple[str, float], ...] = emphasis(
        0.3
    )  # a set, and how much more its labels count


@dataclass(frozen=True, slots=True)
class Phrasings:
    """The ways to say one label, as rows of the text vectors."""

    names: Sequence[Sequence[int]]  # the label in its templates, then each synonym in its own
    hypernyms: Sequence[int]  # "tench, a kind of fish"
    gloss: Sequence[int]  # none or one

    def pick(self, rng: random.Random, by_name: float) -> int:
        other = [*self.hypernyms, *self.gloss]
        if other and rng.random() >= by_name:
            return rng.choice(other)
        synonyms = self.names[1:]
        return rng.choice(
            rng.choice(synonyms) if synonyms and rng.random() < 0.4 else self.names[0]
        )

    def mean(self, texts: torch.Tensor) -> torch.Tensor:
        """(D,): the label in its templates, and half as much its hypernyms and gloss."""
        mean, other = texts[list(self.names[0])].mean(0), [*self.hypernyms, *self.gloss]
        return mean + 0.5 * texts[other].mean(0) if other else mean


View = tuple[torch.Tensor, torch.Tensor]  # features (N, 1280), probabilities (N, 1000)


@dataclass(frozen=True, slots=True)
class Data:
    """What training reads. `views` has the plain features first; a view's row may be missing."""

    pictures: Sequence[Picture]
    views: Sequence[View]
    texts: torch.Tensor  # (T, 384) unit
    captions: Mapping[int, Sequence[int]]  # picture -> rows of texts
    labels: Mapping[str, Phrasings]
    classes: torch.Tensor  # (1000, 384) unit


def training_rows(
    data: Data, leave_out: frozenset[str], captions_only: Sequence[str]
) -> tuple[dict[str, dict[str, list[int]]], list[int]]:
    """Per set: label -> pictures; and the captioned pictures. Those of `captions_only` are learned
    by their captions alone: the labels beside them are no more than a shop's categories."""
    sets: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, picture in enumerate(data.pictures):
        labelled = picture.split == "train" and picture.set not in captions_only
        shown = labelled and not leave_out.intersection(picture.labels)
        for label in picture.labels if shown else ():
            sets[picture.set][label].append(row)
    captioned = [
        row
        for row in data.captions
        if data.pictures[row].split == "train"
        and not leave_out.intersection(data.pictures[row].labels)
    ]
    return sets, captioned


def around(data: Data, sets: dict[str, dict[str, list[int]]], captioned: list[int]) -> torch.Tensor:
    """(N, D): what the neighbours of each training picture are called."""
    words = torch.zeros(len(data.pictures), data.texts.shape[1])
    named = {row: label for labels in sets.values() for label in labels for row in labels[label]}
    for row, label in named.items():
        words[row] = data.labels[label].mean(data.texts)
    for row in captioned:
        words[row] = data.texts[list(data.captions[row])].mean(0)
    return neighbours_words(
        data.views[0][0], normalize(words, dim=-1), sorted({*named, *captioned})
    )


def also_true(shown: Sequence[Sequence[str]], picked: Sequence[str]) -> torch.Tensor:
    """(B, B): where picture i is also what label j says, without j being its turn."""
    return torch.tensor(
        [
            [column != row and label in true for column, label in enumerate(picked)]
            for row, true in enumerate(shown)
        ]
    )


def set_weights(
    sets: dict[str, dict[str, list[int]]], power: float, emphasis: Mapping[str, float]
) -> list[float]:
    """Each set's part of the loss: its number of pictures to a power, times its emphasis, made to
    sum to 1."""
    sizes = [
        sum(map(len, labels.values())) ** power * emphasis.get(name, 1.0)
        for name, labels in sets.items()
    ]
    return [size / sum(sizes) for size in sizes]


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Cross-entropy where row i's answer is column i."""
    return cross_entropy(logits, torch.arange(len(logits), device=logits.device))
