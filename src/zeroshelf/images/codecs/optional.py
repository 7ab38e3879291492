"""Which optional decoders are installed. Found by the import system, without loading them."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from zeroshelf.images import formats

_LIBRARIES = {  # format: its library, the extra that installs it, its name in messages
    formats.RAW: ("rawpy", "raw", "RAW"),
    formats.JXL: ("imagecodecs", "jxl", "JPEG XL"),
    formats.JXR: ("imagecodecs", "codecs", "JPEG XR"),
    formats.VIDEO: ("av", "video", "video"),
}


@cache
def has(kind: str) -> bool:
    """True where pictures of this format can be read."""
    if kind == formats.UNREAD_VIDEO:
        return False
    return kind not in _LIBRARIES or find_spec(_LIBRARIES[kind][0]) is not None


@cache
def has_codecs(kind: str) -> bool:
    """True where variants of "TIFF" or "JPEG" can be read that Pillow has no decoder for."""
    needed = ("imagecodecs", "tifffile") if kind == "TIFF" else ("imagecodecs",)
    return all(find_spec(name) is not None for name in needed)


def advice(kind: str, name: str | None = None) -> str:
    """One line: what to install. `name`: what it reads, where that is only a part of the format."""
    _, extra, own_name = _LIBRARIES[kind]
    return _line(name or own_name, extra)


def codecs_advice(name: str) -> str:
    """The same for a variant that is called `name`: "12-bit JPEG"."""
    return _line(name, "codecs")


def _line(name: str, extra: str) -> str:
    return f'{name}: `pip install "zeroshelf[{extra}]"` reads it'


@cache
def installed() -> str:
    """The libraries that are there, as one word: what was refused without one is tried again."""
    names = ("av", "imagecodecs", "rawpy", "tifffile")
    return ",".join(name for name in names if find_spec(name) is not None)
