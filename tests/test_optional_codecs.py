"""HEIC, RAW, JPEG XL, video and many-paged TIFF, each made here by a real encoder."""

from __future__ import annotations

import builtins
import io
import os
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.colours import ColourEncoder
from tests.making import encoded
from tests.test_pictures import BLUE, RED, colour, halves, near
from zeroshelf.actions import transfer
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode, formats, scan


def heic(image: Image.Image, **options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif", reason="no HEIC encoder: pip install '.[dev]'")
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=90, **options)
    return out.getvalue()


def jxl(image: Image.Image) -> bytes:
    imagecodecs = pytest.importorskip("imagecodecs", reason="no JPEG XL: pip install '.[dev]'")
    return bytes(imagecodecs.jpegxl_encode(np.asarray(image)))


def dng(preview: Image.Image | None, flip: int = 1) -> bytes:
    """A RAW file as a camera writes it: a Bayer mosaic, and a JPEG preview in front of it."""
    tifffile = pytest.importorskip("tifffile", reason="no RAW encoder: pip install '.[dev]'")
    pytest.importorskip("rawpy", reason="no RAW decoder: pip install '.[raw]'")
    mosaic = np.full((200, 320), 4000, np.uint16)
    tags = [
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (50708, "s", 0, "A camera", True),  # UniqueCameraModel
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # CFAPattern: RGGB
        (50717, "I", 1, 16383, True),  # WhiteLevel
        (50721, "2i", 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
        (274, "H", 1, flip, True),
    ]
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        file.write(mosaic, photometric=32803, extratags=tags, subifds=1 if preview else 0)
        if preview is not None:
            data = encoded(preview, "JPEG", quality=95)
            file.write(
                iter([data]), shape=(preview.height, preview.width, 3), dtype=np.uint8,
                photometric="ycbcr", compression="jpeg", subfiletype=1,
                rowsperstrip=preview.height, metadata=None,
            )  # fmt: skip
    return out.getvalue()


def video(*colours: tuple[int, int, int], codec: str = "libx264", seconds: int = 2) -> bytes:
    """One colour after the other."""
    av = pytest.importorskip("av", reason="no video encoder: pip install '.[video]'")
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 320, 200, "yuv420p"
        for colour in colours:
            for _ in range(10 * seconds):
                frame = av.VideoFrame.from_image(Image.new("RGB", (320, 200), colour))
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("size", [(640, 400), (401, 641)])
def test_heic(size: tuple[int, int]) -> None:
    decoded = decode.decode(heic(halves(*size)), 64)
    assert (decoded.width, decoded.height) == size == decoded.image.size
    assert near(colour(decoded.image, 0.5, 0.1), RED)
    assert near(colour(decoded.image, 0.5, 0.9), BLUE)


def test_heic_is_turned_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = halves().transpose(Image.Transpose.ROTATE_90)
    decoded = decode.decode(heic(turned, exif=exif.tobytes()), 64)
    assert (decoded.width, decoded.height) == (640, 400)
    assert near(colour(decoded.image, 0.5, 0.1), RED)


def test_raw_shows_its_preview_upright() -> None:
    for flip, size in ((1, (640, 400)), (6, (400, 640))):
        data = dng(halves(), flip)
        assert formats.of(data[: formats.HEAD], ".dng") == formats.RAW
        decoded = decode.decode(data, 64, suffix=".dng")
        assert (decoded.width, decoded.height) == size
        assert near(colour(decoded.image, 0.1, 0.1), BLUE if flip == 6 else RED)


def test_raw_without_a_preview_is_developed() -> None:
    decoded = decode.decode(dng(None), 64, suffix=".dng")
    assert decoded.image.mode == "RGB"
    assert (decoded.width, decoded.height) == (160, 100)
    assert max(colour(decoded.image, 0.5, 0.5)) > 40


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_jxl(mode: str) -> None:
    grey = Image.fromarray(np.full((400, 640), 40_000, np.uint16))
    decoded = decode.decode(jxl(grey if mode == "I;16" else halves().convert(mode)), 64)
    assert (decoded.width, decoded.height) == (640, 400)
    if mode.startswith("RGB"):
        assert near(colour(decoded.image, 0.5, 0.1), RED)
    elif mode == "I;16":
        assert near(colour(decoded.image, 0.5, 0.5), (156,) * 3)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (640, 400), (1600, 900), (300, 300), (9000, 17)])
