"""Cached features of the frozen trunk -> a trained word head. Minutes on two cores.

What the trunk learns beside its heads needs a GPU (finetune.py). This is the part of it that a
processor can repeat: benchmarks/accuracy/unseen.py trains with words left out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from training.batches import (
    Data,
    Settings,
    View,
    also_true,
    around,
    entropy,
    set_weights,
    training_rows,
)
from training.model import WordHead


def train(
    data: Data,
    settings: Settings,
    seed: int,
    leave_out: frozenset[str] = frozenset(),
    teacher: torch.Tensor | None = None,
) -> tuple[WordHead, float]:
    """A word head and its logit scale. `leave_out`: labels whose pictures are not shown. `teacher`
    (N, D), unit: what an earlier model says of each picture.

    A batch has up to `labels` labels of every set with one picture each, and `captions` pictures
    with one caption each. Labels compete only with those of their own set: another set may have
    "dog" where this one has "beagle". And each picture is drawn towards what its neighbours say,
    and as much towards what the earlier model says.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    sets, captioned = training_rows(data, leave_out, settings.captions_only)
    towards = around(data, sets, captioned)
    if teacher is not None:
        shown = towards.norm(dim=-1, keepdim=True) > 0
        towards = normalize(towards + teacher * shown, dim=-1)
    head = WordHead(data.classes, settings.hidden, settings.dropout)
    log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
    optimizer = torch.optim.AdamW(
        [
            {"params": head.parameters(), "weight_decay": settings.decay},
            {"params": [log_scale], "weight_decay": 0.0},
        ]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, settings.steps)
    weights = set_weights(sets, settings.set_power, dict(settings.emphasis))
    head.train()
    views = [(features, head.known(probabilities)) for features, probabilities in data.views]
    for _ in range(settings.steps):
        rows, texts, counts, masks = [], [], [], []
        for labels in sets.values():
            picked = rng.sample(list(labels), min(settings.labels, len(labels)))
            shown = [rng.choice(labels[label]) for label in picked]
            masks.append(also_true([data.pictures[row].labels for row in shown], picked))
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
            weight * entropy(block.masked_fill(mask, -torch.inf))
            for weight, block, mask in zip(weights, logits, masks, strict=False)
        )
        told = (entropy(logits[-1]) + entropy(logits[-1].T)) / 2 if told_of else 0.0
        share = settings.caption_weight
        apart = 1 - (images * towards[rows]).sum(-1).mean()
        loss = (1 - share) * named + share * told + settings.alike * apart
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval(), log_scale.exp().item()


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
