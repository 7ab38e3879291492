"""Puts back what a run did, the last thing first, and leaves alone what has changed since.

Removes a copy or a link only while the original is there; never overwrites what lies at an old
place; removes only folders that the run made; restores the times of the folders it touched.
"""

from __future__ import annotations

import os

from zeroshelf.actions import disk_space, handover, journal, kinds, transfer
from zeroshelf.actions.journal import Entry, Journal
from zeroshelf.actions.kinds.base import ALREADY, Answer
from zeroshelf.actions.tags import tagging
from zeroshelf.corrections import stored
from zeroshelf.errors import UserError
from zeroshelf.records import Outcome, Progress
from zeroshelf.system import file_versions

BATCH = 256


def undo(record: str, progress: Progress | None = None) -> list[Outcome]:
    """One outcome an action that was begun, in the order in which they were begun. May be called
    again: after a kill, or once what stood in the way is gone. Raises `UserError` where the
    shelves' folder is not there: a drive that is not plugged in looks like shelves removed."""
    folders = journal.folders(record)
    if folders is None:
        if not os.path.isdir(record):
            raise UserError(
                f"the run's record {record} no longer exists: without it the run can't be undone"
            )
        return []  # nothing was ever begun
    with journal.working(record, *folders) as book:
        done = (entry for entry in book.past.entries.values() if entry.step != "reverted")
        if any(entry.stamp for entry in done) and not os.path.isdir(folders[1]):
            raise UserError(
                f"{folders[1]} is not there: connect its drive and undo again; if you removed it, "
                "there is nothing left to undo"
            )
        return _undo(record, book, progress)


def _undo(record: str, book: Journal, progress: Progress | None) -> list[Outcome]:
    standing = [entry for entry in book.past.entries.values() if entry.step != "reverted"]
    # what was removed is made again from its original, once that is back: first, seen from the end
    entries = sorted(standing, key=lambda entry: not kinds.of(entry.action.kind).undone_last)
    leads = {entry.action.source: entry for entry in entries if not entry.action.companion_of}
    rooms = (kinds.of(entry.action.kind).room_to_revert(entry) for entry in entries)
    disk_space.check(room for room in rooms if room is not None)
    book.sync([{"begin": "undo"}])
    outcomes: list[Outcome] = []  # newest first
    for start in range(0, len(entries), BATCH):
        batch = entries[::-1][start : start + BATCH]
        book.sync({"revert": entry.action.target} for entry in batch)
        for entry in batch:
            try:
                lead = leads.get(entry.action.companion_of or "")
                gone = book.is_undone_elsewhere(entry)
                status, reason = ALREADY if gone else revert(entry, lead)
                outcomes.append(Outcome(entry.action, status, reason))
            except file_versions.NewerFile as newer:  # the journal of the run that made it
                outcomes.append(Outcome(entry.action, "refused", str(newer)))
            except OSError as error:
                outcomes.append(Outcome(entry.action, "failed", error.strerror or str(error)))
            if outcomes[-1].status in ("done", "already"):
                book.note({"reverted": entry.action.target})
        if progress:
            progress("undoing", len(outcomes), len(entries))
    left = [o for o in outcomes if o.status in ("refused", "failed")]
    book.sync()  # what is reverted is known before a folder goes
    restored = [pair for e in entries if e.step == "reverted" and (pair := tagging.digests(e))]
    stored.moved((after, before) for before, after in restored)
    still_there = _restore_folders(book, left)
    handover.hand_over(record, still_there, book.past.times)
    book.sync([{"end": "partly" if left else "undone"}])
    return outcomes[::-1]


def revert(entry: Entry, lead: Entry | None = None) -> Answer:
    """Take one action back, if nothing has changed since. `lead`: of a companion, its picture's
    entry. Raises OSError where the file system can't."""
    return kinds.of(entry.action.kind).revert(entry, lead)


def _restore_folders(book: Journal, left: list[Outcome]) -> list[str]:
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