def test_size_of_a_jxl_is_known_before_it_is_decoded(size: tuple[int, int]) -> None:
    from zeroshelf.images.codecs.heif_raw_jxl_video import _jxl_size

    assert _jxl_size(jxl(Image.new("RGB", size))) == size


def test_bombs_in_every_format_of_a_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [heic(halves()), jxl(halves()), video(RED), dng(None)]
    monkeypatch.setattr(decode, "MAX_PIXELS", 1000)
    for data, suffix in zip(files, ("", "", "", ".dng"), strict=True):
        with pytest.raises(Unreadable, match="more than the limit"):
            decode.decode(data, 64, suffix=suffix)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_video_gives_frames_over_its_length(codec: str) -> None:
    frames = list(decode.frames(video(RED, BLUE, codec=codec), 64))
    assert 4 <= len(frames) <= 5
    assert near(colour(frames[0].image, 0.5, 0.5), RED)
    assert near(colour(frames[-1].image, 0.5, 0.5), BLUE)
    assert near(colour(decode.decode(video(RED), 64).image, 0.5, 0.5), RED)


def test_a_video_is_read_from_its_file(tmp_path: Path, encoder: ColourEncoder) -> None:
    """As a telephone makes it: more than anybody should hold."""
    path, content = tmp_path / "long.mp4", video(RED, BLUE)
    filling = 300 << 20
    with open(path, "wb") as file:
        file.write(content + (filling + 8).to_bytes(4, "big") + b"free")
        for _ in range(300):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        found = compute.embed(
            scan.scan(str(tmp_path)), encoder, EmbeddingCache.open(str(tmp_path / "c"))
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (small,) = compute.embed_batch([(".mp4", content)], encoder)
    assert isinstance(small, Embedded) and np.array_equal(found.vectors[0], small.vector)
    assert found.digests == (transfer.digest(str(path)),)
    assert peak < 32 << 20
    held = decode.read(str(path))
    os.utime(path, ns=(1, 1))
    for use in (decode.digest, lambda content: decode.decode(content, 64)):
        with pytest.raises(Unreadable, match="changed while it was read"):
            use(held)


def test_a_video_that_is_mostly_a_hole_is_not_read_for_hours(tmp_path: Path) -> None:
    path = tmp_path / "sparse.mp4"
    path.write_bytes(video(RED))
    os.truncate(path, 1 << 40)
    if not 0 < os.stat(path).st_blocks * 512 < 1 << 30:
        pytest.skip("this file system has no holes")
    with pytest.raises(Unreadable, match="a hole"):
        decode.read(str(path))


def test_a_broken_video_gives_what_it_has_or_a_reason() -> None:
    data = video(RED, BLUE)
    with pytest.raises(Unreadable):
        decode.decode(data[: len(data) // 3], 64)


def test_pages_of_a_tiff_and_not_their_reduced_copies() -> None:
    tifffile = pytest.importorskip("tifffile", reason="no page encoder: pip install '.[dev]'")
    pages = [Image.new("RGB", (64, 48 + i), RED if i < 4 else BLUE) for i in range(8)]
    many = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    frames = list(decode.frames(many, 32))
    assert [frame.height for frame in frames] == [48, 49, 51, 52, 54]
    assert near(colour(frames[-1].image, 0.5, 0.5), BLUE)
    assert [f.height for f in decode.frames(encoded(pages[0], "TIFF"), 32)] == [48]
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        file.write(np.asarray(pages[0]), photometric="rgb")
        file.write(np.zeros((12, 16, 3), np.uint8), photometric="rgb", subfiletype=1)
    assert [f.height for f in decode.frames(out.getvalue(), 32)] == [48]


@pytest.mark.parametrize(
    ("library", "head", "suffix", "extra"),
    [
        ("rawpy", b"II*\0", ".nef", "raw"),
        ("imagecodecs", b"\xff\x0a", ".jxl", "jxl"),
        ("av", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", ".mov", "video"),
    ],
)
def test_without_its_extra_the_reason_says_which(
    library: str, head: bytes, suffix: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name == library:
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(Unreadable, match=rf'pip install "zeroshelf\[{extra}\]"'):
        decode.decode(head + bytes(100), 64, suffix=suffix)
