"""When, with what and where a picture was taken: what its EXIF data says, and nothing else.

Only a file's first part is read, by Pillow, and no pixel is decoded. What a file doesn't say is
None: its time stamps on the disk say when it was copied, not when it was taken, so they never stand
in for a date, and neither does the time at which a program changed it. Nothing is looked up: a
place is a pair of coordinates.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from PIL import (
    AvifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from zeroshelf.images import formats
from zeroshelf.records import Picture, Progress
from zeroshelf.system import file_io

_MAKE, _MODEL = 0x010F, 0x0110
_EXIF, _GPS = 0x8769, 0x8825
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_DATE = re.compile(
    r"\s*(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?"
)
LONGEST = 60  # characters of a camera's name
KEPT = 2_000_000  # pictures whose facts are kept in memory


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What one picture's file says about how it was taken; None where it doesn't."""

    taken: datetime | None = None  # by the camera's clock, without a time zone
    camera: str | None = None  # "Canon EOS R6", on one line
    place: tuple[float, float] | None = None  # latitude and longitude in degrees, WGS 84


NOTHING = PhotoFacts()
_known: dict[tuple[str, int, int], PhotoFacts] = {}  # by path, size and time: a file as it was read


def of(pictures: Iterable[Picture], progress: Progress | None = None) -> dict[str, PhotoFacts]:
    """The facts of each picture, by its path. Each file is read once in this process, as long as it
    stays the same. `progress` is called with the stage "dates and places"."""
    wanted = list(pictures)
    found = {}
    for number, picture in enumerate(wanted, 1):
        found[picture.path] = of_file(picture.path, picture.size, picture.mtime_ns)
        if progress and (number % 64 == 0 or number == len(wanted)):
            progress("dates and places", number, len(wanted))
    return found


def of_file(path: str, size: int, mtime_ns: int) -> PhotoFacts:
    """The facts of the file at `path`, of that size and time: `of` for one picture."""
    key = path, size, mtime_ns
    known = _known.get(key)
    if known is None:
        known = read(path)
        if known != NOTHING or os.path.exists(path):  # a drive may come back
            if len(_known) >= KEPT:
                _known.clear()
            _known[key] = known
    return known


def read(path: str) -> PhotoFacts:
    """What the file at `path` says. Never raises: EXIF is hostile text, and a file without any, a
    broken one or one that no longer exists says nothing."""
    try:
        with open(os.open(path, file_io.READ_FLAGS), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return NOTHING
            kind = formats.of(file.read(formats.HEAD), os.path.splitext(path)[1].lower())
            file.seek(0)
            opener = _OPENERS.get(kind or "")
            return NOTHING if opener is None else _from_exif(opener(file))
    except Exception:  # Pillow raises anything for a broken file
        return NOTHING


# The plugins themselves: `Image.open` refuses what has many pixels, and none is decoded here.


def _jpeg(file: IO[bytes]) -> Image.Exif:
    return JpegImagePlugin.JpegImageFile(file).getexif()


def _tiff(file: IO[bytes]) -> Image.Exif:
    return TiffImagePlugin.TiffImageFile(file).getexif()


def _png(file: IO[bytes]) -> Image.Exif:
    """Only of a block before the pixels: Pillow decodes them all to look behind them."""
    found = Image.Exif()
    found.load(PngImagePlugin.PngImageFile(file).info.get("exif", b""))
    return found


def _webp(file: IO[bytes]) -> Image.Exif:
    return WebPImagePlugin.WebPImageFile(file).getexif()


def _avif(file: IO[bytes]) -> Image.Exif:
    return AvifImagePlugin.AvifImageFile(file).getexif()


def _heif(file: IO[bytes]) -> Image.Exif:
    from pi_heif.as_plugin import HeifImageFile

    image: Image.Image = HeifImageFile(file)
    return image.getexif()


_OPENERS: dict[str, Callable[[IO[bytes]], Image.Exif]] = {
    "JPEG": _jpeg,
    "TIFF": _tiff,
    "PNG": _png,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIF": _heif,
    formats.RAW: _tiff,  # as most cameras write it
}


def _from_exif(exif: Image.Exif) -> PhotoFacts:
    details = _block(exif, _EXIF)
    dates = (details.get(_ORIGINAL), details.get(_DIGITIZED))
    return PhotoFacts(
        next((at for at in map(_date, dates) if at is not None), None),
        _camera(exif.get(_MAKE), exif.get(_MODEL)),
        _place(_block(exif, _GPS)),
    )


def _block(exif: Image.Exif, tag: int) -> Mapping[int, Any]:
    try:
        return exif.get_ifd(tag)
    except Exception:  # a broken block costs only itself
        return {}


def _date(value: object) -> datetime | None:
    """A date as cameras write it, "2024:05:01 12:33:00"; None for "0000:00:00" and other noise."""
    match = _DATE.match(_text(value))
    if match is None:
        return None
    try:
        found = datetime(*(int(part or 0) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    return found if found.year >= 1826 else None  # the first photograph


def _camera(make: object, model: object) -> str | None:
    """Maker and model, the maker once: "Canon" and "Canon EOS R6" are "Canon EOS R6"."""
    maker, name = _text(make), _text(model)
    if maker and not name.lower().startswith(maker.lower().split(" ")[0]):
        name = f"{maker} {name}"
    return name.strip()[:LONGEST].strip() or None


def _place(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    try:
        latitude, longitude = _degrees(gps[2]), _degrees(gps[4])
        south, west = _text(gps.get(1, "N")), _text(gps.get(3, "E"))
    except Exception:
        return None
    latitude = -latitude if south.upper().startswith("S") else latitude
    longitude = -longitude if west.upper().startswith("W") else longitude
    inside = abs(latitude) <= 90 and abs(longitude) <= 180
    if not inside or (latitude, longitude) == (0, 0):  # what a camera without reception writes
        return None
    return round(latitude, 6), round(longitude, 6)


def _degrees(parts: Any) -> float:
    """Degrees, minutes and seconds -> degrees."""
    numbers = [float(part) for part in parts][:3]
    found = math.fsum(number / 60**power for power, number in enumerate(numbers))
    if not numbers or not math.isfinite(found):
        raise ValueError("not a coordinate")
    return found


def _text(value: object) -> str:
    """A text of EXIF on one line, without what can't be shown."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    shown = "".join(c if c.isprintable() else " " for c in value.split("\0")[0])
    return " ".join(shown.split())
