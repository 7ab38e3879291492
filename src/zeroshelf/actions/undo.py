"""Puts back what a run did, the last thing first, and leaves alone what has changed since.

Removes a copy or a link only while the original is there; never overwrites what lies at an old
place; removes only folders that the run made; restores the times of the folders it touched.
"""

from __future__ import annotations

import os
import stat
from typing import Literal, TypeAlias

from zeroshelf.actions import disk_space, earlier_runs, handover, journal, transfer
from zeroshelf.actions.journal import Entry, Journal
from zeroshelf.actions.tags import tagging
from zeroshelf.corrections import stored
from zeroshelf.errors import UserError
from zeroshelf.records import Outcome, Progress
from zeroshelf.system import renaming

BATCH = 256
_Answer: TypeAlias = tuple[Literal["done", "already", "refused"], str]
_DONE: _Answer = ("done", "")
_ALREADY: _Answer = ("already", "")


def undo(record: str, progress: Progress | None = None) -> list[Outcome]:
    """One outcome an action that was begun, in the order in which they were begun. May be called
    again: after a kill, or once what stood in the way is gone. Raises `UserError` where the
    shelves' folder is not there: a drive that is not plugged in looks like shelves removed."""
    folders = journal.folders(record)
    if folders is None:
        if not os.path.isdir(record):
            raise UserError(f"the run's record {record} is gone: nothing can be undone without it")
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
    entries = sorted(standing, key=lambda entry: entry.action.kind != earlier_runs.KIND)
    back = [entry.action for entry in entries if _needs_room(entry)]
    again = [entry.action for entry in entries if entry.action.made_by == "copy"]
    leads = {entry.action.source: entry for entry in entries if not entry.action.companion_of}
    advice = "make room, then undo again"
    disk_space.check(((a.target, a.source, a.size) for a in back), moving=True, advice=advice)
    disk_space.check(((a.source, a.target, a.size) for a in again), moving=False, advice=advice)
    book.sync([{"begin": "undo"}])
    outcomes: list[Outcome] = []  # newest first
    for start in range(0, len(entries), BATCH):
        batch = entries[::-1][start : start + BATCH]
        book.sync({"revert": entry.action.target} for entry in batch)
        for entry in batch:
            try:
                lead = leads.get(entry.action.companion_of or "")
                gone = book.is_undone_elsewhere(entry)
                status, reason = _ALREADY if gone else revert(entry, lead)
                outcomes.append(Outcome(entry.action, status, reason))
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


def _needs_room(entry: Entry) -> bool:
    """False where only a copy is to be removed: a move that was stopped before its last step."""
    if entry.action.kind != "move":
        return False
    try:
        return not transfer.exists(entry.action.source)
    except OSError:
        return True


def revert(entry: Entry, lead: Entry | None = None) -> _Answer:
    """One action back, if nothing has changed since. `lead`: of a companion, its picture's. Raises
    OSError where the file system can't."""
    action = entry.action
    if action.kind in tagging.KINDS:
        why_not = tagging.revert(entry)
        return ("refused", why_not) if why_not else _DONE
    if action.kind == earlier_runs.KIND:
        why_not = earlier_runs.put_back(action)
        return ("refused", why_not) if why_not else _DONE
    if entry.stamp is None:
        transfer.discard(transfer.part_of(action.target))
    if action.kind == "move":
        return _move_back(entry, lead)
    if not transfer.exists(action.target):
        return _ALREADY
    why_not = _why_copy_stays(entry, lead) if action.kind == "copy" else _why_link_stays(entry)
    if why_not:
        return "refused", why_not
    renaming.remove(action.target)
    return _DONE


def _why_copy_stays(entry: Entry, lead: Entry | None) -> str | None:
    if not is_ours(entry, lead):
        return "the copy has changed since"
    if not _original_is_there(entry):
        return "the original is gone or has changed: its copy stays"
    return None


def _why_link_stays(entry: Entry) -> str | None:
    if not transfer.exists(entry.action.source):
        return "the original is gone: what leads to it stays"
    if not transfer.is_result(entry.action, entry.action.target):
        return "something else lies there now"
    return None


def _move_back(entry: Entry, lead: Entry | None) -> _Answer:
    action = entry.action
    transfer.discard(transfer.part_of(action.source))
    there, back = transfer.exists(action.target), transfer.exists(action.source)
    if not there:
        return _ALREADY if back else ("refused", "it is gone from its old and its new place")
    if back:
        # a move across file systems that was stopped before its last step, or another file
        if transfer.same_content(action.target, action.source) and is_ours(entry, lead):
            renaming.remove(action.target)
            return _DONE
        return "refused", f"something lies at {action.source} now"
    if not is_ours(entry, lead):
        return "refused", "it has changed since it was moved"
    os.makedirs(os.path.dirname(action.source), exist_ok=True)
    transfer.move(action.target, action.source, action.mtime_ns, entry.mode)
    return _DONE


def is_ours(entry: Entry, lead: Entry | None = None) -> bool:
    """The target as the run left it. A kill may have come before the journal knew its stamp. Where
    only the time differs the content is compared: a file system may keep times to two seconds, or
    not at all, or show all of them an hour later in summer. Raises OSError where it can't be seen.
    """
    action = entry.action
    if entry.stamp is None and action.kind == "copy":
        return transfer.is_result(action, action.target)
    at = os.lstat(action.target)
    size, mtime_ns = entry.stamp or (action.size, action.mtime_ns)
    if at.st_size != size or not stat.S_ISREG(at.st_mode):
        return False
    by_ns = at.st_mtime_ns - mtime_ns
    return not by_ns or _has_its_content(entry, lead, by_ns)


def _has_its_content(entry: Entry, lead: Entry | None, by_ns: int) -> bool:
    """The target, whose time differs `by_ns` from what it was, by the best that is known of it."""
    action = entry.action
    if action.digest is not None:
        return transfer.digest(action.target) == action.digest
    if entry.fingerprint is not None:
        return transfer.fingerprint(action.target) == entry.fingerprint
    if transfer.exists(action.source):
        return transfer.same_content(action.target, action.source)
    return lead is not None and _is_shifted(lead, by_ns)


def _is_shifted(lead: Entry, by_ns: int) -> bool:
    """True where the picture's time differs by as much, and its content not at all."""
    action = lead.action
    if lead.stamp is None or action.digest is None or not transfer.exists(action.target):
        return False
    off = os.lstat(action.target).st_mtime_ns - lead.stamp[1] - by_ns
    return abs(off) <= transfer.SLACK_NS and transfer.digest(action.target) == action.digest


def _original_is_there(entry: Entry) -> bool:
    action = entry.action
    try:
        at = os.stat(action.source)
    except FileNotFoundError:
        return False
    if at.st_size != action.size:
        return False
    if at.st_mtime_ns == action.mtime_ns:
        return True
    if action.digest is not None:
        return transfer.digest(action.source) == action.digest
    return transfer.same_content(action.source, action.target)


def _restore_folders(book: Journal, left: list[Outcome]) -> list[str]:
    """Folders that the run made go, if nothing is in them; others get their old times again, if
    nothing of the run stays in them. Those of the former that are still there."""
    unsettled = {os.path.dirname(outcome.action.target) for outcome in left}
    unsettled |= {os.path.dirname(o.action.source) for o in left if o.action.kind == "move"}
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
