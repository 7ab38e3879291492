"""The names in a shelf's folder: which are taken, and which files programs would take for files of
one picture.

`a.jpg` from one folder and `a.cr2` with `a.xmp` from another are three files that a photo program
shows as one picture with edits, and exiftool would restore an `a.jpg_original` over any `a.jpg`.
"""

from __future__ import annotations

import os
from typing import TypeAlias

from zeroshelf.actions.path_table import PathTable
from zeroshelf.images import formats
from zeroshelf.images.companion_names import beginnings, key
from zeroshelf.system import file_names

# folder that a file comes from (None: it is there already), whether it is a plain picture
_Origin: TypeAlias = tuple[str | None, bool]
# whether a file has the name itself, and the origins of those whose names begin so
_Known: TypeAlias = tuple[bool, frozenset[_Origin]]
_NOTHING: _Known = False, frozenset()
_PLAIN = formats.PICTURE_SUFFIXES - formats.RAW_SUFFIXES


class Kin:
    """The names in one folder, with a lookup of those that would look related to another name."""

    def __init__(self) -> None:
        # The keys of the names, and the beginnings of the names -> a place in `_different`: what is
        # known of them. A million names are known in a few different ways.
        self._places = PathTable()
        self._different: list[_Known] = []
        self._place_of: dict[_Known, int] = {}  # in `_different`

    def add(self, name: str, folder: str | None) -> None:
        """A file that is there (`folder` is None) or comes there from `folder`."""
        origin = folder, os.path.splitext(name)[1].lower() in _PLAIN
        taken = file_names.key(name)
        whole = key(name)
        if taken != whole:
            self._learn(taken, True, None)
        for beginning in beginnings(whole):
            self._learn(beginning, beginning == taken, origin)

    def _learn(self, text: str, taken: bool, origin: _Origin | None) -> None:
        before = self._of(text)
        origins = before[1]
        if origin is not None and origin not in origins:
            origins |= {origin}
        known = taken or before[0], origins
        if known == before:
            return
        place = self._place_of.get(known)
        if place is None:
            place = self._place_of[known] = len(self._different)
            self._different.append(known)
        self._places.put(text, place)

    def _of(self, text: str) -> _Known:
        place = self._places.get(text)
        return _NOTHING if place is None else self._different[place]

    def is_taken(self, name: str) -> bool:
        """True where a common file system takes the name of a file here for the same one."""
        return self._of(file_names.key(name))[0]

    def has(self, name: str, folder: str, with_companions: bool) -> bool:
        """True where a picture that comes from `folder` would, under this name, be one with what
        comes from elsewhere. Two plain pictures, `a.jpg` and `a.png`, are nothing of each other."""
        whole = key(name)
        return any(
            other != folder and (with_companions or not plain)
            for text in (os.path.splitext(whole)[0], whole)
            for other, plain in self._of(text)[1]
        )
