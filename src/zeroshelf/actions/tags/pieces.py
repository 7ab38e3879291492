"""A picture's file as a sequence of pieces: blocks of metadata, and all other bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from zeroshelf.errors import Unreadable

BLOCK = 1 << 20  # bytes that are read at once
LARGEST = 1 << 24  # bytes of one block of metadata
Kind: TypeAlias = Literal["xmp", "iptc", "digest", "rest"]


class Piece(NamedTuple):
    """Part of a file. `kind` "rest": it is no XMP, IPTC block or digest, and must not change."""

    kind: Kind
    data: bytes


def blocks(file: BinaryIO, length: int | None = None) -> Iterator[Piece]:
    """The file from its current position on, in pieces of at most `BLOCK` bytes: `length` bytes, or
    with None all to its end. Raises `Unreadable` if it ends before `length` bytes."""
    while length is None or length > 0:
        block = file.read(BLOCK if length is None else min(length, BLOCK))
        if block:
            yield Piece("rest", block)
        elif length is None:
            return
        else:
            raise Unreadable("it is cut short")
        length = None if length is None else length - len(block)
