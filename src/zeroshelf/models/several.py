"""One image tower on several devices of the same kind: whoever calls gets a free one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue

from zeroshelf.records import Pixels, Vectors


class Several:
    """Called by as many threads at once as there are towers, each device is kept busy; a thread
    more waits for the first device that is free."""

    def __init__(self, towers: Sequence[Callable[[Pixels], Vectors]]) -> None:
        self._free: SimpleQueue[Callable[[Pixels], Vectors]] = SimpleQueue()
        for tower in towers:
            self._free.put(tower)

    def __call__(self, pixels: Pixels) -> Vectors:
        tower = self._free.get()
        try:
            return tower(pixels)
        finally:
            self._free.put(tower)
