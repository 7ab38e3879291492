"""What runs from the watched folder onto the same shelves have done, or have left unfinished."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from zeroshelf.actions import apply, journal, kinds
from zeroshelf.errors import UserError
from zeroshelf.records import Outcome
from zeroshelf.runs import registry, request
from zeroshelf.runs.registry import RunRecord
from zeroshelf.system import file_names, folder_identity

MEMORY = timedelta(days=30)  # how long files that belong to a sorted picture are expected

File: TypeAlias = tuple[str, int, int]  # path, bytes, mtime_ns


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that a run put on a shelf."""

    source: str  # where it was in the watched folder
    target: str  # where the run put it, or where it is now
    label: str
    size: int  # of the source, in bytes; with the next
    mtime_ns: int
    companion_of: str | None  # the source of its picture, where it belongs to one


class PastRuns:
    """The runs of one folder and one destination. What a record says is read once, and again when
    its journal has grown."""

    def __init__(self, folder: str, destination: str) -> None:
        self._folder, self._destination = folder, destination
        self._known: dict[str, tuple[object, frozenset[File]]] = {}
        self._placed: dict[str, tuple[object, dict[str, list[Placed]]]] = {}
        self._moved: dict[str, tuple[object, dict[str, str]]] = {}

    def dealt_with(self) -> set[File]:
        """The files in the watched folder that are not to be sorted (again): originals of copies
        and links, and what a user's undo has put back. A file that has changed since is another
        one."""
        found: set[File] = set()
        for run in self._runs():
            stamp = _stamp(run.record)
            if stamp is None:
                continue
            if run.id not in self._known or self._known[run.id][0] != stamp:
                self._known[run.id] = stamp, frozenset(_dealt_with(run.record))
            found |= self._known[run.id][1]
        return found

    def placed(self, folder: str) -> dict[str, Placed]:
        """What runs of the last `MEMORY` took from the folder `folder` itself and put on shelves,
        by its path there: of several of one path the newest."""
        found: dict[str, Placed] = {}
        oldest = datetime.now().astimezone() - MEMORY
        for run in self._runs():
            stamp = _stamp(run.record)
            if stamp is None or not run.may_be_in_place or run.when < oldest:
                continue
            if run.id not in self._placed or self._placed[run.id][0] != stamp:
                self._placed[run.id] = stamp, _placed(run.record)
            for one in self._placed[run.id][1].get(folder, ()):
                found.setdefault(one.source, one)
        return found

    def where_now(self, placed: Placed) -> Placed | None:
        """The same file, where a later run may have moved it on from one shelf to another; None
        where it is not there any more."""
        target, seen = placed.target, set[str]()
        while not os.path.lexists(target):
            if target in seen:
                return None
            seen.add(target)
            target = self._moves().get(target, target)
        return replace(placed, target=target)

    def _moves(self) -> dict[str, str]:
        """From -> to, of files that runs moved out of a folder below the destination."""
        found: dict[str, str] = {}
        for run in registry.all():
            if not isinstance(run, RunRecord) or not run.may_be_in_place:
                continue
            if not file_names.inside(run.folder, self._destination):
                continue
            stamp = _stamp(run.record)
            if stamp is not None and self._moved.get(run.id, (None,))[0] != stamp:
                self._moved[run.id] = stamp, dict(_moves(run.record))
            for source, target in self._moved.get(run.id, (None, {}))[1].items():
                found.setdefault(source, target)
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


def _stamp(record: str) -> tuple[int, int] | None:
    """The state of a run's journal; None where it has none."""
    try:
        at = os.stat(os.path.join(record, journal.NAME))
    except OSError:
        return None
    return at.st_size, at.st_mtime_ns


def _placed(record: str) -> dict[str, list[Placed]]:
    """Folder -> what a run put on shelves from there."""
    found: dict[str, list[Placed]] = {}
    for _, entry in journal.read(record).entries.each():
        action, kind = entry.action, kinds.KINDS.get(entry.action.kind)
        if entry.step == "done" and kind is not None and kind.plannable:
            found.setdefault(os.path.dirname(action.source), []).append(
                Placed(
                    action.source,
                    action.target,
                    action.label,
                    action.size,
                    action.mtime_ns,
                    action.companion_of,
                )
            )
    return found


def _moves(record: str) -> Iterator[tuple[str, str]]:
    for _, entry in journal.read(record).entries.each():
        kind = kinds.KINDS.get(entry.action.kind)
        if entry.step == "done" and kind is not None and kind.plannable and kind.takes_away:
            yield entry.action.source, entry.action.target


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
