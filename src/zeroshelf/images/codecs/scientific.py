"""Variants of TIFF and JPEG that Pillow has no decoder for: more bits, floats, other compressions.

imagecodecs and tifffile read them where they are installed. Where they aren't, the reason says what
the file is and what to install: it is not broken.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from zeroshelf.errors import Unreadable
from zeroshelf.images import formats
from zeroshelf.images.codecs import optional, repairs
from zeroshelf.images.codecs.bit_depth import scaled
from zeroshelf.images.codecs.opened import Limit, Opened, note_on, note_on_rows

Array = npt.NDArray[Any]

_END = b"\xff\xd9"  # the end marker of a JPEG
_TAIL = 1 << 16  # bytes at the end of a JPEG in which its end marker lies, if it has one


def name(data: bytes, kind: str) -> str | None:
    """What a file is that Pillow can't decode, as in "12-bit JPEG"; None: nothing unusual."""
    find = {"JPEG": _jpeg_name, "TIFF": _tiff_name}.get(kind)
    return find(data) if find else None


def open_unusual(data: bytes, kind: str, limit: Limit) -> Opened | None:
    """The picture, in 8 bits; None where `name` finds nothing unusual. Raises `Unreadable` where
    the library for it is missing, and whatever that library raises for a broken file."""
    what = name(data, kind)
    if what is None:
        return None
    if not optional.has_codecs(kind):
        raise Unreadable(optional.codecs_advice(what))
    return (_jpeg if kind == "JPEG" else _tiff)(data, limit)


# --- JPEG -----------------------------------------------------------------------------------------

_FRAMES = {0xC3: "lossless", 0xC7: "lossless", 0xCB: "lossless", 0xCF: "lossless",
           0xC5: "hierarchical", 0xC6: "hierarchical", 0xCD: "hierarchical", 0xCE: "hierarchical",
           0xC9: "arithmetic-coded", 0xCA: "arithmetic-coded"}  # fmt: skip


def _jpeg_name(data: bytes) -> str | None:
    marker, bits, _, _ = _jpeg_frame(data)
    if marker == 0xF7:
        return "JPEG-LS"
    if marker not in _FRAMES and bits == 8:
        return None
    depth = "" if bits == 8 else f"{bits}-bit"
    return " ".join(f"{depth} {_FRAMES.get(marker, '')} JPEG".split())


def _jpeg_frame(data: bytes) -> tuple[int, int, int, int]:
    """Marker, bits a sample, width and height; an ordinary one where there is no frame."""
    for marker, body in repairs.jpeg_segments(data):
        is_frame = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        if (is_frame or marker == 0xF7) and len(body) >= 6:
            bits, height, width = struct.unpack_from(">BHH", body)
            return marker, bits, width, height
    return 0xC0, 8, 0, 0


def _jpeg(data: bytes, limit: Limit) -> Opened:
    import imagecodecs

    marker, bits, width, height = _jpeg_frame(data)
    limit(width, height)
    decoders: list[Callable[[bytes], Array]] = [imagecodecs.jpeg_decode, imagecodecs.ljpeg_decode]
    if marker == 0xF7:
        decoders = [imagecodecs.jpegls_decode]
    pixels = _by_first(decoders, data + _END)  # CharLS never returns without it
    exif = next(
        (body for m, body in repairs.jpeg_segments(data) if m == 0xE1 and body[:4] == b"Exif"), b""
    )
    # without the end marker the decoder fills up what is missing, and says nothing
    note = None if marker == 0xF7 or _END in data[-_TAIL:] else note_on_rows(pixels)
    return Opened(
        _image(scaled(pixels, float((1 << bits) - 1))), data, repairs.orientation(exif), note
    )


def _by_first(decoders: Sequence[Callable[[bytes], Array]], data: bytes) -> Array:
    """The pixels by the first decoder that reads `data`. Raises what the last one raises."""
    for decode in decoders[:-1]:
        with contextlib.suppress(Exception):
            return np.asarray(decode(data))
    return np.asarray(decoders[-1](data))


def jxr(data: bytes, limit: Limit) -> Opened:
    """JPEG XR. Its container is a small TIFF of its own."""
    try:
        import imagecodecs
    except ImportError:
        raise Unreadable(optional.advice(formats.JXR)) from None
    tags = _jxr_tags(data)
    if not tags.get(_JXR_WIDTH) or not tags.get(_JXR_HEIGHT):
        raise Unreadable("JPEG XR without a picture")
    limit(tags[_JXR_WIDTH], tags[_JXR_HEIGHT])
    wanted = tags.get(_JXR_LENGTH, 0)
    note = note_on(min(len(data) - tags.get(_JXR_OFFSET, 0), wanted), wanted)
    pixels = scaled(imagecodecs.jpegxr_decode(data), colours=True)
    return Opened(_image(pixels), data, 1, note)


_JXR_WIDTH, _JXR_HEIGHT, _JXR_OFFSET, _JXR_LENGTH = 0xBC80, 0xBC81, 0xBCC0, 0xBCC1


def _jxr_tags(data: bytes) -> dict[int, int]:
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    found = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, _, value = struct.unpack_from("<HHII", data, at)
        found[tag] = value & 0xFFFF if kind == 3 else value
    return found


