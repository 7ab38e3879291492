"""Files in rare formats, made by other encoders than the decoders under test."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image


def imagecodecs() -> Any:
    return pytest.importorskip("imagecodecs", reason="no rare codecs: pip install '.[dev]'")


def tiff(pixels: npt.NDArray[Any], **options: Any) -> bytes:
    """As tifffile writes it: whatever type, planes and compression."""
    tifffile = pytest.importorskip("tifffile", reason="no TIFF encoder: pip install '.[dev]'")
    if options.get("compression") or options.get("bitspersample"):
        imagecodecs()
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    """Of a PNG."""
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def segment(marker: int, body: bytes) -> bytes:
    """Of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def psd(
    planes: npt.NDArray[Any],
    *,
    depth: int = 8,
    mode: int = 3,
    large: bool = False,
    packed: int = 0,
    layers: int | None = None,
    merged: int | None = None,
    palette: bytes = b"",
) -> bytes:
    """A Photoshop document of (channels, H, W) samples. `mode`: 1 grey, 2 palette, 3 RGB, 4 CMYK,
    9 Lab. `layers`: their number, below 0 where the first alpha channel is transparency. `merged`:
    what the document says of its picture of all layers."""
    channels, height, width = planes.shape
    length = ">Q" if large else ">I"
    resources = b""
    if merged is not None:
        body = struct.pack(">IBIII", 1, merged, 0, 0, 1)
        resources = b"8BIM" + struct.pack(">HHI", 1057, 0, len(body)) + body + b"\0"
    info = b"" if layers is None else struct.pack(length, 4) + struct.pack(">hxx", layers)
    samples = planes.astype({1: "u1", 8: "u1", 16: ">u2", 32: ">f4"}[depth])
    if depth == 1:
        samples = np.packbits(samples == 0, axis=2)
    if packed == 3:
        samples = np.diff(samples, axis=2, prepend=samples.dtype.type(0)).astype(samples.dtype)
    rows = [samples[c, y].tobytes() for c in range(channels) for y in range(height)]
    content = b"".join(rows)
    if packed == 1:
        coded = [imagecodecs().packbits_encode(row) for row in rows]
        counts = (struct.pack(">I" if large else ">H", len(row)) for row in coded)
        content = b"".join((*counts, *coded))
    elif packed:
        content = zlib.compress(content)
    return b"".join(
        (
            struct.pack(">4sH6xHIIHH", b"8BPS", 1 + large, channels, height, width, depth, mode),
            struct.pack(">I", len(palette)), palette,
            struct.pack(">I", len(resources)), resources,
            struct.pack(length, len(info)), info,
            struct.pack(">H", packed), content,
        )
    )  # fmt: skip


def planes(image: Image.Image) -> npt.NDArray[np.uint8]:
    """(H, W) or (H, W, channels) -> (channels, H, W)."""
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def icon(*pictures: tuple[int, bytes], cursor: bool = False) -> bytes:
    """An .ico, or .cur, of (side that its list claims, content)."""
    at = 6 + 16 * len(pictures)
    head = struct.pack("<HHH", 0, 2 if cursor else 1, len(pictures))
    body = b""
    for side, content in pictures:
        facts = (side % 256, side % 256, 0, 0, 1, 32, len(content), at + len(body))
        head += struct.pack("<BBBBHHII", *facts)
        body += content
    return head + body
