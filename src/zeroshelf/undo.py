"""Puts back what a run did, the last thing first, and leaves alone what has changed since.

Removes a copy or a link only while the original is there; never overwrites what lies at an old
place; removes only folders that the run made; restores the times of the folders it touched.
"""

from __future__ import annotations

import contextlib
import os
from typing import Literal, TypeAlias

from zeroshelf.errors import UserError
from zeroshelf.files import earlier, journal, space, tagging, transfer
from zeroshelf.files.journal import Entry, Journal
from zeroshelf.records import Outcome, Progress

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
        return []  # nothing was ever begun
    with journal.working(record, *folders) as book:
        done = (entry for entry in book.past.entries.values() if entry.step != "reverted")
        if any(entry.stamp for entry in done) and not os.path.isdir(folders[1]):
            raise UserError(
                f"{folders[1]} is not there: connect its drive and undo again; if you removed it, "
                "there is nothing left to undo"
            )
        return _undo(book, progress)


def _undo(book: Journal, progress: Progress | None) -> list[Outcome]:
    standing = [entry for entry in book.past.entries.values() if entry.step != "reverted"]
    # what was removed is made again from its original, once that is back: first, seen from the end
    entries = sorted(standing, key=lambda entry: entry.action.kind != earlier.KIND)
    back = [entry.action for entry in entries if entry.action.kind == "move"]
    again = [entry.action for entry in entries if entry.action.made_by == "copy"]
    advice = "make room, then undo again"
    space.check(((a.target, a.source, a.size) for a in back), moving=True, advice=advice)
    space.check(((a.source, a.target, a.size) for a in again), moving=False, advice=advice)
    book.sync([{"begin": "undo"}])
    outcomes: list[Outcome] = []  # newest first
    for start in range(0, len(entries), BATCH):
        batch = entries[::-1][start : start + BATCH]
        book.sync({"revert": entry.action.target} for entry in batch)
        for entry in batch:
            try:
                status, reason = _ALREADY if book.is_undone_elsewhere(entry) else revert(entry)
                outcomes.append(Outcome(entry.action, status, reason))
            except OSError as error:
                outcomes.append(Outcome(entry.action, "failed", error.strerror or str(error)))
            if outcomes[-1].status in ("done", "already"):
                book.note({"reverted": entry.action.target})
        if progress:
            progress("undoing", len(outcomes), len(entries))
    left = [o for o in outcomes if o.status in ("refused", "failed")]
    book.sync()  # what is reverted is known before a folder goes
    _restore_folders(book, left)
    book.sync([{"end": "partly" if left else "undone"}])
    return outcomes[::-1]


def revert(entry: Entry) -> _Answer:
    """One action back, if nothing has changed since. Raises OSError where the file system can't."""
    action = entry.action
    if action.kind in tagging.KINDS:
        why_not = tagging.revert(entry)
        return ("refused", why_not) if why_not else _DONE
    if action.kind == earlier.KIND:
        why_not = earlier.put_back(action)
        return ("refused", why_not) if why_not else _DONE
    if entry.stamp is None:
        transfer.discard(transfer.part_of(action.target))
    if action.kind == "move":
        return _move_back(entry)
    if not transfer.exists(action.target):
        return _ALREADY
    why_not = _why_copy_stays(entry) if action.kind == "copy" else _why_link_stays(entry)
    if why_not:
        return "refused", why_not
    os.unlink(action.target)
    return _DONE


def _why_copy_stays(entry: Entry) -> str | None:
    if not _is_ours(entry):
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


def _move_back(entry: Entry) -> _Answer:
    action = entry.action
    transfer.discard(transfer.part_of(action.source))
    there, back = transfer.exists(action.target), transfer.exists(action.source)
    if not there:
        return _ALREADY if back else ("refused", "it is gone from its old and its new place")
    if back:
        # a move across file systems that was stopped before its last step, or a stranger
        if _is_ours(entry) and transfer.same_content(action.target, action.source):
            os.unlink(action.target)
            return _DONE
        return "refused", f"something lies at {action.source} now"
    if not _is_ours(entry):
        return "refused", "it has changed since it was moved"
    os.makedirs(os.path.dirname(action.source), exist_ok=True)
    transfer.move(action.target, action.source)
    return _DONE


def _is_ours(entry: Entry) -> bool:
    """The target as the run left it. A kill may have come before the journal knew its stamp."""
    at = os.lstat(entry.action.target)
    if entry.stamp is not None:
        return (at.st_size, at.st_mtime_ns) == entry.stamp
    if entry.action.kind == "move":
        return (at.st_size, at.st_mtime_ns) == (entry.action.size, entry.action.mtime_ns)
    return transfer.is_result(entry.action, entry.action.target)


def _original_is_there(entry: Entry) -> bool:
    try:
        at = os.stat(entry.action.source)
    except FileNotFoundError:
        return False
    return (at.st_size, at.st_mtime_ns) == (entry.action.size, entry.action.mtime_ns)


def _restore_folders(book: Journal, left: list[Outcome]) -> None:
    """Folders that the run made go, if nothing is in them; others get their old times again, if
    nothing of the run stays in them."""
    unsettled = {os.path.dirname(outcome.action.target) for outcome in left}
    unsettled |= {os.path.dirname(o.action.source) for o in left if o.action.kind == "move"}
    for folder in reversed(book.past.folders):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:
            unsettled.add(os.path.dirname(folder))
    for folder, mtime_ns in book.past.times.items():
        if folder not in unsettled:
            with contextlib.suppress(OSError):
                os.utime(folder, ns=(os.stat(folder).st_atime_ns, mtime_ns))
