"""Puts back what a run did, the last thing first, and leaves alone what has changed since.

Removes a copy or a link only while the original is there; never overwrites what lies at an old
place; removes only folders that the run made; restores the times of the folders it touched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from zeroshelf.actions import disk_space, handover, journal, kinds, transfer
from zeroshelf.actions.disk_space import Room
from zeroshelf.actions.journal import Journal
from zeroshelf.actions.journal_entries import Entries, Entry
from zeroshelf.actions.kinds.base import ALREADY, Answer
from zeroshelf.actions.on_store import delete_copies
from zeroshelf.actions.path_table import PathTable
from zeroshelf.actions.tags import tagging
from zeroshelf.corrections import stored
from zeroshelf.errors import UserError
from zeroshelf.records import Outcome, Progress
from zeroshelf.system import file_versions, uris

BATCH = 256


def undo(record: str, progress: Progress | None = None) -> list[Outcome]:
    """One outcome an action that was begun, in the order in which they were begun. May be called
    again: after a kill, or once what stood in the way is gone. Raises `UserError` where the
    shelves' folder is not there: a drive that is not plugged in looks like shelves removed."""
    outcomes: list[Outcome] = []
    carry_out(record, outcomes.append, progress)
    return outcomes[::-1]


def carry_out(
    record: str, take: Callable[[Outcome], object], progress: Progress | None = None
) -> None:
    """As `undo`, with memory that doesn't grow with the run: each outcome is given to `take`, the
    action that was begun last first."""
    folders = journal.folders(record)
    if folders is None:
        if not os.path.isdir(record):
            raise UserError(
                f"the run's record {record} no longer exists: without it the run can't be undone"
            )
        return  # nothing was ever begun
    if uris.is_uri(folders[1]):
        delete_copies.carry_out(record, folders[1], take, progress)
        return
    with journal.working(record, *folders) as book:
        if not os.path.isdir(folders[1]) and any(
            entry.stamp and entry.step != "reverted" for _, entry in book.past.entries.each()
        ):
            raise UserError(
                f"{folders[1]} is not there: connect its drive and undo again; if you removed it, "
                "there is nothing left to undo"
            )
        _undo(record, book, take, progress)


def _undo(
    record: str, book: Journal, take: Callable[[Outcome], object], progress: Progress | None
) -> None:
    entries = book.past.entries
    standing = _Standing(entries)
    disk_space.check(standing.rooms())
    book.sync([{"begin": "undo"}])
    total, count = entries.count(but="reverted"), 0
    left: list[Outcome] = []
    restored: list[tuple[bytes, bytes]] = []
    newest_first = standing.newest_first()
    while batch := list(islice(newest_first, BATCH)):
        book.sync({"revert": entry.action.target} for entry in batch)
        for entry in batch:
            outcome = _one(entry, book, standing)
            if outcome.status in ("done", "already"):
                book.note({"reverted": entry.action.target})
                if pair := tagging.digests(entry):
                    restored.append(pair)
            else:
                left.append(outcome)
            take(outcome)
        count += len(batch)
        if progress:
            progress("undoing", count, total)
    book.sync()  # what is reverted is known before a folder goes
    stored.moved((after, before) for before, after in restored)
    still_there = _restore_folders(book, left)
    handover.hand_over(record, still_there, book.past.times)
    book.sync([{"end": "partly" if left else "undone"}])


def _one(entry: Entry, book: Journal, standing: _Standing) -> Outcome:
    """Take one action back."""
    try:
        lead = standing.lead(entry.action.companion_of)
        gone = book.is_undone_elsewhere(entry)
        status, reason = ALREADY if gone else revert(entry, lead)
        return Outcome(entry.action, status, reason)
    except file_versions.NewerFile as newer:  # the journal of the run that made it
        return Outcome(entry.action, "refused", str(newer))
    except OSError as error:
        return Outcome(entry.action, "failed", error.strerror or str(error))


@dataclass(slots=True)
class _Standing:
    """The actions of a journal that are not taken back yet when the undo begins."""

    entries: Entries
    _leads: PathTable = field(default_factory=PathTable)  # a picture's path -> its action's number
    _any_last: bool = False  # whether some are of a kind that is undone last
    _any_companion: bool = False

    def rooms(self) -> Iterator[Room]:
        """The space that taking them back needs. Has to be exhausted before anything else."""
        for _, entry in self._each():
            kind = kinds.of(entry.action.kind)
            self._any_last |= kind.undone_last
            self._any_companion |= entry.action.companion_of is not None
            if (room := kind.room_to_revert(entry)) is not None:
                yield room
        self._find_leads()

    def _find_leads(self) -> None:
        if not self._any_companion:
            return
        first, last = self._each(undone_last=True), self._each(undone_last=False)
        for number, entry in chain(first, last):
            if not entry.action.companion_of:
                self._leads.put(entry.action.source, number)

    def newest_first(self) -> Iterator[Entry]:
        """All of them, the last that was begun first. What was removed is made again from its
        original, once that is back: so the actions that are undone last come after all others."""
        yield from (e for _, e in self._each(undone_last=False, newest_first=True))
        if self._any_last:
            yield from (e for _, e in self._each(undone_last=True, newest_first=True))

    def lead(self, path: str | None) -> Entry | None:
        """The action of the picture at `path`; None without one."""
        number = None if path is None else self._leads.get(path)
        return None if number is None else self.entries.numbered(number)

    def _each(
        self, *, undone_last: bool | None = None, newest_first: bool = False
    ) -> Iterator[tuple[int, Entry]]:
        for number, entry in self.entries.each(newest_first=newest_first):
            if entry.step == "reverted":
                continue
            if undone_last in (None, kinds.of(entry.action.kind).undone_last):
                yield number, entry


def revert(entry: Entry, lead: Entry | None = None) -> Answer:
    """Take one action back, if nothing has changed since. `lead`: of a companion, its picture's
    entry. Raises OSError where the file system can't."""
    return kinds.of(entry.action.kind).revert(entry, lead)


def _restore_folders(book: Journal, left: Sequence[Outcome]) -> list[str]:
    """Folders that the run made go, if nothing is in them; others get their old times again, if
    nothing of the run stays in them. Those of the former that are still there."""
    unsettled = {os.path.dirname(outcome.action.target) for outcome in left}
    unsettled |= {
        os.path.dirname(o.action.source) for o in left if kinds.of(o.action.kind).takes_away
    }
    still_there = []
    for folder in sorted(book.past.folders, key=lambda path: path.count(os.sep), reverse=True):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:
            unsettled.add(os.path.dirname(folder))
            still_there.append(folder)
    for folder, mtime_ns in book.past.times.items():
        if folder not in unsettled:
            transfer.set_times(folder, mtime_ns)
    return still_there
