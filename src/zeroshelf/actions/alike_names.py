"""Finds files on a shelf that programs would take for files of one picture, by their names.

`a.jpg` from one folder and `a.cr2` with `a.xmp` from another are three files that a photo program
shows as one picture with edits, and exiftool would restore an `a.jpg_original` over any `a.jpg`.
"""

from __future__ import annotations

import os
from typing import TypeAlias

from zeroshelf.images import formats
from zeroshelf.images.companion_names import beginnings, key

# folder that a file comes from (None: it is there already), whether it is a plain picture
_Origins: TypeAlias = frozenset[tuple[str | None, bool]]
_NONE: _Origins = frozenset()
_PLAIN = formats.PICTURE_SUFFIXES - formats.RAW_SUFFIXES


class Kin:
    """The names in one folder, with a lookup of those that would look related to another name."""

    def __init__(self) -> None:
        # beginning of a name -> the folders that such files come from, and are they plain pictures.
        # The sets are shared: a million names begin in a few different ways.
        self._by_beginning: dict[str, _Origins] = {}
        self._shared: dict[_Origins, _Origins] = {}

    def add(self, name: str, folder: str | None) -> None:
        """A file that is there (`folder` is None) or comes there from `folder`."""
        plain = os.path.splitext(name)[1].lower() in _PLAIN
        for beginning in beginnings(key(name)):
            origins = self._by_beginning.get(beginning, _NONE) | {(folder, plain)}
            self._by_beginning[beginning] = self._shared.setdefault(origins, origins)

    def has(self, name: str, folder: str, with_companions: bool) -> bool:
        """True where a picture that comes from `folder` would, under this name, be one with what
        comes from elsewhere. Two plain pictures, `a.jpg` and `a.png`, are nothing of each other."""
        whole = key(name)
        known = self._by_beginning
        alike = known.get(os.path.splitext(whole)[0], _NONE) | known.get(whole, _NONE)
        return any(other != folder and (with_companions or not plain) for other, plain in alike)
