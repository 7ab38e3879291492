"""One line of text in a picture, in any script: labels are the user's own words.

Pillow's built-in font draws Latin letters alone (Cyrillic, Greek, Chinese and so on come out as
equal empty boxes), Pillow looks for no fonts by itself, and a font of every script weighs more than
this package. So the built-in font is used wherever it has all letters, which looks the same on each
system, and else the font of the system that has the most of them.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from PIL import ImageDraw, ImageFont

from zeroshelf.system import machine

# File names of fonts with many letters begin so: of several scripts first, then one script each.
_FAMILIES = (
    "notosans-", "dejavusans.", "arialunicode", "arial.", "segoeui.", "freesans.", "notosanscjk",
    "sourcehan", "pingfang", "hiragino", "msyh", "msgothic", "malgun", "wqy", "nirmala",
    "leelawui", "ebrima", "notosans", "dejavu",
)  # fmt: skip
_OTHER_FACES = ("bold", "italic", "oblique", "light", "black", "condensed", "mono")


def write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: str,
    *,
    room: float | None = None,
) -> float:
    """Draw one line of text. Returns its end, in pixels from the left.

    place: the left end of the base line. size: of the letters, in pixels.
    room: the most pixels that the line may take; a longer one is cut and ends with an ellipsis.
    A letter that no font has becomes "?".
    """
    if room is not None and width(text, size) > room:
        while text and width(text + "…", size) > room:
            text = text[:-1]
        text = text.rstrip() + "…"
    drawn, font = _drawable(text, size)
    pen.text(place, drawn, colour, font, anchor="ls")
    return place[0] + font.getlength(drawn)


def width(text: str, size: int) -> float:
    """The pixels that `write` takes for `text`."""
    drawn, font = _drawable(text, size)
    return font.getlength(drawn)


def _drawable(text: str, size: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """The font for all of `text`, and the text with question marks for what that font lacks (its
    accents included) and for what can't be printed."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    letters = "".join(sorted(set(text) - {" "}))
    name = _best_font(letters)
    missing = _missing(name, letters)
    drawn: list[str] = []
    for c in text:
        if not unicodedata.category(c).startswith("M"):
            drawn.append("?" if c in missing else c)
        elif drawn[-1:] != ["?"]:  # an accent on a letter that is there
            drawn.append(c)
    return "".join(drawn), _font(name, size)


@lru_cache(maxsize=2048)
def _best_font(letters: str) -> str:
    """The path of the font that has the most of `letters`, the earliest of equal ones; "" is the
    built-in font."""
    best = ""
    for path in ("", *_installed()):
        if len(_missing(path, letters)) < len(_missing(best, letters)):
            best = path
        if not _missing(best, letters):
            break
    return best


def _missing(path: str, letters: str) -> set[str]:
    return {letter for letter in letters if not _has(path, letter)}


@lru_cache(maxsize=65_536)
def _has(path: str, letter: str) -> bool:
    """Whether the font draws another thing than the box of a character that doesn't exist."""
    try:
        font = _font(path, 20)
        missing, drawn = font.getmask("\U0010ffff"), font.getmask(letter)
    except OSError:  # a damaged font
        return False
    return (drawn.size, bytes(drawn)) != (missing.size, bytes(missing))


@lru_cache(maxsize=512)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """Raises OSError for a file that is no font."""
    font = ImageFont.truetype(path, size) if path else ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # as in every wheel of Pillow
    return font


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """The paths of the system's fonts of `_FAMILIES`, in that order: upright, of regular weight."""
    found: dict[str, str] = {}
    for folder in machine.font_folders():
        for place, _, names in os.walk(folder):
            for name in names:
                low = name.lower()
                if low.endswith((".ttf", ".ttc", ".otf")) and not any(
                    face in low for face in _OTHER_FACES
                ):
                    found.setdefault(low, os.path.join(place, name))
    return tuple(_in_order(found))


def _in_order(found: Mapping[str, str]) -> list[str]:
    every = sorted(found)
    chosen = [name for family in _FAMILIES for name in every if name.startswith(family)]
    return [found[name] for name in dict.fromkeys(chosen)]
