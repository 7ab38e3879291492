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

from training.model import WordHead

NAMES = {
    "network.0.weight": "h.head.0.weight_h",
    "network.0.bias": "h.head.0.bias_h",
    "network.3.weight": "h.head.3.weight_h",
    "network.3.bias": "h.head.3.bias_h",
}


def previous_head(folder: Path, classes: torch.Tensor) -> WordHead:
    """`folder`: version 0's. Its own vectors of the classes are replaced by `classes`."""
    graph = onnx.load(folder / "visual/model.onnx").graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    state = {
        ours: torch.from_numpy(stored[theirs].astype(np.float32)) for ours, theirs in NAMES.items()
    }
    head = WordHead(classes, len(state["network.0.bias"]), dropout=0.0)
    head.load_state_dict(state | {"classes": classes})
    return head.eval()
