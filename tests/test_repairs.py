"""Whole pictures whose metadata is broken, huge or packed by an unknown method are shown."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.making import encoded
from tests.rare_pictures import chunk, segment
from tests.test_codecs import is_red_above_blue
from tests.test_pictures import BLUE, RED, colour, halves, near
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode
from zeroshelf.images.codecs import repairs

BIG = zlib.compress(bytes(2 << 20))
TURNED = halves().transpose(Image.Transpose.ROTATE_90)  # orientation 6 makes it upright again


def exif(orientation: int = 6) -> bytes:
    facts = Image.Exif()
    facts[0x0112] = orientation
    return facts.tobytes()


def png(*chunks: bytes, at_end: bool = False, image: Image.Image | None = None) -> bytes:
    data = encoded(image or halves(), "PNG")
    place = len(data) - 12 if at_end else 33
    return data[:place] + b"".join(chunks) + data[place:]


PNG_CHUNKS = {
    "huge profile": (b"iCCP", b"icc\0\0" + BIG),
    "profile packed by an unknown method": (b"iCCP", b"icc\0\1" + zlib.compress(b"x")),
    "profile without a name": (b"iCCP", b"nothing"),
    "empty profile": (b"iCCP", b""),
    "huge XMP": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BIG),
    "huge comment": (b"zTXt", b"comment\0\0" + BIG),
    "comment packed by an unknown method": (b"zTXt", b"comment\0\7xyz"),
    "empty sRGB": (b"sRGB", b""),
    "empty gamma": (b"gAMA", b""),
    "short chromaticities": (b"cHRM", b"123"),
    "empty resolution": (b"pHYs", b""),
    "broken EXIF": (b"eXIf", b"junk"),
    "empty transparency": (b"tRNS", b""),
    "short transparency": (b"tRNS", b"123"),
    "empty animation": (b"acTL", b""),
    "empty frame": (b"fcTL", b""),
}


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("name", PNG_CHUNKS)
def test_chunks_of_a_png(name: str, at_end: bool) -> None:
    decoded = decode.decode(png(chunk(*PNG_CHUNKS[name]), at_end=at_end), 64)
    assert is_red_above_blue(decoded) and decoded.note is None


def test_wrong_checksums_of_a_png() -> None:
    assert is_red_above_blue(decode.decode(png(chunk(b"tEXt", b"a\0b", crc=1)), 64))
    data = bytearray(png())
    data[29:33] = b"\0\0\0\0"  # the header's own
    assert is_red_above_blue(decode.decode(bytes(data), 64))
    many = [chunk(b"zTXt", b"k%d\0\0" % i + zlib.compress(bytes(1 << 20))) for i in range(70)]
    assert is_red_above_blue(decode.decode(png(*many), 64))


def test_a_png_keeps_its_transparency_and_its_orientation() -> None:
    bad = chunk(*PNG_CHUNKS["huge profile"])
    hidden = Image.new("P", (64, 64), 0)
    hidden.putpalette([*RED, *BLUE])
    data = encoded(hidden, "PNG", transparency=0)
    seen = decode.decode(data[:33] + bad + data[33:], 32).image
    assert near(colour(seen, 0.5, 0.5), (255, 255, 255))
    turned = chunk(b"eXIf", exif().removeprefix(b"Exif\0\0"))
    decoded = decode.decode(png(bad, turned, image=TURNED), 64)
    assert (decoded.width, decoded.height) == (640, 400) and is_red_above_blue(decoded)


def test_a_png_that_is_really_broken_is_refused() -> None:
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 255, (90, 120, 3), np.uint8))
    whole = encoded(noise, "PNG")
    with_profile = whole[:33] + chunk(*PNG_CHUNKS["huge profile"]) + whole[33:]
    for data in (with_profile[: -len(whole) // 2], whole[: len(whole) // 2], whole[:40]):
        with pytest.raises(Unreadable):
            decode.decode(data, 64)


def test_the_limit_applies_to_what_is_repaired() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(*PNG_CHUNKS["empty profile"])
    with pytest.raises(Unreadable, match="more than the limit"):
        decode.decode(bomb + chunk(b"IDAT", BIG) + chunk(b"IEND", b""), 64)


JPEG_SEGMENTS = {
    "short JFIF": (0xE0, b"JFIF\0"),
    "profile without numbers": (0xE2, b"ICC_PROFILE\0"),
    "profile cut short": (0xE2, b"ICC_PROFILE\0\1"),
    "short Adobe": (0xEE, b"Adobe"),
    "broken EXIF": (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "broken list of pictures": (0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
    "broken Photoshop block": (0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\xff\xff\xff\xff"),
    "broken XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe"),
    "broken restart interval": (0xDD, b""),
}


@pytest.mark.parametrize("name", JPEG_SEGMENTS)
def test_segments_of_a_jpeg(name: str) -> None:
    data = encoded(TURNED, "JPEG", exif=exif(), quality=90)
    bad = segment(*JPEG_SEGMENTS[name])
    for place in (2, data.index(b"\xff\xdb")):
        decoded = decode.decode(data[:place] + bad + data[place:], 64)
        assert decoded.note is None
        if name != "broken EXIF" or place > 2:  # else the broken one comes first, and counts
            assert (decoded.width, decoded.height) == (640, 400) and is_red_above_blue(decoded)


def test_a_jpeg_of_20_mb_of_metadata() -> None:
    data = encoded(halves(), "JPEG", quality=90)
    filling = b"".join(segment(0xE5, bytes(65_000)) for _ in range(300))
    assert is_red_above_blue(decode.decode(data[:2] + filling + data[2:], 64))


def test_cmyk_jpeg_keeps_its_colours_without_its_metadata() -> None:
    data = encoded(halves().convert("CMYK"), "JPEG", quality=95)
    broken = data[:2] + segment(*JPEG_SEGMENTS["profile without numbers"]) + data[2:]
    assert is_red_above_blue(decode.decode(broken, 64), 24)


@pytest.mark.parametrize("lossless", [False, True])
def test_metadata_of_a_webp_that_is_longer_than_the_file(lossless: bool) -> None:
    whole = b""
    for option in ("icc_profile", "exif"):
        content = exif() if option == "exif" else b"x" * 50
        image = TURNED if option == "exif" else halves()
        whole = encoded(image, "WEBP", lossless=lossless, quality=90, **{option: content})
        data = bytearray(whole)
        at = whole.index(b"EXIF" if option == "exif" else b"ICCP")
        data[at + 4 : at + 8] = struct.pack("<I", 1 << 30)
        decoded = decode.decode(bytes(data), 64)
        assert sorted((decoded.width, decoded.height)) == [400, 640]
        if option == "icc_profile":
            assert is_red_above_blue(decoded)
    cut = whole[:-8]  # the metadata at the end is not all there, the picture is
    assert sorted(decode.decode(cut, 64).image.size) == [400, 640]
    wrong_size = whole[:4] + struct.pack("<I", 1 << 24) + whole[8:]
    decoded = decode.decode(wrong_size, 64)
    assert (decoded.width, decoded.height) == (640, 400) and is_red_above_blue(decoded)


@pytest.mark.parametrize("block", [b"!\xf9\0", b"!\xf9\x01a\0", b"!\xff\x0bNETSCAPE2.0\0"])
def test_blocks_of_a_gif(block: bytes) -> None:
    data = encoded(halves(), "GIF")
    at = data.index(b",", 13 + 3 * 2)
    assert is_red_above_blue(decode.decode(data[:at] + block + data[at:], 64))


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_orientation_that_is_none_turns_nothing(format: str, value: int) -> None:
    decoded = decode.decode(encoded(halves(), format, exif=exif(value)), 64)
    assert (decoded.width, decoded.height) == (640, 400) and is_red_above_blue(decoded)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (exif(6), 6),
        (exif(8).removeprefix(b"Exif\0\0"), 8),
        (exif(0), 1),
        (exif(9), 1),
        (b"", 1),
        (b"Exif\0\0", 1),
        (b"II*\0\xff\xff\xff\xff", 1),
        (b"II*\0\x08\0\0\0\xff\xff", 1),
        (b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x01\0\0\0\x06\0\0\0", 1),  # a text
        (b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0", 3),
    ],
)
def test_orientation_from_exif(data: bytes, wanted: int) -> None:
    assert repairs.orientation(data) == wanted
