"""Finds files on a shelf that programs would take for files of one picture, by their names.

`a.jpg` from one folder and `a.cr2` with `a.xmp` from another are three files that a photo program
shows as one picture with edits, and exiftool would restore an `a.jpg_original` over any `a.jpg`.
"""

from __future__ import annotations

import os
from typing import TypeAlias

from zeroshelf.actions.path_table import PathTable
from zeroshelf.images import formats
from zeroshelf.images.companion_names import beginnings, key

# folder that a file comes from (None: it is there already), whether it is a plain picture
_Origins: TypeAlias = frozenset[tuple[str | None, bool]]
_NONE: _Origins = frozenset()
_PLAIN = formats.PICTURE_SUFFIXES - formats.RAW_SUFFIXES


class Kin:
    """The names in one folder, with a lookup of those that would look related to another name."""

    def __init__(self) -> None:
        # Beginning of a name -> a place in `_origins`: the folders that such files come from, and
        # are they plain pictures. A million names begin in a few different ways.
        self._by_beginning = PathTable()
        self._origins: list[_Origins] = []
        self._places: dict[_Origins, int] = {}  # in `_origins`

    def add(self, name: str, folder: str | None) -> None:
        """A file that is there (`folder` is None) or comes there from `folder`."""
        plain = os.path.splitext(name)[1].lower() in _PLAIN
        for beginning in beginnings(key(name)):
            before = self._of(beginning)
            origins = before | {(folder, plain)}
            if origins != before:
                self._by_beginning.put(beginning, self._place(origins))

    def _of(self, beginning: str) -> _Origins:
        place = self._by_beginning.get(beginning)
        return _NONE if place is None else self._origins[place]

    def _place(self, origins: _Origins) -> int:
        if origins not in self._places:
            self._places[origins] = len(self._origins)
            self._origins.append(origins)
        return self._places[origins]

    def has(self, name: str, folder: str, with_companions: bool) -> bool:
        """True where a picture that comes from `folder` would, under this name, be one with what
        comes from elsewhere. Two plain pictures, `a.jpg` and `a.png`, are nothing of each other."""
        whole = key(name)
        alike = self._of(os.path.splitext(whole)[0]) | self._of(whole)
        return any(other != folder and (with_companions or not plain) for other, plain in alike)
