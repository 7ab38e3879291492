"""Saved runs: the list of them, what each will do or did, its review page, apply and undo.

A run that is reviewed has one `Session`, which the app keeps open until it ends; apply and undo go
through it then, so that both pages show the same.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from zeroshelf.actions import apply, journal, kinds, plan, plan_file, undo
from zeroshelf.app import wording
from zeroshelf.app.allowed import Allowed
from zeroshelf.app.jobs import Stopped
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, ActionKind, Outcome, Plan, Progress
from zeroshelf.review.app import page
from zeroshelf.review.jobs import Jobs
from zeroshelf.review.session import Session
from zeroshelf.run import Run, shown
from zeroshelf.run.shown import ShownRun
from zeroshelf.runs import edit_log, registry, removal
from zeroshelf.runs.registry import NewerRun, RunRecord

LISTED = 200  # runs
SHOWN = 50  # files that were left alone, listed with their reason
OFFERED = kinds.offered()  # by the app


@dataclass(frozen=True, slots=True)
class _Open:
    """A run under review."""

    session: Session
    jobs: Jobs
    page: ASGIApp


class RunPages:
    """allowed: what a run's folders must lie in, to be opened, carried out or undone."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._lock = threading.RLock()
        self._writing = threading.Lock()  # a report
        self._open: dict[str, _Open] = {}
        self._written: dict[str, int] = {}  # the version of a session at which its report was made
        self._left: dict[str, list[tuple[str, str]]] = {}  # of the last apply or undo
        # of the open runs, works begun and state, as `changed_folders` saw them last
        self._states: dict[str, tuple[int, str]] = {}

    # --- opening and closing ----------------------------------------------------------------

    def save(self, run: Run, planned: Plan, tell: Progress) -> str:
        """Save a run with its plan and open it; its id."""
        run.find_near_duplicates(tell)
        run.save(planned, tell)
        assert run.id is not None
        with self._lock:
            self._open[run.id] = _opened(run)
        return run.id

    def page(self, id: str) -> ASGIApp:
        """The review page of a run. Raises `UserError` where it can't be opened."""
        return self._session(id).page

    def _session(self, id: str) -> _Open:
        with self._lock:
            if id not in self._open:
                self._check(registry.find(id))
                self._open[id] = _opened(shown.open_saved(id))
            return self._open[id]

    def close(self) -> list[str]:
        """Save what was edited, and close all sessions. A line about each run whose plan could not
        be changed because it was carried out already: undo it, then apply it again."""
        waiting = []
        with self._lock:
            for id, one in self._open.items():
                with one.session as session:
                    if not session.edit_count:
                        continue
                    session.store_corrections()
                    if session.update_plan():
                        session.write()
                    else:
                        waiting.append(f"run {id} was applied before its last edit")
            self._open.clear()
        return waiting

    def _check(self, run: RunRecord) -> None:
        """Raise `UserError` where the run is about a folder that is not allowed."""
        self._allowed.check(run.folder)
        self._allowed.check(run.destination)

    # --- apply and undo that were started on a review page ----------------------------------

    def busy(self) -> bool:
        """Whether a review page's apply or undo is at work."""
        return any(one.jobs.busy for one in list(self._open.values()))

    def wait(self, tell: Progress = lambda *_: None) -> None:
        """Return when none of them is."""
        for one in list(self._open.values()):
            one.jobs.wait(tell)

    def stop(self) -> None:
        """Stop them after their current files. They can be resumed."""
        for one in list(self._open.values()):
            one.jobs.stop()

    def changed_folders(self) -> set[str]:
        """The folders of open runs that were carried out or undone since the last call."""
        with self._lock:
            now: dict[str, tuple[int, str]] = {
                id: (one.jobs.begun, one.jobs.progress.state) for id, one in self._open.items()
            }
            changed = {id for id, state in now.items() if self._states.get(id, state) != state}
            self._states = now
            return {self._open[id].session.root for id in changed}

    # --- the list ---------------------------------------------------------------------------

    def listing(self, count: int = LISTED) -> list[dict[str, Any]]:
        """The newest runs, newest first, `count` at most."""
        return [self._row(run) for run in itertools.islice(registry.all(), count)]

    def _row(self, run: RunRecord | NewerRun) -> dict[str, Any]:
        newer = isinstance(run, NewerRun)
        return {
            "id": run.id,
            "when": run.when.isoformat(timespec="seconds"),
            "state": "newer" if isinstance(run, NewerRun) else run.state,
            "kind": None if isinstance(run, NewerRun) else run.kind,
            "pictures": None if isinstance(run, NewerRun) else run.pictures,
            "folder": run.folder,
            "destination": run.destination,
            "may_open": not newer and self._may_open(run),
        }

    def _may_open(self, run: RunRecord | NewerRun) -> bool:
        try:
            self._allowed.check(run.folder or "")
            self._allowed.check(run.destination or "")
        except UserError:
            return False
        return True

    # --- one run ----------------------------------------------------------------------------

    def facts(self, id: str) -> dict[str, Any]:
        """What a run will do or did, in numbers and words."""
        record = registry.find(id)
        self._check(record)
        opened = self._open.get(id)
        planned = plan_file.load(os.path.join(record.record, "plan.jsonl"))
        moved = [a for a in planned.actions if kinds.of(a.kind).plannable]
        own = [a for a in moved if a.companion_of is None]
        tally = Counter(action.label for action in own)
        state = journal.state(record.record)
        if opened is not None and opened.session.edit_count and state in ("planned", "undone"):
            tally = _tally(opened.session)
        others = [name for name in plan.possible(planned) if name in (*OFFERED, planned.kind)]
        return {
            **self._row(record),
            "shelves": [{"name": name, "count": tally[name]} for name in _in_order(tally)],
            "with_them": len(moved) - len(own),
            "bytes": sum(action.size for action in moved),
            "removed": len(planned.actions) - len(moved),
            "notes": [wording.in_app(note) for note in planned.notes],
            "left_behind": len(planned.left_behind),
            "actions": [describe(name, planned.destination) for name in others],
            "may_review": kinds.of(planned.kind).offered,
            "report": os.path.isfile(os.path.join(record.record, "report.html")),
            "edits": 0 if opened is None else opened.session.edit_count,
            "left_alone": [list(one) for one in self._left.get(id, [])[:SHOWN]],
            "left_alone_count": len(self._left.get(id, [])),
            **_how_far(record),
        }

    def apply(self, id: str, kind: ActionKind | None, tell: Progress) -> str:
        """Carry out a run's plan, by another action if `kind` is given. Goes on with one that was
        interrupted."""
        record = registry.find(id)
        self._check(record)
        other = kind not in (None, record.kind)
        if other or id in self._open or edit_log.plan_is_outdated(record.record):
            jobs = self._session(id).jobs
            jobs.apply(kind if other else None)
            self._follow(id, jobs, tell)
        else:
            self._note(id, apply.apply(record.record, tell))
        return id

    def undo(self, id: str, tell: Progress) -> str:
        """Put everything back as it was before a run."""
        record = registry.find(id)
        self._check(record)
        if id in self._open:
            jobs = self._open[id].jobs
            jobs.undo()
            self._follow(id, jobs, tell)
        else:
            self._note(id, undo.undo(record.record, tell))
        return id

    def remove(self, id: str) -> None:
        """Delete the record of a run that was undone or never carried out. Raises `UserError`."""
        record = registry.find(id)
        self._check(record)
        if record.state in registry.IN_PLACE:
            raise UserError("this run's files are in place: undo it first")
        with self._lock:
            if id in self._open:
                with self._open.pop(id).session:
                    pass
            for _, reason in removal.remove([record]):
                raise UserError(f"the record of run {id} was left alone: {reason}")

    def prune(self) -> tuple[int, int]:
        """Delete the records of all runs that were undone or never carried out: how many are gone,
        and how many were left alone, as they keep originals or are not in an allowed folder."""
        removed, found = 0, removal.removable(0)
        for run in found:
            with contextlib.suppress(UserError):
                self.remove(run.id)
                removed += 1
        return removed, len(found) - removed

    def file(self, id: str, *name: str) -> str:
        """The path of a file in a run's record that `Run.write` makes, written anew if the run was
        edited since. Raises `UserError` where there is none."""
        record = registry.find(id)
        self._check(record)
        opened = self._open.get(id)
        with self._writing:
            if opened and self._written.get(id, 0) != opened.session.version:
                if opened.session.update_plan():
                    opened.session.write()
                self._written[id] = opened.session.version
        path = os.path.join(record.record, *name)
        if not os.path.isfile(path):
            raise UserError("this run has no report")
        return path

    def drop_unused(self, folder: str) -> None:
        """Remove those plans for `folder` that are open and were neither edited nor applied."""
        for id, one in list(self._open.items()):
            record = one.session.record
            unused = not one.session.edit_count and journal.state(record) == "planned"
            if unused and one.session.root == folder:
                self.remove(id)

    def _follow(self, id: str, jobs: Jobs, tell: Progress) -> None:
        try:
            while jobs.busy:
                now = jobs.progress
                tell(now.state, now.done, now.total)
                time.sleep(0.05)
        except Stopped:
            jobs.stop()
            raise
        if jobs.progress.error:
            raise UserError(jobs.progress.error)
        self._left[id] = list(jobs.progress.trouble)

    def _note(self, id: str, outcomes: Sequence[Outcome]) -> None:
        left = [one for one in outcomes if one.status in ("refused", "failed")]
        self._left[id] = [(one.action.source, one.reason) for one in left]


