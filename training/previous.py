"""Version 0's word head, read from its ONNX file: it knows pictures that this project doesn't hold.

It was trained by the same rules on more of Tiny-ImageNet, MiniPlaces and Food-101 and ends in the
same space, so it can be averaged with the heads trained here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn.functional import normalize

from training.model import WordHead


class PreviousHead(WordHead):
    """As `WordHead`, but the network's answer is added as long as it is, not as a unit vector."""

    def beside(self, features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return normalize(self.network(features) + known, dim=-1)


def previous_head(folder: Path) -> PreviousHead:
    """`folder`: version 0's. It standardises the features: the first layer takes that over."""
    graph = onnx.load(folder / "visual/model.onnx").graph
    stored = {
        tensor.name.removesuffix("_h"): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in graph.initializer
        if tensor.name.startswith("h.")
    }
    first = stored["h.head.0.weight"] / stored["h.sd"]
    head = PreviousHead(stored["h.M"], len(first), dropout=0.0)
    head.load_state_dict(
        {
            "network.0.weight": first,
            "network.0.bias": stored["h.head.0.bias"] - first @ stored["h.mu"].flatten(),
            "network.3.weight": stored["h.head.3.weight"],
            "network.3.bias": stored["h.head.3.bias"],
            "classes": stored["h.M"],
        }
    )
    return head.eval()
