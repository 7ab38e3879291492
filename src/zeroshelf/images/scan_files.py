"""A folder, or single files, as a program names them -> a `Folder`. Companions of single files are
found beside them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from zeroshelf import checks
from zeroshelf.errors import ArgumentError, UserError
from zeroshelf.images import scan
from zeroshelf.records import Folder, Picture, Skipped


def folder_of(given: object, exclude: Sequence[str], leave_out: Collection[str]) -> Folder:
    """The pictures of a folder, or those of a list of files.

    exclude, leave_out: as for `scan.scan`, for a folder.

    Raises `ArgumentError` where these are given with a list, and what the two functions raise.
    """
    if isinstance(given, (str, bytes, os.PathLike)) or not hasattr(given, "__iter__"):
        folder: Any = given  # what is no path is refused there
        return scan.scan(scan.root_of(folder), exclude=exclude, leave_out=leave_out)
    if exclude or leave_out:
        raise ArgumentError("exclude and leave_out are for a folder: leave them out of a list")
    return scan_files(checks.paths(given, "folder"))


def scan_files(paths: Iterable[str]) -> Folder:
    """The pictures among `paths`, each once; its root is the folder that all of them lie in.

    What is no picture, a link, or missing is `Skipped` with a reason. Of a folder that has some of
    the files all files are looked at, since a companion may belong to several pictures.

    Raises `UserError` where there is no path, or where the paths have no folder in common, as on
    two drives of Windows.
    """
    wanted = list(dict.fromkeys(os.path.abspath(os.path.expanduser(path)) for path in paths))
    if not wanted:
        raise UserError("no files: give the paths of some pictures, or a folder")
    try:
        root = os.path.commonpath([os.path.dirname(path) for path in wanted])
    except ValueError:
        raise UserError("the files lie on several drives: make an index of each drive") from None
    found = scan.Found()
    for folder in dict.fromkeys(os.path.dirname(path) for path in wanted):
        try:
            with os.scandir(folder) as entries:
                files = [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # each of its files is skipped below
        scan.look_at(files, root, False, found)
    pictures = {picture.path: picture for picture in found.pictures}
    reasons = {one.path: one.reason for one in found.skipped}
    skipped = [Skipped(path, _reason(path, reasons)) for path in wanted if path not in pictures]
    return Folder(
        root=root,
        pictures=_sorted([pictures[path] for path in wanted if path in pictures]),
        skipped=tuple(sorted(skipped, key=lambda one: os.fsencode(one.path))),
    )


def _sorted(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    return tuple(sorted(pictures, key=lambda picture: os.fsencode(picture.path)))


def _reason(path: str, reasons: dict[str, str]) -> str:
    if path in reasons:
        return reasons[path]
    if not os.path.lexists(path):
        return "the file doesn't exist"
    if os.path.isdir(path):
        return "a folder, not a file"
    return "a link: give the path that it leads to" if os.path.islink(path) else "no picture"