# --- TIFF -----------------------------------------------------------------------------------------

_COMPRESSIONS = {34663: "JBIG", 34712: "JPEG 2000", 33003: "JPEG 2000", 33004: "JPEG 2000",
                 33005: "JPEG 2000", 34887: "LERC", 34892: "lossy DNG", 34933: "PNG",
                 34934: "JPEG XR", 22610: "JPEG XR", 50001: "WebP", 50002: "JPEG XL",
                 52546: "JPEG XL", 34676: "SGI", 34677: "SGI", 32909: "PixarLog"}  # fmt: skip
_COLOURS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab",
            9: "Lab", 10: "Lab", 32844: "LogLuv", 32845: "LogLuv", 32803: "RAW",
            34892: "RAW"}  # fmt: skip
_FORMATS = {2: "signed ", 3: "float ", 5: "complex ", 6: "complex "}


def _tiff_name(data: bytes) -> str | None:
    """The TIFF variant in words, by its tags, where Pillow has no decoder for it."""
    tags = _tiff_tags(data)
    colour, samples = tags.get(262, 1), tags.get(277, 1)
    bits, sign = max(tags.get(258, (1,))), max(tags.get(339, (1,)))
    compression = tags.get(259, 1)
    if compression in _COMPRESSIONS:
        return f"TIFF with {_COMPRESSIONS[compression]} inside"
    plain = sign == 1 and bits in (1, 2, 4, 8, 16) and samples <= 4 and colour <= 6
    if (plain and not has_deep_planes(tags)) or (colour == 8 and bits == 8):
        return None
    bands = f"{samples}-band" if samples > 4 else _COLOURS.get(colour, "")
    return " ".join(f"{bits}-bit {_FORMATS.get(sign, '')}{bands} TIFF".split())


def has_deep_planes(tags: Mapping[int, Any]) -> bool:
    """True for colours of 16 bits that lie in planes, uncompressed: Pillow 13 and older open such a
    file without a word and mix its rows up."""
    planes = tags.get(284, 1) == 2 and tags.get(277, 1) > 1
    return bool(planes and max(tags.get(258, (1,))) > 8 and tags.get(259, 1) == 1)


def _tiff_tags(data: bytes) -> dict[int, Any]:
    """Those of the first page."""
    big = data[2:4] in (b"+\0", b"\0+")
    directory = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if big else 8])
    file = io.BytesIO(data)
    file.seek(directory.next)
    directory.load(file)
    return {tag: directory.get(tag) for tag in (258, 259, 262, 277, 284, 339) if tag in directory}


def _tiff(data: bytes, limit: Limit) -> Opened:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        width, height = page.imagewidth, page.imagelength
        # the pixels are in memory as they are and as floats: 12 bytes for each count as one
        samples = page.samplesperpixel * max(1, page.imagedepth)
        limit(width, height * max(1, samples * max(4, page.bitspersample // 8) // 12))
        pixels = page.asarray()
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            pixels = np.moveaxis(pixels, 0, -1)
        pixels = pixels.reshape(-1, height, width, page.samplesperpixel)[0]
        turn = page.tags.valueof(274, default=1)
        alpha = [int(sample) in (1, 2) for sample in page.extrasamples]
        image = _shown(pixels, page, any(alpha[:1]))
    return Opened(image, data, turn if isinstance(turn, int) else 1)


def _shown(pixels: Array, page: Any, alpha: bool) -> Image.Image:
    """(H, W, samples) -> a picture in 8 bits, whatever its colours are."""
    colour, bits = int(page.photometric), int(page.bitspersample)
    integers = pixels.dtype.kind == "u"
    white = float((1 << bits) - 1) if integers and bits <= 16 else None
    samples = pixels.shape[-1]
    if pixels.dtype.kind == "c":
        pixels = np.abs(pixels)
    if colour == 3 and page.colormap is not None:
        return _image(scaled(page.colormap.T[pixels[..., 0]], 65535.0))
    if colour == 5 and samples >= 4:
        ink = np.ascontiguousarray(scaled(pixels[..., :4], white, colours=True))
        return Image.frombytes("CMYK", (ink.shape[1], ink.shape[0]), ink.tobytes())
    if colour in (8, 9) and samples >= 3 and bits == 16:
        lab = (pixels[..., :3].astype(np.uint16) >> 8).astype(np.uint8)
        lab[..., 1:] ^= 128 if colour == 9 else 0
        return Image.frombytes("LAB", (lab.shape[1], lab.shape[0]), lab.tobytes())
    if samples < 3 or colour in (0, 1):
        grey = scaled(pixels[..., 0])
        return _image(255 - grey if colour == 0 else grey)
    rgb = scaled(pixels[..., :3], white, colours=True)
    if not alpha or samples < 4:
        return _image(rgb)
    veil = scaled(pixels[..., 3:4], white, colours=True)
    return _image(np.concatenate((rgb, veil), axis=-1))


def _image(pixels: Array) -> Image.Image:
    """(H, W), or (H, W, 1 to 4), of uint8."""
    pixels = np.ascontiguousarray(pixels)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[-1] > 4:
        pixels = pixels[..., :3]
    return Image.fromarray(pixels)
