"""Finds files on a shelf that programs would take for files of one picture, by their names.

`a.jpg` from one folder and `a.cr2` with `a.xmp` from another are three files that a photo program
shows as one picture with edits, and exiftool would restore an `a.jpg_original` over any `a.jpg`.
"""

from __future__ import annotations

import os
from collections import defaultdict

from zeroshelf.images import formats
from zeroshelf.images.companion_names import beginnings, key

_PLAIN = formats.PICTURE_SUFFIXES - formats.RAW_SUFFIXES


class Kin:
    """The names in one folder, with a lookup of those that would look related to another name."""

    def __init__(self) -> None:
        # beginning of a name -> the folders that such files come from, and are they plain pictures
        self._by_beginning: dict[str, set[tuple[str | None, bool]]] = defaultdict(set)

    def add(self, name: str, folder: str | None) -> None:
        """A file that is there (`folder` is None) or comes there from `folder`."""
        plain = os.path.splitext(name)[1].lower() in _PLAIN
        for beginning in beginnings(key(name)):
            self._by_beginning[beginning].add((folder, plain))

    def has(self, name: str, folder: str, with_companions: bool) -> bool:
        """True where a picture that comes from `folder` would, under this name, be one with what
        comes from elsewhere. Two plain pictures, `a.jpg` and `a.png`, are nothing of each other."""
        whole = key(name)
        known = self._by_beginning
        alike = known.get(os.path.splitext(whole)[0], set()) | known.get(whole, set())
        return any(other != folder and (with_companions or not plain) for other, plain in alike)
