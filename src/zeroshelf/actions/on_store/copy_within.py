"""Carries out a plan of copies within an object store, and goes on after a kill.

In batches: the intents of a batch are in the journal before its first copy, which the store makes
by itself. After a kill a look at the target tells whether a copy was made: it has the content of
its intent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeAlias

from zeroshelf.actions import journal
from zeroshelf.actions.journal import Journal
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.on_store import objects, opened
from zeroshelf.actions.on_store.objects import Found, Repeated, Store
from zeroshelf.actions.plan_file import PlanOnDisk
from zeroshelf.records import Action, Outcome, Progress

BATCH = 256  # actions whose intents share one fsync
THREADS = 16  # copies at once
# What became of an action, and the line for the journal that says so, if there is one.
_Result: TypeAlias = tuple[Outcome, dict[str, Any] | None]


def carry_out(
    record: str,
    planned: PlanOnDisk,
    take: Callable[[Outcome], object],
    progress: Progress | None = None,
) -> None:
    """Carry out the plan of the run in `record`; each outcome is given to `take`, in the plan's
    order. Raises `UserError` where nothing can be done at all."""
    plan = planned.plan
    store = opened.store_of(plan.destination, plan.endpoint)
    store.check(plan.destination)
    with (
        journal.working(record, plan.destination, plan.destination) as book,
        ThreadPoolExecutor(THREADS, thread_name_prefix="copies") as pool,
    ):
        begin = {"begin": "apply", "from": plan.folder, "to": plan.destination}
        book.sync([begin if store.endpoint is None else begin | {"endpoint": store.endpoint}])
        count, whole, actions = 0, True, iter(planned)
        copies = _Copies(store, book, pool)
        while batch := list(islice(actions, BATCH)):
            for outcome in copies.make(batch):
                whole &= outcome.status in ("done", "already")
                take(outcome)
            count += len(batch)
            if progress:
                progress("applying", count, len(planned))
        book.sync([{"end": "applied" if whole else "partly"}])


def done_event(target: str, there: Found) -> dict[str, Any]:
    """The journal's line for a copy that was made."""
    event: dict[str, Any] = {"done": target, "stamp": _stamp(there), "etag": there.etag}
    return event if there.version is None else event | {"version": there.version}


def _stamp(there: Found) -> tuple[int, int]:
    """Size, and when it was written, in nanoseconds since 1970; 0 where the store doesn't tell."""
    return there.size, 1_000_000_000 * (there.second or 0)


def is_written(entry: Entry, there: Found) -> bool:
    """Whether the object at a target is still the copy that the journal says was made: also not an
    equal one that was written later, as far as the store tells when or which version."""
    if entry.stamp is None:
        return False
    written = entry.stamp, entry.etag, entry.version
    return written == (_stamp(there), there.etag, there.version)


class _Copies:
    """The copies of one run."""

    def __init__(self, store: Store, book: Journal, pool: ThreadPoolExecutor) -> None:
        self._store, self._book, self._pool = store, book, pool
        self._folders: set[str] = set()  # that exist, or whose making is in the journal

    def make(self, batch: Sequence[Action]) -> list[Outcome]:
        """Look, journal, copy. The outcomes in the order of the batch."""
        results: dict[str, _Result] = {}
        todo: list[tuple[Action, Found]] = []
        for action, found in zip(batch, self._pool.map(self._look, batch), strict=True):
            if isinstance(found, Found):
                todo.append((action, found))
            else:
                results[action.target] = found
        self._book.sync(
            [*self._folder_events(todo), *(journal.intent(action) for action, _ in todo)]
        )
        copied = self._pool.map(self._copy, todo)
        for (action, _), result in zip(todo, copied, strict=True):
            results[action.target] = result
        for _, event in results.values():
            if event is not None:
                self._book.note(event)
        return [results[action.target][0] for action in batch]

    def _folder_events(self, todo: Sequence[tuple[Action, Found]]) -> Iterator[dict[str, str]]:
        for action, _ in todo:
            folder = action.target.rpartition("/")[0]
            if folder in self._folders:
                continue
            self._folders.add(folder)
            for missing in self._store.missing_folders(folder):
                if missing not in self._book.past.folders:
                    yield {"folder": missing}

    def _look(self, action: Action) -> Found | _Result:
        """The source, where it can be copied now; else what becomes of the action."""
        try:
            source, there = self._store.look(action.source), self._store.look(action.target)
            entry = self._book.past.entries.get(action.target)
            if there is not None:
                begun = entry is not None and entry.step != "reverted"
                if begun and self._is_ours(entry, source, there):
                    known = entry is not None and entry.step == "done"
                    event = None if known else done_event(action.target, there)
                    return Outcome(action, "already"), event
                return _refused(action, f"there is already something at {action.target}"), None
            if source is None:
                return _refused(action, "it no longer exists"), None
            if not objects.is_original(self._store, action, source):
                return _refused(action, "it has changed since the plan was made"), None
        except OSError as error:
            return _failed(action, error), None
        return source

    def _is_ours(self, entry: Entry | None, source: Found | None, there: Found) -> bool:
        if entry is None:
            return False
        if entry.stamp is not None:
            return is_written(entry, there)
        return objects.is_copy(self._store, entry.action, source, there)

    def _copy(self, job: tuple[Action, Found]) -> _Result:
        action, source = job
        reverted = {"reverted": action.target}
        try:
            try:
                self._store.copy(action.source, action.target, source)
            except Repeated:
                pass  # whether the first request made the copy is seen in its content
            except FileExistsError:
                if self._store.look(action.target) is None:  # the other condition: the source's
                    return _refused(action, "it has changed since the plan was made"), reverted
                why = f"there is already something at {action.target}"
                return _refused(action, why), reverted
            return self._checked(action, source)
        except OSError as error:  # it may have been made all the same: the intent stays
            return _failed(action, error), None

    def _checked(self, action: Action, source: Found) -> _Result:
        """Look at the copy: its size, and its content by the etag or, where that doesn't tell, by
        its bytes."""
        there = self._store.look(action.target)
        if there is None:
            return Outcome(action, "failed", "the store made no copy"), None
        if there.is_of_content(source) or objects.is_copy(self._store, action, source, there):
            return Outcome(action, "done"), done_event(action.target, there)
        now = self._store.look(action.source)
        if now is not None and now != source and there.is_of_content(now):
            self._store.delete(action.target, there)
            why = "it has changed while it was copied"
            return _refused(action, why), {"reverted": action.target}
        return Outcome(action, "failed", f"{action.target} is not what was copied"), None


def _refused(action: Action, why: str) -> Outcome:
    return Outcome(action, "refused", why)


def _failed(action: Action, error: OSError) -> Outcome:
    return Outcome(action, "failed", error.strerror or str(error))
