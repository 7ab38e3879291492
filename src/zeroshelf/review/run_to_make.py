"""The run of a session, which is made when something first needs it: a large one takes minutes."""

from __future__ import annotations

import contextlib
import threading

from zeroshelf.corrections import follow
from zeroshelf.decisions.decide import Decisions
from zeroshelf.records import Progress
from zeroshelf.run import shown
from zeroshelf.run.run import Run
from zeroshelf.run.shown import ShownRun, state_of
from zeroshelf.runs import page_file
from zeroshelf.runs.edit_log import Edited


class RunToMake:
    """A saved run under the edits of a review. May be used from several threads.

    run: what is known of it, as it was saved; or the run itself.
    """

    def __init__(self, run: Run | ShownRun) -> None:
        self.first = shown.of(run) if isinstance(run, Run) else run  # as it was saved
        self.told = 0  # how often `making` was set
        self._making: tuple[str, int, int] | None = None
        self._first = run if isinstance(run, Run) else None
        self._now: Run | None = None  # under the present labels and offset
        self._lock = threading.Lock()  # held while the run is made, and no other lock is taken

    @property
    def making(self) -> tuple[str, int, int] | None:
        """Stage, how much is done, of how much; None where the run isn't being made."""
        return self._making

    @making.setter
    def making(self, now: tuple[str, int, int] | None) -> None:
        self._making = now
        self.told += 1

    @property
    def is_made(self) -> bool:
        return self._now is not None

    def complete(self, edited: Edited, progress: Progress | None = None) -> Run:
        """The run under the labels and the offset of `edited`, which `derive` was called with since
        they last changed; it is made if it isn't there.

        progress: told of it, as `making` tells the page. Raises `UserError` where it can't be made.
        """

        def tell(stage: str, done: int, total: int) -> None:
            self.making = stage, done, total
            if progress:
                progress(stage, done, total)

        with self._lock:
            if self._now is None:
                tell("opening", 0, 0)
                try:
                    self._first = self._first or self.first.run(tell)
                    self._now = self._derived(self._first, edited)
                finally:
                    self.making = None
            return self._now

    def derive(self, edited: Edited) -> None:
        """Take over other labels or another offset."""
        self.complete(edited)
        with self._lock:
            assert self._first is not None
            self._now = self._derived(self._first, edited)

    def with_corrections(self, edited: Edited) -> Run:
        """The run with every picture on the shelf that the page shows."""
        now, first = self.complete(edited), self._first
        assert first is not None
        corrections = edited.corrections(first.corrections, first.request.folder)
        return now.derive(now.request, corrections, record=first.saved)

    @property
    def decisions(self) -> Decisions:
        """Without the corrections of this review. Until the run is made they tell what was decided
        and why, and no more (runs/page_file.py)."""
        return self.first.decisions if self._now is None else self._now.decisions

    def resolved(self) -> Decisions:
        """`decisions` with resolved labels."""
        return self.first.resolved() if self._now is None else self._now.decisions

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about `decisions`."""
        now = self._now
        return self.first.notes if now is None else (*now.notes, *self.first.trouble)

    def is_shown(self, edited: Edited) -> bool:
        """Whether `decisions` are those under the labels and the offset of `edited` before the run
        is made."""
        return self.first.state == state_of(self.first.request, edited)

    def decides_anew(self, edited: Edited) -> bool:
        """Whether these edits change more than the shelves of the pictures that they name."""
        return state_of(self.first.request, edited) != (self.first.request, {})

    def keep(self, edited: Edited) -> None:
        """Keep for the next time that the page opens what it shows under other labels. Where that
        can't be written, the page decides anew then."""
        if self.decides_anew(edited) and self.first.record is not None:
            now, groups = self.complete(edited), self.first.near_duplicates
            with contextlib.suppress(OSError):
                page_file.save(self.first.record, now, groups, edited.renamed)

    def _derived(self, first: Run, edited: Edited) -> Run:
        if not self.decides_anew(edited):
            return first
        corrections = follow.renamed(first.corrections, edited.renamed)
        now = self._now or first
        return now.derive(edited.request(first.request), corrections, record=first.saved)
