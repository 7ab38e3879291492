"""Embeddings of the written ONNX model and of the torch model, to be compared: the first with our
preprocessing and tokenizer, the second with those of the checkpoint's own library."""

from __future__ import annotations

from pathlib import Path

import torch

from zeroshelf.models import golden, select
from zeroshelf.models.export.towers import Towers, Unit
from zeroshelf.records import Vectors


def of_torch(towers: Towers) -> tuple[Vectors, Vectors]:
    """The reference's embeddings of `golden.pictures()` and `golden.TEXTS`."""
    with torch.no_grad():
        pictures = Unit(towers.visual).eval()(towers.pixels(golden.pictures()))
        texts = Unit(towers.textual).eval()(*towers.tokens(golden.TEXTS))
    return pictures.float().numpy(), texts.float().numpy()


def of_onnx(folder: Path) -> tuple[Vectors, Vectors]:
    """What zeroshelf makes of the same pictures and texts with the model in `folder`."""
    return golden.embed(select.load(select.describe(str(folder), folder), device="cpu"))
