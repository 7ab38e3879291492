"""Hands over what an undo can't finish to other runs: folders to remove, and times to restore.

Two runs that sort into one folder share its shelves. The run that made a shelf can't remove it
while files of the other are in it, and the other doesn't know that a run made the shelf. So the run
that is undone first writes the folders to remove once they are empty, and the times to restore,
into the journal of each run that is applied and not undone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence

from zeroshelf.actions import journal
from zeroshelf.actions.journal import Journal, Past
from zeroshelf.errors import UserError
from zeroshelf.system import folder_identity, mounts, uris


def hand_over(record: str, folders: Sequence[str], times: Mapping[str, int]) -> None:
    """To every other run beside the one in `record`, whose lock is held and which is being undone.

    `folders`: made by it, or handed to it, and still there; `times`: path of a folder -> its
    mtime_ns before the run. What can't be handed over is left: an empty folder at worst.
    """
    here = journal.folders(record)
    if here is None or not (folders or times):
        return
    real = {os.path.realpath(path): mtime_ns for path, mtime_ns in times.items()}
    for other, there in _others(record):
        if any(all(mounts.is_elsewhere(two, one) for one in here) for two in there):
            continue  # a network drive that may not answer: nothing of ours is there
        with contextlib.suppress(OSError, UserError, ValueError, TypeError):
            past = journal.read_folders(other)
            events = list(_events(past, there[1], folders, real))
            if not events:
                continue
            if any(folder_identity.overlap(one, two) for one in here for two in there):
                book = Journal(other)  # our own lock keeps everybody out
                try:
                    _write(book, events)
                finally:
                    book.close()
            else:
                with journal.working(other, *there) as book:
                    _write(book, events)


def _others(record: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """The runs beside it that are not undone: record, and folder and destination."""
    root, own = os.path.split(record)
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = sorted(set(os.listdir(root)) - {own})
    for name in names:
        other = os.path.join(root, name)
        there = None
        with contextlib.suppress(OSError, UserError):  # no run, or one of a newer version
            if journal.state(other) in ("applied", "partly"):
                there = journal.folders(other)
        if there is not None and not uris.is_uri(there[1]):  # a store has no folders
            yield other, there


def _events(
    past: Past, destination: str, folders: Sequence[str], times: Mapping[str, int]
) -> Iterator[dict[str, object]]:
    """What the run of `past`, which sorts into `destination`, doesn't know yet."""
    known = {os.path.realpath(path): path for path in past.times}
    given = {path: known[path] for path in times if path in known}
    for folder in folders:
        if folder_identity.overlap(folder, destination):
            if folder not in past.folders:
                yield {"folder": folder}
            above = os.path.realpath(os.path.dirname(folder))
            if above in times:
                given.setdefault(above, above)
    for path, theirs in given.items():
        mtime_ns = _earlier(times[path], past.times.get(theirs, times[path]))
        if mtime_ns != past.times.get(theirs):
            yield {"inherited": theirs, "mtime_ns": mtime_ns}


def _earlier(one: int, other: int) -> int:
    """Of two times of a folder the one from before both runs. A change sets it to the present, so
    one in the future was there first, and else the older one."""
    first, last = sorted((one, other))
    return last if last > time.time_ns() else first


def _write(book: Journal, events: Sequence[dict[str, object]]) -> None:
    """And the run's end again, which is to be a journal's last line."""
    book.sync([*events, {"end": book.past.state}])
