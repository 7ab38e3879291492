"""Trained heads -> the model's folder, in the layout of the public ONNX hubs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from training.backbone import Trunk
from training.features import open_session
from training.graph import Store, small_tables, write_graph
from training.model import ImageHead, ImageTower, TextHead, TextTower
from training.pixels import MEAN, SIZE, STD
from training.text import CONTEXT, tokenize


def export_visual(trunk: Trunk, head: ImageHead, folder: Path) -> None:
    (folder / "visual").mkdir(parents=True, exist_ok=True)
    tower = ImageTower(trunk, head).eval()
    example = torch.zeros(2, 3, SIZE, SIZE)
    store = partial(small_tables, tall=0)  # int8 for every matrix, so that several heads are small
    path = folder / "visual/model.onnx"
    write_graph(tower, (example,), path, ["image"], ["embedding"], store=store)
    settings = {
        "size": [SIZE, SIZE],
        "mode": "RGB",
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    (folder / "visual/preprocess_cfg.json").write_text(json.dumps(settings, indent=1) + "\n")


def export_textual(
    encoder: torch.nn.Module,
    tokenizer: Tokenizer,
    head: TextHead,
    folder: Path,
    store: Store = small_tables,
) -> None:
    """`tokenizer` is written without padding to a fixed length, which would waste nine tenths."""
    (folder / "textual").mkdir(parents=True, exist_ok=True)
    ids, mask = map(torch.from_numpy, tokenize(tokenizer, ["a photo of a dog", "a cat"]))
    write_graph(
        TextTower(encoder, head).eval(),
        (ids, mask),
        folder / "textual/model.onnx",
        ["input_ids", "attention_mask"],
        ["embedding"],
        dynamic={1: "tokens"},
        store=store,
    )
    tokenizer.save(str(folder / "textual/tokenizer.json"), pretty=False)


def export_config(
    folder: Path, name: str, dim: int, logit_scale: float, languages: tuple[str, ...]
) -> None:
    settings = {
        "name": name,
        "embed_dim": dim,
        "logit_scale": round(logit_scale, 2),
        "logit_bias": None,
        "activation": "softmax",
        "context_length": CONTEXT,
        "languages": list(languages),
        "licence": "MIT; ingredients under Apache-2.0, MIT and WordNet terms, see README.md",
    }
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")


class Exported:
    """A model's folder, opened: what a person runs, measured as such."""

    def __init__(self, folder: Path) -> None:
        self.visual = open_session(folder / "visual/model.onnx")
        self.textual = open_session(folder / "textual/model.onnx")
        self.tokenizer = Tokenizer.from_file(str(folder / "textual/tokenizer.json"))
        pad = self.tokenizer.padding or {}
        self.tokenizer.enable_padding(
            pad_id=pad.get("pad_id", 0), pad_token=pad.get("pad_token", "[PAD]")
        )
        self.tokenizer.enable_truncation(CONTEXT)

    def images(self, pixels: np.ndarray) -> np.ndarray:
        """(B, 3, S, S) -> (B, D)"""
        return self.visual.run(["embedding"], {"image": pixels})[0]

    def texts(self, texts: list[str], batch: int = 64) -> np.ndarray:
        rows = []
        for start in range(0, len(texts), batch):
            ids, mask = tokenize(self.tokenizer, texts[start : start + batch])
            feeds = {"input_ids": ids, "attention_mask": mask}
            rows.append(self.textual.run(["embedding"], feeds)[0])
        return np.concatenate(rows)
