"""Photoshop's documents: the picture of all layers together that Photoshop puts at the end.

Pillow reads those with 8 bits. Photographers keep them with 16, and large ones as .psb.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from zeroshelf.errors import Unreadable
from zeroshelf.images.codecs.bit_depth import scaled
from zeroshelf.images.codecs.opened import Limit, Opened, note_on

_VERSION_INFO = 1057  # an image resource; its fifth byte: is there a picture of all layers
_MODES = {0: ("1", 1), 1: ("L", 1), 2: ("P", 1), 3: ("RGB", 3), 4: ("CMYK", 4), 7: ("L", 1),
          8: ("L", 1), 9: ("LAB", 3)}  # fmt: skip
_RAW, _PACKBITS, _ZIP, _ZIP_DIFFERENCES = range(4)


@dataclass(frozen=True, slots=True)
class _Header:
    large: bool  # .psb: lengths have eight bytes
    channels: int
    height: int
    width: int
    depth: int  # bits a sample: 1, 8, 16 or 32
    mode: str  # as Pillow names it
    colours: int  # channels of that mode


def open_psd(data: bytes, limit: Limit) -> Opened:
    """Raises `Unreadable` where the document was saved without a picture of all layers."""
    version, channels, height, width, depth, mode = struct.unpack_from(">4xH6xHIIHH", data)
    name, colours = _MODES[mode]
    header = _Header(version == 2, channels, height, width, depth, name, colours)
    limit(width, height)
    palette, at = _section(data, 26, 4)
    resources, at = _section(data, at, 4)
    if not _has_picture(resources):
        raise Unreadable("layers only: save it again in Photoshop with 'maximize compatibility'")
    layers, at = _section(data, at, 8 if header.large else 4)
    veiled = channels > colours and _has_transparency(layers, header)
    planes, note = _planes(data, at, header, colours + veiled)
    return Opened(_picture(planes, header, palette, veiled), data, 1, note)


def _section(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    """A section with its length, of `width` bytes, in front; where the next one begins."""
    length = int.from_bytes(data[at : at + width], "big")
    start = at + width
    return data[start : start + length], start + length


def _has_picture(resources: bytes) -> bool:
    at = 0
    while at + 12 <= len(resources):
        (kind,) = struct.unpack_from(">4xH", resources, at)
        at += 6
        at += (resources[at] + 2) & ~1  # a Pascal string, padded
        body, at = _section(resources, at, 4)
        at += len(body) & 1
        if kind == _VERSION_INFO:
            return len(body) < 5 or body[4] != 0
    return True


def _has_transparency(layers: bytes, header: _Header) -> bool:
    """True where the first channel after the colours veils the picture: a negative number of
    layers says so. Otherwise it is a selection that somebody kept."""
    info, _ = _section(layers, 0, 8 if header.large else 4)
    for key in (b"Lr16", b"Lr32"):
        if not info and (found := layers.find(b"8BIM" + key)) >= 0:
            info, _ = _section(layers, found + 8, 8 if header.large else 4)
    return len(info) >= 2 and struct.unpack_from(">h", info)[0] < 0


def _planes(
    data: bytes, at: int, header: _Header, count: int
) -> tuple[npt.NDArray[np.generic], str | None]:
    """(count, height, width) samples, and the note where their end is missing."""
    (packed,) = struct.unpack_from(">H", data, at)
    at += 2
    row = (header.width * header.depth + 7) // 8  # bytes
    rows = count * header.height
    if packed == _RAW:
        content = data[at : at + rows * row]
    elif packed == _PACKBITS:
        at += header.channels * header.height * (4 if header.large else 2)
        content = Image.frombytes("L", (row, rows), data[at:], "packbits", "L").tobytes()
    elif packed == _ZIP or (packed == _ZIP_DIFFERENCES and header.depth in (8, 16)):
        content = zlib.decompressobj().decompress(data[at:], rows * row)
    else:
        raise Unreadable(f"{header.depth}-bit PSD with compression {packed}: not supported")
    note = note_on(len(content), rows * row)
    content = content.ljust(rows * row, b"\0")
    kind = {16: ">u2", 32: ">f4"}.get(header.depth, "u1")
    samples = np.frombuffer(content, kind).reshape(count, header.height, -1)
    if packed == _ZIP_DIFFERENCES:
        samples = np.cumsum(samples, axis=2, dtype=samples.dtype.newbyteorder("="))
    if header.depth == 1:
        samples = 1 - np.unpackbits(samples.astype(np.uint8), axis=2)[:, :, : header.width]
    return samples, note


def _picture(
    planes: npt.NDArray[np.generic], header: _Header, palette: bytes, veiled: bool
) -> Image.Image:
    white = {1: 1.0, 8: 255.0, 16: 65535.0}.get(header.depth)
    pixels = np.ascontiguousarray(np.moveaxis(scaled(planes, white, colours=True), 0, -1))
    size, mode = (header.width, header.height), header.mode
    if mode == "P":
        image = Image.frombytes("P", size, pixels[..., 0].tobytes())
        colours = np.frombuffer(palette[:768], np.uint8).reshape(3, -1).T
        image.putpalette(colours.tobytes())
        return image
    if mode == "CMYK":  # kept as light, not as ink
        return Image.frombytes("CMYK", size, (255 - pixels[..., :4]).tobytes())
    if mode == "LAB":  # a and b from 0 on; Pillow wants them signed
        return Image.frombytes(
            "LAB", size, (pixels[..., :3] ^ [0, 128, 128]).astype("u1").tobytes()
        )
    if veiled:
        return Image.fromarray(pixels)  # grey or RGB with transparency: 2 or 4 channels
    return Image.fromarray(pixels if mode == "RGB" else pixels[..., 0])
