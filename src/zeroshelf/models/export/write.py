"""`Towers` become ONNX files in the layout of Immich's hub."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from zeroshelf.models.export.towers import Towers, Unit

LARGEST = 1_800_000_000  # bytes of weights in one file: ONNX itself ends at 2 GB


def write(towers: Towers, folder: Path) -> None:
    """visual/, textual/ and config.json in `folder`; batch, and tokens where they can, dynamic."""
    for name in ("visual", "textual"):
        (folder / name).mkdir(parents=True)
    size = towers.preprocess_cfg["size"]
    side = size if isinstance(size, int) else size[0]
    _graph(
        Unit(towers.visual),
        (torch.zeros(2, 3, side, side),),
        {"image": {0: Dim("batch")}},
        "image_embedding",
        folder / "visual" / "model.onnx",
    )
    fixed = towers.config["pad_to_context"]
    axes = {0: Dim("batch")} if fixed else {0: Dim("batch"), 1: Dim.AUTO}
    length = towers.config["context_length"] if fixed else 9
    _graph(
        Unit(towers.textual),
        # A tensor for each: one given twice would be traced as one input.
        tuple(torch.ones(2, length, dtype=torch.int64) for _ in towers.token_inputs),
        dict.fromkeys(towers.token_inputs, axes),
        "text_embedding",
        folder / "textual" / "model.onnx",
    )
    towers.save_tokenizer(folder / "textual")
    _json(folder / "visual" / "preprocess_cfg.json", towers.preprocess_cfg)
    _json(folder / "config.json", towers.config)


def _graph(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: Mapping[str, Mapping[int, Any]],
    output: str,
    target: Path,
) -> None:
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its own future
        torch.onnx.export(
            module.eval(),
            example,
            str(target),
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=(tuple(dict(axes) for axes in inputs.values()),),
            opset_version=18,
            dynamo=True,
            external_data=weights > LARGEST,
            verbose=False,
        )


def _json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
