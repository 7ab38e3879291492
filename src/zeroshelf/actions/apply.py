"""plan -> outcomes: carries out a plan's actions on the user's files, and goes on after a kill.

In batches: the intents of a batch are on the disk before its first action, so that a look at the
journal and at the files tells at any instant what is done. See docs/files.md for every promise.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from zeroshelf.actions import (
    disk_space,
    earlier_runs,
    fallback_names,
    journal,
    plan_file,
    transfer,
    undo,
)
from zeroshelf.actions.journal import Journal
from zeroshelf.actions.tags import tagging
from zeroshelf.actions.tags.exiftool import ExifTool
from zeroshelf.corrections import stored
from zeroshelf.embeddings.cache import Store
from zeroshelf.errors import Unreadable, UserError
from zeroshelf.records import Action, Outcome, Plan, Progress
from zeroshelf.system import file_io, file_names, links, mounts, os_errors, renaming

_BAD = ("failed", "refused")
BATCH = 256  # actions whose intents share one fsync
RENAMED = "another name on the shelf, because the file system there refuses its own"
ACROSS = "hard links need one file system that has them: sort with --as copy or --as symlink"
NO_LINKS = "a file system may have no symbolic links: sort with --as copy"
_NO_LINK = {
    "hardlink": (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS),
    "symlink": (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS),
    "relative-symlink": (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS),
}  # what a file system says that has none
_NOT_KEPT = "copied without its {}, which the file system there doesn't keep"


def apply(record: str, progress: Progress | None = None) -> list[Outcome]:
    """Carry out the plan in the run's folder `record`; one outcome an action, in the plan's order.

    What an earlier, interrupted `apply` did is recognised and not done twice. Raises `UserError`
    where nothing can be done at all: another run at work, no space.
    """
    plan = plan_file.load(os.path.join(record, "plan.jsonl"))
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
        self.mounts: dict[str, mounts.Mount] = {}  # of folders, for hard links
        self.errors: dict[str, int] = {}  # target -> errno of what failed
        self.naming = fallback_names.Renaming(plan, book.past)

    def run(self) -> list[Outcome]:
        actions = self.naming.actions()
        self._check_space(actions)
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
        """A picture with a tag in its file is known by another digest, and looks as it did: its
        embedding and the corrections of it hold for the new one."""
        entries = (entry for entry in self.book.past.entries.values() if entry.step == "done")
        if pairs := [pair for entry in entries if (pair := tagging.digests(entry))]:
            with Store.open() as store:
                store.same_pixels(pairs)
            stored.moved(pairs)

    def _check_space(self, actions: Sequence[Action]) -> None:
        if not os.path.isdir(self.plan.folder):
            raise UserError(f"{self.plan.folder} is gone: nothing of this plan can be carried out")
        past = self.book.past.entries
        ways = (
            (action.source, action.target, action.size)
            for action in actions
            if action.kind in ("copy", "move")
            and not (action.target in past and os.path.lexists(action.target))
        )
        advice = "make room, or sort with --as move, hardlink or symlink"
        disk_space.check(ways, moving=self.plan.kind == "move", advice=advice)
        begun = {target for target, entry in past.items() if entry.step == "done"}
        rewritten = (
            (action.source, action.target, action.size)
            for action in actions
            if tagging.is_in_file(action) and action.target not in begun
        )
        advice = "the originals are kept: make room, or leave --in-files out"
        disk_space.check(rewritten, moving=False, advice=advice)

    # --- one batch --------------------------------------------------------------------------

    def _batch(self, batch: Sequence[Sequence[Action]]) -> list[Outcome]:
        """`batch` holds units: a picture and its companions. What a file system refuses for the
        sake of its name gets another one, and is tried once more."""
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
                if all(outcome.status not in _BAD for outcome in tried):
                    self.naming.learn(batch[i], self._errors_of(batch[i]))
                    outcomes |= dict(zip((a.target for a in batch[i]), tried, strict=True))
        return [outcomes[action.target] for unit in batch for action in unit]

    def _other(
        self, unit: Sequence[Action], outcomes: dict[str, Outcome]
    ) -> Sequence[Action] | None:
        """The unit under other names, where its own may be why all of it failed."""
        try:
            if any(outcomes[action.target].status not in _BAD for action in unit):
                return None
            if any(a.kind in fallback_names.KINDS and transfer.exists(a.target) for a in unit):
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
            bad = next((o for o in checked if o is not None and o.status in _BAD), None)
            for action, outcome in zip(unit, checked, strict=True):
                if outcome is not None:
                    outcomes[action.target] = outcome
                elif bad is not None:
                    outcomes[action.target] = _stays(action, bad)
                else:
                    todo.append(action)
        changes = self._changes(todo, outcomes)
        todo = [action for action in todo if action.target not in outcomes]
        rows = zip(itertools.chain(*batch), itertools.chain(*planned), strict=True)
        places = {action.target: target for action, target in rows}
        renamed = [action.target for action in todo if places[action.target] != action.target]
        self.book.sync(
            [*self._folder_events(todo, changes)]
            + [{"instead": places[target], "target": target} for target in renamed]
            + [journal.intent(action) for action in todo]
            + [tagging.event(target, change) for target, change in changes.items()]
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
        in_files = [action.target for action, _ in ready if tagging.is_in_file(action)]
        if in_files:
            self.book.sync(tagging.event(target, changes[target]) for target in in_files)
        for action, part in ready:
            bad = _failure_beside(action, outcomes) if action.kind == earlier_runs.KIND else None
            if bad is not None:  # what was to take its place is not there
                outcomes[action.target] = _stays(action, bad)
                continue
            try:
                outcomes[action.target] = self._finish(action, part, changes.get(action.target))
            except OSError as error:
                _drop(part)
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
                self._make_folder(os.path.dirname(action.target))
                part = self._prepare(action, changes.get(action.target))
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
                    _drop(part)
                    outcomes[action.target] = self._failed(action, error)
        ready = [(action, part) for action, part in ready if action.target not in outcomes]
        self._note_staged([(action, part) for action, part in ready if part])
        return ready

    def _note_staged(self, staged: Sequence[tuple[Action, str]]) -> None:
        """Of what moves across file systems: by what a copy is known whose original is gone before
        its line is on the disk, also where it has another time; and the mode that it didn't get."""
        events: list[dict[str, object]] = []
        for action, part in staged:
            if action.kind != "move":
                continue
            with contextlib.suppress(OSError):
                found = transfer.fingerprint(part) if action.digest is None else None
                mode = stat.S_IMODE(os.lstat(action.source).st_mode)
                lost = mode if mode != stat.S_IMODE(os.lstat(part).st_mode) else None
                if found is not None or lost is not None:
                    digest = None if found is None else found.hex()
                    events.append({"staged": action.target, "fingerprint": digest, "mode": lost})
        if events:
            self.book.sync(events)

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

    def _check(self, action: Action, unit: Sequence[Action]) -> Outcome | None:
        """None where the action can be carried out now."""
        entry = self.book.past.entries.get(action.target)
        try:
            if entry is not None and entry.step != "reverted":
                settled = self._settle(entry)
                if settled is not None:
                    return settled
            why_not = _why_not(action, unit) or self._why_no_link(action)
        except OSError as error:
            return self._failed(action, error)
        return Outcome(action, "refused", why_not) if why_not else None

    def _settle(self, entry: journal.Entry) -> Outcome | None:
        """What an interrupted run left of an action: done, or cleared away to be done anew."""
        action = entry.action
        transfer.discard(transfer.part_of(action.target))
        if entry.step == "revert":
            transfer.discard(transfer.part_of(action.source))
        if action.kind == earlier_runs.KIND:
            if transfer.exists(action.target):
                return None
            self._note_done(action)
            return Outcome(action, "already")
        if not (transfer.exists(action.target) or tagging.is_done(entry)):
            return None
        if entry.step != "done":
            if not _is_done(entry):
                tagging.clear(entry)
                return None
            self._note_done(action)
        return Outcome(action, "already")

    def _why_no_link(self, action: Action) -> str | None:
        if action.kind != "hardlink":
            return None
        ends = (action.source, action.target)
        one, other = (self._mount_of(os.path.dirname(end)) for end in ends)
        return None if one == other else ACROSS

    def _mount_of(self, folder: str) -> mounts.Mount:
        folder = transfer.existing_parent(folder)
        if folder not in self.mounts:
            self.mounts[folder] = mounts.mount(folder)
        return self.mounts[folder]

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
                    with contextlib.suppress(OSError):  # the action will fail, and say why
                        yield {"times": folder, "mtime_ns": os.stat(folder).st_mtime_ns}
            for folder in reversed(missing):
                yield {"folder": folder}

    def _make_folder(self, folder: str) -> None:
        if folder in self.safe_folders:
            return
        os.makedirs(folder, exist_ok=True)
        inside, root = os.path.realpath(folder), os.path.realpath(self.plan.destination)
        if inside != root and not file_names.inside(inside, root):
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
                renaming.rename(action.source, action.target)
            except OSError as error:
                if not os_errors.is_other_device(error):
                    raise
                transfer.check_removable(action.source)
                return transfer.stage(action.source, action.target)
        return ""

    def _finish(self, action: Action, part: str, change: tagging.Changes | None) -> Outcome:
        notes: tuple[str, ...] = ()
        if change is not None:
            tagging.publish(part, action, change)
        elif action.kind == earlier_runs.KIND:
            renaming.remove(action.target)
        elif action.kind in transfer.LINKS:
            links.symlink(transfer.link_text(action, action.target), action.target)
        elif action.kind == "hardlink":
            links.hard_link(action.source, action.target)
        elif part and action.kind == "move":
            transfer.publish(part, action.target, action.source)
            notes = _not_kept(action)
            transfer.remove_original(action.source, action.target)
        elif part:
            transfer.publish(part, action.target)
            notes = _not_kept(action)
        self._note_done(action)
        return Outcome(action, "done", notes=notes)

    def _note_done(self, action: Action) -> None:
        event: dict[str, object] = {"done": action.target, "stamp": None}
        with contextlib.suppress(FileNotFoundError):  # a sidecar that went with its tags
            at = os.lstat(action.target)
            event["stamp"] = [at.st_size, at.st_mtime_ns]
        if action.kind == "move" and action.digest is None:
            with contextlib.suppress(OSError):
                found = transfer.fingerprint(action.target)
                event |= {"fingerprint": found.hex()} if found else {}
        self.book.note(event)

    def _failed(self, action: Action, error: OSError) -> Outcome:
        if isinstance(error, FileExistsError):
            return Outcome(action, "refused", f"something lies at {action.target} already")
        if error.errno == errno.ENOSPC:
            self.full = True
        self.errors[action.target] = error.errno or 0
        reason = os_errors.reason(error, action.target)
        if error.errno in _NO_LINK.get(action.kind, ()):
            reason = f"{reason}: {ACROSS if action.kind == 'hardlink' else NO_LINKS}"
        return Outcome(action, "failed", reason)


