"""A run and the edits of its review: on which shelf every picture is now. No web code.

Every edit is written to the log first (runs/edit_log.py) and then to the arrays, so that a restart
finds what the page was told. All methods may be called from several threads.

The pictures and their shelves are there at once; the run itself, with its embeddings and scores, is
made when something needs it (`Session.run`): to put pictures elsewhere, nothing does.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from zeroshelf.actions import journal, plan, plan_file, plan_request
from zeroshelf.corrections import follow, stored
from zeroshelf.decisions import closed_set
from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import UserError
from zeroshelf.records import (
    ActionKind,
    Correction,
    Corrections,
    LabelSet,
    Plan,
    Progress,
)
from zeroshelf.review import label_edits
from zeroshelf.review.run_to_make import RunToMake
from zeroshelf.review.shelves import MODEL, USER, Shelves, changed, shelves_of
from zeroshelf.run import shown
from zeroshelf.run.run import Run
from zeroshelf.run.shown import ShownRun
from zeroshelf.runs import earlier, edit_log, registry

MOST_CHANGES = 500  # a page that has missed more versions loads everything again


class Session:
    """A saved run under the edits of its review page. `run`: by `shown.open_saved`, or the run as
    it was saved. Use as a context manager: a run has one session at a time."""

    def __init__(self, run: Run | ShownRun) -> None:
        if run.record is None:
            raise UserError("this run has no record yet: save it, then review it")
        self.made = RunToMake(run)  # maybe only later
        self.first = self.made.first  # as it was saved
        self.record = run.record
        path = os.path.join(self.record, "plan.jsonl")
        self.planned = plan_file.head(path)  # the one on the disk, maybe without its actions
        self.first_plan = self.planned  # a plan of tags has no destination any more
        self.root, self.paths = self.first.request.folder, self.first.paths
        self.lock, self.version = threading.RLock(), 0
        self._changes: deque[tuple[int, npt.NDArray[np.intp]]] = deque(maxlen=MOST_CHANGES)
        with contextlib.ExitStack() as opening:  # closed if what follows fails
            opening.enter_context(edit_log.only_review(self.record))
            self._log = edit_log.Log(self.record)
            opening.callback(self._log.close)
            outdated = edit_log.plan_is_outdated(self.record)
            self._planned_edits = -1 if outdated else len(self._log.events)
            self.edited = edit_log.replay(self.first.request.labels, self._log.events)
            if isinstance(run, Run) or not self.made.is_shown(self.edited):
                self.complete()
            self.shelves = self._shelves()
            self._open = opening.pop_all()
        # digests in hex, not stored again once undone
        self._own_before = frozenset(self.first.digests(row).hex() for row in self._own_rows())
        self._imported: dict[str, Correction] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __len__(self) -> int:
        return len(self.paths)

    # --- the run ----------------------------------------------------------------------------

    @property
    def run(self) -> Run:
        """Under the present labels and offset, without the corrections of this review. Maybe it is
        made now, which may take minutes. Raises `UserError` where that can't be done."""
        return self.complete()

    def complete(self, progress: Progress | None = None) -> Run:
        """Make the run, if it isn't there: called without `lock`, so that the page goes on."""
        return self.made.complete(self.edited, progress)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """A picture's path, as in `paths` -> its row."""
        return {path: row for row, path in enumerate(self.paths)}

    # --- present state ----------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        return self.shelves.names

    @property
    def closed(self) -> bool:  # only the user puts pictures on "other"
        return not self.first.request.other

    @property
    def edit_count(self) -> int:
        return len(self._log.events)

    @property
    def decisions(self) -> Decisions:
        """The run's decisions, without the corrections of this review. Until the run is made they
        tell what was decided and why, and no more."""
        return self.made.decisions

    @property
    def corrected(self) -> dict[int, int]:
        """Row -> column of every picture that the user corrected, in this review or before."""
        rows = np.flatnonzero(self.shelves.by == USER)
        return dict(zip(rows.tolist(), self.shelves.columns[rows].tolist(), strict=True))

    def changed_since(self, version: int) -> npt.NDArray[np.intp] | None:
        """The rows that changed after `version`; None: reload everything, the shelves too."""
        with self.lock:
            later = [rows for at, rows in self._changes if at > version]
            if len(later) != self.version - version:
                return None
            return np.unique(np.concatenate(later)) if later else np.empty(0, np.intp)

    # --- edits ------------------------------------------------------------------------------

    def place(self, rows: Sequence[int], shelf: str) -> None:
        """Correct pictures: put them on `shelf`."""
        self.place_each([(rows, shelf)])

    def place_each(self, placements: Iterable[tuple[Sequence[int], str]]) -> None:
        """As `place`, several times, each an edit of its own. All of them are saved, or none."""
        with self.lock:
            events = []
            for rows, shelf in placements:
                self._check(rows, shelf)
                if rows:
                    events.append(edit_log.place(shelf, [self.paths[row] for row in rows]))
            if events:
                self._edit(*events)

    def accept(self, moves: Mapping[str, Sequence[int]]) -> None:
        """Accept suggestions, shelf -> rows. A picture that the user corrected is never moved."""
        with self.lock:
            corrected = self.corrected
            accepted = {}
            for shelf, rows in moves.items():
                self._check(rows, shelf)
                accepted[shelf] = [self.paths[row] for row in rows if row not in corrected]
            self._edit(edit_log.accept(accepted))

    def undo(self) -> bool:
        """Undo the last edit that is not undone yet. False if there is none."""
        last = self.edited.last
        if last is not None and self._replayed(edit_log.undo(last)).asked != self.edited.asked:
            self.complete()
        with self.lock:
            if self.edited.last is None:
                return False
            self._edit(edit_log.undo(self.edited.last))
            return True

    def set_offset(self, by: float) -> None:
        """Set the threshold offset, in logits: above 0, fewer pictures go to "other"."""
        check_offset(by)
        self.complete()
        with self.lock:
            if by != self.edited.offset:
                self._edit(edit_log.offset(by))

    def relabel(self, wanted: LabelSet, renamed: Mapping[str, str]) -> None:
        with self.lock:
            self._edit(edit_log.label(wanted, renamed))

    def add_label(self, text: str) -> None:
        """`text` as on the command line: "dog" or "dog=puppy, golden retriever"."""
        self.complete()
        with self.lock:
            self.relabel(label_edits.added(self.edited.labels, text), {})

    def rename_label(self, name: str, to: str) -> None:
        """Give the shelf `name` the name `to`; its pictures stay on it."""
        self.complete()
        with self.lock:
            self.relabel(*label_edits.renamed(self.edited.labels, name, to))

    def merge_label(self, name: str, into: str) -> None:
        """Make `name` and its words synonyms of `into`; its pictures go there."""
        self.complete()
        with self.lock:
            self.relabel(label_edits.merged(self.edited.labels, name, into), {name: into})

    def drop_label(self, name: str) -> None:
        """Remove the shelf `name`; its pictures are decided again."""
        self.complete()
        with self.lock:
            self.relabel(label_edits.dropped(self.edited.labels, name), {})

    # --- to the plan ------------------------------------------------------------------------

    @property
    def possible_actions(self) -> tuple[ActionKind, ...]:
        """The actions by which the plan can be carried out."""
        return plan.possible(self.first_plan)

    def plan(self, kind: ActionKind | None = None) -> Plan:
        """Where every picture would go as the shelves are now, and how: None as before."""
        self.complete()
        with self.lock:
            asked = replace(self.first_plan.request, action=kind or self.planned.kind)
            wanted = plan_request.without_unused(asked)
            by_hand = np.flatnonzero(self.shelves.by != MODEL).tolist()
            made = earlier.made(wanted, self.edited.labels, own=self.first.id)
            decided = self.shown().decisions
            return plan.by_decisions(wanted, self.run.embeddings, decided, by_hand, made)

    def shown(self) -> Run:
        """The run with every picture on the shelf that the page shows."""
        return self.made.with_corrections(self.edited)

    def update_plan(self, kind: ActionKind | None = None) -> bool:
        """Make the plan that of the shelves as they are now; kind: by another action than before.
        False, and no change, if the run was applied already: it has to be undone first."""
        if self._is_planned(kind):
            return True
        self.complete()
        with self.lock:
            if self._is_planned(kind):
                return True
            if journal.state(self.record) in ("applied", "partly"):
                return False
            planned = self.plan(kind)
            registry.keep(self.record, planned)
            edit_log.note_planned(self.record, self.edit_count)
            self._planned_edits, self.planned = self.edit_count, planned
            return True

    def _is_planned(self, kind: ActionKind | None) -> bool:
        return self.edit_count == self._planned_edits and kind in (None, self.planned.kind)

    def write(self, progress: Progress | None = None) -> None:
        """The report and the results again, as the shelves are now."""
        planned = plan_file.load(os.path.join(self.record, "plan.jsonl"))
        self.made.keep(self.edited)
        self.shown().write(self.record, planned, progress)

    # --- corrections ------------------------------------------------------------------------

    def adapted(self) -> Decisions:
        """The decisions after few-shot adaptation to all corrections, those of this review too."""
        self.complete()
        with self.lock:
            run = self.run
            known = {**run.corrections.followed, **self.all_corrections()}
            own = {**run.corrections.given, **self._own()}
        before = {d: one for d, one in known.items() if d not in own}
        return run.derive(run.request, Corrections(before, own)).decisions

    def import_corrections(self, known: Mapping[str, Correction]) -> None:
        """Follow these corrections too; corrections given in this run come before them."""
        self._imported |= known

    def all_corrections(self) -> Mapping[str, Correction]:
        """Digest in hex -> correction: those stored for these labels, and this run's own."""
        self.complete()
        with self.lock:
            run = self.run
            earlier = stored.load_for(self.edited.labels, run.model)
            others = {d: one for d, one in earlier.items() if d not in self._own_before}
            return {**others, **self._imported, **run.corrections.given, **self._own()}

    @property
    def has_corrections(self) -> bool:
        """Whether `all_corrections` has any; the run isn't made for it."""
        earlier = stored.load_for(self.edited.labels, self.first.model)
        with self.lock:
            own = self._imported or self.first.corrections.given or self._own_rows()
            return bool(own) or not self._own_before.issuperset(earlier)

    def store_corrections(self) -> None:
        """Store all corrections for the next run with these labels and this model."""
        labels, model = self.edited.labels, self.first.model
        stored.save(stored.path_for(labels, model), self.all_corrections(), model)

    def _own(self) -> dict[str, Correction]:
        """Digest in hex -> correction, of what was corrected on this run's page, ever."""
        here = self.run.embeddings
        return {
            here.digests[r].hex(): Correction(n, here.vectors[r])
            for r, n in self._own_rows().items()
        }

    def _own_rows(self) -> dict[int, str]:
        """Row -> label, of what was corrected on this run's page, ever."""
        reviewed = follow.renamed(self.first.corrections, self.edited.renamed).reviewed
        before = {shown.below(p, self.root): name for p, name in reviewed.items()}
        given = {**before, **self.edited.corrected}
        rows = ((self.row_of[p], n) for p, n in given.items() if p in self.row_of)
        return {r: n for r, n in rows if n in self.names}

    # --- inside -----------------------------------------------------------------------------

    def _edit(self, *events: edit_log.Event) -> None:
        edited = self._replayed(*events)
        closed_set.check(edited.request(self.first.request))
        anew, names = edited.asked != self.edited.asked, self.names
        if anew:
            self.complete()  # what can't be decided isn't logged
        self._log.add(*events)
        self.edited = edited
        if anew:
            self.made.derive(edited)
        old, self.shelves = self.shelves, self._shelves()
        self.version += 1
        if self.names != names:
            self._changes.clear()  # columns have other meanings now: every page reloads
            return
        self._changes.append((self.version, changed(old, self.shelves)))

    def _replayed(self, *further: edit_log.Event) -> edit_log.Edited:
        return edit_log.replay(self.first.request.labels, [*self._log.events, *further])

    def _shelves(self) -> Shelves:
        moved = self.edited.corrected or self.edited.accepted
        return shelves_of(self.decisions, self.edited, self.row_of if moved else {})

    def _check(self, rows: Collection[int], shelf: str) -> None:
        if shelf not in self.names:
            raise UserError(f"there is no shelf {shelf!r}; there are {', '.join(self.names)}")
        if any(not 0 <= row < len(self) for row in rows):
            raise UserError("there is no such picture in this run")


def check_offset(by: float) -> None:
    """Raise `UserError` for an offset that the slider can't be set to, nan included."""
    if not -20 <= by <= 20:
        raise UserError("the threshold offset must be from -20 to 20")
