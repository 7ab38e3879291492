"""A run under its edits: on which shelf every picture is now. No web in here.

Every edit goes through the log first (see edits) and then into the arrays, so that what a page was
told is what a restart finds. All methods may be called from several threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zeroshelf.actions import journal, lock, plan, plan_file
from zeroshelf.corrections import follow, stored
from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import UserError
from zeroshelf.labels.normalise import comparable, phrase
from zeroshelf.labels.parse import parse
from zeroshelf.records import OTHER, ActionKind, Correction, Label, LabelSet, Plan, Progress
from zeroshelf.runs import edit_log, registry
from zeroshelf.system import path_spelling

if TYPE_CHECKING:
    from zeroshelf.run import Run

MODEL, PERSON, LEARNT = 0, 1, 2  # who chose a picture's shelf
KEPT_CHANGES = 500  # edits after which a page that slept asks for everything again


@dataclass(frozen=True, slots=True)
class Shelves:
    """Every picture's shelf. A column is a label's place in `names`; the last is "other"."""

    names: tuple[str, ...]
    columns: npt.NDArray[np.uint16]  # (N,)
    probabilities: npt.NDArray[np.float32]  # (N,), of that shelf
    by: npt.NDArray[np.uint8]  # (N,), MODEL, PERSON or LEARNT


class Session:
    """A saved run under the edits of its review page. `run` is as it was before any of them
    (`reopen(edited=False)`). Use as a context manager: the same run has one session at a time."""

    def __init__(self, run: Run) -> None:
        if run.record is None:
            raise UserError("this run has no record yet: save it, then review it")
        self._first = run
        self.run = run  # under the labels and the offset of by now
        self.record = run.record
        self.planned = plan_file.load(os.path.join(self.record, "plan.jsonl"))  # on the disk
        self.root = run.question.folder
        self.paths = [_relative(p.path, self.root) for p in run.embeddings.pictures]
        self.row_of = {path: row for row, path in enumerate(self.paths)}
        self.lock = threading.RLock()
        self.version = 0
        self._open = contextlib.ExitStack()
        try:
            locks = os.path.join(os.path.dirname(self.record), "reviews")
            self._open.enter_context(lock.hold(locks, os.path.basename(self.record), self.record))
        except UserError:
            raise UserError("this run is under review already: close that one first") from None
        self._log = edit_log.Log(self.record)
        self._open.callback(self._log.close)
        self._changes: deque[tuple[int, npt.NDArray[np.intp]]] = deque(maxlen=KEPT_CHANGES)
        self._settled = -1 if edit_log.unsettled(self.record) else len(self._log.events)
        self.edited = edit_log.replay(run.labels, self._log.events)
        self.run = self._asked()
        self.shelves = self._shelves()
        self._own_before = frozenset(self._own())  # may be taken back, so that it's stored no more
        self._used: dict[str, Correction] = {}  # from a file

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __len__(self) -> int:
        return len(self.paths)

    # --- what it is now ---------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        return self.shelves.names

    @property
    def edit_count(self) -> int:
        return len(self._log.events)

    @property
    def decisions(self) -> Decisions:
        """What the model says, after the corrections that the run followed from the start."""
        return self.run.decisions

    @property
    def marked(self) -> dict[int, int]:
        """Row -> column, of every picture that a person placed, here or in the corrections that
        this run followed from the start."""
        columns = {name: column for column, name in enumerate(self.names)}
        placed = self.edited.placed.items()
        here = {self.row_of[p]: columns[name] for p, name in placed if p in self.row_of}
        return {**self.run.corrected(self.names), **here}

    def changed_since(self, version: int) -> npt.NDArray[np.intp] | None:
        """The rows that an older page has wrong; None: everything, the shelves too."""
        with self.lock:
            later = [rows for at, rows in self._changes if at > version]
            if len(later) != self.version - version:
                return None
            return np.unique(np.concatenate(later)) if later else np.empty(0, np.intp)

    # --- edits ------------------------------------------------------------------------------

    def place(self, rows: Sequence[int], shelf: str) -> None:
        """A person's word for where pictures belong."""
        self.place_each([(rows, shelf)])

    def place_each(self, placements: Iterable[tuple[Sequence[int], str]]) -> None:
        """Several such words, each an edit of its own. All of them are kept, or none."""
        with self.lock:
            events = []
            for rows, shelf in placements:
                self._check(rows, shelf)
                if rows:
                    events.append(edit_log.place(shelf, [self.paths[row] for row in rows]))
            if events:
                self._edit(*events)

    def learn(self, moves: Mapping[str, Sequence[int]]) -> None:
        """Accept what was learnt. What a person placed is never moved."""
        with self.lock:
            by_hand = self.marked
            kept = {}
            for shelf, rows in moves.items():
                self._check(rows, shelf)
                kept[shelf] = [self.paths[row] for row in rows if row not in by_hand]
            self._edit(edit_log.learn(kept))

    def undo(self) -> bool:
        """Take the last edit back that still stands."""
        with self.lock:
            if self.edited.last is None:
                return False
            self._edit(edit_log.undo(self.edited.last))
            return True

    def bold(self, by: float) -> None:
        check_offset(by)
        with self.lock:
            if by != self.edited.offset:
                self._edit(edit_log.bold(by))

    def relabel(self, wanted: LabelSet, renamed: Mapping[str, str]) -> None:
        with self.lock:
            self._edit(edit_log.label(wanted, renamed))

    def add_label(self, text: str) -> None:
        """`text` as on the command line: "dog" or "dog=puppy, golden retriever"."""
        added = parse([text])
        with self.lock:
            self.relabel(self._with((*self.edited.labels, *added)), {})

    def rename_label(self, name: str, to: str) -> None:
        new = parse([to]).labels[0]
        with self.lock:
            own = self._label(name)
            renamed = replace(own, name=new.name, words=new.words or own.words)
            kept = [renamed if one is own else one for one in self.edited.labels]
            self.relabel(self._with(kept), {name: new.name})

    def merge_label(self, name: str, into: str) -> None:
        """`name` and its words become words of `into`; its pictures go there."""
        with self.lock:
            own, other = self._label(name), self._label(into)
            if own is other:
                raise UserError(f"{name!r} can't be merged into itself")
            words = dict.fromkeys((*other.words, phrase(own.name), *own.words))
            merged = replace(
                other,
                words=tuple(words),
                prompts=tuple({**dict.fromkeys(other.prompts + own.prompts)}),
            )
            kept = [merged if one is other else one for one in self.edited.labels if one is not own]
            self.relabel(self._with(kept), {name: into})

    def drop_label(self, name: str) -> None:
        with self.lock:
            own = self._label(name)
            if len(self.edited.labels) == 1:
                raise UserError("the last label stays: add another one first")
            self.relabel(self._with([one for one in self.edited.labels if one is not own]), {})

    # --- to the plan ------------------------------------------------------------------------

    @property
    def kinds(self) -> tuple[ActionKind, ...]:
        """What may be done with the pictures."""
        return plan.possible(self.planned)

    def plan(self, kind: ActionKind | None = None) -> Plan:
        """Where every picture would go as the shelves are now, and how: None as before."""
        with self.lock:
            wanted = replace(self.planned.request, action=kind or self.planned.kind)
            by_hand = np.flatnonzero(self.shelves.by != MODEL).tolist()
            earlier = registry.earlier(wanted, self.edited.labels, own=self.run.id)
            decided = self.shown().decisions
            return plan.by_decisions(wanted, self.run.embeddings, decided, by_hand, earlier)

    def shown(self) -> Run:
        """The run with every picture on the shelf that the page shows."""
        first = self._first
        return self.run.again(
            self.run.question, self.edited.corrections(first.corrections, first.question.folder)
        )

    def settle(self, kind: ActionKind | None = None) -> bool:
        """Make the plan what the page shows, so that `zeroshelf apply` does exactly that; `kind`:
        in another way than before. Not while the run is carried out: then undo comes first. Says
        whether the plan is up to date."""
        with self.lock:
            if self.edit_count == self._settled and kind in (None, self.planned.kind):
                return True
            if journal.state(self.record) in ("applied", "partly"):
                return False
            planned = self.plan(kind)
            registry.keep(self.record, planned)
            edit_log.note_settled(self.record, self.edit_count)
            self._settled, self.planned = self.edit_count, planned
            return True

    def write(self, progress: Progress | None = None) -> None:
        """The report and the results again, as the shelves are now."""
        planned = plan_file.load(os.path.join(self.record, "plan.jsonl"))
        self.shown().write(self.record, planned, progress)

    # --- marks ------------------------------------------------------------------------------

    def taught(self) -> Decisions:
        """What the model says after everything that a person said."""
        with self.lock:
            run, known = self.run, {**self.run.corrections.followed, **self.all_marks()}
        return run.following(known)

    def use(self, known: Mapping[str, Correction]) -> None:
        """Follow these corrections too; what is said in this run comes before them."""
        self._used |= known

    def all_marks(self) -> Mapping[str, Correction]:
        """Digest in hex -> correction: those stored for these labels, and this run's own."""
        with self.lock:
            earlier = stored.kept(self.edited.labels, self.run.model)
            others = {d: one for d, one in earlier.items() if d not in self._own_before}
            return {**others, **self._used, **self.run.corrections.given, **self._own()}

    def keep_marks(self) -> None:
        """Where the next run with these labels and this model finds them."""
        labels, model = self.edited.labels, self.run.model
        stored.save(stored.home(labels, model), self.all_marks(), model)

    def _own(self) -> dict[str, Correction]:
        here = self.run.embeddings
        placed = ((self.row_of[p], n) for p, n in self.edited.placed.items() if p in self.row_of)
        return {here.digests[r].hex(): Correction(n, here.vectors[r]) for r, n in placed}

    # --- inside -----------------------------------------------------------------------------

    def _edit(self, *events: edit_log.Event) -> None:
        self._log.add(*events)
        before, names = self.edited, self.names
        self.edited = edit_log.replay(self._first.labels, self._log.events)
        if (self.edited.labels, self.edited.offset) != (before.labels, before.offset):
            self.run = self._asked()
        old, self.shelves = self.shelves, self._shelves()
        self.version += 1
        if self.names != names:
            self._changes.clear()  # columns mean something else now: every page starts anew
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

    def _asked(self) -> Run:
        """The run under the labels and the offset of by now; what was placed on the page is not in
        its decisions."""
        question = self.edited.question(self._first.question)
        if question == self.run.question:
            return self.run
        said = follow.renamed(self._first.corrections, self.edited.renamed)
        return self.run.again(question, said, saved=self._first.saved)

    def _shelves(self) -> Shelves:
        decided = self.decisions
        names = (*decided.scores.labels.names, OTHER)
        columns = decided.chosen.astype(np.uint16)
        rows = np.arange(len(columns))
        probabilities = decided.probabilities[rows, decided.chosen].copy()
        by = np.zeros(len(columns), np.uint8)
        by[list(decided.placed)] = PERSON
        place = {name: column for column, name in enumerate(names)}
        for moves, who in ((self.edited.learnt, LEARNT), (self.edited.placed, PERSON)):
            found = [(self.row_of[p], place[name]) for p, name in moves.items() if p in self.row_of]
            if found:
                where, to = np.array(found, np.intp).T
                columns[where], by[where], probabilities[where] = to, who, 1
        return Shelves(names, columns, probabilities, by)

    def _check(self, rows: Collection[int], shelf: str) -> None:
        if shelf not in self.names:
            raise UserError(f"there is no shelf {shelf!r} any more")
        if any(not 0 <= row < len(self) for row in rows):
            raise UserError("there is no such picture in this run")

    def _label(self, name: str) -> Label:
        for one in self.edited.labels:
            if one.name == name:
                return one
        raise UserError(f"there is no label {name!r} any more")

    def _with(self, changed: Sequence[Label]) -> LabelSet:
        """The label set with other labels; refuses doubles."""
        tally = Counter(comparable(one.name) for one in changed)
        for one in changed:
            if tally[comparable(one.name)] > 1:
                raise UserError(f"there is a shelf {one.name!r} already")
        return replace(self.edited.labels, labels=tuple(changed))


def check_offset(by: float) -> None:
    """Refuses what the slider can't say, nan among it."""
    if not -20 <= by <= 20:
        raise UserError("the slider goes from -20 to 20")


def _relative(path: str, root: str) -> str:
    """The path below the run's folder, with "/" on every system: for the page and the edit log."""
    return path_spelling.slashed(
        path_spelling.relative(path, root) if os.path.isabs(path) else path
    )
