"""The metadata inside of a picture's file: its XMP and its IPTC keywords, and a digest of the rest.

A file that was tagged is compared with what it was: everything but the keywords has to be the same,
to the byte. So this module walks through the file itself. It asks no library, and neither does it
ask the program that wrote the tags.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from blake3 import blake3

from zeroshelf.errors import Unreadable

FORMATS = ("JPEG", "PNG", "TIFF")  # as Picture.format says it

_BLOCK = 1 << 20
_LARGEST = 1 << 24  # bytes of one block of metadata

_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_JPEG_PHOTOSHOP = b"Photoshop 3.0\0"
_JPEG_SEVERAL = b"MPF\0"  # further pictures behind the first, found by their offset from here
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_XMP = b"XML:com.adobe.xmp\0"

_IRB_IPTC, _IRB_DIGEST = 0x0404, 0x0425
_IPTC_KEYWORD, _IPTC_CHARSET = (2, 25), (1, 90)
_IPTC_FRAME = {(1, 0), (2, 0), _IPTC_CHARSET}  # in every block, whatever it holds
_UTF8 = b"\x1b%G"
LONGEST_KEYWORD = 64  # bytes of an IPTC keyword

_Kind: TypeAlias = Literal["xmp", "iptc", "digest", "rest"]


class _Piece(NamedTuple):
    kind: _Kind
    data: bytes


@dataclass(frozen=True, slots=True)
class Metadata:
    xmp: bytes | None  # the packet as it lies in the file
    iptc: bytes | None  # the IPTC-IIM block
    iptc_digest: bytes | None  # MD5 of the IPTC block when XMP and IPTC last said the same
    rest: bytes | None  # BLAKE3 of all else in the file; None where only metadata was asked for

    @property
    def keywords(self) -> tuple[str, ...]:
        """Those of the IPTC block."""
        if self.iptc is None:
            return ()
        utf8 = self.is_utf8
        return tuple(
            _text(value, utf8) for key, value in _datasets(self.iptc) if key == _IPTC_KEYWORD
        )

    @property
    def is_utf8(self) -> bool:
        """True where the IPTC block says that it is."""
        return self.iptc is not None and (_IPTC_CHARSET, _UTF8) in _datasets(self.iptc)

    @property
    def holds_keywords_alone(self) -> bool:
        """True where nothing would be left of the IPTC block without its keywords."""
        keys = {key for key, _ in _datasets(self.iptc or b"")}
        return not keys - _IPTC_FRAME - {_IPTC_KEYWORD}

    @property
    def in_step(self) -> bool:
        """True where the file says that its XMP and its IPTC block agree."""
        return self.iptc is not None and self.iptc_digest == _md5(self.iptc)


def read(path: str, format: str, *, whole: bool = False) -> Metadata:
    """The metadata of a picture in one of `FORMATS`.

    Args:
        path: the file.
        format: what it is, as `Picture.format` says it.
        whole: read the whole file, give a digest of the rest of it too, and refuse what can't be
            written safely. Otherwise the first block of each kind is taken.

    Raises:
        Unreadable: the file has a form in which tags can't be written safely.
        OSError: it can't be read.
    """
    found: dict[_Kind, list[bytes]] = {"xmp": [], "iptc": [], "digest": []}
    rest = blake3()
    try:
        with open(path, "rb") as file:
            for kind, data in _WALKS[format](file, whole):
                if kind == "rest":
                    rest.update(len(data).to_bytes(8, "big"))
                    rest.update(data)
                else:
                    found[kind].append(data)
        if whole and any(len(blocks) > 1 for blocks in found.values()):
            raise Unreadable("it holds more than one block of XMP or of IPTC data")
        xmp, iptc, digest = (
            found[kind][0] if found[kind] else None for kind in ("xmp", "iptc", "digest")
        )
        for key, value in _datasets(iptc or b""):
            if key != _IPTC_KEYWORD and key not in _IPTC_FRAME:
                rest.update(bytes(key) + value)
    except (struct.error, IndexError, zlib.error):
        raise Unreadable("its metadata is damaged") from None
    return Metadata(xmp, iptc, digest, rest.digest() if whole else None)


# --- JPEG ---------------------------------------------------------------------------------------


def _jpeg(file: BinaryIO, whole: bool) -> Iterator[_Piece]:
    """Segments up to the first scan; from there to the end of the file everything is the rest."""
    if file.read(2) != b"\xff\xd8":
        raise Unreadable("it is no JPEG")
    photoshop = b""
    several = False
    while True:
        marker = _marker(file)
        if marker in {0xD9, 0xDA}:
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            yield _Piece("rest", bytes([marker]))
            continue
        (length,) = struct.unpack(">H", file.read(2))
        data = file.read(length - 2)
        if len(data) != length - 2:
            raise Unreadable("it is cut short")
        if whole and marker == 0xE1 and data.startswith(_JPEG_MORE_XMP):
            raise Unreadable("its XMP is split into several parts")
        if marker == 0xE1 and data.startswith(_JPEG_XMP):
            yield _Piece("xmp", data[len(_JPEG_XMP) :])
        elif marker == 0xED and data.startswith(_JPEG_PHOTOSHOP):
            photoshop += data[len(_JPEG_PHOTOSHOP) :]
        else:
            several = several or (marker == 0xE2 and data.startswith(_JPEG_SEVERAL))
            yield _Piece("rest", bytes([marker]) + data)
            continue
        if several:  # must stay as long as it is, or the offset leads elsewhere
            yield _Piece("rest", length.to_bytes(2, "big"))
    yield from _resources(photoshop)
    yield _Piece("rest", bytes([marker]))
    if whole:
        yield from _blocks(file)


def _marker(file: BinaryIO) -> int:
    byte = file.read(1)
    if byte != b"\xff":
        raise Unreadable("it is no whole JPEG")
    while byte == b"\xff":
        byte = file.read(1)
    return byte[0]


def _blocks(file: BinaryIO) -> Iterator[_Piece]:
    """What follows, in pieces whose borders depend on nothing but its length."""
    while block := file.read(_BLOCK):
        yield _Piece("rest", block)


def _resources(data: bytes) -> Iterator[_Piece]:
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
            yield _Piece("iptc", content)
        elif signature == b"8BIM" and resource == _IRB_DIGEST:
            yield _Piece("digest", content)
        else:
            yield _Piece("rest", data[at : start + 4 + size])
        at = start + 4 + size + size % 2


# --- PNG ----------------------------------------------------------------------------------------


def _png(file: BinaryIO, whole: bool) -> Iterator[_Piece]:
    if file.read(8) != _PNG_START:
        raise Unreadable("it is no PNG")
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"iTXt" and length <= _LARGEST:
            data = file.read(length)
            file.read(4)
            if data.startswith(_PNG_XMP):
                yield _Piece("xmp", _international(data[len(_PNG_XMP) :]))
            else:
                yield _Piece("rest", kind + data)
            continue
        yield _Piece("rest", kind + length.to_bytes(4, "big"))
        if not whole:
            file.seek(length + 4, os.SEEK_CUR)
            continue
        left = length + 4  # with the checksum
        while left:
            block = file.read(min(left, _BLOCK))
            if not block:
                raise Unreadable("it is cut short")
            left -= len(block)
            yield _Piece("rest", block)
    if whole:
        yield from _blocks(file)


def _international(data: bytes) -> bytes:
    """The text of an iTXt chunk: two flags, the language, the translated keyword, the text."""
    compressed = data[0]
    text = data[2:].split(b"\0", 2)[2]
    if not compressed:
        return text
    unpacked = zlib.decompressobj()
    plain = unpacked.decompress(text, _LARGEST)
    if unpacked.unconsumed_tail:
        raise Unreadable("its XMP is too large")
    return plain


# --- TIFF ---------------------------------------------------------------------------------------

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


def _tiff(file: BinaryIO, whole: bool) -> Iterator[_Piece]:
    """Image file directories with what they lead to. All else in the file must be zeros: what
    nothing leads to, only a program that knows its place can find, and a rewrite moves it."""
    head = file.read(8)
    order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
    if head[:4] not in (b"II*\0", b"MM\0*"):
        raise Unreadable("it is no TIFF of the common kind")
    size = os.fstat(file.fileno()).st_size
    known = [(0, 8)]
    todo = [struct.unpack(order + "I", head[4:])[0]]
    seen: set[int] = set()
    while todo:
        at = todo.pop()
        if at in seen or len(seen) > _MOST_FOLDERS:
            raise Unreadable("its directories lead in a circle")
        seen.add(at)
        entries, after, end = _directory(file, order, at, size)
        known.append((at, end))
        numbers = {entry.tag: _numbers(entry, order) for entry in entries}
        yield _Piece("rest", b"directory")
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


def _of_entry(entry: _Entry) -> Iterator[_Piece]:
    if entry.tag == _T_XMP:
        yield _Piece("xmp", entry.value)
    elif entry.tag == _T_IPTC:
        yield _Piece("iptc", entry.value)
    elif entry.tag == _T_PHOTOSHOP:
        yield from _resources(entry.value)
    elif entry.tag not in _T_FOLDERS and entry.tag not in _T_DATA:
        yield _Piece("rest", struct.pack(">HH", entry.tag, entry.type) + entry.value)


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


def _range(file: BinaryIO, start: int, length: int) -> Iterator[_Piece]:
    file.seek(start)
    yield _Piece("rest", length.to_bytes(8, "big"))
    while length:
        block = file.read(min(length, _BLOCK))
        if not block:
            raise Unreadable("it is cut short")
        length -= len(block)
        yield _Piece("rest", block)


def _check_gaps(file: BinaryIO, known: list[tuple[int, int]], size: int) -> None:
    at = 0
    for start, end in sorted((*known, (size, size))):
        if start > at:
            file.seek(at)
            for left in range(start - at, 0, -_BLOCK):
                if any(file.read(min(left, _BLOCK))):
                    raise Unreadable("it holds data of which nothing says what it is")
        at = max(at, end)


_WALKS = {"JPEG": _jpeg, "PNG": _png, "TIFF": _tiff}


# --- IPTC ---------------------------------------------------------------------------------------


def _datasets(block: bytes) -> list[tuple[tuple[int, int], bytes]]:
    """(record, number) and content of each dataset. Raises `Unreadable`."""
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


def _text(value: bytes, utf8: bool) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8" if utf8 else "cp1252", "replace")


def _md5(block: bytes) -> bytes:
    return md5(block, usedforsecurity=False).digest()
