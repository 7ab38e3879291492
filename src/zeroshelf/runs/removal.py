"""Removing the records of runs that are no longer needed. No picture is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta

from zeroshelf.actions import journal, kinds, lock, originals
from zeroshelf.errors import UserError
from zeroshelf.runs import edit_log, registry
from zeroshelf.runs.registry import RunRecord

_REMOVED = ".removed-"  # begins the name of a record that is being removed


def removable(days: float, *, keep: int = 0, applied: bool = False) -> list[RunRecord]:
    """The runs, newest first, whose records are no longer needed.

    Those that were undone or never carried out, that began `days` ago or earlier, and that are not
    among the newest `keep` of all runs. With `applied` also runs whose files are in place; without
    its record such a run can't be undone.
    """
    before = datetime.now().astimezone() - timedelta(days=days)
    return [
        run
        for run in list(registry.all())[keep:]
        if isinstance(run, RunRecord)  # one of a newer version may be needed for an undo
        and run.when <= before
        and (applied or run.state not in registry.IN_PLACE)
    ]


def size(run: RunRecord) -> int:
    """Bytes of all files in the run's record."""
    total = 0
    for folder, _, files in os.walk(run.record):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def has_edits(run: RunRecord) -> bool:
    """Whether the run's record has edits of a review."""
    with contextlib.suppress(OSError):
        return os.path.getsize(os.path.join(run.record, edit_log.NAME)) > 0
    return False


def remove(found: Sequence[RunRecord]) -> list[tuple[RunRecord, str]]:
    """Delete the records of these runs. Returns those that could not be deleted, with the reason.

    Raises `UserError`, with nothing removed, while a run is at work on the folders of one of them
    or one of them is under review. A record is renamed before its files are deleted: a stop in
    between leaves no run that looks whole.
    """
    if not found:
        return []
    left = []
    folders = {folder for run in found for folder in (run.folder, run.destination)}
    records = [run.record for run in found]
    with contextlib.ExitStack() as held:
        locks, reviews = (os.path.join(registry.root(), name) for name in ("locks", "reviews"))
        held.enter_context(lock.hold(locks, "remove", *sorted(folders)))
        try:
            held.enter_context(lock.hold(reviews, "remove", *records))
        except UserError:
            raise UserError("one of these runs is under review: close that page first") from None
        for run in found:
            if journal.state(run.record) != run.state:
                left.append((run, "it was carried out or undone meanwhile"))
                continue
            kind = kinds.KINDS.get(run.kind)
            if (kind is None or kind.keeps_originals) and originals.of(run.record):
                why = f"it keeps originals: `zeroshelf originals {run.id} --drop` or undo it first"
                left.append((run, why))
                continue
            hidden = os.path.join(registry.root(), _REMOVED + run.id)
            try:
                os.rename(run.record, hidden)
            except OSError as error:
                left.append((run, error.strerror or str(error)))
        for name in os.listdir(registry.root()):
            if name.startswith(_REMOVED):  # also what an earlier stop left
                shutil.rmtree(os.path.join(registry.root(), name), ignore_errors=True)
    return left
