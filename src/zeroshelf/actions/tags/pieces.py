"""A picture's file as a sequence of pieces: blocks of metadata, and all other bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

BLOCK = 1 << 20
LARGEST = 1 << 24  # bytes of one block of metadata
Kind: TypeAlias = Literal["xmp", "iptc", "digest", "rest"]


class Piece(NamedTuple):
    kind: Kind
    data: bytes


def blocks(file: BinaryIO) -> Iterator[Piece]:
    """What follows, in pieces whose borders depend on nothing but its length."""
    while block := file.read(BLOCK):
        yield Piece("rest", block)
