"""The runs of this user: each a folder with its plan, journal, report and results."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from zeroshelf import checks
from zeroshelf.actions import journal, plan_file
from zeroshelf.actions.journal import State
from zeroshelf.errors import UserError
from zeroshelf.records import ActionKind, Plan
from zeroshelf.system import (
    app_folders,
    file_io,
    file_versions,
)

IN_PLACE = ("applied", "partly")  # states in which an undo has something to put back
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = 65_536  # a second's, in the last part of an id


class _Listed:
    """What the two records of a run in the list have in common."""

    __slots__ = ()
    id: str
    record: str

    @property
    def when(self) -> datetime:
        """When the run's record was begun."""
        try:
            begun = datetime.strptime(self.id[:15] + "+0000", "%Y%m%d-%H%M%S%z")
            return begun.astimezone()
        except ValueError:  # no such date
            return datetime.fromtimestamp(os.stat(self.record).st_mtime).astimezone()


@dataclass(frozen=True, slots=True)
class RunRecord(_Listed):
    """A run in the list."""

    id: str  # "20261124-103501-ab3f": in UTC; sorts in the order in which runs were made
    record: str  # its folder
    folder: str
    destination: str
    kind: ActionKind
    pictures: int  # in the plan
    state: State

    @property
    def may_be_in_place(self) -> bool:
        """Whether an undo has something to put back."""
        return self.state in IN_PLACE


@dataclass(frozen=True, slots=True)
class NewerRun(_Listed):
    """A run whose record a newer version of zeroshelf wrote, and what this version can tell of it.

    It is listed, and whatever would open or change it is refused. Of the rest only that is refused
    which could go wrong for not knowing this run:

    - Without a run's name, `find` and `newest_applied` refuse if it may be the one that is meant.
      By its name an older run can be undone: undo looks at each file, and leaves alone what has
      changed since, whatever changed it.
    - A folder is sorted as ever, without the destination of this run. If that is unknown, its
      shelves may be in any folder, and sorting is refused (`earlier.destinations`).
    - A plan for the same destination, or of tags for the same pictures, would leave what this run
      made beside what the plan makes; it is refused unless what earlier runs made is to stay
      anyway (`earlier.made`).
    - Its record is never removed, because it may be needed for an undo.
    """

    id: str
    record: str  # its folder
    why: str  # the error: which file is of which version
    folder: str | None  # None: unknown, like the next two
    destination: str | None
    state: State | None

    @property
    def may_be_in_place(self) -> bool:
        """Whether an undo may have something to put back: also if that is unknown."""
        return self.state is None or self.state in IN_PLACE


def root() -> str:
    """In the user's state folder, or the folder that ZEROSHELF_RUNS names. Raises `UserError`."""
    return app_folders.runs()


def new(plan: Plan, lines: Iterable[str] = (), pictures: int | None = None) -> tuple[str, str]:
    """A run's record with the plan `plan`: its id and its folder. lines, pictures: the plan's
    actions as `plan_file.line` writes them, and their number, where they are not in `plan`. Raises
    `UserError` where it can't be written."""
    with writing(root()):
        name, record = _claim()
    keep(record, plan, lines, pictures)
    return name, record


@contextlib.contextmanager
def writing(folder: str) -> Iterator[None]:
    """Raises `UserError` for an OSError inside: the disk is full or read-only, the record gone."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"the run's files in {folder} can't be written: {why}") from error


def keep(record: str, plan: Plan, lines: Iterable[str] = (), pictures: int | None = None) -> None:
    """Make `plan` that of the run in `record`, and what the list of runs says of it. lines,
    pictures: as for `new`. Raises `UserError` where that can't be written."""
    path = os.path.join(record, "run.json")
    with writing(record):
        written = plan_file.save(plan, os.path.join(record, "plan.jsonl"), lines)
        with open(path + ".part", "w", encoding="ascii") as file:
            json.dump(_about(record, plan, written if pictures is None else pictures), file)
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


