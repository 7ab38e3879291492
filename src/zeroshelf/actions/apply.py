"""plan -> outcomes: carries out a plan's actions on the user's files, and goes on after a kill.

In batches: the intents of a batch are on the disk before its first action, so that a look at the
journal and at the files tells at any instant what is done. See docs/files.md for every promise.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from zeroshelf.actions import (
    before_apply,
    fallback_names,
    journal,
    kinds,
    transfer,
    unchanged,
    undo,
    units,
)
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.journal import Journal
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.on_store import copy_within
from zeroshelf.actions.plan_file import PlanOnDisk
from zeroshelf.actions.shelf_folders import ShelfFolders
from zeroshelf.actions.tags import same_pixels, tagging
from zeroshelf.actions.tags.exiftool import ExifTool
from zeroshelf.errors import Unreadable
from zeroshelf.records import Action, Outcome, Progress
from zeroshelf.system import file_io, os_errors, uris

BATCH = 256  # actions whose intents share one fsync
RENAMED = "another name on the shelf, because the file system there refuses its own"


def apply(record: str, progress: Progress | None = None) -> list[Outcome]:
    """Carry out the plan in the run's folder `record`; one outcome an action, in the plan's order.

    What an earlier, interrupted `apply` did is recognised and not done twice. Raises `UserError`
    where nothing can be done at all: another run at work, no space.
    """
    outcomes: list[Outcome] = []
    carry_out(record, outcomes.append, progress)
    return outcomes


def carry_out(
    record: str, take: Callable[[Outcome], object], progress: Progress | None = None
) -> None:
    """As `apply`, with memory that doesn't grow with the plan: each outcome is given to `take`."""
    actions = PlanOnDisk(os.path.join(record, "plan.jsonl"))
    if not len(actions) and journal.state(record) == "planned":
        return  # never begun, so that undo means the last run that did something
    if uris.is_uri(actions.plan.destination):
        return copy_within.carry_out(record, actions, take, progress)
    with journal.working(record, actions.plan.folder, actions.plan.destination) as book:
        _Application(actions, book, take, progress).run()


