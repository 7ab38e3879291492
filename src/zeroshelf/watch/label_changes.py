"""A labels file that is changed while its folder is watched."""

from __future__ import annotations

import os
from dataclasses import replace

from zeroshelf.labels import labels_file
from zeroshelf.watch.settings import Settings, checked


class LabelChanges:
    """settings: those of the start, with `labels_file` or without."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.labels_file
        self._read = self._seen = self._state()

    def look(self, now: Settings) -> Settings | None:
        """The settings with the labels that the file has now; None where they are those of `now`,
        or where the file is missing or was still written at the last look. Raises `UserError`,
        once, where the file can't be used."""
        before, self._seen = self._seen, self._state()
        if self._seen is None or self._seen != before or self._seen == self._read:
            return None
        self._read = self._seen
        assert self._path is not None
        changed = checked(replace(now, labels=labels_file.read(self._path)))
        return None if changed.labels == now.labels else changed

    def _state(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            at = os.stat(self._path)
        except OSError:
            return None
        return at.st_size, at.st_mtime_ns
