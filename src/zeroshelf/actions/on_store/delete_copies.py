"""Takes back the copies that a run made within an object store, the last first.

A copy goes only while it is what was written, and while its original is there. No other object is
touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from zeroshelf.actions import journal
from zeroshelf.actions.journal import Journal
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.on_store import objects, opened
from zeroshelf.actions.on_store.copy_within import BATCH, THREADS, is_written
from zeroshelf.actions.on_store.objects import Found, Store
from zeroshelf.records import Outcome, Progress


def carry_out(
    record: str,
    destination: str,
    take: Callable[[Outcome], object],
    progress: Progress | None = None,
) -> None:
    """Undo the run in `record`, whose copies lie below the URI `destination`. Each outcome is given
    to `take`, the action that was begun last first. Raises `UserError` where nothing can be done at
    all."""
    store = opened.store_of(destination, journal.endpoint(record))
    store.check(destination)
    with (
        journal.working(record, destination, destination) as book,
        ThreadPoolExecutor(THREADS, thread_name_prefix="copies") as pool,
    ):
        book.sync([{"begin": "undo"}])
        entries = book.past.entries
        total, count, left = entries.count(but="reverted"), 0, 0
        standing = (e for _, e in entries.each(newest_first=True) if e.step != "reverted")
        while batch := list(islice(standing, BATCH)):
            book.sync({"revert": entry.action.target} for entry in batch)
            outcomes = pool.map(lambda entry: _delete(store, entry), batch)
            for outcome in outcomes:
                if outcome.status in ("done", "already"):
                    book.note({"reverted": outcome.action.target})
                else:
                    left += 1
                take(outcome)
            count += len(batch)
            if progress:
                progress("undoing", count, total)
        book.sync()
        _remove_folders(store, book)
        book.sync([{"end": "partly" if left else "undone"}])


def _delete(store: Store, entry: Entry) -> Outcome:
    """Take one copy back, if nothing has changed since."""
    action = entry.action
    try:
        store.tidy(action.target)
        there = store.look(action.target)
        if there is None:
            return Outcome(action, "already")
        source = store.look(action.source)
        if why := _why_it_stays(store, entry, source, there):
            return Outcome(action, "refused", why)
        try:
            store.delete(action.target, there)
        except FileNotFoundError:
            return Outcome(action, "already")
        except FileExistsError:  # changed since the look at it
            return Outcome(action, "refused", "the copy has changed since")
        return Outcome(action, "done")
    except OSError as error:
        return Outcome(action, "failed", error.strerror or str(error))


def _why_it_stays(store: Store, entry: Entry, source: Found | None, there: Found) -> str | None:
    action = entry.action
    ours = (
        objects.is_copy(store, action, source, there)
        if entry.stamp is None
        else is_written(entry, there)
    )
    if action.source == action.target or not ours:
        return "the copy has changed since"
    if not objects.is_original(store, action, source):
        return "the original no longer exists or has changed: its copy stays"
    return None


def _remove_folders(store: Store, book: Journal) -> None:
    """Folders that the run made go, if nothing is in them. An object store has none."""
    for folder in sorted(book.past.folders, key=len, reverse=True):
        with contextlib.suppress(OSError):
            store.remove_folder(folder)
