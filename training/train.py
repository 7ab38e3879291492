"""Cached features and text vectors -> a trained word head. Minutes on two cores."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from training.alike import neighbours_words
from training.index import Picture
from training.model import WordHead


@dataclass(frozen=True, slots=True)
class Settings:
    steps: int = 300
    rate: float = 1e-3
    decay: float = 0.1
    hidden: int = 1024
    dropout: float = 0.3
    captions: int = 256  # pictures with captions in a batch
    labels: int = 96  # labels of each set in a batch
    caption_weight: float = 0.5  # against labels
    set_power: float = 0.5
    plain: float = 0.5  # of the pictures come as they are, the rest as a view
    names: float = 0.6  # of the labels come by name, the rest by kind or gloss
    alike: float = 2.0  # weight of the distance to what a picture's neighbours are called
    captions_only: tuple[str, ...] = ("ikea", "coco", "flickr8k", "pexels-vn")
    emphasis: tuple[tuple[str, float], ...] = ()  # a set, and how much more its labels count


@dataclass(frozen=True, slots=True)
class Phrasings:
    """The ways to say one label, as rows of the text vectors."""

    names: Sequence[Sequence[int]]  # the label in its templates, then each synonym in its own
    kinds: Sequence[int]  # "tench, a kind of fish"
    gloss: Sequence[int]  # none or one

    def pick(self, rng: random.Random, by_name: float) -> int:
        other = [*self.kinds, *self.gloss]
        if other and rng.random() >= by_name:
            return rng.choice(other)
        synonyms = self.names[1:]
        return rng.choice(
            rng.choice(synonyms) if synonyms and rng.random() < 0.4 else self.names[0]
        )

    def mean(self, texts: torch.Tensor) -> torch.Tensor:
        """(D,): the label in its templates, and half as much its kinds and gloss."""
        mean, other = texts[list(self.names[0])].mean(0), [*self.kinds, *self.gloss]
        return mean + 0.5 * texts[other].mean(0) if other else mean


View = tuple[torch.Tensor, torch.Tensor]  # features (N, 1280), probabilities (N, 1000)


@dataclass(frozen=True, slots=True)
class Data:
    """What training reads. `views` holds the plain features first; a view's row may be missing."""

    pictures: Sequence[Picture]
    views: Sequence[View]
    texts: torch.Tensor  # (T, 384) unit
    captions: Mapping[int, Sequence[int]]  # picture -> rows of texts
    labels: Mapping[str, Phrasings]
    classes: torch.Tensor  # (1000, 384) unit


def train(
    data: Data, settings: Settings, seed: int, leave_out: frozenset[str] = frozenset()
) -> tuple[WordHead, float]:
    """A word head and its logit scale. `leave_out`: labels whose pictures are not shown.

    A batch holds up to `labels` labels of every set with one picture each, and `captions` pictures
    with one caption each. Labels compete only with those of their own set: another set may have
    "dog" where this one has "beagle". And each picture is drawn towards what its neighbours say.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    sets, captioned = _training_rows(data, leave_out, settings.captions_only)
    around = _around(data, sets, captioned)
    head = WordHead(data.classes, settings.hidden, settings.dropout)
    log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
    optimizer = torch.optim.AdamW(
        [
            {"params": head.parameters(), "weight_decay": settings.decay},
            {"params": [log_scale], "weight_decay": 0.0},
        ]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, settings.steps)
    weights = _set_weights(sets, settings.set_power, dict(settings.emphasis))
    head.train()
    views = [(features, head.known(probabilities)) for features, probabilities in data.views]
    for _ in range(settings.steps):
        rows, texts, counts, masks = [], [], [], []
        for labels in sets.values():
            picked = rng.sample(list(labels), min(settings.labels, len(labels)))
            shown = [rng.choice(labels[label]) for label in picked]
            masks.append(_also_true([data.pictures[row].labels for row in shown], picked))
            rows += shown
            texts += [data.labels[label].pick(rng, settings.names) for label in picked]
            counts.append(len(picked))
        told_of = rng.sample(captioned, min(settings.captions, len(captioned)))
        rows += told_of
        texts += [rng.choice(data.captions[row]) for row in told_of]
        images = head.beside(*_views(views, rows, settings.plain, rng))
        logits = [
            log_scale.exp().clamp(max=100) * image @ text.T
            for image, text in zip(
                images.split([*counts, len(told_of)]),
                data.texts[texts].split([*counts, len(told_of)]),
                strict=True,
            )
        ]
        named = sum(
            weight * _entropy(block.masked_fill(mask, -torch.inf))
            for weight, block, mask in zip(weights, logits, masks, strict=False)
        )
        told = (_entropy(logits[-1]) + _entropy(logits[-1].T)) / 2 if told_of else 0.0
        share = settings.caption_weight
        apart = 1 - (images * around[rows]).sum(-1).mean()
        loss = (1 - share) * named + share * told + settings.alike * apart
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval(), log_scale.exp().item()


def _training_rows(
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


def _around(
    data: Data, sets: dict[str, dict[str, list[int]]], captioned: list[int]
) -> torch.Tensor:
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


def _also_true(shown: Sequence[Sequence[str]], picked: Sequence[str]) -> torch.Tensor:
    """(B, B): where picture i is also what label j says, without j being its turn."""
    return torch.tensor(
        [
            [column != row and label in true for column, label in enumerate(picked)]
            for row, true in enumerate(shown)
        ]
    )


def _set_weights(
    sets: dict[str, dict[str, list[int]]], power: float, emphasis: Mapping[str, float]
) -> list[float]:
    """Each set's part of the loss: its number of pictures to a power, times its emphasis, made to
    sum to 1."""
    sizes = [
        sum(map(len, labels.values())) ** power * emphasis.get(name, 1.0)
        for name, labels in sets.items()
    ]
    return [size / sum(sizes) for size in sizes]


def _views(views: Sequence[View], rows: list[int], plain: float, rng: random.Random) -> View:
    """The pictures' features and known vectors, each from the plain view or, by chance, another."""
    others = range(1, len(views))
    at = np.array([rng.choice(others) if others and rng.random() >= plain else 0 for _ in rows])
    index = torch.tensor(rows)
    features, known = (part[index] for part in views[0])
    for view in range(1, len(views)):
        chosen = torch.from_numpy(np.flatnonzero(at == view))
        features[chosen] = views[view][0][index[chosen]]
        known[chosen] = views[view][1][index[chosen]]
    return features, known


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    """Cross-entropy where row i's answer is column i."""
    return cross_entropy(logits, torch.arange(len(logits), device=logits.device))
