"""The originals that a run keeps of pictures with tags in their own files: listed and removed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from zeroshelf.actions import journal
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.system import renaming


def of(record: str) -> dict[str, int]:
    """The originals that the run in `record` keeps: path -> size in bytes."""
    found = {}
    for entry in _entries(journal.read(record)):
        assert entry.edit is not None
        with contextlib.suppress(OSError):
            found[entry.edit.backup] = os.lstat(entry.edit.backup).st_size
    return found


def drop(record: str) -> tuple[int, list[tuple[str, str]]]:
    """Remove them; how many went, and (path, reason) of those that stay. One whose picture is gone
    may be all that is left of it, so it stays. Raises `UserError` where a run is at work there."""
    folders = journal.folders(record)
    if folders is None:
        return 0, []
    gone, left = 0, []
    with journal.working(record, *folders) as book:
        for entry in _entries(book.past):
            assert entry.edit is not None
            backup = entry.edit.backup
            if not os.path.lexists(backup):
                continue
            if not os.path.isfile(entry.action.target):
                left.append(
                    (backup, f"{entry.action.target} no longer exists: this is the only copy")
                )
                continue
            try:
                renaming.remove(backup)
                gone += 1
            except OSError as error:
                left.append((backup, error.strerror or str(error)))
            with contextlib.suppress(OSError):  # the folder is not empty
                os.rmdir(os.path.dirname(backup))
                os.rmdir(os.path.dirname(os.path.dirname(backup)))
    return gone, left


def _entries(past: journal.Past) -> Iterator[Entry]:
    return (entry for _, entry in past.entries.each(edited=True) if entry.step != "reverted")
