"""The new name of a companion when its picture is renamed."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator

_ORIGINAL = re.compile(r"img_o\d+")  # IMG_O1234.AAE: the edits of IMG_1234.HEIC
_SONY = re.compile(r"m\d\d\.")  # C0001M01.XML is about C0001.MP4
_SUPPLEMENT = re.compile(r"\.s(u(p(p[a-z-]*)?)?)?(\(\d+\))?$")  # Google's, however it was cut
_TAIL = re.compile(r" \(\d+\)$")


def key(name: str) -> str:
    """Equal for names that a common file system takes for the same."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).lower())


def beginnings(name: str) -> Iterator[str]:
    """A name, and what is left of it in front of each dot.

    >>> list(beginnings("a.jpg.xmp"))
    ['a.jpg.xmp', 'a.jpg', 'a']
    """
    while name:
        yield name
        name = name.rpartition(".")[0]


def renamed(companion: str, picture: str, new_picture: str) -> str:
    """The companion's name once its picture goes by another one, so that the program which made it
    finds it again. Names, not paths.

    >>> renamed("IMG_1.cr2.xmp", "IMG_1.jpg", "IMG_1 (2).jpg")
    'IMG_1 (2).cr2.xmp'
    >>> renamed("IMG_1_01.jpg.xmp", "IMG_1.jpg", "IMG_1 (2).jpg")
    'IMG_1 (2)_01.jpg.xmp'
    >>> renamed("IMG_1.jpg(1).json", "IMG_1(1).jpg", "IMG_1(1) (2).jpg")
    'IMG_1(1) (2).jpg.json'
    >>> renamed("IMG_O1.AAE", "IMG_1.HEIC", "IMG_1 (2).HEIC")
    'IMG_O1 (2).AAE'
    """
    if picture == new_picture:
        return companion
    stem, new_stem = os.path.splitext(picture)[0], os.path.splitext(new_picture)[0]
    rest = _after(companion, picture)
    if rest is not None and not rest[:1].isalnum():
        return new_picture + rest  # a.jpg.xmp, a.jpg_original
    rest = _after(companion, stem)
    if rest is not None and (not rest or rest[0] in "._~" or _SONY.match(rest.lower())):
        return new_stem + rest  # a.xmp, a.cr2.xmp, a_01.jpg.xmp, PXL_1.MP
    base, suffix = os.path.splitext(companion)
    if suffix.lower() == ".json":  # Google's; every program looks for these two first
        long = _SUPPLEMENT.search(base.lower())
        return f"{new_picture}{'.supplemental-metadata' if long else ''}{suffix}"
    if _ORIGINAL.fullmatch(base.lower()) and len(new_stem) > 4:
        return new_stem[:4] + companion[4] + new_stem[4:] + suffix
    number = _TAIL.search(new_stem)
    return base + (number[0] if number else "") + suffix


def _after(name: str, start: str) -> str | None:
    """What follows `start` in `name`, compared as `key` does; None where it doesn't begin so."""
    wanted = key(start)
    if name.isascii() or start.isascii():
        return name[len(start) :] if key(name[: len(start)]) == wanted else None
    for end in range(len(name) + 1):
        after = unicodedata.normalize("NFC", name[end : end + 2])
        whole = end == len(name) or not unicodedata.combining(
            unicodedata.normalize("NFD", after)[0]
        )
        if whole and key(name[:end]) == wanted:
            return name[end:]
    return None
