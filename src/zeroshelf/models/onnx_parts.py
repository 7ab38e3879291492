"""An ONNX file's parts, read and written without the onnx package, which is no dependency, and
without a copy of its weights: a few fields of onnx.proto
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); everything else is copied.

`in_place` is a graph that leaves its weights where they are. ONNX Runtime maps these into memory,
where it would else read and copy the whole file: a ViT-B/32's image tower opens in half of the
processor's time.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.models.graph import (
    GRAPH_INITIALIZER,
    MODEL_GRAPH,
    TENSOR_EXTERNAL,
    fields,
)

# onnx.proto's numbers
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_LOCATION = 1, 2, 8, 9, 14
TENSOR_TYPED = (5, 7)  # whole numbers that are not in raw_data
ENTRY_KEY, ENTRY_VALUE = 1, 2
OUTSIDE = 1  # of a tensor's location
DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
LARGE = 1024  # bytes of weights that stay in the file

Data = bytes | mmap.mmap


def in_place(path: Path) -> bytes | None:
    """The graph in `path`, serialised, with its weights in `path`; None where that isn't read."""

    def graph(data: Data, start: int, end: int) -> bytes:
        return b"".join(
            field(number, Tensor(data, first, last).named(file=path.name))
            if number == GRAPH_INITIALIZER
            else raw
            for number, first, last, raw in parts(data, start, end, GRAPH_INITIALIZER)
        )

    try:
        return with_graph(path, graph)
    except (ValueError, OSError):
        return None


def with_graph(path: Path, graph: Callable[[Data, int, int], bytes]) -> bytes:
    """The model in `path`, serialised, with what `graph` makes of its GraphProto, which it is given
    with its start and end. Raises `OSError`, and `ValueError` for what is no such file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return b"".join(
            field(number, graph(data, first, last)) if number == MODEL_GRAPH else raw
            for number, first, last, raw in parts(data, 0, len(data), MODEL_GRAPH)
        )


class Tensor:
    """A TensorProto: its dimensions, type, name, and where its numbers are."""

    def __init__(self, data: Data, start: int, end: int) -> None:
        self._data = data
        self.parts = list(parts(data, start, end, TENSOR_RAW))
        self.dims: list[int] = []
        self.type, self.name = 0, b""
        self.raw: tuple[int, int] | None = None
        self.external = False
        for number, first, last, raw in self.parts:
            if number == TENSOR_DIMS:
                self.dims += packed(data, first, last, raw)
            elif number == TENSOR_TYPE:
                self.type = whole_number(data[first:last])
            elif number == TENSOR_NAME:
                self.name = bytes(data[first:last])
            elif number == TENSOR_RAW:
                self.raw = (first, last)
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
            for one in packed(self._data, first, last, raw)
        ]
        return np.array(found, DTYPES[self.type]).reshape(self.dims)

    def named(self, name: bytes | None = None, file: str = "") -> bytes:
        """Itself, under another name if one is given. Many numbers stay where they are, in `file`.

        file: the name of the file that it was read from; "": the numbers are copied.
        """
        left = TENSOR_RAW if name is None else TENSOR_NAME
        kept = [raw for number, *_, raw in self.parts if number not in (TENSOR_RAW, left)]
        kept += [] if name is None else [field(TENSOR_NAME, name)]
        if self.raw is None:
            return b"".join(kept)
        first, last = self.raw
        if not file or last - first < LARGE:
            return b"".join((*kept, field(TENSOR_RAW, bytes(self._data[first:last]))))
        place = {"location": file, "offset": str(first), "length": str(last - first)}
        for key, value in place.items():
            entry = field(ENTRY_KEY, key.encode()) + field(ENTRY_VALUE, value.encode())
            kept.append(field(TENSOR_EXTERNAL, entry))
        return b"".join((*kept, varint(TENSOR_LOCATION << 3), varint(OUTSIDE)))


def parts(
    data: Data, start: int, end: int, large: int = 0
) -> Iterator[tuple[int, int, int, bytes]]:
    """Number, start and end of the value, and the whole field; empty for the field `large`, which
    is not copied."""
    before = start
    for number, first, last in fields(data, start, end):
        yield number, first, last, b"" if number == large else bytes(data[before:last])
        before = last


def text(data: Data, start: int, end: int, wanted: int) -> bytes:
    """The value of the first field `wanted`; empty where there is none."""
    return next(
        (bytes(data[a:b]) for number, a, b in fields(data, start, end) if number == wanted), b""
    )


def field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def packed(data: Data, first: int, last: int, raw: bytes) -> list[int]:
    """The numbers of a repeated field: packed, or one of them alone."""
    return whole_numbers(data[first:last]) if raw[0] & 7 == 2 else [whole_number(data[first:last])]


def whole_numbers(data: bytes) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value - (1 << 64) if value >> 63 else value)
            value = shift = 0
    return found


def whole_number(data: bytes) -> int:
    return (whole_numbers(data) or [0])[0]
