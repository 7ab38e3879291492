"""The pictures of a folder that no earlier run has sorted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from zeroshelf.errors import NothingToSort, UserError
from zeroshelf.images import ignored, scan
from zeroshelf.records import Folder
from zeroshelf.runs import earlier


def find(
    root: str,
    *,
    exclude: Sequence[str],
    leave_out: Collection[str],
    warn: Callable[[str], object],
) -> Folder:
    """Scan the folder `root`, but not the shelves that earlier runs made in it.

    exclude, leave_out: as for `scan.scan`. warn: told of each of the scan's warnings.
    Raises `NothingToSort` if earlier runs sorted every picture, `UserError` if there are none.
    """
    found = scan.scan(root, exclude=exclude, leave_out={*leave_out, *earlier.destinations(root)})
    for warning in found.warnings:
        warn(warning)
    if found.pictures or found.skipped:
        return found
    passed_by = ignored.lines(found.ignored)
    left_out = "".join(f"; {line[0].lower()}{line[1:]}" for line in passed_by)
    if earlier.has_sorted(root):
        raise NothingToSort(f"nothing new to sort in {root}: earlier runs sorted it{left_out}")
    raise UserError(f"no pictures in {root}: give a folder that contains some{left_out}")
