"""The plan of an action that puts files onto shelves: where every picture and companion goes.

Looks at the destination and writes nothing there. All collisions of names are solved here.
"""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from zeroshelf.actions import left_behind, names, placements_in_order, shelf_paths, shelves
from zeroshelf.actions.earlier_runs import removals
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.path_table import PathTable
from zeroshelf.actions.shelves import Shelf
from zeroshelf.counting import counted
from zeroshelf.records import Action, Picture, Plan, PlanRequest
from zeroshelf.system import file_names, spooled
from zeroshelf.system.spooled import Spooled

if TYPE_CHECKING:
    from zeroshelf.actions.kinds.base import Earlier, Kind, Placement


_IN_PLACE = (
    "is already on its shelf: nothing to do for it",
    "are already on their shelf: nothing to do for them",
)
_NUMBERED = (
    "gets a number, because its name is taken on the shelf",
    "get a number, because their name is taken on the shelf",
)
_RENAMED = (
    "gets another name, because the file system there refuses its own",
    "get another name, because the file system there refuses theirs",
)
_REMOVED = (
    "file that an earlier run put on another shelf is removed from there (--keep-earlier: left)",
    "files that earlier runs put on other shelves are removed from there (--keep-earlier: left)",
)
_CHANGED = (
    "file that an earlier run put on another shelf is left there, because changed since",
    "files that earlier runs put on other shelves are left there, because changed since",
)
_FIRST, _LAST = (_IN_PLACE, _NUMBERED, _RENAMED), (_REMOVED, _CHANGED)


def make(
    kind: Kind,
    request: PlanRequest,
    placements: Iterable[Placement],
    earlier: Earlier | None,
) -> Plan:
    """The plan of an action of that kind for `placements`, in the order of the pictures' paths.
    `earlier`: what other runs made of the pictures, removed where it lies on another shelf now;
    None: left. Raises `UserError` where the destination can't take a shelf."""
    destination = request.destination or ""
    placed = placements_in_order.of(placements)
    path_of, path_notes = shelf_paths.of(request.shelf_path, placed)
    wanted = {(label, path_of(picture, label)) for picture, label, _ in placed}
    building = _Building(kind, shelves.for_paths(sorted(wanted), destination), earlier or {})
    for picture, label, digest in placed:
        building.place(picture, label, digest, building.shelves[label, path_of(picture, label)])
    actions, tally = building.actions, building.tally
    pictures = (picture for picture, _, _ in placed)
    left = left_behind.find(pictures, actions) if kind.takes_away else ()
    if earlier:
        removed, tally[_CHANGED] = removals(building.units, building.wanted, earlier)
        tally[_REMOVED] = len(removed)
        if removed:  # beside the other actions of the same picture
            removed.sort(key=_in_order)
            actions = spooled.records(Action, heapq.merge(actions, removed, key=_in_order))
    notes = (
        *path_notes,
        *_notes(tally),
        *left_behind.shared_notes(building.sharing, actions),
        *left_behind.notes(left),
    )
    return Plan(request.folder, destination, kind.name, actions, notes, left_behind=left)


def _in_order(action: Action) -> bytes:
    return os.fsencode(action.companion_of or action.source)


_Placed: TypeAlias = tuple[Sequence[Action], str]
_VALUES = spooled.values_of(Action)


def _packed(placed: _Placed) -> tuple[Any, ...]:
    return (placed[1], *map(_VALUES, placed[0]))


def _placed(shelf: str, *unit: tuple[Any, ...]) -> _Placed:
    return [Action(*values) for values in unit], shelf


@dataclass(slots=True)
class _Building:
    """A plan in the making."""

    kind: Kind
    shelves: Mapping[tuple[str, str], Shelf]  # by label and path
    earlier: Earlier  # what other runs made of the pictures, if it goes
    actions: Spooled[Action] = field(default_factory=lambda: spooled.records(Action))
    tally: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the words of a note
    sharing: list[Picture] = field(default_factory=list)  # those with `shared` files
    # Paths of all pictures and companions to be, and the units of which earlier runs made
    # something, with their shelves; only where there are such runs.
    wanted: PathTable = field(default_factory=PathTable)
    units: Spooled[_Placed] = field(default_factory=lambda: Spooled(_packed, _placed))
    folders: Folders = field(default_factory=Folders)

    def place(self, picture: Picture, label: str, digest: bytes | None, shelf: Shelf) -> None:
        """Plan the picture and its companions onto this shelf of `label`."""
        unit = unit_of(picture, label, digest, self.kind.name)
        if picture.shared:
            self.sharing.append(picture)
        if any(action.source in self.earlier for action in unit):
            self.units.append((unit, shelf.path))
        folder = os.path.dirname(picture.path)
        if self.folders.same(folder, shelf.path):
            self.tally[_IN_PLACE] += 1
            return
        there = shelf.result_of(unit[0], self.kind)
        if there is not None:
            self.tally[_IN_PLACE] += 1
            on_shelf = names.of_unit(_sources(unit), there, shelf.rules)
            fresh = [i for i in range(1, len(unit)) if shelf.is_free(on_shelf[i])]
        else:
            on_shelf = shelf.free_names(_sources(unit), folder)
            fresh = list(range(len(unit)))
            self._count(picture.path, on_shelf[0], shelf)
        for name in on_shelf if self.earlier else ():
            self.wanted.put(os.path.join(shelf.path, name), 0)
        for i in fresh:
            shelf.take(on_shelf[i], folder)
            self.actions.append(replace(unit[i], target=os.path.join(shelf.path, on_shelf[i])))

    def _count(self, path: str, name: str, shelf: Shelf) -> None:
        """Count what is special about a picture that gets `name` on the shelf."""
        usual = file_names.portable(os.path.basename(path), shelf.rules)
        self.tally[_RENAMED] += usual != os.path.basename(path)
        self.tally[_NUMBERED] += name != usual
        if warning := self.kind.warning(path, shelf.path, self.folders):
            self.tally[warning] += 1


def _notes(tally: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    """The kind's own warnings come after what happens to names, and before earlier runs."""
    own = [words for words in tally if words not in (*_FIRST, *_LAST)]
    order = (*_FIRST, *own, *_LAST)
    return tuple(counted(tally[words], *words) for words in order if tally[words])


def unit_of(picture: Picture, label: str, digest: bytes | None, kind: str) -> list[Action]:
    """The picture and its companions; no target is chosen yet."""
    lead = Action(kind, picture.path, "", label, picture.size, picture.mtime_ns, digest)
    unit = [lead]
    for path in picture.companions:
        try:
            at = os.lstat(path)
        except OSError:
            continue  # removed since the scan
        unit.append(Action(kind, path, "", label, at.st_size, at.st_mtime_ns, None, picture.path))
    return unit


def _sources(unit: Sequence[Action]) -> list[str]:
    return [os.path.basename(action.source) for action in unit]
