"""Turns a file's content into an upright RGB picture. Called from one thread a core.

`codecs` opens each format. Pillow's process-wide switches (truncated files, pixel limit) are never
touched, so that two threads can't disturb each other.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import FileIO
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageFile, Jpeg2KImagePlugin, JpegImagePlugin

from zeroshelf.errors import Unreadable
from zeroshelf.images import formats
from zeroshelf.images.codecs import heif_raw_jxl_video, openers, repairs, scientific
from zeroshelf.images.codecs.bit_depth import scaled
from zeroshelf.images.codecs.opened import CutShort, Opened, note_on_rows
from zeroshelf.system import content_hash, file_attributes, file_io

MAX_BYTES = 1 << 30  # of a file that is held in memory, a few at a time
MAX_PIXELS = 256_000_000  # that are really decoded: what a 200-megapixel telephone makes, and more
# Decode a JPEG at least so many times larger than asked: 1 - cosine 7e-4 on grainy 12 megapixels.
_DRAFT = 2.5

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # "Corrupt EXIF data"
_WHITE = (255, 255, 255, 255)


@dataclass(frozen=True, slots=True)
class Decoded:
    image: Image.Image  # RGB, upright, 1/scale of the full size, rounded up
    width: int  # of the full picture, upright
    height: int
    scale: int = 1  # 1, 2, 4, ...: decoded so much smaller. Crop boxes are width / scale, exactly
    note: str | None = None  # a warning for the user: the file is cut short


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video's content, left in its file: a few GB that memory should not hold. It stands for
    the bytes that were there: once the file has changed it can't be opened."""

    path: str
    size: int
    mtime_ns: int

    def open(self) -> FileIO:
        file, at = _open(self.path)
        if (at.st_size, at.st_mtime_ns) != (self.size, self.mtime_ns):
            file.close()
            raise Unreadable("it changed while it was read")
        return file


Content: TypeAlias = bytes | VideoFile


def read(path: str) -> Content:
    """The whole file. Refuses what is no regular file now, whatever it was when it was listed."""
    try:
        file, at = _open(path)
        with file:
            head = file.read(formats.HEAD)
            if formats.of(head, os.path.splitext(path)[1].lower()) == formats.VIDEO:
                if (
                    0 < (file_attributes.allocated(at) or 0) < at.st_size // 2
                ):  # videos don't compress
                    raise Unreadable("mostly a hole: the file was never completely written")
                return VideoFile(path, at.st_size, at.st_mtime_ns)
            if at.st_size > MAX_BYTES:
                raise Unreadable(f"larger than {MAX_BYTES >> 20} MB")
            file.seek(0)
            return file.readall()
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror}") from None


def digest(content: Content) -> bytes:
    """BLAKE3, of a video in bounded memory. Raises `Unreadable` where its file fails or changes."""
    if isinstance(content, bytes):
        return content_hash.of_bytes(content)
    try:
        with content.open() as file:
            found = content_hash.of_file(file)
        content.open().close()
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror}") from None
    return found


def _open(path: str) -> tuple[FileIO, os.stat_result]:
    """Not blocked by a FIFO."""
    file = open(os.open(path, file_io.READ_FLAGS), "rb", buffering=0)  # noqa: SIM115  # the caller closes it
    at = os.fstat(file.fileno())
    if not stat.S_ISREG(at.st_mode):
        file.close()
        raise Unreadable("not a regular file")
    return file, at


def decode(data: Content, short_side: int, *, suffix: str = "") -> Decoded:
    """The picture, or the first of several. Raises `Unreadable`.

    A JPEG is decoded at a reduced scale, its short side no less than 2.5 * `short_side`. `suffix`
    (".nef") tells a RAW file from a TIFF.
    """
    return next(_pictures(data, short_side, suffix))


def frames(data: Content, short_side: int, *, suffix: str = "") -> Iterator[Decoded]:
    """All that speak for the file, at least one: some frames of a video, some pages of a TIFF.
    What moves in other formats shows its first frame. Raises `Unreadable` as `decode` does."""
    yield from _pictures(data, short_side, suffix)


def _pictures(data: Content, short_side: int, suffix: str) -> Iterator[Decoded]:
    kind = (
        formats.VIDEO if isinstance(data, VideoFile) else formats.of(data[: formats.HEAD], suffix)
    )
    if kind is None:
        raise Unreadable(
            "empty file" if not data else "not in a picture format that zeroshelf reads"
        )
    trouble = Unreadable(f"broken {kind} file: no pixel can be decoded")
    found = False
    try:
        for opened in _open_all(data, kind):
            yield _decode(opened, short_side)
            found = True
    except CutShort as error:
        trouble = error
    except Unreadable:
        if not found:
            raise
    except MemoryError:
        raise Unreadable("too large for this machine's memory") from None
    # A broken file makes a decoder raise anything: SyntaxError, struct.error, IndexError, ...
    except Exception as error:
        trouble = Unreadable(f"broken {kind} file: {_one_line(error)}")
    if not found:
        if isinstance(data, VideoFile):
            raise trouble
        yield _second_try(data, kind, short_side, trouble)


