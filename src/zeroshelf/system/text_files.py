"""Text files that the user wrote, in the encodings in which people's programs write them."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Literal

from zeroshelf.errors import UserError

_ENCODINGS = {  # by byte order mark; UTF-32 before UTF-16, which begins with the same bytes
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF8: "UTF-8-sig",
}
# The share of NUL characters that tells UTF-16 without a byte order mark: half of a text in Latin
# letters are such.
NULS = 0.25


def read(
    path: str | os.PathLike[str], errors: Literal["strict", "surrogateescape"] = "strict"
) -> str:
    """The text of the file at `path`: UTF-8, or UTF-16 or UTF-32 with a byte order mark, which is
    left out.

    errors: "surrogateescape" reads bytes that are no UTF-8 as surrogates, as in paths.

    Raises `UserError` where the file can't be read or isn't such text.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as trouble:  # ValueError: a NUL in the name
        reason = getattr(trouble, "strerror", None) or trouble
        raise UserError(f"{path}: can't be read ({reason})") from None
    encoding = next((_ENCODINGS[bom] for bom in _ENCODINGS if content.startswith(bom)), "UTF-8")
    name = encoding.removesuffix("-sig")
    try:
        text = content.decode(encoding, errors if name == "UTF-8" else "strict")
    except UnicodeDecodeError as trouble:
        raise UserError(
            f"{path}: isn't {name} text (byte {trouble.start}); save it as UTF-8"
        ) from None
    if text and text.count("\0") / len(text) > NULS:
        raise UserError(f"{path}: isn't {name} text, every other byte is 0; save it as UTF-8")
    return text


def is_text(text: str) -> bool:
    """False where it has bytes that are no UTF-8, read with `surrogateescape`."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
