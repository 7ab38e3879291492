"""Is the written model the same model? ONNX against torch, each on its own way from a picture or
text: our preprocessing and tokens on one side, the checkpoint's own library's on the other."""

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
