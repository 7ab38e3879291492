"""Pictures of every format are decoded upright, in the right colours."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter

from tests.making import encoded
from tests.systems import posix
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode, quality, thumbnails

RED, BLUE, WHITE = (200, 30, 30), (30, 30, 200), (255, 255, 255)


def halves(width: int = 640, height: int = 400) -> Image.Image:
    """Red above, blue below: shows every turn."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (0, height // 2, width, height))
    return image


def colour(image: Image.Image, x: float, y: float) -> tuple[int, ...]:
    found = image.getpixel((int(x * (image.width - 1)), int(y * (image.height - 1))))
    assert isinstance(found, tuple)
    return found


def near(found: tuple[int, ...], wanted: tuple[int, ...], by: int = 16) -> bool:
    return all(abs(a - b) <= by for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_formats(format: str) -> None:
    decoded = decode.decode(encoded(halves(), format), 64)
    assert decoded.image.mode == "RGB"
    assert (decoded.width, decoded.height) == (640, 400)
    assert near(colour(decoded.image, 0.5, 0.1), RED)
    assert near(colour(decoded.image, 0.5, 0.9), BLUE)
    assert decoded.note is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_comes_out_upright(format: str, orientation: int) -> None:
    turned = halves()
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    if inverse in decode._TRANSPOSE:
        turned = turned.transpose(decode._TRANSPOSE[inverse])
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode.decode(encoded(turned, format, exif=exif), 64)
    assert (decoded.width, decoded.height) == (640, 400)
    assert near(colour(decoded.image, 0.5, 0.1), RED)
    assert near(colour(decoded.image, 0.5, 0.9), BLUE)


@pytest.mark.parametrize(("size", "scale"), [((640, 400), 1), ((4032, 3024), 8), ((801, 1203), 2)])
def test_jpeg_is_decoded_at_the_smallest_scale_that_will_do(
    size: tuple[int, int], scale: int
) -> None:
    decoded = decode.decode(encoded(halves(*size), "JPEG"), 128)
    assert decoded.scale == scale
    assert (decoded.width, decoded.height) == size
    assert decoded.image.size == tuple(-(-side // scale) for side in size)


def test_deep_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256 * 64).reshape(64, 256)
    for image in (
        Image.fromarray(ramp.astype(np.uint16)),
        Image.fromarray(ramp.astype(np.int32)),
        Image.fromarray((ramp / 65535).astype(np.float32)),
    ):
        decoded = decode.decode(encoded(image, "TIFF"), 32).image
        grey = [colour(decoded, 0.5, y)[0] for y in (0, 0.5, 1)]
        assert near(tuple(grey), (1, 126, 254), 4)
    twelve_bits = Image.fromarray((ramp / 16).astype(np.uint16))
    assert colour(decode.decode(encoded(twelve_bits, "PNG"), 32).image, 1, 1)[0] > 250


def test_what_is_transparent_lies_on_white() -> None:
    hidden = Image.new("RGBA", (64, 64), (*RED, 0))
    for format in ("PNG", "WEBP", "TIFF", "GIF"):
        image = decode.decode(encoded(hidden, format), 32).image
        assert near(colour(image, 0.5, 0.5), WHITE)
    palette = Image.new("P", (64, 64), 0)
    palette.putpalette([*RED, *BLUE])
    image = decode.decode(encoded(palette, "PNG", transparency=0), 32).image
    assert near(colour(image, 0.5, 0.5), WHITE)
    rgb = Image.new("RGB", (64, 64), RED)
    image = decode.decode(encoded(rgb, "PNG", transparency=RED), 32).image
    assert near(colour(image, 0.5, 0.5), WHITE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "LAB"])
def test_modes(mode: str) -> None:
    image = halves()
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        image = ImageCms.applyTransform(image, to_lab) or image
    else:
        image = image.quantize(16) if mode == "P" else image.convert(mode)
    formats = {"1": "PNG", "L": "JPEG", "LA": "PNG", "P": "GIF", "CMYK": "JPEG"}
    decoded = decode.decode(encoded(image, formats.get(mode, "TIFF")), 64).image
    assert decoded.mode == "RGB"
    if mode in ("P", "CMYK", "YCbCr"):
        assert near(colour(decoded, 0.5, 0.1), RED, 24)
        assert near(colour(decoded, 0.5, 0.9), BLUE, 24)


def test_animated_shows_its_first_frame() -> None:
    frames = [Image.new("RGB", (64, 64), RED), Image.new("RGB", (64, 64), BLUE)]
    for format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        assert near(colour(decode.decode(data, 32).image, 0.5, 0.5), RED)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_is_used_if_most_is_there(format: str, progressive: bool) -> None:
    noise = np.random.default_rng(7).integers(0, 255, (400, 640, 3), np.uint8)
    options = {"progressive": True} if progressive and format == "JPEG" else {}
    data = encoded(Image.fromarray(noise), format, **options)
    decoded = decode.decode(data[: int(len(data) * 0.96)], 100)
    assert decoded.note == "cut short: the end is missing"
    assert (decoded.width, decoded.height) == (640, 400)
    if not options and format != "GIF":  # interlaced and progressive files begin with the whole
        with pytest.raises(Unreadable, match="cut short"):
            decode.decode(data[: len(data) // 2], 100)
    with pytest.raises(Unreadable):
        decode.decode(data[:30], 100)


def test_bombs_are_refused_before_they_are_decoded() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    )
    with pytest.raises(Unreadable, match="more than the limit"):
        decode.decode(b"\x89PNG\r\n\x1a\n" + chunks, 100)


def test_the_limit_counts_what_is_really_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Baseline JPEG is decoded at an eighth; progressive keeps every coefficient in memory."""
    monkeypatch.setattr(decode, "MAX_PIXELS", 1_000_000)
    wide = Image.new("L", (4000, 3000), 80)
    assert decode.decode(encoded(wide, "JPEG"), 100).image.size == (500, 375)
    with pytest.raises(Unreadable, match="more than the limit"):
        decode.decode(encoded(wide, "JPEG", progressive=True), 100)


@posix
def test_read_refuses_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Unreadable, match="not a regular file"):
        decode.read(str(tmp_path / "fifo"))
    with pytest.raises(Unreadable, match="No such file"):
        decode.read(str(tmp_path / "gone"))
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(decode.MAX_BYTES + 1)
    with pytest.raises(Unreadable, match="larger than"):
        decode.read(str(tmp_path / "huge"))


def test_thumbnail_keeps_the_shape() -> None:
    decoded = decode.decode(encoded(halves(640, 320), "JPEG"), 100)
    small = Image.open(
        io.BytesIO(thumbnails.jpeg(thumbnails.shrink(decoded.image, thumbnails.SIDE)))
    )
    assert (small.format, small.size) == ("JPEG", (160, 80))
    tiny = decode.decode(encoded(halves(20, 10), "PNG"), 100)
    assert thumbnails.shrink(tiny.image, thumbnails.SIDE).size == (20, 10)


def problem(image: Image.Image) -> str | None:
    return quality.problem(thumbnails.shrink(image, quality.SIDE))


def test_what_shows_next_to_nothing_is_noted() -> None:
    scene = Image.new("RGB", (800, 600), WHITE)
    for at in range(0, 800, 200):
        scene.paste((at // 4, 60, 30), (at, 100, at + 90, 500 - at // 4))
    assert problem(scene) is None
    assert problem(scene.filter(ImageFilter.GaussianBlur(4))) is None  # a hand that was not still
    assert problem(scene.filter(ImageFilter.GaussianBlur(40))) == quality.BLURRED
    noise = np.random.default_rng(0)
    dark = Image.fromarray(noise.integers(0, 12, (600, 800, 3), np.uint8))
    assert problem(dark) == quality.DARK
    for at in range(0, 800, 80):
        dark.paste((255, 255, 255), (at, at // 2, at + 6, at // 2 + 6))
    assert problem(dark) is None  # stars
    assert problem(Image.new("RGB", (800, 600), (200, 20, 20))) is None  # a colour is something
    assert problem(Image.new("RGB", (4, 4), (0, 0, 0))) == quality.DARK
    assert problem(Image.new("RGB", (4, 400), (99, 0, 0))) is None


@pytest.mark.parametrize("levels", [2, 50, 1000])
def test_the_count_that_stands_for_a_quantile_is_exact(levels: int) -> None:
    random = np.random.default_rng(levels)
    for size in (1, 2, 3, 101, 997):
        values = random.integers(0, levels, size).astype(np.float32)
        found = np.quantile(values, 0.99)
        limits = [*values[:20], *(np.nextafter(values[:5], np.float32(1e9))), found, found / 2]
        for limit in map(np.float32, limits):
            assert quality._is_quantile_below(values, 0.99, limit) == (found < limit)