def _why_not(action: Action, unit: Sequence[Action]) -> str | None:
    """What has changed since the plan was made. Raises OSError where nobody can tell, and where a
    move could only copy."""
    try:
        at = os.lstat(action.source)
        if stat.S_ISLNK(at.st_mode) and action.kind in ("copy", *transfer.LINKS):
            at = os.stat(action.source)
    except FileNotFoundError:
        return "it is gone"
    if not stat.S_ISREG(at.st_mode):
        return "no regular file any more"
    if at.st_size != action.size or not _is_unchanged(action, unit, at.st_mtime_ns):
        return "it has changed since the plan was made"
    if action.kind == earlier_runs.KIND:
        return earlier_runs.why_it_stays(action) if transfer.exists(action.target) else None
    if action.kind not in tagging.KINDS and transfer.exists(action.target):
        return f"something lies at {action.target} already"
    if action.kind == "move":
        transfer.check_may_leave(action.source)
    return None


def _is_unchanged(action: Action, unit: Sequence[Action], mtime_ns: int) -> bool:
    """By time, else by content. All times of FAT are an hour off after a change to summer time: a
    companion's content isn't known, and believed where its picture's time is off by as much."""
    by = mtime_ns - action.mtime_ns
    if not by:
        return True
    if action.digest is not None:
        return transfer.digest(action.source) == action.digest
    lead = next((one for one in unit if one.source == action.companion_of), None)
    if lead is None or lead.digest is None:
        return False
    place = lead.source if transfer.exists(lead.source) else lead.target
    off = os.lstat(place).st_mtime_ns - lead.mtime_ns - by
    return abs(off) <= transfer.SLACK_NS and transfer.digest(place) == lead.digest


