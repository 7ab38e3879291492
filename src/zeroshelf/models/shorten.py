"""A text tower that was exported for texts of full length becomes one for texts of any length.

CLIP's text towers are exported for 77 tokens, and a prompt has ten: most of the work is padding. A
causal text tower, in which no token sees a later one, gives the same answer without the padding
behind the end of the text. So the length is computed from the input wherever the graph has it as a
number: position embeddings and causal mask are cut to it, and it replaces the old one in the shapes
of Reshape. The result may be wrong for a graph of another kind: the caller compares it with the
whole tower.

Weights are not copied: the new graph names their places in the old file. Read and written without
the onnx package, which is no dependency: a few fields of onnx.proto
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); everything else is copied.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.models.graph import (
    ATTRIBUTE_TENSOR,
    GRAPH_INITIALIZER,
    GRAPH_NODE,
    MODEL_GRAPH,
    NODE_ATTRIBUTE,
    TENSOR_EXTERNAL,
    fields,
)

# onnx.proto's numbers
GRAPH_INPUT, GRAPH_OUTPUT = 11, 12
GRAPH_VALUE_INFO = 13  # shapes inside the graph, which ONNX Runtime can do without
NODE_INPUT, NODE_OUTPUT, NODE_TYPE = 1, 2, 4
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_INTS, ATTRIBUTE_TYPE = 1, 3, 8, 20
TYPE_INT = 2  # of an attribute
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_LOCATION = 1, 2, 8, 9, 14
TENSOR_TYPED = (5, 7)  # whole numbers that are not in raw_data
PORT_NAME = 1
PORT_TYPE, TYPE_TENSOR, TENSOR_SHAPE, SHAPE_DIM = 2, 1, 2, 1  # the way to a port's dimensions
DIM_VALUE, DIM_NAME = 1, 2
BOOL, INT32, INT64 = 9, 6, 7
DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
FEW = 16  # numbers in a shape, at most
LARGE = 1024  # bytes of weights that stay in the old file
LENGTH, LENGTHS = "zeroshelf/length", "zeroshelf/lengths"  # a scalar, and the same of shape (1,)

Data = bytes | mmap.mmap


class _OtherKindError(Exception):
    """The graph is not one that can be rewritten."""


def of_any_length(path: Path, context: int) -> bytes | None:
    """The graph in `path`, which takes texts of `context` tokens, for texts of any number of
    tokens up to that, serialised; its weights stay in `path`, or in the files beside it. None
    where it has no causal mask of that size, or can't be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            made = _Rewritten(context, path.name)
            model = b"".join(
                _field(number, made.graph(data, first, last)) if number == MODEL_GRAPH else raw
                for number, first, last, raw in _parts(data, 0, len(data), MODEL_GRAPH)
            )
    except (_OtherKindError, ValueError, OSError):
        return None
    return model if made.masks else None


