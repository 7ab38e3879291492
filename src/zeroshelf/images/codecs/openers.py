"""One opener per format: a file's bytes -> images, decoded later where Pillow allows it.

Pillow's plugins are opened directly, each by the format that the first bytes name: no registry is
searched, and threads share no state. No opener decodes before it has called `limit`.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    DdsImagePlugin,
    GifImagePlugin,
    IcnsImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PcxImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    QoiImagePlugin,
    SgiImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from zeroshelf.errors import Unreadable
from zeroshelf.images import formats
from zeroshelf.images.codecs import heif_raw_jxl_video, photoshop, scientific
from zeroshelf.images.codecs.bit_depth import scaled
from zeroshelf.images.codecs.opened import Limit, Opened, note_on

_SUBFILE_TYPE = 0x00FE  # bit 0: a reduced copy of another page
_PNG = b"\x89PNG\r\n\x1a\n"
_CODESTREAM = b"\xff\x4f\xff\x51"  # JPEG 2000 without its box

Opener: TypeAlias = Callable[[bytes, Limit], Iterator[Opened]]


def open_all(data: bytes, kind: str, limit: Limit) -> Iterator[Opened]:
    """The pictures of a file: one, or some pages of a TIFF, some frames of a video. Raises
    `Unreadable`, and for a broken file whatever its decoder raises."""
    return _OPENERS[kind](data, limit)


def _plugin(cls: type[ImageFile.ImageFile]) -> Opener:
    return lambda data, limit: iter((Opened(cls(io.BytesIO(data)), data),))


def _single(open_image: Callable[[bytes, Limit], Opened]) -> Opener:
    return lambda data, limit: iter((open_image(data, limit),))


# --- TIFF -----------------------------------------------------------------------------------------


def _tiff(data: bytes, limit: Limit) -> Iterator[Opened]:
    """Its pages: the first, and some more of a long one, without reduced copies of others."""
    first = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    if scientific.has_deep_planes(first.tag_v2):
        raise SyntaxError("planes of 16 bits")  # which is where `unusual` is asked
    pages = getattr(first, "n_frames", 1)
    yield _deep(first, data, limit)
    for page in sorted(
        {pages * part // heif_raw_jxl_video.FRAMES for part in range(1, heif_raw_jxl_video.FRAMES)}
        - {0}
    ):
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
        image.seek(page)
        if not image.tag_v2.get(_SUBFILE_TYPE, 0) & 1:
            yield _deep(image, data, limit)


def _deep(image: TiffImagePlugin.TiffImageFile, data: bytes, limit: Limit) -> Opened:
    """What Pillow leaves undone for deep grey: to turn it round where 0 is white, and to keep 32
    bits without a sign (in its 32 bits with one the brightest come out darkest)."""
    inverted = image.mode in ("I;16", "I;16B", "I", "F") and image.tag_v2.get(262) == 0
    unsigned = image.mode == "I" and image.tag_v2.get(339, (1,))[0] == 1
    if not inverted and not unsigned:
        return Opened(image, data)
    limit(*image.size)
    image.load()
    values = np.asarray(image)
    if unsigned and values.min() < 0:
        values = values.view(np.uint32)
    elif not inverted:
        return Opened(image, data)
    grey = scaled(values)
    return Opened(Image.fromarray(255 - grey if inverted else grey), data)


# --- JPEG 2000 ------------------------------------------------------------------------------------


def jpeg2000_scale(image: Jpeg2KImagePlugin.Jpeg2KImageFile, data: bytes, least: float) -> int:
    """Ask the decoder for a smaller picture, its short side no less than `least`: masters of an
    archive take ten times as long whole. The scale that it took: 1, 2, 4, ...

    Pillow rounds the smaller size to the nearest and the decoder rounds it up: only where both are
    the same can it be asked.
    """
    scale = 1
    for level in range(1, _levels(data) + 1):
        step = 1 << level
        fits = all(side % step == 0 or side % step >= step // 2 for side in image.size)
        if min(image.size) // step >= least and fits:
            scale = step
    image.reduce = scale.bit_length() - 1
    return scale


def _levels(data: bytes) -> int:
    """How often a JPEG 2000 picture can be halved; 0 where it doesn't begin at the origin."""
    start = data.find(_CODESTREAM)
    at = start + 2
    while start >= 0 and at + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == 0xFF51 and any(data[at + 14 : at + 22]):
            return 0
        if marker == 0xFF52:
            return min(data[at + 9], 5) if at + 9 < len(data) else 0
        if marker == 0xFF90 or length < 2:
            break
        at += 2 + length
    return 0


# --- PBM, PGM, PPM, PFM ---------------------------------------------------------------------------

_TOKEN = re.compile(rb"\s*(?:#[^\r\n]*[\r\n]\s*)*([^\s#]+)")
_COMMENT = re.compile(rb"#[^\r\n]*")


