"""A picture's file as a sequence of pieces: blocks of metadata, and all other bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

BLOCK = 1 << 20  # bytes that are read at once
LARGEST = 1 << 24  # bytes of one block of metadata
Kind: TypeAlias = Literal["xmp", "iptc", "digest", "rest"]


class Piece(NamedTuple):
    """Part of a file. `kind` "rest": it is no XMP, IPTC block or digest, and must not change."""

    kind: Kind
    data: bytes


def blocks(file: BinaryIO) -> Iterator[Piece]:
    """The file from its current position to its end, in pieces of `BLOCK` bytes."""
    while block := file.read(BLOCK):
        yield Piece("rest", block)
