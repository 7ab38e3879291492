"""A folder, or single files, as a program names them -> a `Folder`. Companions of single files are
found beside them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from zeroshelf import checks
from zeroshelf.errors import ArgumentError, UserError
from zeroshelf.images import scan
from zeroshelf.images.in_order import InOrder
from zeroshelf.records import Folder, Picture, Skipped
from zeroshelf.system import path_spelling, spooled


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
    whole = (os.path.abspath(os.path.expanduser(path)) for path in paths)
    wanted = spooled.in_order(whole, str, lambda path: (path,), str)
    if not wanted:
        raise UserError("no files: give the paths of some pictures, or a folder")
    folders = {os.path.join(os.path.dirname(path), "") for path in wanted}
    try:
        root = os.path.commonpath(folders)
    except ValueError:
        raise UserError("the files lie on several drives: make an index of each drive") from None
    found, beside = scan.Found(), InOrder()
    for folder in sorted(folders, key=path_spelling.in_order):
        try:
            with os.scandir(folder) as entries:
                files = [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # each of its files is skipped below
        scan.look_at(files, root, False, found)
        beside.add(folder, found.pictures)
        found.pictures.clear()
    reasons = {one.path: one.reason for one in found.skipped}
    pictures, skipped = spooled.records(Picture), []
    for path, picture in _side_by_side(wanted, beside.all()):
        if picture is None:
            skipped.append(Skipped(path, _reason(path, reasons)))
        else:
            pictures.append(picture)
    return Folder(root=root, pictures=pictures, skipped=tuple(skipped))


def _side_by_side(
    wanted: Iterable[str], pictures: Iterable[Picture]
) -> Iterator[tuple[str, Picture | None]]:
    """Each path once, with its picture if there is one. Both come in the order of their paths."""
    others, picture = iter(pictures), None
    for path, _ in itertools.groupby(wanted):
        key = path_spelling.in_order(path)
        while picture is None or path_spelling.in_order(picture.path) < key:
            if (picture := next(others, None)) is None:
                break
        yield path, picture if picture is not None and picture.path == path else None


def _reason(path: str, reasons: dict[str, str]) -> str:
    if path in reasons:
        return reasons[path]
    if not os.path.lexists(path):
        return "the file doesn't exist"
    if os.path.isdir(path):
        return "a folder, not a file"
    return "a link: give the path that it leads to" if os.path.islink(path) else "no picture"
