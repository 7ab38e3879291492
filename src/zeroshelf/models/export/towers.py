"""What every checkpoint becomes before it is written: two torch modules and their settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from zeroshelf.errors import UserError
from zeroshelf.models.families import Json


@dataclass(frozen=True, slots=True)
class Towers:
    """A two-tower model in torch, with the reference's own way to pixels and tokens.

    `pixels` and `tokens` are those of the library that the checkpoint comes from: they are what the
    written model is checked against, and are no part of it.
    """

    visual: nn.Module  # (N, 3, size, size) -> (N, dim), any length
    textual: nn.Module  # ids (N, tokens)[, mask] -> (N, dim), any length
    preprocess_cfg: Json  # open_clip's PreprocessCfg, and "crop"
    config: Json  # of config.json
    save_tokenizer: Callable[[Path], None]  # writes tokenizer.json into a folder
    pixels: Callable[[Sequence[Image.Image]], torch.Tensor]
    tokens: Callable[[Sequence[str]], tuple[torch.Tensor, ...]]
    token_inputs: tuple[str, ...] = ("input_ids",)
    notes: list[str] = field(default_factory=list)


class Unit(nn.Module):
    """A tower whose rows have length 1."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.tower(*inputs), dim=-1)


def safetensors_in(folder: Path) -> Path:
    """The one file of weights. A pickle runs whatever its maker wrote, so none is ever opened."""
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return files[0]
    if files:
        raise UserError(f"{folder} has several .safetensors files: name one by --checkpoint")
    pickles = [
        file.name for suffix in ("bin", "pt", "pth", "ckpt") for file in folder.glob(f"*.{suffix}")
    ]
    found = f"only {', '.join(pickles)}, which is pickled" if pickles else "no weights"
    raise UserError(f"{folder} has {found}; only .safetensors files are read")


def settings(
    *,
    dim: int,
    context_length: int,
    clean: str,
    logit_scale: Any,
    logit_bias: Any = None,
    pad_to_context: bool,
    source: str,
) -> Json:
    """config.json of the written model. `logit_scale` is the parameter, its exponential is kept."""
    bias = None if logit_bias is None else float(logit_bias.detach())
    return {
        "embed_dim": dim,
        "context_length": context_length,
        "text_cfg": {"context_length": context_length, "tokenizer_kwargs": {"clean": clean}},
        "pad_to_context": pad_to_context,
        "logit_scale": round(float(logit_scale.detach().exp()), 6),
        "logit_bias": None if bias is None else round(bias, 6),
        "activation": "softmax" if bias is None else "sigmoid",
        "source": source,
    }
