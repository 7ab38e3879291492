"""IPTC-IIM: the datasets of a block, and the Photoshop image resources around it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import md5

from zeroshelf.actions.tags.pieces import Piece
from zeroshelf.errors import Unreadable

_IRB_IPTC, _IRB_DIGEST = 0x0404, 0x0425
KEYWORD, CHARSET = (2, 25), (1, 90)
FRAME = {(1, 0), (2, 0), CHARSET}  # datasets that every block has, whatever its content
UTF8 = b"\x1b%G"
LONGEST_KEYWORD = 64  # bytes of an IPTC keyword


def photoshop_resources(data: bytes) -> Iterator[Piece]:
    """Photoshop's image resources: a signature, a number, a name and data, each padded to 2."""
    at = 0
    while at < len(data):
        signature, number, name = data[at : at + 4], data[at + 4 : at + 6], data[at + 6]
        start = at + 6 + (name + 2) // 2 * 2
        (size,) = struct.unpack(">I", data[start : start + 4])
        content = data[start + 4 : start + 4 + size]
        if signature not in (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa") or len(content) != size:
            raise Unreadable("its Photoshop data is damaged")
        resource = int.from_bytes(number, "big")
        if signature == b"8BIM" and resource == _IRB_IPTC:
            yield Piece("iptc", content)
        elif signature == b"8BIM" and resource == _IRB_DIGEST:
            yield Piece("digest", content)
        else:
            yield Piece("rest", data[at : start + 4 + size])
        at = start + 4 + size + size % 2


def datasets(block: bytes) -> list[tuple[tuple[int, int], bytes]]:
    """(record, number) and content of each dataset.

    Raises:
        Unreadable: the block is damaged or has datasets of the extended form.
    """
    found = []
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C:
        record, number, length = struct.unpack(">BBH", block[at + 1 : at + 5])
        if length & 0x8000 or at + 5 + length > len(block):
            raise Unreadable("its IPTC data has a form that isn't supported")
        found.append(((record, number), block[at + 5 : at + 5 + length]))
        at += 5 + length
    if block[at:].strip(b"\0"):
        raise Unreadable("its IPTC data is damaged")
    return found


def text(value: bytes, utf8: bool) -> str:
    """The text of a dataset: UTF-8 where that is valid, else the encoding that the block declares
    (`utf8`) or Windows-1252."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8" if utf8 else "cp1252", "replace")


def md5_of(block: bytes) -> bytes:
    """The digest that Photoshop stores of an IPTC block."""
    return md5(block, usedforsecurity=False).digest()
