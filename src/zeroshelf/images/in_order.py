"""Pictures that are found a folder at a time -> all of them in the order of their paths."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from zeroshelf.records import Picture
from zeroshelf.system import path_spelling, spooled
from zeroshelf.system.spooled import Spooled


class InOrder:
    """Takes the pictures of one folder after the other. The folders come in the order of their
    paths, each with a separator at its end: a folder's pictures lie around those of the folders in
    it ("a/b.jpg", "a/b/c.jpg", "a/c.jpg"), so that some have to wait."""

    def __init__(self) -> None:
        self._pictures = spooled.records(Picture)
        self._waiting: list[tuple[str, Picture]] = []  # a heap

    def add(self, folder: str, pictures: Iterable[Picture]) -> None:
        """`folder`: with a separator at its end."""
        start = path_spelling.in_order(folder)
        while self._waiting and self._waiting[0][0] < start:
            self._pictures.append(heapq.heappop(self._waiting)[1])
        for picture in pictures:
            heapq.heappush(self._waiting, (path_spelling.in_order(picture.path), picture))

    def all(self) -> Spooled[Picture]:
        """Those of all folders; nothing can be added after that."""
        while self._waiting:
            self._pictures.append(heapq.heappop(self._waiting)[1])
        return self._pictures
