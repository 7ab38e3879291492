"""The folders of the shelves while a plan is carried out: noted in the journal, made, checked."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping, Sequence

from zeroshelf.actions import kinds
from zeroshelf.actions.journal import Past
from zeroshelf.actions.tags import tagging
from zeroshelf.records import Action
from zeroshelf.system import file_names


class ShelfFolders:
    """The folders below `destination`. `past` is kept up to date by the run's journal."""

    def __init__(self, destination: str, past: Past) -> None:
        self._destination = destination
        self._past = past
        self._inside: set[str] = set()  # folders that were found to be inside the destination

    def events(
        self, todo: Sequence[Action], changes: Mapping[str, tagging.Changes]
    ) -> Iterator[dict[str, object]]:
        """For the journal, before `todo` is carried out: folders that will be made, and the times
        of those whose entries will change. `changes`: by target, see `Kind.prepare`."""
        past = self._past
        seen: set[str] = set()
        needed = [(os.path.dirname(action.target), action) for action in todo]
        for action in todo:
            if change := changes.get(action.target):
                folders = kinds.of(action.kind).folders_of(change)
                needed += [(folder, action) for folder in folders]
        for place, action in needed:
            shelf = place
            missing: list[str] = []
            while shelf not in seen and not os.path.isdir(shelf):
                seen.add(shelf)
                missing.append(shelf)
                shelf = os.path.dirname(shelf)
            touched = [shelf]
            if kinds.of(action.kind).takes_away:
                touched.append(os.path.dirname(action.source))
            for folder in touched:
                if folder not in seen and folder not in past.folders and folder not in past.times:
                    seen.add(folder)
                    with contextlib.suppress(OSError):  # the action fails with the reason
                        yield {"times": folder, "mtime_ns": os.stat(folder).st_mtime_ns}
            for folder in reversed(missing):
                yield {"folder": folder}

    def make(self, folder: str) -> None:
        """Make a shelf's folder, where there is none. Raises OSError, also where a link leads out
        of the destination."""
        if folder in self._inside:
            return
        os.makedirs(folder, exist_ok=True)
        inside, root = os.path.realpath(folder), os.path.realpath(self._destination)
        if inside != root and not file_names.inside(inside, root):
            raise OSError(errno.EPERM, "the shelf is a link that leads out of the destination")
        self._inside.add(folder)
