"""What runs from the watched folder onto the same shelves have done, or have left unfinished."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TypeAlias

from zeroshelf.actions import apply, journal, kinds
from zeroshelf.errors import UserError
from zeroshelf.records import Outcome
from zeroshelf.runs import registry, request
from zeroshelf.runs.registry import RunRecord
from zeroshelf.system import folder_identity

File: TypeAlias = tuple[str, int, int]  # path, bytes, mtime_ns


class PastRuns:
    """The runs of one folder and one destination. What a record says is read once, and again when
    its journal has grown."""

    def __init__(self, folder: str, destination: str) -> None:
        self._folder, self._destination = folder, destination
        self._known: dict[str, tuple[object, frozenset[File]]] = {}

    def dealt_with(self) -> set[File]:
        """The files in the watched folder that are not to be sorted (again): originals of copies
        and links, and what a user's undo has put back. A file that has changed since is another
        one."""
        found: set[File] = set()
        for run in self._runs():
            path = os.path.join(run.record, journal.NAME)
            try:
                at = os.stat(path)
            except OSError:
                continue
            stamp = at.st_size, at.st_mtime_ns
            if run.id not in self._known or self._known[run.id][0] != stamp:
                self._known[run.id] = stamp, frozenset(_dealt_with(run.record))
            found |= self._known[run.id][1]
        return found

    def unfinished(self) -> list[RunRecord]:
        """The runs of a watch whose apply was interrupted, the oldest first. An interrupted undo is
        the user's."""
        found = []
        for run in self._runs():
            if run.state != "partly" or not _is_of_watch(run.record):
                continue
            past = journal.read_folders(run.record)
            if past.last == ("apply", False):
                found.append(run)
        return found[::-1]

    def was_used(self) -> bool:
        """Whether a run put a file into the destination that was not taken back."""
        return any(
            entry.step == "done"
            for run in self._runs()
            if run.may_be_in_place
            for _, entry in journal.read(run.record).entries.each()
        )

    def _runs(self) -> Iterator[RunRecord]:
        for run in registry.all():
            if isinstance(run, RunRecord) and run.state != "planned":
                same = _is_one(run.folder, self._folder)
                if same and _is_one(run.destination, self._destination):
                    yield run


def resume(run: RunRecord) -> list[Outcome]:
    """Finish the apply of `run`. Raises `UserError` where that can't be done now."""
    return apply.apply(run.record)


def _is_of_watch(record: str) -> bool:
    try:
        return request.load(record).in_context
    except UserError:
        return False


def _dealt_with(record: str) -> Iterator[File]:
    past = journal.read(record)
    for _, entry in past.entries.each():
        action, kind = entry.action, kinds.KINDS.get(entry.action.kind)
        if kind is None or not kind.plannable:
            continue
        stays = entry.step == "done" and not kind.takes_away
        back = entry.step in ("revert", "reverted") and past.last[0] == "undo"
        if stays or back:
            yield action.source, action.size, action.mtime_ns


def _is_one(one: str, other: str) -> bool:
    return one == other or folder_identity.same(one, other)
