"""When, with what and where all pictures of a session were taken, for the page's filters.

The files are read only once somebody opens the filters, in a thread beside the page: a folder of
100,000 must not be read because its page was opened.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from zeroshelf.actions import kinds, shelf_paths
from zeroshelf.errors import UserError
from zeroshelf.images import photo_facts
from zeroshelf.images.photo_facts import PhotoFacts
from zeroshelf.review import one_picture
from zeroshelf.review.session import Session


class PhotoFilter:
    """The facts of all pictures, once they are read. May be asked from several threads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._done = 0
        self._table: dict[str, Any] | None = None

    def table(self) -> dict[str, Any]:
        """How many files were read of how many; and when all were, by month, camera and place the
        values that occur, and for each row the number of its value, -1 where it has none. The first
        call begins to read."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="dates", daemon=True)
                self._thread.start()
        return {"done": self._done, "total": len(self._session)} | (self._table or {})

    def wait(self) -> None:
        """Return when all files are read, if reading was begun."""
        if self._thread is not None:
            self._thread.join()

    def _read(self) -> None:
        session = self._session
        moved: dict[str, str] | None = None
        facts = []
        for picture in session.first.pictures:
            path = picture.path
            if kinds.of(session.planned.kind).takes_away and not os.path.exists(path):
                if moved is None:
                    moved = _moved(session)
                path = moved.get(path, path)
            facts.append(photo_facts.of_file(path, picture.size, picture.mtime_ns))
            self._done += 1
        self._table = {name: _numbered([of(one) for one in facts]) for name, of in _BY.items()}


def _moved(session: Session) -> dict[str, str]:
    try:
        return one_picture.moved(session)
    except UserError:
        return {}


def _month(facts: PhotoFacts) -> str | None:
    return None if facts.taken is None else f"{facts.taken.year:04}-{facts.taken.month:02}"


def _place(facts: PhotoFacts) -> str | None:
    return None if facts.place is None else shelf_paths.place(facts)


_BY: dict[str, Callable[[PhotoFacts], str | None]] = {
    "taken": _month,
    "camera": lambda facts: facts.camera,
    "place": _place,
}


def _numbered(values: Sequence[str | None]) -> dict[str, Any]:
    known = sorted({value for value in values if value is not None})
    number = {value: at for at, value in enumerate(known)}
    return {
        "values": known,
        "rows": [-1 if value is None else number[value] for value in values],
    }
