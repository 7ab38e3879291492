"""Which folders the app may look into: those that the user allowed when starting it, and what lies
below them. Every path of a request goes through `Allowed.check` before anything is asked of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from zeroshelf.errors import UserError
from zeroshelf.images import formats, left_out
from zeroshelf.system import file_names, path_spelling

MOST_FOLDERS = 2000  # listed of one folder
_PICTURES = formats.PICTURE_SUFFIXES | formats.VIDEO_SUFFIXES | formats.RAW_SUFFIXES


@dataclass(frozen=True, slots=True)
class Listing:
    """One folder, as it is shown to choose from."""

    path: str
    above: str | None  # the folder that it lies in; None where that is not allowed
    folders: tuple[str, ...]  # names of the folders in it, without those that a scan leaves out
    pictures: int  # files in it that are named like pictures or videos; those below don't count
    cut: bool  # it has more folders than are listed


class Allowed:
    """roots: absolute paths of the folders that the user allows."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._given = tuple(dict.fromkeys(os.path.normpath(root) for root in roots))
        self.roots = tuple(dict.fromkeys(os.path.realpath(root) for root in roots))

    def check(self, path: str) -> str:
        """The real path of a folder or of what will be one. Raises `UserError` where it is not in
        an allowed folder, also if only a link in it leads out. A path that by its letters is
        elsewhere is never looked up: on Windows, looking up \\\\server\\share logs in there."""
        parts = path_spelling.slashed(path).split("/")
        if "\0" in path or not os.path.isabs(path) or ".." in parts:
            raise UserError('give the whole path of a folder, without ".."')
        if not self._is_inside(os.path.normpath(path), (*self._given, *self.roots)):
            raise self._refusal(path)
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):  # a name that can't be one here
            raise self._refusal(path) from None
        if not self._is_inside(real, self.roots):
            raise self._refusal(path)
        return real

    def folder(self, path: str) -> str:
        """As `check`, for a folder that exists."""
        real = self.check(path)
        if not os.path.isdir(real):
            raise UserError(f"{path} is no folder, or it no longer exists")
        return real

    def listing(self, path: str) -> Listing:
        """What is in a folder. Raises `UserError` where it is not allowed or can't be read."""
        here = self.folder(path)
        try:
            with os.scandir(here) as entries:
                found = list(entries)
        except OSError as error:
            raise UserError(f"{here} can't be read: {error.strerror}") from None
        names = {entry.name for entry in found}
        folders = sorted(
            (
                entry.name
                for entry in found
                if self._is_folder(entry) and not left_out.of_folder(entry.name, here, names)
            ),
            key=lambda name: (name.casefold(), name),
        )
        pictures = sum(
            os.path.splitext(name)[1].lower() in _PICTURES and not name.startswith(".")
            for name in names
        )
        above = os.path.dirname(here)
        return Listing(
            here,
            above if above != here and self._is_inside(above, self.roots) else None,
            tuple(folders[:MOST_FOLDERS]),
            pictures,
            len(folders) > MOST_FOLDERS,
        )

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        """Whether it is a folder that may be opened. A link is followed, but not out."""
        try:
            if not entry.is_symlink():
                return entry.is_dir()
            return entry.is_dir() and self._is_inside(os.path.realpath(entry.path), self.roots)
        except OSError:
            return False

    @staticmethod
    def _is_inside(path: str, roots: Sequence[str]) -> bool:
        return any(path == root or file_names.inside(path, root) for root in roots)

    def _refusal(self, path: str) -> UserError:
        return UserError(
            f"{path} is not in a folder that this app may open ({', '.join(self.roots)}): start it "
            "with `zeroshelf app --allow DIR` to allow another one"
        )
