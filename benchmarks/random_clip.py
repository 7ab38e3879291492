"""A CLIP ViT-B/32 at 256 pixels with random weights, as rclip lays its model out: for speed alone.

Both towers compute what the trained ones do: as many layers, as wide, with as many tokens.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = "ViT-B-32-256-datacomp_s34b_b86k"  # where rclip looks for it
SIDE, PATCH, LAYERS, DIM = 256, 32, 12, 512
CONTEXT, VOCABULARY = 77, 49408


class Builder:
    """Nodes and weights of one graph."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._rng = np.random.default_rng(seed)

    def weight(self, *shape: int) -> str:
        return self.constant(self._rng.standard_normal(shape, np.float32) / 25)

    def constant(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"n{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def norm(self, x: str, width: int) -> str:
        scale = self.constant(np.ones(width, np.float32))
        found: str = self.op("LayerNormalization", x, scale, self.weight(width), axis=-1)
        return found

    def linear(self, x: str, wide: int, out: int) -> str:
        found: str = self.op("Add", self.op("MatMul", x, self.weight(wide, out)), self.weight(out))
        return found

    def layer(self, x: str, width: int, heads: int, mask: str | None) -> str:
        """One block of a transformer: (N, tokens, width) -> the same."""
        shape = self.constant(np.array([0, 0, heads, width // heads]))
        three = self.linear(self.norm(x, width), width, 3 * width)
        q, k, v = self.op("Split", three, self.constant(np.array([width] * 3)), outputs=3, axis=-1)
        q = self.op("Transpose", self.op("Reshape", q, shape), perm=[0, 2, 1, 3])
        k = self.op("Transpose", self.op("Reshape", k, shape), perm=[0, 2, 3, 1])
        v = self.op("Transpose", self.op("Reshape", v, shape), perm=[0, 2, 1, 3])
        scale = self.constant(np.float32((width // heads) ** -0.5))
        near = self.op("Mul", self.op("MatMul", q, k), scale)
        if mask is not None:
            near = self.op("Add", near, mask)
        mixed = self.op("MatMul", self.op("Softmax", near, axis=-1), v)
        mixed = self.op("Transpose", mixed, perm=[0, 2, 1, 3])
        mixed = self.op("Reshape", mixed, self.constant(np.array([0, 0, width])))
        x = self.op("Add", x, self.linear(mixed, width, width))
        wide = self.linear(self.norm(x, width), width, 4 * width)
        root = self.constant(np.float32(2**-0.5))
        erf = self.op("Erf", self.op("Mul", wide, root))
        half = self.op("Mul", wide, self.constant(np.float32(0.5)))
        gelu = self.op("Mul", half, self.op("Add", erf, self.constant(np.float32(1))))
        found: str = self.op("Add", x, self.linear(gelu, 4 * width, width))
        return found

    def save(self, path: Path, given: Any, last: str) -> None:
        self.nodes.append(helper.make_node("Identity", [last], ["output"]))
        made = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", DIM])
        graph = helper.make_graph(self.nodes, "clip", [given], [made], self.weights)
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


def visual(path: Path, width: int = 768, heads: int = 12) -> None:
    build, tokens = Builder(0), (SIDE // PATCH) ** 2 + 1
    patches = build.op(
        "Conv", "input", build.weight(width, 3, PATCH, PATCH), strides=[PATCH, PATCH]
    )
    x = build.op("Reshape", patches, build.constant(np.array([0, width, -1])))
    x = build.op("Transpose", x, perm=[0, 2, 1])
    nothing = build.op("ReduceMean", x, axes=[1], keepdims=1)  # the class token, once a picture
    nothing = build.op("Mul", nothing, build.constant(np.float32(0)))
    x = build.op("Concat", build.op("Add", nothing, build.weight(width)), x, axis=1)
    x = build.norm(build.op("Add", x, build.weight(tokens, width)), width)
    for _ in range(LAYERS):
        x = build.layer(x, width, heads, None)
    first = build.op("Gather", x, build.constant(np.array(0)), axis=1)
    last = build.op("MatMul", build.norm(first, width), build.weight(width, DIM))
    shape = ["batch", 3, SIDE, SIDE]
    build.save(path, helper.make_tensor_value_info("input", TensorProto.FLOAT, shape), last)


def textual(path: Path, width: int = 512, heads: int = 8) -> None:
    build = Builder(1)
    x = build.op("Gather", build.weight(VOCABULARY, width), "input")
    x = build.op("Add", x, build.weight(CONTEXT, width))
    mask = build.constant(np.triu(np.full((CONTEXT, CONTEXT), -1e9, np.float32), 1))
    for _ in range(LAYERS):
        x = build.layer(x, width, heads, mask)
    x = build.norm(x, width)
    end = build.op("ArgMax", "input", axis=1, keepdims=1)  # the last token has the greatest number
    at = build.op("Equal", build.constant(np.arange(CONTEXT)[None]), end)
    at = build.op("Unsqueeze", build.op("Cast", at, to=TensorProto.FLOAT), build.constant([1]))
    last = build.op("Squeeze", build.op("MatMul", at, x), build.constant([1]))
    last = build.op("MatMul", last, build.weight(width, DIM))
    ids = helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", CONTEXT])
    build.save(path, ids, last)


def vocabulary(path: Path) -> None:
    """CLIP's format with few merges: a word is as many tokens as it has letters."""
    path.parent.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz"
    merges = [f"{one} {two}" for one in letters for two in letters]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(("#version: 0.2", *merges)))


def make(folder: Path) -> Path:
    """The model below `folder`; the folder that both programs are given."""
    (folder / FOLDER).mkdir(parents=True)
    visual(folder / FOLDER / "visual.onnx")
    textual(folder / FOLDER / "textual.onnx")
    vocabulary(folder / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz")
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]))
