"""The segments of a JPEG as pieces (see `metadata`)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from zeroshelf.actions.tags.iptc import photoshop_resources
from zeroshelf.actions.tags.pieces import Piece, blocks
from zeroshelf.errors import Unreadable

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_SEVERAL = b"MPF\0"  # multi-picture format: offsets from here to further pictures in the file


def walk(file: BinaryIO, whole: bool) -> Iterator[Piece]:
    """Segments up to the first scan; from there to the end of the file everything is the rest."""
    if file.read(2) != b"\xff\xd8":
        raise Unreadable("not a JPEG file")
    photoshop = b""
    several = False
    while True:
        marker = _marker(file)
        if marker in {0xD9, 0xDA}:
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            yield Piece("rest", bytes([marker]))
            continue
        (length,) = struct.unpack(">H", file.read(2))
        data = file.read(length - 2)
        if len(data) != length - 2:
            raise Unreadable("it is cut short")
        if whole and marker == 0xE1 and data.startswith(_MORE_XMP):
            raise Unreadable("its XMP is split into several parts")
        if marker == 0xE1 and data.startswith(_XMP):
            yield Piece("xmp", data[len(_XMP) :])
        elif marker == 0xED and data.startswith(_PHOTOSHOP):
            photoshop += data[len(_PHOTOSHOP) :]
        else:
            several = several or (marker == 0xE2 and data.startswith(_SEVERAL))
            yield Piece("rest", bytes([marker]) + data)
            continue
        if several:  # its length must not change, or the offsets would be wrong
            yield Piece("rest", length.to_bytes(2, "big"))
    yield from photoshop_resources(photoshop)
    yield Piece("rest", bytes([marker]))
    if whole:
        yield from blocks(file)


def _marker(file: BinaryIO) -> int:
    """The code of the next JPEG marker, after any fill bytes."""
    byte = file.read(1)
    if byte != b"\xff":
        raise Unreadable("the JPEG file is incomplete")
    while byte == b"\xff":
        byte = file.read(1)
    return byte[0]
