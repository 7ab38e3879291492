"""Pixels -> a fine-tuned trunk with its word heads. Minutes on a GPU.

As heads.py, but the upper blocks of the trunk learn too. The trunk's own classes must not be
forgotten: its class probabilities are held near to those of the frozen trunk (Kullback-Leibler), so
that words that no picture here was ever labelled with are still found through them.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.functional import kl_div, log_softmax, normalize

from training.backbone import Trunk
from training.batches import (
    Data,
    Settings,
    also_true,
    around,
    entropy,
    set_weights,
    training_rows,
)
from training.model import WordHead
from training.pixel_store import PixelStore
from training.pixels import SIZE


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How one run differs from another; `Settings` has what it shares with heads.py."""

    frozen: int  # of the trunk's first blocks stay as they are; 7: those down to an eighth
    trunk_rate: float  # the trunk's greatest learning rate
    steps: int
    teacher: bool  # whether version 2's answers are among what pictures are drawn towards
    seed: int = 0
    heads: int = 2
    plain: float = 0.35  # of the pictures come as they are
    trunk_decay: float = 0.02
    classes_weight: float = 1.0  # of the distance to the frozen trunk's classes


class UpperTrunk(nn.Module):
    """The blocks that learn: (B, C, H, W) of the frozen blocks -> features and class logits."""

    def __init__(self, trunk: Trunk, frozen: int) -> None:
        super().__init__()
        self.blocks = copy.deepcopy(trunk.blocks[frozen:])
        self.head = copy.deepcopy(trunk.head)
        self.classify = copy.deepcopy(trunk.classify)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for block in self.blocks:
            x = block(x)
        features = nn.functional.relu6(self.head(x)).mean((2, 3)).float()
        with torch.autocast(x.device.type, enabled=False):
            return features, self.classify(features)


