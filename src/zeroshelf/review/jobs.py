"""Apply and undo from the page: one at a time, in a thread, with progress and what was refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

from zeroshelf import records
from zeroshelf.actions import apply, journal, undo
from zeroshelf.errors import UserError
from zeroshelf.records import ActionKind, Outcome
from zeroshelf.review.session import Session

SHOWN = 200  # refused pictures listed on the page; all are in the journal

_Work: TypeAlias = Callable[[Callable[[Outcome], object], records.Progress], None]


@dataclass(frozen=True, slots=True)
class Progress:
    state: Literal["planned", "applied", "partly", "undone", "applying", "undoing"]
    done: int = 0
    total: int = 0
    trouble: tuple[tuple[str, str], ...] = ()  # path, reason
    left_alone: int = 0  # files that were refused or failed; `trouble` lists the first
    error: str = ""


class _Stopped(Exception):
    """Raised between two batches of files: the journal and the files agree there."""


class Jobs:
    """Apply and undo for one session: at most one is at work."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # of what begins: two tabs may ask at the same time
        self._stopping = False
        self.begun = 0  # works so far, by which an apply and its undo differ from none
        self.progress = Progress(journal.state(session.record))  # a new object with every change

    def apply(self, kind: ActionKind | None = None) -> None:
        """Start to carry out the plan, by another action if `kind` is given. Raises `UserError`."""
        with self._lock:
            self._check_idle()
            self.check_possible(kind)
            planned = self._session.planned.kind
            goes_on = self.progress.state == "partly" and kind in (None, planned)
            if not self._session.update_plan(kind) and not goes_on:
                raise UserError("this run is carried out already: undo it first, then apply again")
            self._begin("applying", partial(apply.carry_out, self._session.record))

    def check_possible(self, kind: ActionKind | None) -> None:
        """Raise `UserError` for an action by which the plan can't be carried out."""
        planned = self._session.planned.kind
        if kind not in (None, planned, *self._session.possible_actions):
            raise UserError(f"this plan can't be carried out as {kind}: it is a {planned}")

    def undo(self) -> None:
        with self._lock:
            self._check_idle()
            self._begin("undoing", partial(undo.carry_out, self._session.record))

    @property
    def busy(self) -> bool:
        """Whether apply or undo is under way. It ends with the new `progress`, which the page sees
        before the thread is quite done: what is asked right after must not be refused."""
        at_work = self.progress.state in ("applying", "undoing")
        return at_work and self._thread is not None and self._thread.is_alive()

    def wait(self, tell: records.Progress = lambda *_: None) -> None:
        """Return when neither apply nor undo runs; `tell` is called with the progress meanwhile."""
        while self.busy:
            now = self.progress
            tell(now.state, now.done, now.total)
            time.sleep(0.1)

    def stop(self) -> bool:
        """Stop after the current files; apply or undo can resume. False if it was done already."""
        self._stopping = True
        self.wait()
        return self.progress.state == "partly"

    def _check_idle(self) -> None:
        if self.busy:
            raise UserError("apply or undo is running: wait until it ends")

    def _begin(self, state: Literal["applying", "undoing"], work: _Work) -> None:
        self._stopping = False  # of an earlier stop: this one was asked for later
        self.progress = Progress(state)
        self.begun += 1
        # a daemon, so that the process can end without it; nothing is lost, as after a kill
        self._thread = threading.Thread(target=self._work, args=(work,), name=state, daemon=True)
        self._thread.start()

    def _work(self, work: _Work) -> None:
        error, count = "", 0
        left: list[tuple[str, str]] = []

        def take(outcome: Outcome) -> None:
            nonlocal count
            if outcome.status in ("refused", "failed"):
                count += 1
                if len(left) < SHOWN:
                    left.append((outcome.action.source, outcome.reason))

        try:
            work(take, self._tell)
        except _Stopped:
            pass
        except (UserError, OSError) as trouble:
            error = str(trouble)
        except Exception as bug:  # told, because the page would wait for ever
            error = f"a bug: {type(bug).__name__}: {bug}. Please report it"
        self.progress = Progress(
            journal.state(self._session.record),
            trouble=tuple(left),
            left_alone=count,
            error=error,
        )

    def _tell(self, _what: str, done: int, total: int) -> None:
        self.progress = replace(self.progress, done=done, total=total)
        if self._stopping and done < total:
            raise _Stopped
