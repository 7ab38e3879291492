"""A text tower that was exported for texts of full length becomes one for texts of any length.

CLIP's text towers are exported for 77 tokens, and a prompt has ten: most of the work is padding. A
causal text tower, in which no token sees a later one, gives the same answer without the padding
behind the end of the text. So the length is computed from the input wherever the graph has it as a
number: position embeddings and causal mask are cut to it, and it replaces the old one in the shapes
of Reshape. The result may be wrong for a graph of another kind: the caller compares it with the
whole tower.

Weights are not copied: the new graph names their places in the old file (onnx_parts.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.models.graph import (
    ATTRIBUTE_TENSOR,
    GRAPH_INITIALIZER,
    GRAPH_NODE,
    NODE_ATTRIBUTE,
    NODE_TYPE,
)
from zeroshelf.models.onnx_parts import (
    TENSOR_DIMS,
    TENSOR_NAME,
    TENSOR_RAW,
    TENSOR_TYPE,
    Data,
    Tensor,
    field,
    packed,
    parts,
    text,
    varint,
    whole_number,
    with_graph,
)

# onnx.proto's numbers
GRAPH_INPUT, GRAPH_OUTPUT = 11, 12
GRAPH_VALUE_INFO = 13  # shapes inside the graph, which ONNX Runtime can do without
NODE_INPUT, NODE_OUTPUT = 1, 2
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_INTS, ATTRIBUTE_TYPE = 1, 3, 8, 20
TYPE_INT = 2  # of an attribute
PORT_NAME = 1
PORT_TYPE, TYPE_TENSOR, TENSOR_SHAPE, SHAPE_DIM = 2, 1, 2, 1  # the way to a port's dimensions
DIM_VALUE, DIM_NAME = 1, 2
BOOL, INT32, INT64 = 9, 6, 7
FEW = 16  # numbers in a shape, at most
LENGTH, LENGTHS = "zeroshelf/length", "zeroshelf/lengths"  # a scalar, and the same of shape (1,)


class _OtherKindError(Exception):
    """The graph is not one that can be rewritten."""


def of_any_length(path: Path, context: int) -> bytes | None:
    """The graph in `path`, which takes texts of `context` tokens, for texts of any number of
    tokens up to that, serialised; its weights stay in `path`, or in the files beside it. None
    where it has no causal mask of that size, or can't be read."""
    made = _Rewritten(context, path.name)
    try:
        model = with_graph(path, made.graph)
    except (_OtherKindError, ValueError, OSError):
        return None
    return model if made.masks else None


