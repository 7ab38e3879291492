"""The image file directories of a TIFF as pieces (see `metadata`)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from zeroshelf.actions.tags.iptc import photoshop_resources
from zeroshelf.actions.tags.pieces import BLOCK, Piece, blocks
from zeroshelf.errors import Unreadable

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_T_XMP, _T_IPTC, _T_PHOTOSHOP = 700, 33723, 34377
_T_FOLDERS = {330, 34665, 34853, 40965}  # SubIFDs, Exif, GPS, interoperability
_T_DATA = {273: 279, 324: 325, 513: 514, 288: 289}  # where pieces of the image are: how long
_MOST_FOLDERS, _MOST_ENTRIES = 1000, 4096


class _Entry(NamedTuple):
    tag: int
    type: int
    at: int  # of its value
    value: bytes


def walk(file: BinaryIO, whole: bool) -> Iterator[Piece]:
    """Image file directories with the data that they refer to. All other bytes must be zero: data
    that no directory refers to would be moved by a rewrite, and could not be found any more."""
    head = file.read(8)
    order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
    if head[:4] not in (b"II*\0", b"MM\0*"):
        raise Unreadable("not a TIFF file in the classic format")
    size = os.fstat(file.fileno()).st_size
    known = [(0, 8)]
    todo = [struct.unpack(order + "I", head[4:])[0]]
    seen: set[int] = set()
    while todo:
        at = todo.pop()
        if at in seen or len(seen) > _MOST_FOLDERS:
            raise Unreadable("its directories form a loop")
        seen.add(at)
        entries, after, end = _directory(file, order, at, size)
        known.append((at, end))
        numbers = {entry.tag: _numbers(entry, order) for entry in entries}
        yield Piece("rest", b"directory")
        for entry in sorted(entries):
            known.append((entry.at, entry.at + len(entry.value)))
            yield from _of_entry(entry)
        for places, lengths in _T_DATA.items():
            pieces = zip(numbers.get(places, ()), numbers.get(lengths, ()), strict=False)
            for start, length in pieces:
                known.append((start, start + length))
                if whole:
                    yield from _range(file, start, length)
        for tag in sorted(_T_FOLDERS & numbers.keys(), reverse=True):
            todo += reversed(numbers[tag])
        if after:
            todo.insert(0, after)
    if whole:
        _check_gaps(file, known, size)


def _of_entry(entry: _Entry) -> Iterator[Piece]:
    if entry.tag == _T_XMP:
        yield Piece("xmp", entry.value)
    elif entry.tag == _T_IPTC:
        yield Piece("iptc", entry.value)
    elif entry.tag == _T_PHOTOSHOP:
        yield from photoshop_resources(entry.value)
    elif entry.tag not in _T_FOLDERS and entry.tag not in _T_DATA:
        yield Piece("rest", struct.pack(">HH", entry.tag, entry.type) + entry.value)


def _directory(file: BinaryIO, order: str, at: int, size: int) -> tuple[list[_Entry], int, int]:
    """The entries of a directory, where the next one is (0: nowhere), and where this one ends."""
    file.seek(at)
    (count,) = struct.unpack(order + "H", file.read(2))
    table = file.read(12 * count)
    (after,) = struct.unpack(order + "I", file.read(4))
    entries = []
    for i in range(0, 12 * count, 12):
        tag, type, number = struct.unpack(order + "HHI", table[i : i + 8])
        length = _SIZES.get(type, 0) * number
        place = at + 2 + i + 8
        if length > 4:
            (place,) = struct.unpack(order + "I", table[i + 8 : i + 12])
        if type not in _SIZES or count > _MOST_ENTRIES or place + length > size:
            raise Unreadable("a directory in it is damaged")
        file.seek(place)
        entries.append(_Entry(tag, type, place, file.read(length)))
    return entries, after, at + 6 + 12 * count


def _numbers(entry: _Entry, order: str) -> tuple[int, ...]:
    letter = {3: "H", 4: "I", 13: "I"}.get(entry.type)
    if letter is None:
        return ()
    return struct.unpack(f"{order}{len(entry.value) // _SIZES[entry.type]}{letter}", entry.value)


def _range(file: BinaryIO, start: int, length: int) -> Iterator[Piece]:
    file.seek(start)
    yield Piece("rest", length.to_bytes(8, "big"))
    yield from blocks(file, length)


def _check_gaps(file: BinaryIO, known: list[tuple[int, int]], size: int) -> None:
    """Raises `Unreadable` where a byte outside of the `known` ranges (start, end) is not zero."""
    at = 0
    for start, end in sorted((*known, (size, size))):
        if start > at:
            file.seek(at)
            for left in range(start - at, 0, -BLOCK):
                if any(file.read(min(left, BLOCK))):
                    raise Unreadable("it contains data that no directory refers to")
        at = max(at, end)
