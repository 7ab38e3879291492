"""Checks that each file system has the free space that a plan or an undo needs on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from zeroshelf.actions import transfer
from zeroshelf.counting import counted
from zeroshelf.errors import UserError
from zeroshelf.system import mounts


@dataclass(frozen=True, slots=True)
class Room:
    """Disk space that an action needs: `size` bytes beside `target`."""

    source: str
    target: str
    size: int
    only_across: bool  # none where source and target lie on one file system
    advice: str  # what to do where it lacks, for the user


def check(rooms: Iterable[Room]) -> None:
    """Raises `UserError` with the advice of one of `rooms` where a file system lacks the space that
    they need together.

    A mount point or a linked folder may lie anywhere below the folder and the destination, so the
    file system is looked up for every folder involved.
    """

    @cache
    def there(folder: str) -> tuple[int, str]:
        above = transfer.existing_parent(folder)
        return os.stat(above).st_dev, above

    need: Counter[int] = Counter()
    first: dict[int, tuple[str, str]] = {}  # device -> a folder there, and advice
    for room in rooms:
        device, place = there(os.path.dirname(room.target))
        if not room.only_across or there(os.path.dirname(room.source))[0] != device:
            need[device] += room.size
            first.setdefault(device, (place, room.advice))
    for device, size in need.items():
        place, advice = first[device]
        free = mounts.free_bytes(place)
        if free is not None and size > free:
            needed = counted(size, "byte is", "bytes are")
            raise UserError(f"{needed} needed in {place}, and {free:,} free there: {advice}")
