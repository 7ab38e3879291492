"""JPEG 2000, netpbm, TGA, icons, PSD and rare variants of TIFF and JPEG, in their colours."""

from __future__ import annotations

import builtins
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.making import encoded
from tests.rare_pictures import icon, imagecodecs, planes, psd, tiff
from tests.test_pictures import BLUE, RED, WHITE, colour, halves, near
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode, formats
from zeroshelf.images.codecs import optional

GREY_RED, GREY_BLUE = (RED[0],) * 3, (BLUE[0],) * 3  # of the red channel alone


def pixels() -> np.ndarray[Any, Any]:
    return np.asarray(halves())


def shown(data: bytes, suffix: str = "") -> decode.Decoded:
    return decode.decode(data, 64, suffix=suffix)


def ends(decoded: decode.Decoded) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The colours above and below."""
    return colour(decoded.image, 0.5, 0.1), colour(decoded.image, 0.5, 0.9)


def is_red_above_blue(decoded: decode.Decoded, by: int = 16) -> bool:
    above, below = ends(decoded)
    return decoded.image.mode == "RGB" and near(above, RED, by) and near(below, BLUE, by)


@pytest.mark.parametrize(
    ("format", "suffix", "options"),
    [
        ("JPEG2000", ".jp2", {}),
        ("JPEG2000", ".j2k", {"no_jp2": True}),
        ("JPEG2000", ".jp2", {"tile_size": (128, 128)}),
        ("PPM", ".ppm", {}),
        ("TGA", ".tga", {}),
        ("TGA", ".tga", {"compression": "tga_rle"}),
        ("PCX", ".pcx", {}),
        ("SGI", ".sgi", {}),
        ("SGI", ".sgi", {"bpc": 2}),
        ("DDS", ".dds", {}),
        ("QOI", ".qoi", {}),
    ],
)
def test_formats_that_pillow_reads(format: str, suffix: str, options: dict[str, Any]) -> None:
    decoded = shown(encoded(halves(), format, **options), suffix)
    assert (decoded.width, decoded.height) == (640, 400)
    assert is_red_above_blue(decoded)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "I;16"])
def test_modes_of_jpeg_2000(mode: str) -> None:
    deep = Image.fromarray(pixels()[..., 0].astype(np.uint16) << 8)
    decoded = shown(encoded(deep if mode == "I;16" else halves().convert(mode), "JPEG2000"))
    if mode in ("RGBA", "CMYK"):
        assert is_red_above_blue(decoded)
    elif mode == "I;16":
        assert near(ends(decoded)[0], GREY_RED) and near(ends(decoded)[1], GREY_BLUE)


@pytest.mark.parametrize(
    "size", [(640, 400), (641, 401), (639, 399), (1000, 777), (2000, 1501), (97, 66)]
)
def test_large_jpeg_2000_is_decoded_smaller_and_crops_the_same(size: tuple[int, int]) -> None:
    """A master of an archive takes ten times as long whole."""
    noise = np.random.default_rng(1).integers(0, 255, (size[1] // 32, size[0] // 32, 3), np.uint8)
    image = Image.fromarray(noise).resize(size)
    data = encoded(image, "JPEG2000")
    decoded = shown(data)
    assert (decoded.width, decoded.height) == size
    assert decoded.image.size == tuple(-(-side // decoded.scale) for side in size)
    assert decoded.scale == 1 or min(decoded.image.size) >= 5 * 64
    if size == (2000, 1501):
        assert decoded.scale > 1
    small = image.resize((64, 64), Image.Resampling.BOX)
    difference = np.abs(
        np.asarray(decoded.image.resize((64, 64), Image.Resampling.BOX), int)
        - np.asarray(small, int)
    )
    assert difference.mean() < 6


def test_levels_of_a_jpeg_2000_that_has_few_or_an_offset() -> None:
    few = encoded(halves(), "JPEG2000", num_resolutions=1)
    assert shown(few).scale == 1 and is_red_above_blue(shown(few))
    moved = encoded(halves(), "JPEG2000", offset=(10, 20), tile_offset=(0, 0), tile_size=(700, 700))
    assert shown(moved).scale == 1 and is_red_above_blue(shown(moved))


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (
            b"P6\n# a comment\n640 400\n65535\n",
            lambda a: (a.astype("u2") * 257).astype(">u2").tobytes(),
        ),
        (b"P6 640 400 100\n", lambda a: np.round(a / 2.55).astype(np.uint8).tobytes()),
        (b"P3\n#c\n640 400\n255\n", lambda a: " ".join(map(str, a.ravel())).encode()),
        (b"PF\n640 400\n-1.0\n", lambda a: (a[::-1] / 255).astype("<f4").tobytes()),
        (b"PF\n640 400\n1.0\n", lambda a: (a[::-1] / 255).astype(">f4").tobytes()),
    ],
)
def test_netpbm_in_colour(head: bytes, content: Callable[[Any], bytes]) -> None:
    assert is_red_above_blue(shown(head + content(pixels())))


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (b"P5 640 400 255\n", lambda a: a.tobytes()),
        (b"P5 640 400 65535\n", lambda a: (a.astype("u2") * 257).astype(">u2").tobytes()),
        (b"P5 640 400 4095\n", lambda a: (a.astype("u2") * 16).astype(">u2").tobytes()),
        (b"P2 640 400\n#x\n255 ", lambda a: " ".join(map(str, a.ravel())).encode()),
    ],
)
def test_netpbm_in_grey(head: bytes, content: Callable[[Any], bytes]) -> None:
    above, below = ends(shown(head + content(np.ascontiguousarray(pixels()[..., 0]))))
    assert near(above, GREY_RED) and near(below, GREY_BLUE)


def test_netpbm_of_bits_and_floats() -> None:
    assert near(colour(shown(b"P1 8 2\n" + b"01" * 8).image, 0, 0), WHITE)
    assert near(colour(shown(b"P4 8 2\n\xff\0").image, 0, 0), (0, 0, 0))
    grey = b"Pf\n2 2\n-1.0\n" + np.array([[0, 0], [1, 1]], "<f4").tobytes()
    assert near(colour(shown(grey).image, 0, 0), WHITE)  # its last row is the first


def test_netpbm_that_is_cut_short_or_no_picture() -> None:
    deep = b"P6 640 400 65535\n" + (pixels().astype(">u2") * 257).tobytes()
    assert shown(deep[: len(deep) * 97 // 100]).note == "cut short: the end is missing"
    for data in (deep[: len(deep) // 2], b"P6\n# nothing"):
        with pytest.raises(Unreadable, match="cut short"):
            shown(data)
    for text in (b"P3 was a good plan", b"P6", b"P5\n", b"Prose", b"PF "):
        assert formats.of(text, ".ppm") is None


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGBA"])
def test_modes_of_tga(mode: str) -> None:
    image = halves().convert(mode)
    decoded = shown(encoded(image, "TGA"), ".tga")
    assert np.array_equal(np.asarray(decoded.image), np.asarray(image.convert("RGB")))


def test_tga_without_bits_of_alpha_is_not_transparent() -> None:
    """Many programs write 32 bits a pixel and leave the fourth byte at 0."""
    clear = halves().convert("RGBA")
    clear.putalpha(0)
    data = bytearray(encoded(clear, "TGA"))
    assert near(ends(shown(bytes(data), ".tga"))[0], WHITE)
    data[17] &= 0xF0
    assert is_red_above_blue(shown(bytes(data), ".tga"))
    assert formats.of(bytes(data), ".dat") is None  # no magic number: only by its name
    assert formats.of(b"some text that is longer than the header of a TGA", ".tga") is None


@pytest.mark.parametrize("side", [256, 64])
@pytest.mark.parametrize("options", [{}, {"bitmap_format": "bmp"}])
def test_icons_show_their_largest_picture(side: int, options: dict[str, Any]) -> None:
    sizes = [(16, 16), (side, side)]
    data = encoded(halves(side, side), "ICO", sizes=sizes, **options)
    decoded = shown(data)
    assert (decoded.width, decoded.height) == (side, side) and is_red_above_blue(decoded)
    cursor = data[:2] + b"\2\0" + data[4:]
    assert is_red_above_blue(shown(cursor))


def test_a_mac_icon() -> None:
    decoded = shown(encoded(halves(512, 512), "ICNS"))
    assert decoded.width >= 512 and is_red_above_blue(decoded)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("depth", "packed"), [(8, 0), (8, 1), (8, 2), (16, 0), (16, 1), (16, 3)])
def test_psd(depth: int, packed: int, large: bool) -> None:
    samples = planes(halves()).astype(np.uint16) * (257 if depth == 16 else 1)
    data = psd(samples, depth=depth, packed=packed, large=large, layers=3, merged=1)
    assert is_red_above_blue(shown(data))


def test_psd_agrees_with_pillow() -> None:
    """The same document, by the decoder that knows 8 bits."""
    from io import BytesIO

    from PIL import PsdImagePlugin

    data = psd(planes(halves()), packed=1, layers=2, merged=1)
    other = PsdImagePlugin.PsdImageFile(BytesIO(data)).convert("RGB")
    assert np.array_equal(np.asarray(other), np.asarray(shown(data).image))


def test_colours_of_psd() -> None:
    image = halves()
    assert near(ends(shown(psd(planes(image)[:1], mode=1)))[0], GREY_RED)
    assert is_red_above_blue(shown(psd(255 - planes(image.convert("CMYK")), mode=4)))
    assert is_red_above_blue(shown(psd(planes(image) / 255, depth=32)))
    few = image.quantize(4)
    palette = np.zeros((3, 256), np.uint8)
    used = np.array(few.getpalette()).reshape(-1, 3)
    palette[:, : len(used)] = used.T
    data = psd(planes(few), mode=2, palette=palette.tobytes())
    assert is_red_above_blue(shown(data))
    bits = psd(planes(image.convert("1", dither=Image.Dither.NONE)) > 0, depth=1, mode=0)
    assert ends(shown(bits))[0] in (WHITE, (0, 0, 0))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    assert lab is not None
    signed = planes(lab) ^ np.array([0, 128, 128], np.uint8)[:, None, None]
    assert is_red_above_blue(shown(psd(signed, mode=9)))


def test_a_selection_kept_in_a_psd_is_no_transparency() -> None:
    with_alpha = np.concatenate([planes(halves()), np.zeros((1, 400, 640), np.uint8)])
    for layers in (None, 0, 2):
        assert is_red_above_blue(shown(psd(with_alpha, layers=layers)))
    assert near(ends(shown(psd(with_alpha, layers=-1)))[0], WHITE)


def test_a_psd_without_a_picture_says_what_to_do() -> None:
    with pytest.raises(Unreadable, match="maximize compatibility"):
        shown(psd(planes(halves()), merged=0))
    data = psd(planes(halves()))
    assert shown(data[: len(data) * 97 // 100]).note == "cut short: the end is missing"
    with pytest.raises(Unreadable, match="cut short"):
        shown(data[: len(data) // 2])


@pytest.mark.parametrize("type_", ["f2", "f4", "f8", "u4", "u8", "i2", "u2"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "deflate"},
        {"tile": (32, 32)},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"planar": True},
        {"extrasamples": ["unassalpha"]},
        {"extrasamples": ["unspecified", "unspecified"]},
    ],
    ids=str,
)
def test_deep_tiff_in_colour(type_: str, options: dict[str, Any]) -> None:
    top = 1.0 if type_[0] == "f" else float(np.iinfo(type_).max)
    scene = pixels() / 255.0
    scene[0, 0], scene[-1, -1] = (0, 0, 0), (1, 1, 1)  # so that the whole range is there
    samples = (scene * top * 0.9999).astype(type_)
    options = dict(options)
    if options.pop("planar", False):
        samples = np.ascontiguousarray(np.moveaxis(samples, -1, 0))
        options["planarconfig"] = "separate"
    if "extrasamples" in options:
        more = np.full((400, 640, len(options["extrasamples"])), samples.max())
        samples = np.concatenate([samples, more.astype(type_)], axis=-1)
    decoded = shown(tiff(samples, photometric="rgb", **options))
    if type_ == "i2":  # its own range: the lowest is black
        assert ends(decoded)[0][0] > ends(decoded)[1][0]
    else:
        assert is_red_above_blue(decoded)


@pytest.mark.parametrize(
    "compression", ["lzw", "jpeg2000", "jpegxl", "webp", "lerc", "png", "jpegxr"]
)
def test_tiff_with_other_formats_inside(compression: str) -> None:
    data = tiff(pixels(), photometric="rgb", compression=compression)
    assert is_red_above_blue(shown(data), 24)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_tiff_of_odd_bits(bits: int) -> None:
    samples = pixels().astype(np.uint16) << (bits - 8)
    assert is_red_above_blue(shown(tiff(samples, photometric="rgb", bitspersample=bits)))


def test_float_tiff_with_a_predictor() -> None:
    samples = (pixels() / 255).astype(np.float32)
    data = tiff(samples, photometric="rgb", compression="deflate", predictor=3)
    assert is_red_above_blue(shown(data))


@pytest.mark.parametrize("type_", ["u1", "u2", "u4", "i2", "f2", "f4", "f8"])
def test_where_0_is_white(type_: str) -> None:
    top = 1.0 if type_[0] == "f" else float(np.iinfo(type_).max)
    ramp = np.linspace(0, 1, 64 * 64).reshape(64, 64) * top
    above, below = ends(shown(tiff(ramp.astype(type_), photometric="miniswhite")))
    assert above[0] > below[0]


def test_bright_32_bits_are_not_dark() -> None:
    ramp = np.linspace(0, 2**32 - 1, 64 * 64).reshape(64, 64).astype(np.uint32)
    above, below = ends(shown(tiff(ramp, photometric="minisblack")))
    assert above[0] < 40 and below[0] > 215


@pytest.mark.parametrize("type_", ["u1", "u2"])
def test_cmyk_and_lab_tiff(type_: str) -> None:
    step = 257 if type_ == "u2" else 1
    inks = np.asarray(halves().convert("CMYK")).astype(type_) * step
    assert is_red_above_blue(shown(tiff(inks, photometric="separated")))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.applyTransform(halves(), ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    assert lab is not None
    data = tiff(np.asarray(lab).astype(type_) * step, photometric="cielab")
    assert is_red_above_blue(shown(data))


def test_a_bright_float_picture_is_not_black() -> None:
    """An HDR picture: a lamp is a hundred times as bright as the rest."""
    scene = (pixels() / 255).astype(np.float32)
    scene[:4, :4] = 100
    assert is_red_above_blue(shown(tiff(scene, photometric="rgb")), 24)


def test_orientation_of_a_tiff_that_pillow_does_not_read() -> None:
    turned = np.asarray(halves().transpose(Image.Transpose.ROTATE_90)).astype(np.float32) / 255
    data = tiff(turned, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    assert is_red_above_blue(shown(data))


@pytest.mark.parametrize(
    ("encode", "options"),
    [
        ("jpeg_encode", {"bitspersample": 12}),
        ("jpeg_encode", {"bitspersample": 12, "lossless": True}),
        ("jpeg_encode", {"bitspersample": 16, "lossless": True}),
        ("jpeg_encode", {"lossless": True}),
        ("jpegls_encode", {}),
        ("jpegxr_encode", {}),
    ],
)
def test_rare_jpeg(encode: str, options: dict[str, Any]) -> None:
    more = options.get("bitspersample", 8) - 8
    samples = pixels().astype(np.uint16) << more if more else pixels()
    data = bytes(getattr(imagecodecs(), encode)(samples, **options))
    decoded = shown(data)
    assert (decoded.width, decoded.height) == (640, 400)
    assert is_red_above_blue(decoded)


@pytest.mark.parametrize("type_", ["u2", "f4"])
def test_deep_jpeg_xr(type_: str) -> None:
    samples = pixels() / 255 if type_ == "f4" else pixels().astype("u2") * 257
    data = bytes(imagecodecs().jpegxr_encode(samples.astype(type_)))
    assert is_red_above_blue(shown(data))


def test_rare_jpeg_that_is_cut_short() -> None:
    """Its decoders fill up what is missing and say nothing, or never come back."""
    noise = np.random.default_rng(7).integers(0, 4095, (400, 640, 3)).astype(np.uint16)
    deep = bytes(imagecodecs().jpeg_encode(noise, bitspersample=12))
    assert shown(deep[: len(deep) * 97 // 100]).note == "cut short: the end is missing"
    smooth = np.random.default_rng(7).integers(0, 40, (400, 640, 3)).astype(np.uint8)
    for data in (deep, imagecodecs().jpegls_encode(smooth), imagecodecs().jpegxr_encode(smooth)):
        with pytest.raises(Unreadable):
            shown(bytes(data)[: len(data) // 2])


# --- what may not be decoded ----------------------------------------------------------------------


def bombs() -> dict[str, bytes]:
    large = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    dib = struct.pack("<IiiHHIIIIII", 40, 60_000, 120_000, 1, 32, 0, 0, 0, 0, 0, 0)
    return {
        "a.ppm": b"P6 60000 60000 255\n",
        "b.ppm": b"P6 60000 60000 65535\n",
        "c.ppm": b"P3 60000 60000 255\n1 2 3",
        "d.pfm": b"PF\n60000 60000\n-1.0\n",
        "a.tga": struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 60_000, 60_000, 24, 0),
        "a.ico": icon((0, large)),
        "b.ico": icon((16, encoded(Image.new("1", (16, 16)), "PNG")), (0, dib)),
        "a.psd": struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 60_000, 60_000, 8, 3) + bytes(14),
        "a.qoi": b"qoif" + struct.pack(">II", 60_000, 60_000) + b"\3\0",
        "a.icns": b"icns\0\0\0\0" + b"ic10" + struct.pack(">I", len(large) + 8) + large,
    }


@pytest.mark.parametrize("name", bombs())
def test_no_bomb_is_decoded(name: str) -> None:
    data = bombs()[name]
    with pytest.raises(Unreadable, match="more than the limit"):
        shown(data + bytes(100), name[1:])


def test_rare_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = pixels().astype(np.uint16) << 4
    files = [
        tiff((pixels() / 255).astype(np.float32), photometric="rgb"),
        tiff(np.full((400, 640), 2**32 - 1, np.uint32), photometric="minisblack"),
        bytes(imagecodecs().jpeg_encode(deep, bitspersample=12)),
        bytes(imagecodecs().jpegls_encode(pixels())),
        bytes(imagecodecs().jpegxr_encode(pixels())),
        encoded(halves(), "JPEG2000"),
        encoded(halves(), "QOI"),
    ]
    monkeypatch.setattr(decode, "MAX_PIXELS", 1000)
    for data in files:
        with pytest.raises(Unreadable, match="more than the limit"):
            shown(data)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: imagecodecs().jpegls_encode(pixels()), "JPEG-LS"),
        (lambda: imagecodecs().jpegxr_encode(pixels()), "JPEG XR"),
        (
            lambda: imagecodecs().jpeg_encode(pixels().astype("u2") << 4, bitspersample=12),
            "12-bit JPEG",
        ),
        (
            lambda: imagecodecs().jpeg_encode(
                pixels().astype("u2") << 8, bitspersample=16, lossless=True
            ),
            "16-bit lossless JPEG",
        ),
        (lambda: tiff((pixels() / 255).astype("f4"), photometric="rgb"), "32-bit float RGB TIFF"),
        (lambda: tiff((pixels() / 255).astype("f2"), photometric="rgb"), "16-bit float RGB TIFF"),
        (
            lambda: tiff(planes(halves()).astype("u2"), photometric="rgb", planarconfig="separate"),
            "16-bit RGB TIFF",
        ),
        (
            lambda: tiff(pixels(), photometric="rgb", compression="jpeg2000"),
            "TIFF with JPEG 2000 inside",
        ),
        (lambda: tiff(np.zeros((8, 8, 7), "u1"), photometric="rgb"), "8-bit 7-band TIFF"),
    ],
)
def test_without_the_extra_the_reason_says_what_it_is(
    make: Callable[[], bytes], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is whole: never call it broken."""
    data = bytes(make())
    real = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name in ("imagecodecs", "tifffile"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    optional.has_codecs.cache_clear()
    try:
        with pytest.raises(Unreadable) as trouble:
            shown(data)
    finally:
        optional.has_codecs.cache_clear()
    assert str(trouble.value) == f'{what}: `pip install "zeroshelf[codecs]"` reads it'


def test_a_raw_file_of_an_unknown_camera_is_told() -> None:
    pytest.importorskip("rawpy", reason="no RAW decoder: pip install '.[raw]'")
    with pytest.raises(Unreadable, match="RAW of a camera that"):
        shown(b"II*\0" + bytes(4000), ".nef")
