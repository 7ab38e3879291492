"""What earlier runs did to a folder: their destinations in it, and what they made of its files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zeroshelf.actions import journal, kinds
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.kinds.base import Earlier, Made
from zeroshelf.actions.path_table import PathTable
from zeroshelf.errors import UserError
from zeroshelf.records import Action, LabelSet, PlanRequest
from zeroshelf.runs import registry, request
from zeroshelf.runs.registry import NewerRun, RunRecord
from zeroshelf.system import file_names, file_versions, folder_identity, mounts, spooled, uris
from zeroshelf.system.spooled import Spooled


def destinations(folder: str) -> set[str]:
    """Where earlier runs put pictures, as far as that may be inside `folder`, whatever path leads
    there: not to be sorted again. The scan leaves out those that it meets.

    Raises `NewerFile` if a newer version made a run whose destination this version can't tell: its
    shelves may be in `folder`.
    """
    folder = os.path.abspath(folder)
    real = os.path.realpath(folder)
    found = set()
    for run in registry.all():
        if not run.may_be_in_place or _is_on_store(run):
            continue
        if run.destination is None:
            assert isinstance(run, NewerRun)
            raise file_versions.NewerFile(
                f"run {run.id} was made by a newer version of zeroshelf, and its shelves may be in "
                f"{folder}: update zeroshelf"
            )
        if (
            _may_be_inside(run.destination, folder, real)
            # tagged, or sorted in place: the pictures themselves
            and not (run.folder and folder_identity.same(run.destination, run.folder))
            and not folder_identity.same(run.destination, folder)
        ):
            found.add(run.destination)
    return found


def copies(folder: str) -> PathTable:
    """The URIs of the copies that runs within object stores made, and no undo took back, below the
    folder of that URI."""
    found = PathTable()
    for entry in store_entries():
        if uris.is_inside(entry.action.target, folder):
            found.put(entry.action.target, 1)
    return found


def store_entries() -> Iterator[Entry]:
    """What runs within object stores copied, or had begun to when they were interrupted, and no
    undo took back."""
    for run in registry.all():
        if not isinstance(run, RunRecord) or not run.may_be_in_place or not _is_on_store(run):
            continue
        for _, entry in journal.read(run.record).entries.each():
            if entry.step != "reverted":
                yield entry


class _ByRuns(Mapping[str, Sequence[Made]]):
    """A source's path -> what runs made of it, in the order in which it was added. Some 40 bytes of
    memory for each."""

    def __init__(self) -> None:
        # what was made, and the place here of what was made of the same source before
        self._all: Spooled[tuple[Made, int | None]] = Spooled(_packed, _unpacked)
        self._last = PathTable()  # source -> place in `_all`

    def add(self, made: Made) -> None:
        before = self._last.put(made.action.source, len(self._all))
        self._all.append((made, before))

    def __getitem__(self, source: str) -> Sequence[Made]:
        place, found = self._last.get(source), list[Made]()
        while place is not None:
            made, place = self._all[place]
            found.append(made)
        if not found:
            raise KeyError(source)
        return found[::-1]

    def __contains__(self, source: object) -> bool:
        return source in self._last

    def __iter__(self) -> Iterator[str]:
        return (made.action.source for made, before in self._all if before is None)

    def __len__(self) -> int:
        return len(self._last)


_VALUES = spooled.values_of(Action)


def _packed(row: tuple[Made, int | None]) -> tuple[Any, ...]:
    made, before = row
    return (before, made.run, made.kind.name, *_VALUES(made.action))


def _unpacked(before: int | None, run: str, kind: str, *action: Any) -> tuple[Made, int | None]:
    return Made(run, Action(*action), kinds.of(kind)), before


def made(wanted: PlanRequest, labels: LabelSet, own: str | None = None) -> Earlier:
    """What runs that are not undone made of the files that `wanted` is about: a source's path ->
    what was made of it, newest first.

    Only of runs of the same kind (tags or shelves), into the same destination and with at least one
    label of `labels` among theirs: folders sorted once by subject and once by mood keep both.
    `own` is the id of a run whose own work doesn't count.

    Raises `NewerFile` if one of these runs may be one that a newer version made.
    """
    found = _ByRuns()
    kind_wanted, destination = kinds.of(wanted.action), wanted.destination or wanted.folder
    if kind_wanted.family is None:
        return found
    for run in registry.all():
        if run.id == own or not run.may_be_in_place or _is_on_store(run):
            continue
        if isinstance(run, NewerRun):
            _check_apart(run, wanted)
            continue
        made_as = kinds.KINDS.get(run.kind)
        if made_as is None or made_as.family != kind_wanted.family:
            continue
        if kind_wanted.needs_destination and not _are_one(run.destination, destination):
            continue
        try:
            asked = request.load(run.record)
        except file_versions.NewerFile:
            raise _unknown(run.id) from None
        except UserError:
            continue
        if not {*asked.labels.names} & {*labels.names}:
            continue
        folder = wanted.folder if _are_one(run.folder, wanted.folder) else run.folder
        for _, entry in journal.read(run.record).entries.each():
            kind = kinds.KINDS.get(entry.action.kind)
            if entry.step == "done" and kind is not None and kind.plannable:
                source = _below(entry.action.source, run.folder, folder)
                target = _below(entry.action.target, run.destination, destination)
                action = replace(entry.action, source=source, target=target)
                found.add(Made(run.id, action, kind))
    return found


def _check_apart(run: NewerRun, wanted: PlanRequest) -> None:
    """Raises `NewerFile` if `run` may have made what a plan for `wanted` would have to remove."""
    if wanted.destination is None:  # tags: beside the pictures, or in them
        theirs, own = run.folder, wanted.folder
    else:
        theirs, own = run.destination, wanted.destination
    if theirs is None or _overlap(theirs, own):
        raise _unknown(run.id)


def _unknown(run: str) -> file_versions.NewerFile:
    return file_versions.NewerFile(
        f"run {run} was made by a newer version of zeroshelf, so what it made of these pictures "
        "can't be removed: update zeroshelf, or add --keep-earlier (Python: replace_earlier=False)"
    )


def has_sorted(folder: str) -> bool:
    """Whether a run that isn't undone sorted `folder`, a folder above it, or one inside it."""
    folder = os.path.abspath(folder)
    return any(
        run.folder is not None and _overlap(run.folder, folder)
        for run in registry.all()
        if run.may_be_in_place and not _is_on_store(run)
    )


def _is_on_store(run: RunRecord | NewerRun) -> bool:
    """True for a run within an object store: it did nothing to a folder of this machine."""
    return run.destination is not None and uris.is_uri(run.destination)


def _overlap(one: str, other: str) -> bool:
    """True if one folder is the other or is inside it; a network drive that may be away is not
    asked."""
    return one == other or (
        not mounts.is_elsewhere(one, other) and folder_identity.overlap(one, other)
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
