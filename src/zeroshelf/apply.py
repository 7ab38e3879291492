"""plan -> outcomes: carries out a plan's actions on the user's files, and goes on after a kill.

In batches: the intents of a batch are on the disk before its first action, so that a look at the
journal and at the files tells at any instant what is done. See docs/files.md for every promise.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from zeroshelf import undo
from zeroshelf.errors import Unreadable, UserError
from zeroshelf.files import journal, names, planfile, space, tagging, transfer
from zeroshelf.files.exiftool import ExifTool
from zeroshelf.files.journal import Journal
from zeroshelf.records import Action, Outcome, Plan, Progress
from zeroshelf.store import Store

_BAD = ("failed", "refused")
BATCH = 256  # actions whose intents share one fsync


def apply(record: str, progress: Progress | None = None) -> list[Outcome]:
    """Carry out the plan in the run's folder `record`; one outcome an action, in the plan's order.

    What an earlier, interrupted `apply` did is recognised and not done twice. Raises `UserError`
    where nothing can be done at all: another run at work, no space.
    """
    plan = planfile.load(os.path.join(record, "plan.jsonl"))
    if not plan.actions and journal.state(record) == "planned":
        return []  # never begun, so that undo means the last run that did something
    with journal.working(record, plan.folder, plan.destination) as book:
        return _Application(plan, book, progress).run()


class _Application:
    def __init__(self, plan: Plan, book: Journal, progress: Progress | None) -> None:
        self.plan = plan
        self.book = book
        self.progress = progress
        self.safe_folders: set[str] = set()  # shelves that were found to be inside
        self.full = False
        self.exiftool: ExifTool | None = None  # where tags go into the pictures' own files

    def run(self) -> list[Outcome]:
        actions = self.plan.actions
        self._check_space()
        if any(map(tagging.is_in_file, actions)):
            with ExifTool(self.book.work) as self.exiftool:
                return self._run(actions)
        return self._run(actions)

    def _run(self, actions: Sequence[Action]) -> list[Outcome]:
        begin = {"begin": "apply", "from": self.plan.folder, "to": self.plan.destination}
        self.book.sync([begin])
        outcomes: list[Outcome] = []
        for batch in _batches(actions):
            outcomes += self._batch(batch)
            if self.progress:
                self.progress("applying", len(outcomes), len(actions))
        whole = all(outcome.status in ("done", "already") for outcome in outcomes)
        self.book.sync([{"end": "applied" if whole else "partly"}])
        self._tell_cache()
        return outcomes

    def _tell_cache(self) -> None:
        """A picture with a tag in its file is known by another digest, and looks as it did."""
        entries = (entry for entry in self.book.past.entries.values() if entry.step == "done")
        if pairs := [pair for entry in entries if (pair := tagging.digests(entry))]:
            with Store.open() as store:
                store.same_pixels(pairs)

    def _check_space(self) -> None:
        if not os.path.isdir(self.plan.folder):
            raise UserError(f"{self.plan.folder} is gone: nothing of this plan can be carried out")
        past = self.book.past.entries
        ways = (
            (action.source, action.target, action.size)
            for action in self.plan.actions
            if (action.kind in ("copy", "move") or tagging.is_in_file(action))
            and not (action.target in past and os.path.lexists(action.target))
        )
        advice = "make room, or sort with --as move, hardlink or symlink"
        space.check(ways, moving=self.plan.kind == "move", advice=advice)

    # --- one batch --------------------------------------------------------------------------

    def _batch(self, batch: Sequence[Sequence[Action]]) -> list[Outcome]:
        """Check, journal, act. `batch` holds units: a picture and its companions."""
        outcomes: dict[str, Outcome] = {}
        todo: list[Action] = []
        for unit in batch:
            checked = [self._check(action) for action in unit]
            bad = next((o for o in checked if o is not None and o.status in _BAD), None)
            for action, outcome in zip(unit, checked, strict=True):
                if outcome is not None:
                    outcomes[action.target] = outcome
                elif bad is not None:
                    reason = f"stays with {os.path.basename(bad.action.source)}: {bad.reason}"
                    outcomes[action.target] = Outcome(action, "refused", reason)
                else:
                    todo.append(action)
        changes = self._changes(todo, outcomes)
        todo = [action for action in todo if action.target not in outcomes]
        self.book.sync(
            [*self._folder_events(todo, changes), *map(journal.intent, todo)]
            + [tagging.event(target, change) for target, change in changes.items()]
        )
        outcomes |= self._carry_out(todo, changes)
        for unit in batch:
            self._keep_together(unit, outcomes)
        return [outcomes[action.target] for unit in batch for action in unit]

    def _carry_out(
        self, todo: Sequence[Action], changes: dict[str, tagging.Changes]
    ) -> dict[str, Outcome]:
        """Stage all, sync them together, and give each its name. Outcomes by target."""
        if self.exiftool is not None:
            self.exiftool.expect(tagging.jobs([changes.get(action.target) for action in todo]))
        outcomes: dict[str, Outcome] = {}
        ready: list[tuple[Action, str]] = []
        for action in todo:
            try:
                self._make_folder(os.path.dirname(action.target))
                part = self._prepare(action, changes.get(action.target))
            except Unreadable as error:
                outcomes[action.target] = Outcome(action, "refused", str(error))
            except OSError as error:
                outcomes[action.target] = self._failed(action, error)
            else:
                ready.append((action, part))
        try:
            transfer.sync([part for _, part in ready if part])
        except OSError as error:  # what is staged may not be on the disk: none of it gets its name
            for action, part in ready:
                if part:
                    transfer.discard(part)
                    outcomes[action.target] = self._failed(action, error)
        ready = [(action, part) for action, part in ready if action.target not in outcomes]
        in_files = [action.target for action, _ in ready if tagging.is_in_file(action)]
        if in_files:
            self.book.sync(tagging.event(target, changes[target]) for target in in_files)
        for action, part in ready:
            try:
                outcomes[action.target] = self._finish(action, part, changes.get(action.target))
            except OSError as error:
                if part:
                    transfer.discard(part)
                outcomes[action.target] = self._failed(action, error)
        return outcomes

    def _keep_together(self, unit: Sequence[Action], outcomes: dict[str, Outcome]) -> None:
        """Where one of a unit failed on the way, the others go back."""
        bad = next((o for a in unit if (o := outcomes[a.target]).status in _BAD), None)
        if bad is None:
            return
        for action in unit:
            if outcomes[action.target].status != "done":
                continue
            with contextlib.suppress(OSError):
                at = os.lstat(action.target)
                stamp = (at.st_size, at.st_mtime_ns)
                entry = replace(self.book.past.entries[action.target], step="done", stamp=stamp)
                if undo.revert(entry)[0] == "done":
                    self.book.note({"reverted": action.target})
                    reason = f"stays with {os.path.basename(bad.action.source)}: {bad.reason}"
                    outcomes[action.target] = Outcome(action, "failed", reason)

    def _changes(
        self, todo: Sequence[Action], outcomes: dict[str, Outcome]
    ) -> dict[str, tagging.Changes]:
        """What becomes of each sidecar; those that can't be read go to `outcomes`."""
        changes = {}
        for action in todo:
            if action.kind not in tagging.KINDS:
                continue
            try:
                changes[action.target] = tagging.change(action, self.book.run)
            except Unreadable as error:
                outcomes[action.target] = Outcome(action, "refused", str(error))
            except OSError as error:
                outcomes[action.target] = Outcome(action, "refused", error.strerror or str(error))
        return changes

    def _check(self, action: Action) -> Outcome | None:
        """None where the action can be carried out now."""
        entry = self.book.past.entries.get(action.target)
        try:
            if entry is not None and entry.step != "reverted":
                settled = self._settle(entry)
                if settled is not None:
                    return settled
            why_not = _why_not(action)
        except OSError as error:
            return self._failed(action, error)
        return Outcome(action, "refused", why_not) if why_not else None

    def _settle(self, entry: journal.Entry) -> Outcome | None:
        """What an interrupted run left of an action: done, or cleared away to be done anew."""
        action = entry.action
        transfer.discard(transfer.part_of(action.target))
        if entry.step == "revert":
            transfer.discard(transfer.part_of(action.source))
        if not (transfer.exists(action.target) or tagging.is_done(entry)):
            return None
        if entry.step != "done":
            if not _is_done(entry):
                tagging.clear(entry)
                return None
            self._note_done(action)
        return Outcome(action, "already")

    def _folder_events(
        self, todo: Sequence[Action], changes: Mapping[str, tagging.Changes]
    ) -> Iterator[dict[str, object]]:
        """Folders that will be made, and the times of those whose entries will change."""
        past = self.book.past
        seen: set[str] = set()
        needed = [(os.path.dirname(action.target), action) for action in todo]
        for change in changes.values():
            needed += [(folder, todo[0]) for folder in tagging.folders_of(change)]
        for place, action in needed:
            shelf = place
            missing: list[str] = []
            while shelf not in seen and not os.path.isdir(shelf):
                seen.add(shelf)
                missing.append(shelf)
                shelf = os.path.dirname(shelf)
            touched = [shelf]
            if action.kind == "move":
                touched.append(os.path.dirname(action.source))
            for folder in touched:
                if folder not in seen and folder not in past.folders and folder not in past.times:
                    seen.add(folder)
                    yield {"times": folder, "mtime_ns": os.stat(folder).st_mtime_ns}
            for folder in reversed(missing):
                yield {"folder": folder}

    def _make_folder(self, folder: str) -> None:
        if folder in self.safe_folders:
            return
        os.makedirs(folder, exist_ok=True)
        inside, root = os.path.realpath(folder), os.path.realpath(self.plan.destination)
        if inside != root and not names.inside(inside, root):
            raise OSError(errno.EPERM, "the shelf is a link that leads out of the destination")
        self.safe_folders.add(folder)

    # --- one action -------------------------------------------------------------------------

    def _prepare(self, action: Action, change: tagging.Changes | None) -> str:
        """The part of an action that a batch does together: a staged copy, where one is needed."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if change is not None:
            return tagging.stage(action, change, self.exiftool)
        if action.kind == "copy":
            return transfer.stage(action.source, action.target)
        if action.kind == "move":
            try:
                transfer.rename(action.source, action.target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                return transfer.stage(action.source, action.target)
        return ""

    def _finish(self, action: Action, part: str, change: tagging.Changes | None) -> Outcome:
        if change is not None:
            tagging.publish(part, action, change)
        elif action.kind in transfer.LINKS:
            os.symlink(transfer.link_text(action, action.target), action.target)
        elif action.kind == "hardlink":
            os.link(action.source, action.target, follow_symlinks=False)
        elif part:
            if action.kind == "move":
                transfer.publish(part, action.target, action.source)
                os.unlink(action.source)
            else:
                transfer.publish(part, action.target)
        self._note_done(action)
        return Outcome(action, "done")

    def _note_done(self, action: Action) -> None:
        stamp = None
        with contextlib.suppress(FileNotFoundError):  # a sidecar that went with its tags
            at = os.lstat(action.target)
            stamp = [at.st_size, at.st_mtime_ns]
        self.book.note({"done": action.target, "stamp": stamp})

    def _failed(self, action: Action, error: OSError) -> Outcome:
        if isinstance(error, FileExistsError):
            return Outcome(action, "refused", f"something lies at {action.target} already")
        if error.errno == errno.ENOSPC:
            self.full = True
        return Outcome(action, "failed", error.strerror or str(error))


def _why_not(action: Action) -> str | None:
    """What has changed since the plan was made. Raises OSError where nobody can tell."""
    try:
        at = os.lstat(action.source)
        if stat.S_ISLNK(at.st_mode) and action.kind in ("copy", *transfer.LINKS):
            at = os.stat(action.source)
    except FileNotFoundError:
        return "it is gone"
    if not stat.S_ISREG(at.st_mode):
        return "no regular file any more"
    if (at.st_size, at.st_mtime_ns) != (action.size, action.mtime_ns):
        return "it has changed since the plan was made"
    if action.kind not in tagging.KINDS and transfer.exists(action.target):
        return f"something lies at {action.target} already"
    return None


def _is_done(entry: journal.Entry) -> bool:
    """True where the target is the action's work; a move across file systems is then finished."""
    action = entry.action
    if action.kind in tagging.KINDS:
        return tagging.is_done(entry)
    if action.kind == "move" and not transfer.exists(action.source):
        at = os.lstat(action.target)
        return (at.st_size, at.st_mtime_ns) == (action.size, action.mtime_ns)
    if not transfer.is_result(action, action.target):
        return False
    if action.kind == "move":
        transfer.sync([os.path.dirname(action.target)])
        os.unlink(action.source)
    return True


def _batches(actions: Sequence[Action]) -> Iterator[list[list[Action]]]:
    """Units of a picture and its companions, as many as make a batch."""
    batch: list[list[Action]] = []
    size = 0
    for _, unit in groupby(actions, key=lambda action: action.companion_of or action.source):
        batch.append(list(unit))
        size += len(batch[-1])
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