class _Application:
    def __init__(
        self,
        planned: PlanOnDisk,
        book: Journal,
        take: Callable[[Outcome], object],
        progress: Progress | None,
    ) -> None:
        self.plan = plan = planned.plan  # without its actions
        self.total = len(planned)
        self.book = book
        self.take = take
        self.progress = progress
        self.shelf_folders = ShelfFolders(plan.destination, book.past)
        self.full = False
        self.exiftool: ExifTool | None = None  # where tags go into the pictures' own files
        self.folders = Folders()
        self.errors: dict[str, int] = {}  # target -> errno of what failed
        self.naming = fallback_names.Renaming(planned, book.past)

    def run(self) -> None:
        actions = self.naming.actions()
        if before_apply.check(self.plan.folder, actions, self.book.past.entries):
            with ExifTool(self.book.work) as self.exiftool:
                self._run()
        else:
            self._run()

    def _run(self) -> None:
        begin = {"begin": "apply", "from": self.plan.folder, "to": self.plan.destination}
        self.book.sync([begin])
        count, whole = 0, True
        for batch in units.batches(self.naming.actions(), BATCH):
            for outcome in self._batch(batch):
                whole &= outcome.status in ("done", "already")
                count += 1
                self.take(outcome)
            if self.progress:
                self.progress("applying", count, self.total)
        self.book.sync([{"end": "applied" if whole else "partly"}])
        same_pixels.tell(self.book.past.entries)

    # --- one batch --------------------------------------------------------------------------

    def _batch(self, batch: Sequence[Sequence[Action]]) -> list[Outcome]:
        """`batch`: units, each a picture and its companions. A unit whose name the file
        system refuses gets another name and is tried once more."""
        planned = [[action.target for action in unit] for unit in batch]
        batch = [self.naming.by_rules(unit) for unit in batch]
        outcomes = self._attempt(batch, planned)
        again = {i: other for i, unit in enumerate(batch) if (other := self._other(unit, outcomes))}
        if again:
            begun = [action.target for i in again for action in batch[i]]
            for target in filter(self.book.past.entries.__contains__, begun):
                self.book.note({"reverted": target})
            second = self._attempt(list(again.values()), [planned[i] for i in again])
            for i, unit in again.items():
                tried = [second[action.target] for action in unit]
                if all(outcome.status not in units.BAD for outcome in tried):
                    self.naming.learn(batch[i], self._errors_of(batch[i]))
                    outcomes |= dict(zip((a.target for a in batch[i]), tried, strict=True))
        return [outcomes[action.target] for unit in batch for action in unit]

    def _other(
        self, unit: Sequence[Action], outcomes: dict[str, Outcome]
    ) -> Sequence[Action] | None:
        """The unit under other names, where its own may be why all of it failed."""
        try:
            if any(outcomes[action.target].status not in units.BAD for action in unit):
                return None
            named = [action for action in unit if kinds.of(action.kind).names_files]
            if any(transfer.exists(action.target) for action in named):
                return None
            return self.naming.other(unit, self._errors_of(unit))
        except OSError:
            return None

    def _errors_of(self, unit: Sequence[Action]) -> set[int]:
        return {self.errors[a.target] for a in unit if a.target in self.errors}

    def _attempt(
        self, batch: Sequence[Sequence[Action]], planned: Sequence[Sequence[str]]
    ) -> dict[str, Outcome]:
        """Check, journal, act. Outcomes by target. `planned`: the targets in the plan's words."""
        outcomes: dict[str, Outcome] = {}
        todo: list[Action] = []
        for unit in batch:
            checked = [self._check(action, unit) for action in unit]
            bad = next((o for o in checked if o is not None and o.status in units.BAD), None)
            for action, outcome in zip(unit, checked, strict=True):
                if outcome is not None:
                    outcomes[action.target] = outcome
                elif bad is not None:
                    outcomes[action.target] = units.stays(action, bad)
                else:
                    todo.append(action)
        changes = self._changes(todo, outcomes)
        todo = [action for action in todo if action.target not in outcomes]
        rows = zip(itertools.chain(*batch), itertools.chain(*planned), strict=True)
        places = {action.target: target for action, target in rows}
        renamed = [action.target for action in todo if places[action.target] != action.target]
        self.book.sync(
            [*self.shelf_folders.events(todo, changes)]
            + [{"instead": places[target], "target": target} for target in renamed]
            + [journal.intent(action) for action in todo]
            + [
                event
                for action in todo
                for event in kinds.of(action.kind).intent_events(action, changes.get(action.target))
            ]
        )
        outcomes |= self._carry_out(todo, changes)
        for unit in batch:
            self._keep_together(unit, outcomes)
        for target in (t for t in renamed if outcomes[t].status == "done"):
            notes = (*outcomes[target].notes, RENAMED)
            outcomes[target] = replace(outcomes[target], notes=notes)
        return outcomes

    def _carry_out(
        self, todo: Sequence[Action], changes: dict[str, tagging.Changes]
    ) -> dict[str, Outcome]:
        """Stage all, sync them together, and give each its name. Outcomes by target."""
        outcomes: dict[str, Outcome] = {}
        ready = self._stage(todo, changes, outcomes)
        staged = [
            event
            for action, part in ready
            for event in kinds.of(action.kind).staged_events(
                action, part, changes.get(action.target)
            )
        ]
        if staged:
            self.book.sync(staged)
        for action, part in ready:
            bad = (
                units.failure_beside(action, outcomes)
                if kinds.of(action.kind).last_of_unit
                else None
            )
            if bad is not None:  # what was to take its place is not there
                outcomes[action.target] = units.stays(action, bad)
                continue
            try:
                outcomes[action.target] = self._finish(action, part, changes.get(action.target))
            except OSError as error:
                transfer.drop(part)
                outcomes[action.target] = self._failed(action, error)
        return outcomes

    def _stage(
        self,
        todo: Sequence[Action],
        changes: dict[str, tagging.Changes],
        outcomes: dict[str, Outcome],
    ) -> list[tuple[Action, str]]:
        """What is staged and on the disk: the actions that can go on, each with its part ("" where
        it needs none). What became of the others goes to `outcomes`."""
        if self.exiftool is not None:
            self.exiftool.expect(tagging.jobs([changes.get(action.target) for action in todo]))
        ready: list[tuple[Action, str]] = []
        for action in todo:
            try:
                self.shelf_folders.make(os.path.dirname(action.target))
                part = self._staged(action, changes.get(action.target))
            except Unreadable as error:
                outcomes[action.target] = Outcome(action, "refused", str(error))
            except OSError as error:
                outcomes[action.target] = self._failed(action, error)
            else:
                ready.append((action, part))
        try:
            file_io.sync([part for _, part in ready if part])
        except OSError as error:  # what is staged may not be on the disk: none of it gets its name
            for action, part in ready:
                if part:
                    transfer.drop(part)
                    outcomes[action.target] = self._failed(action, error)
        return [(action, part) for action, part in ready if action.target not in outcomes]

    def _staged(self, action: Action, change: tagging.Changes | None) -> str:
        """The path of the staged copy; "" where there is none."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return kinds.of(action.kind).stage(action, change, self.exiftool)

    def _keep_together(self, unit: Sequence[Action], outcomes: dict[str, Outcome]) -> None:
        """Where one of a unit failed on the way, the others go back."""
        bad = next((o for a in unit if (o := outcomes[a.target]).status in units.BAD), None)
        if bad is None:
            return
        for action in unit:
            if outcomes[action.target].status != "done":
                continue
            with contextlib.suppress(OSError):
                entry = self.book.past.entries[action.target]
                entry = replace(entry, step="done")
                entry.take_stamp(_stamp(action.target))
                if undo.revert(entry)[0] == "done":
                    self.book.note({"reverted": action.target})
                    reason = f"stays with {os.path.basename(bad.action.source)}: {bad.reason}"
                    outcomes[action.target] = Outcome(action, "failed", reason)

    def _changes(
        self, todo: Sequence[Action], outcomes: dict[str, Outcome]
    ) -> dict[str, tagging.Changes]:
        """By target, new content for files that are rewritten; those that can't be read go to
        `outcomes`."""
        changes = {}
        for action in todo:
            try:
                if change := kinds.of(action.kind).prepare(action, self.book.run):
                    changes[action.target] = change
            except Unreadable as error:
                outcomes[action.target] = Outcome(action, "refused", str(error))
            except OSError as error:
                outcomes[action.target] = Outcome(action, "refused", error.strerror or str(error))
        return changes

    def _check(self, action: Action, unit: Sequence[Action]) -> Outcome | None:
        """None where the action can be carried out now."""
        try:
            entry = self.book.past.entries.get(action.target)
            if entry is not None and entry.step != "reverted":
                earlier = self._recover(entry)
                if earlier is not None:
                    return earlier
            kind = kinds.of(action.kind)
            if kind.is_needless(action):
                return Outcome(action, "already")
            why_not = unchanged.why_not(action, unit, follow=kind.reads_through_links)
            why_not = why_not or kind.why_not(action, self.folders)
        except OSError as error:
            return self._failed(action, error)
        return Outcome(action, "refused", why_not) if why_not else None

    def _recover(self, entry: Entry) -> Outcome | None:
        """What an interrupted run left of an action: done, or cleared away to be done anew."""
        action = entry.action
        transfer.discard(transfer.part_of(action.target))
        if entry.step == "revert":
            transfer.discard(transfer.part_of(action.source))
        if not kinds.of(action.kind).recover(entry):
            return None
        if entry.step != "done":
            self._note_done(action)
        return Outcome(action, "already")

    # --- one action -------------------------------------------------------------------------

    def _finish(self, action: Action, part: str, change: tagging.Changes | None) -> Outcome:
        notes = kinds.of(action.kind).finish(action, part, change)
        self._note_done(action)
        return Outcome(action, "done", notes=notes)

    def _note_done(self, action: Action) -> None:
        event: dict[str, object] = {"done": action.target, "stamp": _stamp(action.target)}
        event |= kinds.of(action.kind).done_facts(action)
        self.book.note(event)

    def _failed(self, action: Action, error: OSError) -> Outcome:
        if isinstance(error, FileExistsError):
            return Outcome(action, "refused", f"there is already something at {action.target}")
        if error.errno == errno.ENOSPC:
            self.full = True
        self.errors[action.target] = error.errno or 0
        reason = os_errors.reason(error, action.target)
        kind = kinds.of(action.kind)
        if error.errno in kind.unsupported:
            reason = f"{reason}: {kind.unsupported_advice}"
        return Outcome(action, "failed", reason)


def _stamp(target: str) -> tuple[int, int, int] | None:
    """The size of a target, and when its content and when anything of it was changed last; None
    where there is none: a sidecar that went with its tags, a picture in the trash."""
    try:
        at = os.lstat(target)
    except FileNotFoundError:
        return None
    return at.st_size, at.st_mtime_ns, at.st_ctime_ns
