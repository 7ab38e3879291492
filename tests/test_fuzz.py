"""A corpus of broken files for every decoder, made anew from real ones: no crash, no hang, memory
bounded. What comes out is a picture or an `Unreadable` of one line.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.making import encoded
from tests.rare_pictures import imagecodecs, planes, psd, tiff
from tests.test_optional_codecs import dng, heic, jxl, video
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and alarms are POSIX")

# A fork of this very process could hang in OpenMP, which LibRaw uses and which survives no fork.
CLEAN: Any = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
CLEAN.set_forkserver_preload(["tests.test_fuzz"])

EACH = 30  # broken files a seed
SECONDS = 10  # a file may take
MEMORY = 3 << 30  # bytes a decoder may take beyond what the process has


def scene(mode: str = "RGB") -> Image.Image:
    """Not flat: a decoder has real work to do."""
    noise = np.random.default_rng(3).integers(0, 255, (60, 80, 3), np.uint8)
    return Image.fromarray(noise).resize((160, 120)).convert(mode)


def exif() -> Image.Exif:
    facts = Image.Exif()
    facts[0x0112] = 6
    facts[0x010F] = "A camera"
    return facts


SEEDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(scene(), "JPEG", exif=exif()),
    "progressive": lambda: encoded(scene(), "JPEG", progressive=True),
    "cmyk": lambda: encoded(scene("CMYK"), "JPEG"),
    "png": lambda: encoded(scene("RGBA"), "PNG", exif=exif()),
    "apng": lambda: encoded(scene("P"), "PNG", save_all=True, append_images=[scene("P")]),
    "gif": lambda: encoded(scene(), "GIF", save_all=True, append_images=[scene()]),
    "webp": lambda: encoded(scene(), "WEBP", exif=exif()),
    "lossless webp": lambda: encoded(scene("RGBA"), "WEBP", lossless=True),
    "tiff": lambda: encoded(scene(), "TIFF", save_all=True, append_images=[scene("L")]),
    "lzw": lambda: encoded(scene(), "TIFF", compression="tiff_lzw"),
    "tiff jpeg": lambda: encoded(scene(), "TIFF", compression="jpeg"),
    "fax": lambda: encoded(scene("1"), "TIFF", compression="group4"),
    "bmp": lambda: encoded(scene(), "BMP"),
    "avif": lambda: encoded(scene(), "AVIF", exif=exif()),
    "heic": lambda: heic(scene()),
    "jxl": lambda: jxl(scene()),
    "raw.dng": lambda: dng(scene()),
    "raw without preview.dng": lambda: dng(None),
    "jpeg 2000": lambda: encoded(scene(), "JPEG2000"),
    "codestream": lambda: encoded(scene("L"), "JPEG2000", no_jp2=True, tile_size=(64, 64)),
    "ppm": lambda: encoded(scene(), "PPM"),
    "plain ppm": lambda: b"P3 4 4 9\n" + b" ".join(b"%d" % (i % 10) for i in range(48)),
    "deep ppm": lambda: b"P6\n40 30\n4095\n" + bytes(40 * 30 * 6),
    "pfm": lambda: b"PF\n40 30\n-1.0\n" + np.ones((30, 40, 3), "<f4").tobytes(),
    "truevision.tga": lambda: encoded(scene("RGBA"), "TGA", compression="tga_rle"),
    "palette.tga": lambda: encoded(scene("P"), "TGA"),
    "ico": lambda: encoded(scene(), "ICO", sizes=[(64, 64), (16, 16)]),
    "bitmap ico": lambda: encoded(scene(), "ICO", sizes=[(64, 64)], bitmap_format="bmp"),
    "icns": lambda: encoded(scene().resize((128, 128)), "ICNS"),
    "psd": lambda: psd(planes(scene()), packed=1, layers=-1, merged=1),
    "deep psd": lambda: psd(planes(scene()), depth=16, large=True, packed=3),
    "paintbrush.pcx": lambda: encoded(scene(), "PCX"),
    "silicon.sgi": lambda: encoded(scene(), "SGI"),
    "dds": lambda: encoded(scene("RGBA"), "DDS", pixel_format="DXT5"),
    "qoi": lambda: encoded(scene(), "QOI"),
    "jpeg xr": lambda: imagecodecs().jpegxr_encode(np.asarray(scene())),
    "jpeg-ls": lambda: imagecodecs().jpegls_encode(np.asarray(scene())),
    "12-bit jpeg": lambda: imagecodecs().jpeg_encode(
        np.asarray(scene()).astype(np.uint16) << 4, bitspersample=12
    ),
    "float tiff": lambda: tiff(np.asarray(scene(), np.float32) / 255, photometric="rgb"),
    "packed float tiff": lambda: tiff(
        np.asarray(scene(), np.float32) / 255, photometric="rgb", compression="lzw", predictor=3
    ),
    "video": lambda: video((200, 30, 30), (30, 30, 200), codec="mpeg4", seconds=1),
}


def broken(seed: bytes, chance: random.Random, count: int) -> Iterator[bytes]:
    """Bits turned, bytes made extreme, parts cut, doubled, swapped and filled; the head often,
    for the sizes are there."""
    for number in range(count):
        data = bytearray(seed)
        for _ in range(chance.choice([1, 2, 4, 16])):
            at = chance.randrange(min(len(data), chance.choice([64, 512, len(data)])))
            length = chance.randrange(1, 64)
            match (number + chance.randrange(3)) % 7:
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    data[at : at + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
                case 2:
                    del data[at : at + length]
                case 3:
                    data[at:at] = data[at : at + length]
                case 4:
                    data[at : at + length] = chance.randbytes(length)
                case 5:
                    other = chance.randrange(len(data))
                    data[at : at + length] = data[other : other + length]
                case 6:
                    del data[max(12, at) :]
            data = data or bytearray(b"\0")
        yield bytes(data)


@pytest.mark.parametrize("name", SEEDS)
def test_broken_files_never_crash_hang_or_eat_the_memory(name: str) -> None:
    seed = SEEDS[name]()
    suffix = os.path.splitext(name)[1]
    assert decode.decode(seed, 64, suffix=suffix).image.mode == "RGB"
    corpus = list(broken(seed, random.Random(name), EACH))
    assert len(set(corpus)) > EACH * 0.9
    answers, answer = CLEAN.Pipe(duplex=False)
    child = CLEAN.Process(target=decode_all, args=(corpus, suffix, answer))
    child.start()
    answer.close()
    seen = b""
    with contextlib.suppress(EOFError):
        while True:
            seen += answers.recv_bytes()
    child.join()
    assert child.exitcode == 0, f"file {len(seen)} of {name}, after {seen[-1:]!r}"
    assert len(seen) == EACH
    assert seen.count(b"u") > 0, "nothing was broken enough to be refused"


def decode_all(corpus: list[bytes], suffix: str, answer: Connection) -> None:
    """One byte an answer: p picture, u unreadable."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)  # libraries complain there
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the default kills
    for data in corpus:
        signal.alarm(SECONDS)
        try:
            frames = list(decode.frames(data, 64, suffix=suffix))
            assert all(frame.image.mode == "RGB" for frame in frames)
            answer.send_bytes(b"p")
        except Unreadable as trouble:
            assert len(str(trouble).splitlines()) == 1
            answer.send_bytes(b"u")


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(SEEDS) * EACH >= 300
