"""Whether there is room for what will be copied, on every file system that gets some of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from functools import cache

from zeroshelf.actions import transfer
from zeroshelf.counting import counted
from zeroshelf.errors import UserError
from zeroshelf.system import mounts


def check(ways: Iterable[tuple[str, str, int]], *, moving: bool, advice: str) -> None:
    """Each way is a file, its new path and its size in bytes; what is moved within a file system
    needs no room. Raises `UserError` with `advice` where one lacks it.

    A mount point or a linked folder may lie anywhere below the folder and the destination, so the
    file system is looked up for every folder involved.
    """

    @cache
    def there(folder: str) -> tuple[int, str]:
        above = transfer.existing_parent(folder)
        return os.stat(above).st_dev, above

    need: Counter[int] = Counter()
    places: dict[int, str] = {}
    for source, target, size in ways:
        device, place = there(os.path.dirname(target))
        if not moving or there(os.path.dirname(source))[0] != device:
            need[device] += size
            places.setdefault(device, place)
    for device, size in need.items():
        free = mounts.free_bytes(places[device])
        if free is not None and size > free:
            needed = counted(size, "byte is", "bytes are")
            raise UserError(
                f"{needed} needed in {places[device]}, and {free:,} free there: {advice}"
            )
