"""A text tower that was exported for texts of full length becomes one for short texts.

CLIP's text towers are exported for 77 tokens, and a prompt has ten: four fifths of the work is
padding. A causal text tower, in which no token sees a later one, gives the same answer without the
padding behind the end of the text. So the length is written anew wherever the graph has it: in its
input, in the position embeddings, in the causal mask and in the shapes of Reshape. The result may
be wrong for a graph of another kind: the caller compares it with the whole tower.

Read and written without the onnx package, which is no dependency: a few fields of onnx.proto
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); everything else is copied.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
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
GRAPH_PORTS = (11, 12)  # inputs and outputs
GRAPH_VALUE_INFO = 13  # shapes inside the graph, which ONNX Runtime can do without
ATTRIBUTE_INT, ATTRIBUTE_INTS = 3, 8
TENSOR_DIMS, TENSOR_TYPE, TENSOR_RAW = 1, 2, 9
TENSOR_TYPED = (4, 5, 7, 10, 11)  # numbers that are not in raw_data
PORT_TYPE, TYPE_TENSOR, TENSOR_SHAPE, SHAPE_DIM, DIM_VALUE = 2, 1, 2, 1, 1
DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
FEW = 16  # numbers in a shape, at most

Data = bytes | mmap.mmap


class _OtherKindError(Exception):
    """The graph is not one that can be shortened."""


def shortened(path: Path, context: int, length: int) -> bytes | None:
    """The graph in `path`, which takes texts of `context` tokens, for texts of `length` tokens,
    serialised; weights in other files stay there. None where it has no causal mask of that size, or
    can't be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            made = _Shortened(context, length)
            model = b"".join(
                _field(number, made.graph(data, first, last)) if number == MODEL_GRAPH else raw
                for number, first, last, raw in _parts(data, 0, len(data), MODEL_GRAPH)
            )
    except (_OtherKindError, ValueError, OSError):
        return None
    return model if made.masks else None


class _Shortened:
    """Rewrites the parts of a graph. `masks` counts the causal masks that it found."""

    def __init__(self, context: int, length: int) -> None:
        self._context, self._length = context, length
        self.masks = 0

    def graph(self, data: Data, start: int, end: int) -> bytes:
        made: list[bytes] = []
        for number, first, last, raw in _parts(data, start, end):
            if number == GRAPH_VALUE_INFO:
                continue
            if number == GRAPH_INITIALIZER:
                made.append(self._changed(raw, number, self._tensor(data, first, last)))
            elif number == GRAPH_NODE:
                made.append(self._changed(raw, number, self._node(data, first, last)))
            elif number in GRAPH_PORTS:
                path = (PORT_TYPE, TYPE_TENSOR, TENSOR_SHAPE, SHAPE_DIM, DIM_VALUE)
                made.append(_field(number, self._port(data[first:last], path)))
            else:
                made.append(raw)
        return b"".join(made)

    def _changed(self, raw: bytes, number: int, new: bytes | None) -> bytes:
        return raw if new is None else _field(number, new)

    def _port(self, data: bytes, path: tuple[int, ...]) -> bytes:
        """A ValueInfoProto with the new length among its dimensions; `path` leads to these."""
        made = []
        for number, first, last, raw in _parts(data, 0, len(data)):
            if number != path[0]:
                made.append(raw)
            elif len(path) > 1:
                made.append(_field(number, self._port(data[first:last], path[1:])))
            else:
                made.append(_varint(number << 3) + _varint(self._new(_number(data[first:last]))))
        return b"".join(made)

    def _new(self, value: int) -> int:
        return self._length if value == self._context else value

    def _node(self, data: Data, start: int, end: int) -> bytes | None:
        """A NodeProto with the new length in its constants; None where it has none."""
        made, changed = [], False
        for number, first, last, raw in _parts(data, start, end):
            new = self._attribute(data, first, last) if number == NODE_ATTRIBUTE else None
            changed |= new is not None
            made.append(self._changed(raw, number, new))
        return b"".join(made) if changed else None

    def _attribute(self, data: Data, start: int, end: int) -> bytes | None:
        made, changed = [], False
        for number, first, last, raw in _parts(data, start, end):
            new = raw
            if number == ATTRIBUTE_TENSOR:
                new = self._changed(raw, number, self._tensor(data, first, last))
            elif number == ATTRIBUTE_INT and _number(data[first:last]) == self._context:
                new = _varint(number << 3) + _varint(self._length)
            elif number == ATTRIBUTE_INTS and raw[0] & 7 == 0:
                new = _varint(number << 3) + _varint(self._new(_number(data[first:last])))
            changed |= new != raw
            made.append(new)
        return b"".join(made) if changed else None

    def _tensor(self, data: Data, start: int, end: int) -> bytes | None:
        """A TensorProto, cut to the new length along the axes of the old one, or a shape in which
        the new length replaces the old; None where it stays."""
        parts = list(_parts(data, start, end, TENSOR_RAW))
        dims = [
            n
            for number, first, last, raw in parts
            if number == TENSOR_DIMS
            for n in (
                _numbers(data[first:last]) if raw[0] & 7 == 2 else [_number(data[first:last])]
            )
        ]
        type_ = next((_number(data[a:b]) for number, a, b, _ in parts if number == TENSOR_TYPE), 0)
        cut, small = self._context in dims, int(np.prod(dims)) <= FEW and type_ in (6, 7)
        if not cut and not small:
            return None
        raw_at = next(((a, b) for number, a, b, _ in parts if number == TENSOR_RAW), None)
        if raw_at is None or type_ not in DTYPES or any(n == TENSOR_EXTERNAL for n, *_ in parts):
            if cut:
                raise _OtherKindError
            return self._typed(data, parts)
        values: npt.NDArray[Any] = np.frombuffer(
            data[raw_at[0] : raw_at[1]], DTYPES[type_]
        ).reshape(dims)
        if cut:
            self.masks += dims[-2:] == [self._context] * 2
            values = values[tuple(slice(self._new(n)) for n in dims)]
        else:
            values = np.where(values == self._context, self._length, values).astype(values.dtype)
        kept = [raw for number, _, _, raw in parts if number not in (TENSOR_DIMS, TENSOR_RAW)]
        new_dims = [_varint(TENSOR_DIMS << 3) + _varint(n) for n in values.shape]
        return b"".join((*new_dims, *kept, _field(TENSOR_RAW, values.tobytes())))

    def _typed(self, data: Data, parts: list[tuple[int, int, int, bytes]]) -> bytes | None:
        """A shape whose numbers are a list of the message itself."""
        made, changed = [], False
        for number, first, last, raw in parts:
            new = raw
            if number in TENSOR_TYPED:
                packed = raw[0] & 7 == 2
                numbers = _numbers(data[first:last]) if packed else [_number(data[first:last])]
                if self._context in numbers:
                    new = _field(number, b"".join(_varint(self._new(n)) for n in numbers))
            changed |= new != raw
            made.append(new)
        return b"".join(made) if changed else None


def _parts(
    data: Data, start: int, end: int, large: int = 0
) -> Iterator[tuple[int, int, int, bytes]]:
    """Number, start and end of the value, and the whole field; empty for the field `large`, which
    is not copied."""
    before = start
    for number, first, last in fields(data, start, end):
        yield number, first, last, b"" if number == large else bytes(data[before:last])
        before = last


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
