"""The runs of this user: each a folder with its plan, journal, report and results."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from zeroshelf import checks
from zeroshelf.actions import journal, kinds, plan_file
from zeroshelf.actions.earlier_runs import Made
from zeroshelf.actions.journal import State
from zeroshelf.errors import UserError
from zeroshelf.records import ActionKind, LabelSet, Plan, PlanRequest
from zeroshelf.runs import request
from zeroshelf.system import (
    app_folders,
    file_io,
    file_names,
    file_versions,
    folder_identity,
    mounts,
)

IN_PLACE = ("applied", "partly")  # states in which an undo has something to put back
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = 65_536  # a second's, in the last part of an id


@dataclass(frozen=True, slots=True)
class RunRecord:
    id: str  # "20261124-103501-ab3f": in UTC; sorts in the order in which runs were made
    record: str  # its folder
    folder: str
    destination: str
    kind: ActionKind
    pictures: int  # in the plan
    state: State

    @property
    def when(self) -> datetime:
        """When the run's record was begun."""
        try:
            begun = datetime.strptime(self.id[:15] + "+0000", "%Y%m%d-%H%M%S%z")
            return begun.astimezone()
        except ValueError:  # no such date
            return datetime.fromtimestamp(os.stat(self.record).st_mtime).astimezone()


def root() -> str:
    """In the user's state folder, or the folder that ZEROSHELF_RUNS names. Raises `UserError`."""
    return app_folders.runs()


def new(plan: Plan) -> tuple[str, str]:
    """A run's record with the plan `plan`: its id and its folder. Raises `UserError` where it can't
    be written."""
    with writing(root()):
        name, record = _claim()
    keep(record, plan)
    return name, record


@contextlib.contextmanager
def writing(folder: str) -> Iterator[None]:
    """Raises `UserError` for an OSError inside: the disk is full or read-only, the record gone."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"the run's files in {folder} can't be written: {why}") from error


def keep(record: str, plan: Plan) -> None:
    """Make `plan` that of the run in `record`, and what the list of runs says of it. Raises
    `UserError` where that can't be written."""
    path = os.path.join(record, "run.json")
    with writing(record):
        plan_file.save(plan, os.path.join(record, "plan.jsonl"))
        with open(path + ".part", "w", encoding="ascii") as file:
            json.dump(_about(record, plan), file)
            file.flush()
            file_io.sync_open(file.fileno())  # a run that isn't listed can't be undone
        os.replace(path + ".part", path)


def _claim() -> tuple[str, str]:
    """A folder of its own, whose name sorts after all that are there. The name is the time, in UTC;
    just after the newest run where that is later: the clock was set back, or local time was used,
    as up to version 0.1.0."""
    place = root()
    while True:
        os.makedirs(place, exist_ok=True)
        try:
            before = [ticks for name in os.listdir(place) if (ticks := _ticks(name)) is not None]
            name = _id(max(int(time.time() * _TICKS), 1 + max(before, default=0)))
            record = os.path.join(place, name)
            os.mkdir(record, mode=0o700)
        except (FileExistsError, FileNotFoundError):  # another process made or tried `place` too
            continue
        return name, record


def _id(ticks: int) -> str:
    """The run's id at so many ticks after 1970."""
    second, rest = divmod(ticks, _TICKS)
    return f"{_EPOCH + timedelta(seconds=second):%Y%m%d-%H%M%S}-{rest:04x}"


def _ticks(name: str) -> int | None:
    """The ticks of an id; None for what is none, or leaves no later one."""
    if not _ID.fullmatch(name):
        return None
    try:
        second = datetime.strptime(name[:15] + "+0000", "%Y%m%d-%H%M%S%z") - _EPOCH
    except ValueError:
        return None
    ticks = int(second.total_seconds()) * _TICKS + int(name[16:], 16)
    return ticks if name < "9999" and ticks >= 0 else None


def all() -> Iterator[RunRecord]:
    """Newest first. What is no run's record, or a broken one, is passed over. Raises `UserError`
    for a newer zeroshelf's record: without it, undo and sort would choose other runs than meant."""
    try:
        found = sorted(filter(_ID.fullmatch, os.listdir(root())), reverse=True)
    except OSError:
        return
    for name in found:
        run = _read(name)
        if run is not None:
            yield run


def find(name: str | None = None) -> RunRecord:
    """The newest run, or the one whose id is or begins with `name`. Raises `UserError`; an empty
    name, such as a script's unset variable, names no run."""
    if name is None:
        newest = next(all(), None)
        if newest is None:
            raise UserError("no run yet: `zeroshelf sort FOLDER -l LABEL --to SORTED` makes one")
        return newest
    beginning = checks.text(name, "the run's id")
    found = [run for run in all() if run.id.startswith(beginning)]
    if not name or len(found) != 1:
        how = "no run" if not found else "more than one run"
        raise UserError(f'{how} has an id that begins with "{name}": `zeroshelf runs` lists them')
    return found[0]