def _is_done(entry: journal.Entry) -> bool:
    """True where the target is the action's work; a move across file systems is then finished."""
    action = entry.action
    if action.kind in tagging.KINDS:
        return tagging.is_done(entry)
    if action.kind == "move" and not transfer.exists(action.source):
        return undo.is_ours(entry)
    if not transfer.is_result(action, action.target):
        return False
    if action.kind == "move":
        if not transfer.same_content(action.target, action.source):
            return False  # edited since: neither of the two may go
        file_io.sync([os.path.dirname(action.target)])
        transfer.remove_original(action.source, action.target)
    return True


def _lead(action: Action) -> str:
    """The picture with which a file stays together."""
    return action.companion_of or action.source


def _failure_beside(action: Action, outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """What failed already of the files that stay together with this one."""
    beside = (one for one in outcomes.values() if _lead(one.action) == _lead(action))
    return next((one for one in beside if one.status in _BAD), None)


def _stays(action: Action, bad: Outcome) -> Outcome:
    """Nothing becomes of an action, because of what became of another of its unit."""
    reason = f"stays with {os.path.basename(bad.action.source)}: {bad.reason}"
    return Outcome(action, "refused", reason)


def _drop(part: str) -> None:
    """A staged copy that gets no name. Where it can't be removed now, the next run does it."""
    if part:
        with contextlib.suppress(OSError):
            transfer.discard(part)


def _not_kept(action: Action) -> tuple[str, ...]:
    """The notes on what a copy doesn't have of its original."""
    return tuple(_NOT_KEPT.format(what) for what in transfer.lost(action.source, action.target))


def _batches(actions: Sequence[Action]) -> Iterator[list[list[Action]]]:
    """Units of a picture and its companions, as many as make a batch."""
    batch: list[list[Action]] = []
    size = 0
    for _, unit in itertools.groupby(actions, key=_lead):
        batch.append(list(unit))
        size += len(batch[-1])
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