def _how_far(run: RunRecord) -> dict[str, Any]:
    """Of a run that is partly done: what was begun last ("apply", "undo"), and how many pictures
    are in place: None where it was stopped on the way, as the journal may be a batch behind."""
    if run.state != "partly":
        return {"begun": "", "in_place": None}
    past = journal.read(run.record)
    begun, ended = past.last
    plannable = kinds.plannable()
    in_place = sum(
        entry.step in ("done", "revert")
        and entry.action.companion_of is None
        and entry.action.kind in plannable
        for _, entry in (past.entries.each() if ended else ())
    )
    return {"begun": begun, "in_place": in_place if ended else None}


def describe(name: str, destination: str) -> dict[str, str]:
    """An action in words."""
    kind = kinds.of(name)
    return {
        "name": name,
        "choice": kind.choice,
        "meaning": kind.meaning.replace("{to}", destination),
        "done": kind.done,
        "needs_destination": "yes" if kind.needs_destination else "",
    }


def _opened(run: Run | ShownRun) -> _Open:
    session = Session(run)
    jobs = Jobs(session)
    return _Open(session, jobs, page(session, jobs, wording.in_app))


def _tally(session: Session) -> Counter[str]:
    shelves = session.shelves
    return Counter({
        name: int((shelves.columns == column).sum()) for column, name in enumerate(shelves.names)
    })  # fmt: skip


def _in_order(tally: Counter[str]) -> list[str]:
    """Shelves with pictures, the fullest first, "other" last."""
    names = [name for name, count in tally.items() if count]
    return sorted(names, key=lambda name: (name == OTHER, -tally[name], name))