class _Tensor:
    """A TensorProto: its dimensions, type, name, and where its numbers are."""

    def __init__(self, data: Data, start: int, end: int) -> None:
        self._data = data
        self.parts = list(_parts(data, start, end, TENSOR_RAW))
        self.dims: list[int] = []
        self.type, self.name, self.raw = 0, b"", None
        self.external = False
        for number, first, last, raw in self.parts:
            if number == TENSOR_DIMS:
                self.dims += _packed(data, first, last, raw)
            elif number == TENSOR_TYPE:
                self.type = _number(data[first:last])
            elif number == TENSOR_NAME:
                self.name = bytes(data[first:last])
            elif number == TENSOR_RAW:
                self.raw: tuple[int, int] | None = (first, last)
            self.external |= number == TENSOR_EXTERNAL

    def numbers(self) -> npt.NDArray[Any]:
        """Its few whole numbers, in its shape."""
        if self.raw is not None:
            first, last = self.raw
            return np.frombuffer(self._data[first:last], DTYPES[self.type]).reshape(self.dims)
        found = [
            one
            for number, first, last, raw in self.parts
            if number in TENSOR_TYPED
            for one in _packed(self._data, first, last, raw)
        ]
        return np.array(found, DTYPES[self.type]).reshape(self.dims)

    def named(self, name: bytes, file: str = "") -> bytes:
        """Itself under another name. Many numbers stay where they are in `file`."""
        kept = [raw for number, _, _, raw in self.parts if number not in (TENSOR_NAME, TENSOR_RAW)]
        kept.append(_field(TENSOR_NAME, name))
        if self.raw is None:
            return b"".join(kept)
        first, last = self.raw
        if not file or last - first < LARGE:
            return b"".join((*kept, _field(TENSOR_RAW, bytes(self._data[first:last]))))
        place = {"location": file, "offset": str(first), "length": str(last - first)}
        for key, value in place.items():
            entry = _field(1, key.encode()) + _field(2, value.encode())
            kept.append(_field(TENSOR_EXTERNAL, entry))
        return b"".join((*kept, _varint(TENSOR_LOCATION << 3), _varint(1)))


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
        for number, first, last, raw in _parts(data, start, end, GRAPH_INITIALIZER):
            if number == GRAPH_INITIALIZER:
                tensor = _Tensor(data, first, last)
                name = self._of_length(tensor, tensor.name, weights, computed)
                weights.append(_field(number, tensor.named(name, self._file)))
            elif number == GRAPH_NODE:
                nodes += self._node(data, first, last, raw, weights)
            elif number in (GRAPH_INPUT, GRAPH_OUTPUT):
                path = (PORT_TYPE, TYPE_TENSOR, TENSOR_SHAPE, SHAPE_DIM)
                port = self._port(data[first:last], path)
                others.append(_field(number, port))
                if number == GRAPH_INPUT and port != data[first:last]:
                    ids = ids or _text(data, first, last, PORT_NAME)
            elif number != GRAPH_VALUE_INFO:
                others.append(raw)
        if not ids:
            raise _OtherKindError
        first = [*self._length(ids, weights), *computed]  # adds to the weights
        return b"".join((*weights, *first, *nodes, *others))

    def _length(self, ids: bytes, weights: list[bytes]) -> Iterator[bytes]:
        """The nodes that compute `LENGTH` and `LENGTHS` of the token ids (N, tokens)."""
        one = _constant(weights, "zeroshelf/one", np.array([1], np.int64))
        first = _constant(weights, "zeroshelf/scalar", np.zeros((), np.int64))
        yield _made("Shape", [ids], b"zeroshelf/shape")
        yield _made("Gather", [b"zeroshelf/shape", one], LENGTHS.encode())
        yield _made("Gather", [LENGTHS.encode(), first], LENGTH.encode())

    def _of_length(
        self, tensor: _Tensor, name: bytes, weights: list[bytes], nodes: list[bytes]
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
        parts = list(_parts(data, start, end))
        attributes = [(first, last) for number, first, last, _ in parts if number == NODE_ATTRIBUTE]
        if _text(data, start, end, NODE_TYPE) == b"Constant" and len(attributes) == 1:
            name = _text(data, start, end, NODE_OUTPUT)
            found = self._value(data, *attributes[0])
            if found is not None:
                computed: list[bytes] = []
                new = self._of_length(found, name, weights, computed)
                if new != name:
                    weights.append(_field(GRAPH_INITIALIZER, found.named(new)))
                    yield from computed
                    return
        elif any(self._has_length(data, first, last) for first, last in attributes):
            raise _OtherKindError
        yield whole

    def _value(self, data: Data, start: int, end: int) -> _Tensor | None:
        """The value of a Constant as a tensor; None where it is no number."""
        whole: list[int] = []
        kind = _text(data, start, end, ATTRIBUTE_NAME)
        for number, first, last, raw in _parts(data, start, end):
            if number == ATTRIBUTE_TENSOR:
                return _Tensor(data, first, last)
            if number in (ATTRIBUTE_INT, ATTRIBUTE_INTS):
                whole += _packed(data, first, last, raw)
        if kind not in (b"value_int", b"value_ints"):
            return None
        values = np.array(whole[0] if kind == b"value_int" else whole, np.int64)
        made = _tensor("", values)
        return _Tensor(made, 0, len(made))

    def _has_length(self, data: Data, start: int, end: int) -> bool:
        for number, first, last, raw in _parts(data, start, end):
            if number in (ATTRIBUTE_INT, ATTRIBUTE_INTS):
                if self._context in _packed(data, first, last, raw):
                    return True
            elif number == ATTRIBUTE_TENSOR:
                tensor = _Tensor(data, first, last)
                few = tensor.type in (INT32, INT64) and int(np.prod(tensor.dims)) <= FEW
                if self._context in tensor.dims or (few and self._context in tensor.numbers()):
                    return True
        return False

    def _port(self, data: bytes, path: tuple[int, ...]) -> bytes:
        """A ValueInfoProto of which dimensions of the old length may vary; `path` leads to these."""
        made = []
        for number, first, last, raw in _parts(data, 0, len(data)):
            if number != path[0]:
                made.append(raw)
            elif len(path) > 1:
                made.append(_field(number, self._port(data[first:last], path[1:])))
            else:
                size = _text(data, first, last, DIM_VALUE)
                if size and _number(size) == self._context:
                    raw = _field(number, _field(DIM_NAME, LENGTH.encode()))  # noqa: PLW2901
                made.append(raw)
        return b"".join(made)


def _made(kind: str, inputs: Sequence[bytes], output: bytes, **numbers: int) -> bytes:
    """A node of a graph, with whole numbers as its attributes."""
    parts = [_field(NODE_INPUT, one) for one in inputs]
    parts += [_field(NODE_OUTPUT, output), _field(NODE_TYPE, kind.encode())]
    for name, value in numbers.items():
        attribute = _field(ATTRIBUTE_NAME, name.encode())
        attribute += _varint(ATTRIBUTE_INT << 3) + _varint(value)
        attribute += _varint(ATTRIBUTE_TYPE << 3) + _varint(TYPE_INT)
        parts.append(_field(NODE_ATTRIBUTE, attribute))
    return _field(GRAPH_NODE, b"".join(parts))


def _constant(weights: list[bytes], name: str, values: npt.NDArray[Any]) -> bytes:
    """Adds a weight, and returns its name."""
    weights.append(_field(GRAPH_INITIALIZER, _tensor(name, values)))
    return name.encode()


def _tensor(name: str, values: npt.NDArray[Any]) -> bytes:
    """A TensorProto of booleans or whole numbers."""
    dims = [_varint(TENSOR_DIMS << 3) + _varint(size) for size in values.shape]
    type_ = _varint(TENSOR_TYPE << 3) + _varint(BOOL if values.dtype == np.bool_ else INT64)
    named = _field(TENSOR_NAME, name.encode())
    return b"".join((*dims, type_, named, _field(TENSOR_RAW, values.tobytes())))


def _parts(
    data: Data, start: int, end: int, large: int = 0
) -> Iterator[tuple[int, int, int, bytes]]:
    """Number, start and end of the value, and the whole field; empty for the field `large`, which
    is not copied."""
    before = start
    for number, first, last in fields(data, start, end):
        yield number, first, last, b"" if number == large else bytes(data[before:last])
        before = last


def _text(data: Data, start: int, end: int, wanted: int) -> bytes:
    """The value of the first field `wanted`; empty where there is none."""
    return next(
        (bytes(data[a:b]) for number, a, b in fields(data, start, end) if number == wanted), b""
    )


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _packed(data: Data, first: int, last: int, raw: bytes) -> list[int]:
    """The numbers of a repeated field: packed, or one of them alone."""
    return _numbers(data[first:last]) if raw[0] & 7 == 2 else [_number(data[first:last])]


def _numbers(data: bytes) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value - (1 << 64) if value >> 63 else value)
            value = shift = 0
    return found


def _number(data: bytes) -> int:
    return (_numbers(data) or [0])[0]