def _netpbm(data: bytes, limit: Limit) -> Opened:
    """By Pillow, but for what it decodes pixel by pixel in Python, and for colours in floats."""
    magic, at = data[:2], 2
    header = []
    for _ in range(2 if magic in (b"P1", b"P4") else 3):
        token = _TOKEN.match(data, at)
        if token is None:
            raise Unreadable("cut short: its size is missing")
        header.append(float(token[1]) if magic in (b"PF", b"Pf") else int(token[1]))
        at = token.end()
    white = header[2] if len(header) == 3 else 1
    if magic in (b"P1", b"P4", b"Pf") or (magic in (b"P5", b"P6") and white == 255):
        return Opened(PpmImagePlugin.PpmImageFile(io.BytesIO(data)), data)
    width, height = int(header[0]), int(header[1])
    limit(width, height)
    bands = 3 if magic in (b"P3", b"P6", b"PF") else 1
    count = width * height * bands
    if magic in (b"P2", b"P3"):
        values = np.fromstring(_COMMENT.sub(b"", data[at:]), np.int32, count, sep=" ")
    else:
        kind = ("<f4" if white < 0 else ">f4") if magic == b"PF" else "u1" if white < 256 else ">u2"
        start = at + 1
        there = (len(data) - start) // np.dtype(kind).itemsize
        values = np.frombuffer(data, kind, min(count, there), start)
    note = note_on(len(values), count)
    if note:
        values = np.concatenate((values, np.zeros(count - len(values), values.dtype)))
    values = values.reshape((height, width, 3) if bands == 3 else (height, width))
    if magic == b"PF":  # its rows come from below
        return Opened(Image.fromarray(scaled(values[::-1], colours=True)), data, note=note)
    return Opened(Image.fromarray(scaled(values, white)), data, note=note)


# --- TGA, icons -----------------------------------------------------------------------------------


def _tga(data: bytes, limit: Limit) -> Opened:
    image: Image.Image = TgaImagePlugin.TgaImageFile(io.BytesIO(data))
    if image.mode == "RGBA" and not data[17] & 0x0F:  # no bits of alpha: the fourth byte is nothing
        limit(*image.size)
        image = image.convert("RGB")
    return Opened(image, data)


def _icon(data: bytes, limit: Limit) -> Opened:
    """The largest picture of an .ico or .cur, with the most colours. In an icon's list a PNG may
    say that it is smaller than it is: it is opened as what it is."""
    (count,) = struct.unpack_from("<H", data, 4)
    entries = [struct.unpack_from("<BBxxHHII", data, 6 + 16 * i) for i in range(count)]
    width, height, _, depth, size, at = max(entries, key=lambda e: ((e[0] or 256), e[3], e[4]))
    content = data[at : at + size]
    if content.startswith(_PNG):
        return Opened(PngImagePlugin.PngImageFile(io.BytesIO(content)), content)
    across, down = struct.unpack_from("<4xii", content)
    limit(abs(across), abs(down) // 2)
    entry = struct.pack("<BBBBHHII", width, height, 0, 0, 1, depth, size, 22)
    alone = b"\0\0\1\0\1\0" + entry + content
    return Opened(IcoImagePlugin.IcoImageFile(io.BytesIO(alone)), alone)


def _icns(data: bytes, limit: Limit) -> Opened:
    """The largest picture of a Mac's icon."""
    best, at = b"", 8
    while at + 8 <= len(data):
        length = max(int.from_bytes(data[at + 4 : at + 8], "big"), 8)
        content = data[at + 8 : at + length]
        if formats.of(content[: formats.HEAD], "") in ("PNG", "JPEG2000") and len(content) > len(
            best
        ):
            best = content
        at += length
    if not best:
        return Opened(IcnsImagePlugin.IcnsImageFile(io.BytesIO(data)), data)  # 128 pixels at most
    if best.startswith(_PNG):
        return Opened(PngImagePlugin.PngImageFile(io.BytesIO(best)), best)
    return Opened(Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(best)), best)


def _qoi(data: bytes, limit: Limit) -> Opened:
    """By imagecodecs where it is installed: Pillow decodes pixel by pixel in Python."""
    image: Image.Image = QoiImagePlugin.QoiImageFile(io.BytesIO(data))
    try:
        import imagecodecs
    except ImportError:
        return Opened(image, data)
    limit(*image.size)
    return Opened(Image.fromarray(imagecodecs.qoi_decode(data)), data)


_OPENERS: dict[str, Opener] = {
    "JPEG": _plugin(JpegImagePlugin.JpegImageFile),
    "PNG": _plugin(PngImagePlugin.PngImageFile),
    "GIF": _plugin(GifImagePlugin.GifImageFile),
    "WEBP": _plugin(WebPImagePlugin.WebPImageFile),
    "TIFF": _tiff,
    "BMP": _plugin(BmpImagePlugin.BmpImageFile),
    "AVIF": _plugin(AvifImagePlugin.AvifImageFile),
    "HEIF": _single(heif_raw_jxl_video.heif),
    "JPEG2000": _plugin(Jpeg2KImagePlugin.Jpeg2KImageFile),
    "PPM": _single(_netpbm),
    "TGA": _single(_tga),
    "ICO": _single(_icon),
    "ICNS": _single(_icns),
    "PSD": _single(photoshop.open_psd),
    "PCX": _plugin(PcxImagePlugin.PcxImageFile),
    "SGI": _plugin(SgiImagePlugin.SgiImageFile),
    "DDS": _plugin(DdsImagePlugin.DdsImageFile),
    "QOI": _single(_qoi),
    formats.JXL: _single(heif_raw_jxl_video.jxl),
    formats.JXR: _single(scientific.jxr),
    formats.RAW: _single(heif_raw_jxl_video.raw),
    formats.VIDEO: lambda data, limit: heif_raw_jxl_video.video(lambda: io.BytesIO(data), limit),
}
