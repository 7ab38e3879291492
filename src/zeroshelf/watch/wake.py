"""Waiting for the next look, shorter where the system tells that something has changed.

An event is a hint: it wakes the loop, and its content is not used. Network drives tell nothing, and
a system can watch only so many folders; then every look comes when its time has come.
"""

from __future__ import annotations

import logging
import threading
from typing import Any


class Waiter:
    """Sleeps until its time is over or something changes below a folder.

    Events need the package watchdog (`pip install zeroshelf[watch]`).
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._changed = threading.Event()
        self._observer: Any = None

    def __call__(self, seconds: float) -> None:
        if self._observer is None or not self._observer.is_alive():
            self.start()
        self._changed.wait(seconds)
        self._changed.clear()

    def start(self) -> bool:
        """Ask for events; False where there are none to be had. Called again after the folder was
        away."""
        try:
            from watchdog import events
            from watchdog.observers import Observer
        except ImportError:
            return False
        changed = self._changed

        class Handler(events.FileSystemEventHandler):
            def on_any_event(self, event: Any) -> None:
                changed.set()

        self.stop()
        _silence(logging.getLogger("watchdog"))
        wanted = [  # and not what our own reading opens and closes
            getattr(events, what + did)
            for what in ("File", "Dir")
            for did in ("CreatedEvent", "ModifiedEvent", "MovedEvent")
        ]
        observer = Observer()
        try:
            observer.schedule(Handler(), self._folder, recursive=True, event_filter=wanted)
            observer.start()
        except (OSError, RuntimeError):  # the folder is away, or there are too many folders
            return False
        self._observer = observer
        return True

    def stop(self) -> None:
        """Ask for no more events."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
            self._observer = None


def _silence(logger: logging.Logger) -> None:
    """Lost events cost nothing here, and neither does a thread that is told to stop while it reads.
    Without a handler of its own Python prints what a logger says."""
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
