"""Rewrites a picture's file without the parts that are not needed to decode it.

Called only where a decoder refused a file. A profile, a text or a preview that is broken, too large
or packed by an unknown method makes Pillow refuse a picture that is whole; without it, it opens.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

# The file again, and the orientation (1 to 8) that was in what was left out; None: still inside.
Attempt = tuple[bytes, int | None]


def attempts(data: bytes, kind: str) -> Iterator[Attempt]:
    """Simpler files of the same picture, that with most of its metadata first. None where `kind`
    has no such parts, or where `data` is no file of that kind."""
    simplify = _SIMPLIFY.get(kind)
    if simplify is not None:
        yield from simplify(data)


def orientation(exif: bytes) -> int:
    """From EXIF, with or without the "Exif\\0\\0" in front; 1 (upright) where it can't be read."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, at)
            if tag == 0x0112 and kind == 3:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


# --- PNG ------------------------------------------------------------------------------------------


def _png(data: bytes) -> Iterator[Attempt]:
    chunks = list(_png_chunks(data))
    exif = next((body for kind, body in chunks if kind == b"eXIf"), b"")
    for keep in ({b"tRNS", b"eXIf"}, {b"tRNS"}, set[bytes]()):
        kept = [
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
            if kind in keep or kind[:1].isupper()
        ]
        yield data[:8] + b"".join(kept), None if b"eXIf" in keep else orientation(exif)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content; the last one may be cut short."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IEND":
            return


# --- JPEG -----------------------------------------------------------------------------------------


def _jpeg(data: bytes) -> Iterator[Attempt]:
    segments = list(jpeg_segments(data))
    if not segments or segments[-1][0] != 0xDA:
        return
    exif = [body for marker, body in segments if marker == 0xE1 and body[:6] == b"Exif\0\0"]
    rest = data[_scan_start(data) :]
    for with_exif in (True, False):
        kept = [
            struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
            for marker, body in segments
            if _is_needed(marker, body) or (with_exif and body in exif)
        ]
        turn = None if with_exif else orientation(exif[0] if exif else b"")
        yield data[:2] + b"".join(kept) + rest, turn


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment, up to and with the first start of scan (0xDA)."""
    for marker, start, end in _jpeg_places(data):
        yield marker, data[start:end]


def _jpeg_places(data: bytes) -> Iterator[tuple[int, int, int]]:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1  # libjpeg passes over what lies between two segments
            continue
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # fill bytes, no content
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2:
            at += 2
            continue
        yield marker, at + 4, at + 2 + length
        if marker == 0xDA:
            return
        at += 2 + length


def _scan_start(data: bytes) -> int:
    return max(end for marker, _, end in _jpeg_places(data) if marker == 0xDA)


def _is_needed(marker: int, body: bytes) -> bool:
    """Tables, frames and scans; and Adobe's, which tells how the colours are meant."""
    if marker == 0xEE:
        return body[:5] == b"Adobe" and len(body) >= 12
    if marker == 0xDD:
        return len(body) == 2
    return not (0xE0 <= marker <= 0xEF or marker == 0xFE)


# --- WebP -----------------------------------------------------------------------------------------

_WEBP_PICTURE = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
_WEBP_METADATA = 0x20 | 0x08 | 0x04  # flags of VP8X: a profile, EXIF, XMP


def _webp(data: bytes) -> Iterator[Attempt]:
    chunks = list(_webp_chunks(data))
    exif = next((body for kind, body in chunks if kind == b"EXIF"), b"")
    kept = []
    for kind, body in chunks:
        flags = bytes(flag & ~_WEBP_METADATA for flag in body[:1]) if kind == b"VP8X" else body[:1]
        if kind in _WEBP_PICTURE:
            head = kind + struct.pack("<I", len(body))
            kept.append(head + flags + body[1:] + bytes(len(body) & 1))
    inside = b"WEBP" + b"".join(kept)
    yield b"RIFF" + struct.pack("<I", len(inside)) + inside, orientation(exif)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data) and kind not in _WEBP_PICTURE:  # its length is wrong
            places = (data.find(name, at + 8) for name in (*_WEBP_PICTURE[1:], b"EXIF"))
            at = min((place for place in places if place > 0), default=len(data))
            continue
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


# --- GIF ------------------------------------------------------------------------------------------


def _gif(data: bytes) -> Iterator[Attempt]:
    """The first frame, with the block that tells its transparent colour."""
    if len(data) < 13:
        return
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    kept = [data[:at]]
    while at + 2 < len(data) and data[at : at + 1] == b"!":
        start, at = at, at + 2
        if data[start + 1] == 0xF9 and data[at] == 4:
            kept.append(data[start : start + 8])
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    if data[at : at + 1] == b",":
        yield b"".join(kept) + data[at:], None


_SIMPLIFY: dict[str, Callable[[bytes], Iterator[Attempt]]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "WEBP": _webp,
    "GIF": _gif,
}
