"""In which files an ONNX graph keeps its weights, read without the onnx package or the weights.

A few fields of the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) and of
onnx.proto; everything else is stepped over, so a file of a gigabyte costs milliseconds.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from zeroshelf.errors import UserError

Field = tuple[int, int, int]  # number, start and end of its value

# onnx.proto's numbers
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_TYPE, NODE_ATTRIBUTE = 4, 5
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH = 5, 6
TENSOR_EXTERNAL = 13


def external_files(path: Path) -> tuple[str, ...]:
    """The files beside the graph in which it keeps weights, as the graph names them.

    Raises `UserError` where `path` is not an ONNX file: a renamed pickle, an error page of a proxy.
    """
    found: set[str] = set()
    graphs = 0
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for number, start, end in fields(data, 0, len(data)):
                if number == MODEL_GRAPH:
                    graphs += 1
                    found |= set(_locations(data, start, end))
    except ValueError as error:
        raise UserError(f"{path} is not a whole ONNX file: {error}") from error
    if graphs != 1:
        raise UserError(f"{path} is not an ONNX file")
    return tuple(sorted(found))


def count_operators(path: Path, kind: str) -> int:
    """How many nodes of one kind ("Conv") the graph has; 0 where it can't be read."""
    wanted, count = kind.encode(), 0
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for number, start, end in fields(data, 0, len(data)):
                for inner, first, last in fields(data, start, end) if number == MODEL_GRAPH else ():
                    if inner == GRAPH_NODE:
                        parts = fields(data, first, last)
                        count += any(n == NODE_TYPE and data[a:b] == wanted for n, a, b in parts)
    except (ValueError, OSError):
        return 0
    return count


def _locations(data: mmap.mmap, start: int, end: int) -> Iterator[str]:
    """Of a graph's initializers and of the tensors and graphs in its nodes' attributes."""
    for number, first, last in fields(data, start, end):
        if number == GRAPH_INITIALIZER:
            yield from _location(data, first, last)
        elif number == GRAPH_NODE:
            for inner, begin, stop in fields(data, first, last):
                if inner != NODE_ATTRIBUTE:
                    continue
                for kind, a, b in fields(data, begin, stop):
                    if kind == ATTRIBUTE_TENSOR:
                        yield from _location(data, a, b)
                    elif kind == ATTRIBUTE_GRAPH:
                        yield from _locations(data, a, b)


def _location(data: mmap.mmap, start: int, end: int) -> Iterator[str]:
    for number, first, last in fields(data, start, end):
        if number == TENSOR_EXTERNAL:
            entry = {n: bytes(data[a:b]) for n, a, b in fields(data, first, last)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode("utf-8", "surrogateescape")


def fields(data: bytes | mmap.mmap, start: int, end: int) -> Iterator[Field]:
    at = start
    while at < end:
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            first = at
            _, at = _varint(data, at)
        elif kind in (1, 5):
            first, at = at, at + (8 if kind == 1 else 4)
        elif kind == 2:
            length, first = _varint(data, at)
            at = first + length
        else:
            raise ValueError("no protobuf data")
        if at > end:
            raise ValueError("it is cut short")
        yield key >> 3, first, at


def _varint(data: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("no protobuf data")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