def newest_applied() -> RunRecord:
    """The newest run that did something that is not undone yet. Raises `UserError`."""
    run = next((run for run in all() if run.state in ("applied", "partly")), None)
    if run is None:
        raise UserError("there is no run to undo: `zeroshelf runs` lists all runs")
    return run


def destinations(folder: str) -> set[str]:
    """Where earlier runs put pictures, as far as that may be inside `folder`, whatever path leads
    there: not to be sorted again. The scan leaves out those that it meets."""
    folder = os.path.abspath(folder)
    real = os.path.realpath(folder)
    return {
        run.destination
        for run in all()
        if run.state in ("applied", "partly")
        and _may_be_inside(run.destination, folder, real)
        # tagged, or sorted in place: the pictures themselves
        and not folder_identity.same(run.destination, run.folder)
        and not folder_identity.same(run.destination, folder)
    }


def earlier(wanted: PlanRequest, labels: LabelSet, own: str | None = None) -> dict[str, list[Made]]:
    """What runs that are not undone made of the files that `wanted` is about: a source's path ->
    what was made of it, newest first.

    Only of runs of the same kind (tags or shelves), into the same destination and with at least one
    label of `labels` among theirs: folders sorted once by subject and once by mood keep both.
    `own` is the id of a run whose own work doesn't count.
    """
    found: dict[str, list[Made]] = {}
    kind_wanted, destination = kinds.of(wanted.action), wanted.destination or wanted.folder
    if kind_wanted.family is None:
        return found
    for run in all():
        if run.id == own or run.state not in ("applied", "partly"):
            continue
        made_as = kinds.KINDS.get(run.kind)
        if made_as is None or made_as.family != kind_wanted.family:
            continue
        if kind_wanted.needs_destination and not _are_one(run.destination, destination):
            continue
        try:
            asked = request.load(run.record)
        except UserError:
            continue
        if not {*asked.labels.names} & {*labels.names}:
            continue
        folder = wanted.folder if _are_one(run.folder, wanted.folder) else run.folder
        for entry in journal.read(run.record).entries.values():
            kind = kinds.KINDS.get(entry.action.kind)
            if entry.step == "done" and kind is not None and kind.plannable:
                source = _below(entry.action.source, run.folder, folder)
                target = _below(entry.action.target, run.destination, destination)
                action = replace(entry.action, source=source, target=target)
                found.setdefault(source, []).append(Made(run.id, action, kind))
    return found


def has_sorted(folder: str) -> bool:
    """Whether a run that isn't undone sorted `folder`, a folder above it, or one inside it."""
    folder = os.path.abspath(folder)
    return any(
        run.folder == folder
        or (
            not mounts.is_elsewhere(run.folder, folder)
            and folder_identity.overlap(run.folder, folder)
        )
        for run in all()
        if run.state in IN_PLACE
    )


def _are_one(one: str, other: str) -> bool:
    """True for two paths of one folder; a network drive that may be away is not asked."""
    return one == other or (
        not mounts.is_elsewhere(one, other) and folder_identity.same(one, other)
    )


def _below(path: str, before: str, after: str) -> str:
    """A path below `before` by the path `after` of the same folder: one of the two leads through a
    link, and paths are to be compared."""
    if before == after or not file_names.inside(path, before):
        return path
    return os.path.join(after, os.path.relpath(path, before))


def _may_be_inside(destination: str, folder: str, real: str) -> bool:
    """False for what is surely elsewhere, and not asked of a network drive that may be away."""
    if file_names.inside(destination, folder) or file_names.inside(destination, real):
        return True
    return not mounts.is_elsewhere(destination, real) and folder_identity.contains(
        folder, destination
    )


def _read(name: str) -> RunRecord | None:
    record = os.path.join(root(), name)
    facts = _facts(record)
    if facts is None:
        return None
    try:
        return RunRecord(
            id=name,
            record=record,
            folder=str(facts["folder"]),
            destination=str(facts["destination"]),
            kind=facts["kind"],
            pictures=int(facts["pictures"]),
            state=journal.state(record),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _facts(record: str) -> dict[str, Any] | None:
    """What `keep` wrote; from the plan itself where that is gone or damaged, for an undo is to find
    the run."""
    try:
        with open(os.path.join(record, "run.json"), encoding="ascii") as file:
            found = json.load(file)
        file_versions.RUN.check(os.path.join(record, "run.json"), dict(found))
        return dict(found)
    except (OSError, ValueError, TypeError):
        pass
    path = os.path.join(record, "plan.jsonl")
    try:
        return _about(record, plan_file.load(path))
    except file_versions.NewerFile:
        raise
    except UserError:
        return None


def _about(record: str, plan: Plan) -> dict[str, Any]:
    return {
        **file_versions.RUN.header,
        "id": os.path.basename(record),
        "folder": plan.folder,
        "destination": plan.destination,
        "kind": plan.kind,
        "pictures": sum(action.companion_of is None for action in plan.actions),
    }
