"""A run and the edits of its review: on which shelf every picture is now. No web code.

Every edit is written to the log first (runs/edit_log.py) and then to the arrays, so that a restart
finds what the page was told. All methods may be called from several threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zeroshelf.actions import journal, lock, plan, plan_file, plan_request
from zeroshelf.corrections import follow, stored
from zeroshelf.decisions import closed_set
from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import UserError
from zeroshelf.records import (
    OTHER,
    ActionKind,
    Correction,
    Corrections,
    LabelSet,
    Plan,
    Progress,
)
from zeroshelf.review import label_edits
from zeroshelf.runs import earlier, edit_log, registry
from zeroshelf.system import path_spelling

if TYPE_CHECKING:
    from zeroshelf.run import Run

MODEL, USER, SUGGESTION = 0, 1, 2  # who or what chose a picture's shelf
MOST_CHANGES = 500  # a page that has missed more versions loads everything again


@dataclass(frozen=True, slots=True)
class Shelves:
    """Every picture's shelf. A column is a label's place in `names`; the last is "other"."""

    names: tuple[str, ...]
    columns: npt.NDArray[np.uint16]  # (N,)
    probabilities: npt.NDArray[np.float32]  # (N,), of that shelf
    by: npt.NDArray[np.uint8]  # (N,), MODEL, USER or SUGGESTION


class Session:
    """A saved run under the edits of its review page. `run` must be without them
    (`reopen(edited=False)`). Use as a context manager: a run has one session at a time."""

    def __init__(self, run: Run) -> None:
        if run.record is None:
            raise UserError("this run has no record yet: save it, then review it")
        self._first = run
        self.run = run  # under the present labels and offset
        self.record = run.record
        self.planned = plan_file.load(os.path.join(self.record, "plan.jsonl"))  # on the disk
        self.first_plan = self.planned  # a plan of tags has no destination any more
        self.root = run.request.folder
        self.paths = [_relative(p.path, self.root) for p in run.embeddings.pictures]
        self.row_of = {path: row for row, path in enumerate(self.paths)}
        self.lock = threading.RLock()
        self.version = 0
        self._open = contextlib.ExitStack()
        try:
            locks = os.path.join(os.path.dirname(self.record), "reviews")
            self._open.enter_context(lock.hold(locks, os.path.basename(self.record), self.record))
        except UserError:
            raise UserError("this run is already open for review: close that page first") from None
        self._log = edit_log.Log(self.record)
        self._open.callback(self._log.close)
        self._changes: deque[tuple[int, npt.NDArray[np.intp]]] = deque(maxlen=MOST_CHANGES)
        outdated = edit_log.plan_is_outdated(self.record)
        self._planned_edits = -1 if outdated else len(self._log.events)
        self.edited = edit_log.replay(run.labels, self._log.events)
        self.run = self._derived()
        self.shelves = self._shelves()
        self._own_before = frozenset(self._own())  # not stored again once undone
        self._imported: dict[str, Correction] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __len__(self) -> int:
        return len(self.paths)

    # --- present state ----------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        return self.shelves.names

    @property
    def closed(self) -> bool:  # only the user puts pictures on "other"
        return not self._first.request.other

    @property
    def edit_count(self) -> int:
        return len(self._log.events)

    @property
    def decisions(self) -> Decisions:
        """The run's decisions, without the corrections of this review."""
        return self.run.decisions

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
        with self.lock:
            if self.edited.last is None:
                return False
            self._edit(edit_log.undo(self.edited.last))
            return True

    def set_offset(self, by: float) -> None:
        """Set the threshold offset, in logits: above 0, fewer pictures go to "other"."""
        check_offset(by)
        with self.lock:
            if by != self.edited.offset:
                self._edit(edit_log.offset(by))

    def relabel(self, wanted: LabelSet, renamed: Mapping[str, str]) -> None:
        with self.lock:
            self._edit(edit_log.label(wanted, renamed))

    def add_label(self, text: str) -> None:
        """`text` as on the command line: "dog" or "dog=puppy, golden retriever"."""
        with self.lock:
            self.relabel(label_edits.added(self.edited.labels, text), {})

    def rename_label(self, name: str, to: str) -> None:
        """Give the shelf `name` the name `to`; its pictures stay on it."""
        with self.lock:
            self.relabel(*label_edits.renamed(self.edited.labels, name, to))

    def merge_label(self, name: str, into: str) -> None:
        """Make `name` and its words synonyms of `into`; its pictures go there."""
        with self.lock:
            self.relabel(label_edits.merged(self.edited.labels, name, into), {name: into})

    def drop_label(self, name: str) -> None:
        """Remove the shelf `name`; its pictures are decided again."""
        with self.lock:
            self.relabel(label_edits.dropped(self.edited.labels, name), {})

    # --- to the plan ------------------------------------------------------------------------

    @property
    def possible_actions(self) -> tuple[ActionKind, ...]:
        """The actions by which the plan can be carried out."""
        return plan.possible(self.first_plan)

    def plan(self, kind: ActionKind | None = None) -> Plan:
        """Where every picture would go as the shelves are now, and how: None as before."""
        with self.lock:
            asked = replace(self.first_plan.request, action=kind or self.planned.kind)
            wanted = plan_request.without_unused(asked)
            by_hand = np.flatnonzero(self.shelves.by != MODEL).tolist()
            made = earlier.made(wanted, self.edited.labels, own=self.run.id)
            decided = self.shown().decisions
            return plan.by_decisions(wanted, self.run.embeddings, decided, by_hand, made)

    def shown(self) -> Run:
        """The run with every picture on the shelf that the page shows."""
        first = self._first
        corrections = self.edited.corrections(first.corrections, first.request.folder)
        return self.run.derive(self.run.request, corrections, record=first.saved)

    def update_plan(self, kind: ActionKind | None = None) -> bool:
        """Make the plan that of the shelves as they are now; kind: by another action than before.
        False, and no change, if the run was applied already: it has to be undone first."""
        with self.lock:
            if self.edit_count == self._planned_edits and kind in (None, self.planned.kind):
                return True
            if journal.state(self.record) in ("applied", "partly"):
                return False
            planned = self.plan(kind)
            registry.keep(self.record, planned)
            edit_log.note_planned(self.record, self.edit_count)
            self._planned_edits, self.planned = self.edit_count, planned
            return True

    def write(self, progress: Progress | None = None) -> None:
        """The report and the results again, as the shelves are now."""
        planned = plan_file.load(os.path.join(self.record, "plan.jsonl"))
        self.shown().write(self.record, planned, progress)

    # --- corrections ------------------------------------------------------------------------

    def adapted(self) -> Decisions:
        """The decisions after few-shot adaptation to all corrections, those of this review too."""
        with self.lock:
            run, known = self.run, {**self.run.corrections.followed, **self.all_corrections()}
            own = {**run.corrections.given, **self._own()}
        before = {d: one for d, one in known.items() if d not in own}
        return run.derive(run.request, Corrections(before, own)).decisions

    def import_corrections(self, known: Mapping[str, Correction]) -> None:
        """Follow these corrections too; corrections given in this run come before them."""
        self._imported |= known

    def all_corrections(self) -> Mapping[str, Correction]:
        """Digest in hex -> correction: those stored for these labels, and this run's own."""
        with self.lock:
            earlier = stored.load_for(self.edited.labels, self.run.model)
            others = {d: one for d, one in earlier.items() if d not in self._own_before}
            return {**others, **self._imported, **self.run.corrections.given, **self._own()}

    def store_corrections(self) -> None:
        """Store all corrections for the next run with these labels and this model."""
        labels, model = self.edited.labels, self.run.model
        stored.save(stored.path_for(labels, model), self.all_corrections(), model)

    def _own(self) -> dict[str, Correction]:
        """Digest in hex -> correction, of what was corrected on this run's page, ever."""
        here = self.run.embeddings
        before = self.run.corrections.reviewed.items()
        given = {**{_relative(p, self.root): name for p, name in before}, **self.edited.corrected}
        rows = ((self.row_of[p], n) for p, n in given.items() if p in self.row_of)
        return {
            here.digests[r].hex(): Correction(n, here.vectors[r])
            for r, n in rows
            if n in self.names
        }

    # --- inside -----------------------------------------------------------------------------

    def _edit(self, *events: edit_log.Event) -> None:
        edited = edit_log.replay(self._first.labels, [*self._log.events, *events])
        closed_set.check(edited.request(self._first.request))
        self._log.add(*events)
        before, names = self.edited, self.names
        self.edited = edited
        asked = [(one.labels, one.offset, one.renamed) for one in (before, self.edited)]
        if asked[0] != asked[1]:
            self.run = self._derived()
        old, self.shelves = self.shelves, self._shelves()
        self.version += 1
        if self.names != names:
            self._changes.clear()  # columns have other meanings now: every page reloads
            return
        new = self.shelves
        self._changes.append(
            (
                self.version,
                np.flatnonzero(
                    (old.columns != new.columns)
                    | (old.by != new.by)
                    | (old.probabilities != new.probabilities)
                ),
            )
        )

    def _derived(self) -> Run:
        """The run under its present labels and offset, without the corrections of this review."""
        request = self.edited.request(self._first.request)
        if request == self._first.request and not self.edited.renamed:
            return self._first
        corrections = follow.renamed(self._first.corrections, self.edited.renamed)
        return self.run.derive(request, corrections, record=self._first.saved)

    def _shelves(self) -> Shelves:
        decided = self.decisions
        names = (*decided.scores.labels.names, OTHER)
        columns = decided.chosen.astype(np.uint16)
        rows = np.arange(len(columns))
        probabilities = decided.probabilities[rows, decided.chosen].copy()
        by = np.zeros(len(columns), np.uint8)
        by[list(decided.corrected)] = USER
        place = {name: column for column, name in enumerate(names)}
        for moves, who in ((self.edited.accepted, SUGGESTION), (self.edited.corrected, USER)):
            found = [
                (self.row_of[path], place[name])
                for path, name in moves.items()
                if path in self.row_of and name in place
            ]
            if found:
                where, to = np.array(found, np.intp).T
                columns[where], by[where], probabilities[where] = to, who, 1
        return Shelves(names, columns, probabilities, by)

    def _check(self, rows: Collection[int], shelf: str) -> None:
        if shelf not in self.names:
            raise UserError(f"there is no shelf {shelf!r}; there are {', '.join(self.names)}")
        if any(not 0 <= row < len(self) for row in rows):
            raise UserError("there is no such picture in this run")


def check_offset(by: float) -> None:
    """Raise `UserError` for an offset that the slider can't be set to, nan included."""
    if not -20 <= by <= 20:
        raise UserError("the threshold offset must be from -20 to 20")


def _relative(path: str, root: str) -> str:
    """The path below the run's folder, with "/" on every system: for the page and the edit log."""
    return path_spelling.slashed(
        path_spelling.relative(path, root) if os.path.isabs(path) else path
    )