class _Rewritten:
    """Rewrites the parts of a graph of the file named `file`. `masks` counts the causal masks that
    it found."""

    def __init__(self, context: int, file: str) -> None:
        self._context, self._file = context, file
        self.masks = 0

    def graph(self, data: Data, start: int, end: int) -> bytes:
        weights: list[bytes] = []
        nodes: list[bytes] = []
        computed: list[bytes] = []  # the nodes that make a weight of the text's length
        others: list[bytes] = []
        ids = b""
        for number, first, last, raw in parts(data, start, end, GRAPH_INITIALIZER):
            if number == GRAPH_INITIALIZER:
                tensor = Tensor(data, first, last)
                name = self._of_length(tensor, tensor.name, weights, computed)
                weights.append(field(number, tensor.named(name, self._file)))
            elif number == GRAPH_NODE:
                nodes += self._node(data, first, last, raw, weights)
            elif number in (GRAPH_INPUT, GRAPH_OUTPUT):
                path = (PORT_TYPE, TYPE_TENSOR, TENSOR_SHAPE, SHAPE_DIM)
                port = self._port(data[first:last], path)
                others.append(field(number, port))
                if number == GRAPH_INPUT and port != data[first:last]:
                    ids = ids or text(data, first, last, PORT_NAME)
            elif number != GRAPH_VALUE_INFO:
                others.append(raw)
        if not ids:
            raise _OtherKindError
        computed = [*self._length(ids, weights), *computed]  # adds to the weights
        return b"".join((*weights, *computed, *nodes, *others))

    def _length(self, ids: bytes, weights: list[bytes]) -> Iterator[bytes]:
        """The nodes that compute `LENGTH` and `LENGTHS` of the token ids (N, tokens)."""
        one = _constant(weights, "zeroshelf/one", np.array([1], np.int64))
        first = _constant(weights, "zeroshelf/scalar", np.zeros((), np.int64))
        yield _made("Shape", [ids], b"zeroshelf/shape")
        yield _made("Gather", [b"zeroshelf/shape", one], LENGTHS.encode())
        yield _made("Gather", [LENGTHS.encode(), first], LENGTH.encode())

    def _of_length(
        self, tensor: Tensor, name: bytes, weights: list[bytes], nodes: list[bytes]
    ) -> bytes:
        """The name that a tensor gets: its own where it has nothing to do with the length; else
        another, and `nodes` get what makes `name` of it and of the length."""
        cut = [axis for axis, size in enumerate(tensor.dims) if size == self._context]
        old = name + b"/whole"
        if cut:
            if tensor.external or tensor.raw is None:
                raise _OtherKindError
            self.masks += tensor.dims[-2:] == [self._context] * 2
            starts = _constant(weights, f"{name.decode()}/starts", np.zeros(len(cut), np.int64))
            axes = _constant(weights, f"{name.decode()}/axes", np.array(cut, np.int64))
            ends = LENGTHS.encode()
            if len(cut) > 1:
                ends = name + b"/ends"
                nodes.append(_made("Concat", [LENGTHS.encode()] * len(cut), ends, axis=0))
            nodes.append(_made("Slice", [old, starts, ends, axes], name))
            return old
        if tensor.type not in (INT32, INT64) or int(np.prod(tensor.dims)) > FEW:
            return name
        if tensor.external:
            raise _OtherKindError
        there = tensor.numbers() == self._context
        if not there.any():
            return name
        length = LENGTH.encode()
        if tensor.type == INT32:
            length = name + b"/length"
            nodes.append(_made("Cast", [LENGTH.encode()], length, to=INT32))
        where = _constant(weights, f"{name.decode()}/where", there)
        nodes.append(_made("Where", [where, length, old], name))
        return old

    def _node(
        self, data: Data, start: int, end: int, whole: bytes, weights: list[bytes]
    ) -> Iterator[bytes]:
        """A node; for a constant with the old length, a weight and the nodes that make it."""
        attributes = [
            (first, last)
            for number, first, last, _ in parts(data, start, end)
            if number == NODE_ATTRIBUTE
        ]
        if text(data, start, end, NODE_TYPE) == b"Constant" and len(attributes) == 1:
            name = text(data, start, end, NODE_OUTPUT)
            found = self._value(data, *attributes[0])
            if found is not None:
                computed: list[bytes] = []
                new = self._of_length(found, name, weights, computed)
                if new != name:
                    weights.append(field(GRAPH_INITIALIZER, found.named(new)))
                    yield from computed
                    return
        elif any(self._has_length(data, first, last) for first, last in attributes):
            raise _OtherKindError
        yield whole

    def _value(self, data: Data, start: int, end: int) -> Tensor | None:
        """The value of a Constant as a tensor; None where it is no number."""
        whole: list[int] = []
        kind = text(data, start, end, ATTRIBUTE_NAME)
        for number, first, last, raw in parts(data, start, end):
            if number == ATTRIBUTE_TENSOR:
                return Tensor(data, first, last)
            if number in (ATTRIBUTE_INT, ATTRIBUTE_INTS):
                whole += packed(data, first, last, raw)
        if kind not in (b"value_int", b"value_ints"):
            return None
        values = np.array(whole[0] if kind == b"value_int" else whole, np.int64)
        made = _tensor("", values)
        return Tensor(made, 0, len(made))

    def _has_length(self, data: Data, start: int, end: int) -> bool:
        for number, first, last, raw in parts(data, start, end):
            if number in (ATTRIBUTE_INT, ATTRIBUTE_INTS):
                if self._context in packed(data, first, last, raw):
                    return True
            elif number == ATTRIBUTE_TENSOR:
                tensor = Tensor(data, first, last)
                few = tensor.type in (INT32, INT64) and int(np.prod(tensor.dims)) <= FEW
                if self._context in tensor.dims or (few and self._context in tensor.numbers()):
                    return True
        return False

    def _port(self, data: bytes, path: tuple[int, ...]) -> bytes:
        """A ValueInfoProto whose dimensions of the old length may vary; `path` leads to these."""
        made = []
        for number, first, last, raw in parts(data, 0, len(data)):
            if number != path[0]:
                made.append(raw)
            elif len(path) > 1:
                made.append(field(number, self._port(data[first:last], path[1:])))
            else:
                size = text(data, first, last, DIM_VALUE)
                if size and whole_number(size) == self._context:
                    raw = field(number, field(DIM_NAME, LENGTH.encode()))  # noqa: PLW2901
                made.append(raw)
        return b"".join(made)


def _made(kind: str, inputs: Sequence[bytes], output: bytes, **numbers: int) -> bytes:
    """A node of a graph, with whole numbers as its attributes."""
    made = [field(NODE_INPUT, one) for one in inputs]
    made += [field(NODE_OUTPUT, output), field(NODE_TYPE, kind.encode())]
    for name, value in numbers.items():
        attribute = field(ATTRIBUTE_NAME, name.encode())
        attribute += varint(ATTRIBUTE_INT << 3) + varint(value)
        attribute += varint(ATTRIBUTE_TYPE << 3) + varint(TYPE_INT)
        made.append(field(NODE_ATTRIBUTE, attribute))
    return field(GRAPH_NODE, b"".join(made))


def _constant(weights: list[bytes], name: str, values: npt.NDArray[Any]) -> bytes:
    """Adds a weight, and returns its name."""
    weights.append(field(GRAPH_INITIALIZER, _tensor(name, values)))
    return name.encode()


def _tensor(name: str, values: npt.NDArray[Any]) -> bytes:
    """A TensorProto of booleans or whole numbers."""
    dims = [varint(TENSOR_DIMS << 3) + varint(size) for size in values.shape]
    type_ = varint(TENSOR_TYPE << 3) + varint(BOOL if values.dtype == np.bool_ else INT64)
    named = field(TENSOR_NAME, name.encode())
    return b"".join((*dims, type_, named, field(TENSOR_RAW, values.tobytes())))
