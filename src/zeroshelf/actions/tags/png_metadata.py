"""The chunks of a PNG as pieces (see `metadata`)."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from zeroshelf.actions.tags.pieces import LARGEST, Piece, blocks
from zeroshelf.errors import Unreadable

_START = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp\0"


def walk(file: BinaryIO, whole: bool) -> Iterator[Piece]:
    """All chunks. Unless `whole`, the content of chunks other than iTXt is skipped."""
    if file.read(8) != _START:
        raise Unreadable("not a PNG file")
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"iTXt" and length <= LARGEST:
            data = file.read(length)
            file.read(4)
            if data.startswith(_XMP):
                yield Piece("xmp", _international(data[len(_XMP) :]))
            else:
                yield Piece("rest", kind + data)
            continue
        yield Piece("rest", kind + length.to_bytes(4, "big"))
        if not whole:
            file.seek(length + 4, os.SEEK_CUR)
            continue
        yield from blocks(file, length + 4)  # with the checksum
    if whole:
        yield from blocks(file)


def _international(data: bytes) -> bytes:
    """The text of an iTXt chunk: two flags, the language, the translated keyword, the text."""
    compressed = data[0]
    text = data[2:].split(b"\0", 2)[2]
    if not compressed:
        return text
    unpacked = zlib.decompressobj()
    plain = unpacked.decompress(text, LARGEST)
    if unpacked.unconsumed_tail:
        raise Unreadable("its XMP is too large")
    return plain