def all() -> Iterator[RunRecord | NewerRun]:
    """Newest first. What is no run's record, or a broken one, is passed over."""
    try:
        found = sorted(filter(_ID.fullmatch, os.listdir(root())), reverse=True)
    except OSError:
        return
    for name in found:
        run = _read(name)
        if run is not None:
            yield run


def find(name: str | None = None) -> RunRecord:
    """The newest run, or the one whose id is or begins with `name`. Raises `UserError`, also if a
    newer version made it; an empty name, such as a script's unset variable, names no run."""
    if name is None:
        newest = next((run for run in all() if not _is_without_pictures(run)), None)
        if newest is None:
            raise UserError("no run yet: `zeroshelf sort FOLDER -l LABEL --to SORTED` makes one")
        return _opened(newest, "the newest run")
    beginning = checks.text(name, "the run's id")
    found = [run for run in all() if run.id.startswith(beginning)]
    if not name or len(found) != 1:
        how = "no run" if not found else "more than one run"
        raise UserError(f'{how} has an id that begins with "{name}": `zeroshelf runs` lists them')
    if isinstance(found[0], NewerRun):
        raise file_versions.NewerFile(found[0].why)
    return found[0]


def _is_without_pictures(run: RunRecord | NewerRun) -> bool:
    """Whether a run only put files beside pictures that were sorted before, as a watch does: there
    is nothing to review in it."""
    return (
        isinstance(run, RunRecord)
        and not run.pictures
        and not os.path.exists(os.path.join(run.record, "results.jsonl"))
    )


def newest_applied() -> RunRecord:
    """The newest run that did something that is not undone yet. Raises `UserError`, also if that
    may be one that a newer version made."""
    run = next((run for run in all() if run.may_be_in_place), None)
    if run is None:
        raise UserError("there is no run to undo: `zeroshelf runs` lists all runs")
    return _opened(run, "the newest run that may be in place")


def _opened(run: RunRecord | NewerRun, what: str) -> RunRecord:
    if isinstance(run, NewerRun):
        raise file_versions.NewerFile(
            f"{what}, {run.id}, was made by a newer version of zeroshelf: update zeroshelf, or "
            "name another run"
        )
    return run


def _read(name: str) -> RunRecord | NewerRun | None:
    record = os.path.join(root(), name)
    try:
        facts = _facts(record)
        if facts is None:
            return None
        return RunRecord(
            id=name,
            record=record,
            folder=str(facts["folder"]),
            destination=str(facts["destination"]),
            kind=facts["kind"],
            pictures=int(facts["pictures"]),
            state=journal.state(record),
        )
    except file_versions.NewerFile as newer:
        return _of_newer(name, record, str(newer))
    except (ValueError, KeyError, TypeError):
        return None


def _of_newer(name: str, record: str, why: str) -> NewerRun:
    """The journal is believed if this version can read it. A record without one tells no state: the
    newer version may have put it elsewhere."""
    state: State | None = None
    places: tuple[object, object] | None = None
    with contextlib.suppress(UserError):
        if os.path.exists(os.path.join(record, journal.NAME)):
            state = journal.state(record)
        places = journal.folders(record)
    if places is None:
        try:
            with open(os.path.join(record, "run.json"), encoding="utf-8") as file:
                said = json.load(file)
            places = said.get("folder"), said.get("destination")
        except (OSError, ValueError, AttributeError):
            places = None, None
    folder, destination = (
        one if isinstance(one, str) and os.path.isabs(one) else None for one in places
    )
    return NewerRun(name, record, why, folder, destination, state)


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
        plan = plan_file.load(path)
        return _about(record, plan, sum(one.companion_of is None for one in plan.actions))
    except file_versions.NewerFile:
        raise
    except UserError:
        return None


def _about(record: str, plan: Plan, pictures: int) -> dict[str, Any]:
    return {
        **file_versions.RUN.header,
        "id": os.path.basename(record),
        "folder": plan.folder,
        "destination": plan.destination,
        "kind": plan.kind,
        "pictures": pictures,
    }