def _second_try(data: bytes, kind: str, short_side: int, trouble: Unreadable) -> Decoded:
    """A picture that Pillow refused: without its metadata, or by another decoder. Raises
    `trouble` where both refuse it too."""
    tried = {data}
    try:
        for simpler, turn in repairs.attempts(data, kind):
            if simpler in tried:
                continue
            tried.add(simpler)
            try:
                opened = next(openers.open_all(simpler, kind, _limit))
                return _decode(replace(opened, orientation=opened.orientation or turn), short_side)
            except (Unreadable, MemoryError) as error:
                if not isinstance(error, CutShort):
                    raise
            except Exception:  # as above: the next one may do
                continue
        if (unusual_one := scientific.open_unusual(data, kind, _limit)) is not None:
            return _decode(unusual_one, short_side)
    except Unreadable:
        raise  # too large, or an extra is missing
    except MemoryError:
        raise Unreadable("too large for this machine's memory") from None
    except Exception as error:
        raise Unreadable(f"broken {kind} file: {_one_line(error)}") from None
    raise trouble


def _open_all(data: Content, kind: str) -> Iterator[Opened]:
    if isinstance(data, VideoFile):
        return heif_raw_jxl_video.video(data.open, _limit)
    return openers.open_all(data, kind, _limit)


def _decode(opened: Opened, short_side: int) -> Decoded:
    image = opened.image
    width, height = image.size
    if width < 1 or height < 1:
        raise Unreadable("has no pixels")
    scale = 1
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        scale = _draft(image, _DRAFT * short_side)
        image.decodermaxblock = max(len(opened.data), 1)  # one call, not one each 64 KB
    elif isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
        # twice as large: its smaller pictures are sampled at the pixels' corners, not their middles
        scale = openers.jpeg2000_scale(image, opened.data, 2 * _DRAFT * short_side)
    progressive = "progressive" in image.info  # keeps every coefficient in memory, at any scale
    _limit(width, height, 1 if progressive else scale)
    note = opened.note
    try:
        image.load()
    except OSError:
        if not isinstance(image, ImageFile.ImageFile):
            raise
        image, note = _rescue(image, opened.data, short_side)
    # after loading: Pillow turns a TIFF by itself
    orientation = opened.orientation or _orientation(image)
    upright = _to_rgb(image)
    if orientation in _TRANSPOSE:
        upright = upright.transpose(_TRANSPOSE[orientation])
        if orientation >= 5:
            width, height = height, width
    return Decoded(upright, width, height, scale, note)


def _limit(width: int, height: int, scale: int = 1) -> None:
    if width * height // (scale * scale) > MAX_PIXELS:
        raise Unreadable(f"{width} x {height} pixels: more than the limit of {MAX_PIXELS:,}")


def _draft(image: JpegImagePlugin.JpegImageFile, least: float) -> int:
    """Ask libjpeg for the smallest scale whose short side is `least`; the factor that it took."""
    for scale in (8, 4, 2):
        if min(image.size) // scale >= least:
            size = (image.width // scale, image.height // scale)
            image.draft(None, size)  # None: keep the mode
            return scale
    return 1


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF is hostile text: what can't be read turns nothing
        return 1


def _rescue(image: ImageFile.ImageFile, data: bytes, short_side: int) -> tuple[Image.Image, str]:
    """What a truncated file still has, if that is most of it. Works on the decoder's own buffer:
    Pillow's switch for this is process-wide."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        # with an end marker libjpeg finishes the picture and leaves what is missing grey
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data + b"\xff\xd9"))
        _draft(image, _DRAFT * short_side)
        image.load()
    else:
        image.tile = []  # the rows so far lie in the buffer
    try:
        rows = np.asarray(image)
    except Exception:
        raise CutShort("broken or cut short: no pixel can be decoded") from None
    return image, note_on_rows(rows)


def _to_rgb(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode in ("I", "F") or mode.startswith("I;16"):
        return Image.fromarray(scaled(np.asarray(image))).convert("RGB")
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        # .convert("RGB") would show the colours that the transparency hides
        flat = Image.new("RGBA", image.size, _WHITE)
        flat.alpha_composite(image.convert("RGBA"))
        return flat.convert("RGB")
    return image.convert("RGB")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:120]
