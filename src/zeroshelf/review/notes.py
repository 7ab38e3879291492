"""Which of a run's notes the user has put away: a small file beside the plan, so that a note that
was read once doesn't come back after a reload or in another tab."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable

NAME = "notes-put-away.json"
MOST = 1000  # notes that are remembered


class PutAway:
    """The notes of the run with this record that were put away. A file that can't be read or
    written costs no more than that they are shown again."""

    def __init__(self, record: str) -> None:
        self._path = os.path.join(record, NAME)
        self._lock = threading.Lock()
        self.notes: list[str] = []  # in the order in which they were put away
        with contextlib.suppress(OSError, ValueError):
            with open(self._path, encoding="ascii") as file:
                found = json.load(file)
            if isinstance(found, list):
                self.notes = [note for note in found if isinstance(note, str)]

    def add(self, notes: Iterable[str]) -> None:
        """Put further notes away."""
        with self._lock:
            self.notes = list(dict.fromkeys((*self.notes, *notes)))[-MOST:]
            beside = f"{self._path}.part"
            with contextlib.suppress(OSError):
                with open(beside, "w", encoding="ascii") as file:
                    json.dump(self.notes, file)
                os.replace(beside, self._path)
