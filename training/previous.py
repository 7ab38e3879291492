"""The networks of version 2 of the starter, read from its ONNX file (the project's history has it).

The third is version 0's, which was trained on more of Tiny-ImageNet, MiniPlaces and Food-101 than
this project has. It is averaged with the networks trained here, and all three together teach some
of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn.functional import normalize

from training.model import WordHead

COUNT = 3  # networks in version 2


class VersionZeroHead(WordHead):
    """As `WordHead`, but the network's answer is added as long as it is, not as a unit vector."""

    def beside(self, features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return normalize(self.network(features) + known, dim=-1)


def previous_heads(folder: Path) -> list[WordHead]:
    """`folder`: version 2's, as it shipped. Its three networks, the last version 0's."""
    graph = onnx.load(folder / "visual/model.onnx").graph
    stored = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    shared = _weight(stored, "head.heads.0.classes")
    heads: list[WordHead] = []
    for at in range(COUNT):
        names = ("network.0.weight", "network.0.bias", "network.3.weight", "network.3.bias")
        state = {name: _weight(stored, f"head.heads.{at}.{name}") for name in names}
        last = at == COUNT - 1
        state["classes"] = _weight(stored, f"head.heads.{at}.classes") if last else shared
        kind = VersionZeroHead if last else WordHead
        head = kind(state["classes"], len(state["network.0.bias"]), dropout=0.0)
        head.load_state_dict(state)
        heads.append(head.eval())
    return heads


@torch.no_grad()
def answers(
    heads: list[WordHead], features: torch.Tensor, probabilities: torch.Tensor
) -> torch.Tensor:
    """Features (N, 1280) and class probabilities (N, 1000) -> what the heads say together, unit
    (N, 384)."""
    return normalize(sum(head(features, probabilities) for head in heads), dim=-1)


def _weight(stored: dict[str, np.ndarray], name: str) -> torch.Tensor:
    """A weight as graph.py stores it: float32, fp16, or int8 in blocks with a scale each."""
    if name in stored:
        values = stored[name]
    elif f"{name}_fp16" in stored:
        values = stored[f"{name}_fp16"]
    else:
        numbers = stored[f"{name}_numbers"].astype(np.float32)
        values = numbers * stored[f"{name}_scales"].astype(np.float32)
        values = values.reshape(stored[f"{name}_shape"])
    return torch.from_numpy(values.astype(np.float32))