class LowerTrunk(nn.Module):
    """The blocks that stay: (B, 3, 260, 260) pixels -> (B, C, H, W)."""

    def __init__(self, trunk: Trunk, frozen: int) -> None:
        super().__init__()
        self.stem, self.blocks = trunk.stem, trunk.blocks[:frozen]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.stem(pixels))
        for block in self.blocks:
            x = block(x)
        return x


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a run learned: `upper` fits on the first `frozen` blocks of the trunk."""

    upper: UpperTrunk
    frozen: int
    heads: list[WordHead]
    scale: float  # of the logits


def finetune(
    data: Data,
    pixels: PixelStore,
    trunk: Trunk,
    settings: Settings,
    tuning: FineTuning,
    teacher: torch.Tensor | None = None,
) -> Tuned:
    """One run. Draws what it shows from `tuning.seed`; on a GPU the sums' order is not fixed, so a
    second run differs in its last digits.

    data: `views` has the frozen trunk's plain features and probabilities of all N pictures.
    pixels: of the same pictures, on the device that computes.
    teacher: (N, D), unit: what an earlier model says of each picture.
    """
    device = pixels.pixels.device
    torch.manual_seed(tuning.seed)
    rng = random.Random(tuning.seed)
    seen = torch.Generator(device).manual_seed(tuning.seed)
    sets, captioned = training_rows(data, frozenset(), settings.captions_only)
    goal = _Goal(data, settings, sets, captioned, teacher, device)
    lower = LowerTrunk(trunk, tuning.frozen).to(device, memory_format=torch.channels_last).eval()
    upper = UpperTrunk(trunk, tuning.frozen).to(device, memory_format=torch.channels_last)
    heads = nn.ModuleList(
        WordHead(data.classes, settings.hidden, settings.dropout) for _ in range(tuning.heads)
    ).to(device)
    log_scale = nn.Parameter(torch.tensor(math.log(20.0), device=device))
    decay = tuning.trunk_decay
    groups = [
        {"params": upper.parameters(), "lr": tuning.trunk_rate, "weight_decay": decay},
        {"params": heads.parameters(), "lr": settings.rate, "weight_decay": settings.decay},
        {"params": [log_scale], "lr": settings.rate, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    peaks = [group["lr"] for group in optimizer.param_groups]
    for step in range(tuning.steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * _one_cycle(step / tuning.steps)
        batch = _batch(data, sets, captioned, settings, rng)
        views = _views(pixels, batch.rows, tuning.plain, rng, seen)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                middle = lower(views.contiguous(memory_format=torch.channels_last))
            features, logits = upper(middle)
        loss = tuning.classes_weight * goal.forgotten(batch, logits)
        for head in heads:
            images = head(features, logits.softmax(-1))
            loss = loss + goal.missed(batch, images, log_scale.exp().clamp(max=100)) / len(heads)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(upper.parameters(), 1.0)
        optimizer.step()
        if step % 25 == 0:
            print(f"step {step} of {tuning.steps}: loss {loss.item():.3f}", flush=True)
    return Tuned(upper.eval(), tuning.frozen, list(heads.eval()), log_scale.exp().item())


def averaged(trunk: Trunk, runs: Iterable[Tuned]) -> Trunk:
    """A trunk whose weights are the mean over the runs (a "model soup", Wortsman et al. 2022).
    `trunk`: what they started from, which counts where a run left blocks frozen."""
    stored = []
    for run in runs:
        whole = copy.deepcopy(trunk)
        whole.blocks = nn.ModuleList([*whole.blocks[: run.frozen], *run.upper.blocks])
        whole.head, whole.classify = run.upper.head, run.upper.classify
        stored.append(whole.cpu().state_dict())
    mean = copy.deepcopy(trunk)
    mean.load_state_dict(
        {name: torch.stack([one[name].float() for one in stored]).mean(0) for name in stored[0]}
    )
    return mean.eval()


@dataclass(frozen=True, slots=True)
class _Batch:
    rows: list[int]  # pictures
    texts: list[int]  # a text for each, as rows of the texts
    counts: list[int]  # how many belong to each set, and last to the captions
    masks: list[torch.Tensor]  # of each set: where another label of the batch is true too


class _Goal:
    """What the loss compares with, on the device that computes."""

    def __init__(
        self,
        data: Data,
        settings: Settings,
        sets: dict[str, dict[str, list[int]]],
        captioned: list[int],
        teacher: torch.Tensor | None,
        device: torch.device,
    ) -> None:
        towards = around(data, sets, captioned)
        if teacher is not None:
            shown = towards.norm(dim=-1, keepdim=True) > 0
            towards = normalize(towards + teacher * shown, dim=-1)
        self._towards, self._texts = towards.to(device), data.texts.to(device)
        self._classes = data.views[0][1].half().to(device)
        self._weights = set_weights(sets, settings.set_power, dict(settings.emphasis))
        self._settings, self._device = settings, device

    def forgotten(self, batch: _Batch, logits: torch.Tensor) -> torch.Tensor:
        """How far the class probabilities are from the frozen trunk's."""
        before = self._classes[torch.tensor(batch.rows, device=self._device)].float()
        return kl_div(log_softmax(logits, -1), before, reduction="batchmean")

    def missed(self, batch: _Batch, images: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """The loss of heads.py: labels, captions and the distance to what a picture is drawn to."""
        texts = self._texts[batch.texts].split(batch.counts)
        parts = zip(images.split(batch.counts), texts, strict=True)
        blocks = [scale * image @ text.T for image, text in parts]
        named = sum(
            weight * entropy(block.masked_fill(mask.to(self._device), -torch.inf))
            for weight, block, mask in zip(self._weights, blocks, batch.masks, strict=False)
        )
        told = (entropy(blocks[-1]) + entropy(blocks[-1].T)) / 2 if batch.counts[-1] else 0.0
        rows = torch.tensor(batch.rows, device=self._device)
        apart = 1 - (images * self._towards[rows]).sum(-1).mean()
        share = self._settings.caption_weight
        return (1 - share) * named + share * told + self._settings.alike * apart


def _batch(
    data: Data,
    sets: dict[str, dict[str, list[int]]],
    captioned: list[int],
    settings: Settings,
    rng: random.Random,
) -> _Batch:
    batch = _Batch([], [], [], [])
    for labels in sets.values():
        picked = rng.sample(list(labels), min(settings.labels, len(labels)))
        shown = [rng.choice(labels[label]) for label in picked]
        batch.masks.append(also_true([data.pictures[row].labels for row in shown], picked))
        batch.rows.extend(shown)
        batch.texts.extend(data.labels[label].pick(rng, settings.names) for label in picked)
        batch.counts.append(len(picked))
    told_of = rng.sample(captioned, min(settings.captions, len(captioned)))
    batch.rows.extend(told_of)
    batch.texts.extend(rng.choice(data.captions[row]) for row in told_of)
    batch.counts.append(len(told_of))
    return batch


def _views(
    pixels: PixelStore,
    rows: Sequence[int],
    plain: float,
    rng: random.Random,
    seen: torch.Generator,
) -> torch.Tensor:
    as_is = [at for at in range(len(rows)) if rng.random() < plain]
    others = sorted(set(range(len(rows))) - set(as_is))
    views = torch.empty(len(rows), 3, SIZE, SIZE, device=pixels.pixels.device)
    for at, cut in ((as_is, pixels.plain), (others, partial(pixels.augmented, seen=seen))):
        if at:
            views[at] = cut([rows[one] for one in at])
    return views


def _one_cycle(done: float, warm: float = 0.15) -> float:
    """The learning rate's share of its peak: up in a line, then down as a cosine to 0."""
    if done < warm:
        return 0.05 + 0.95 * done / warm
    return 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm)))
