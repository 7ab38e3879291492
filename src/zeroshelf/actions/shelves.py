"""The shelves of a plan: their folders below the destination, and the names taken in each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zeroshelf.actions import names, transfer
from zeroshelf.actions.alike_names import Kin
from zeroshelf.errors import UserError
from zeroshelf.records import Action
from zeroshelf.system import file_names, folder_identity, mounts

if TYPE_CHECKING:
    from zeroshelf.actions.kinds.base import Kind


def for_paths(wanted: Sequence[tuple[str, str]], destination: str) -> dict[tuple[str, str], Shelf]:
    """One folder for each label and path of a shelf of it (`shelf_paths.of`). Two labels whose
    safe paths are the same get two folders."""
    shelves: dict[tuple[str, str], Shelf] = {}
    taken: set[str] = set()
    for label, text in wanted:
        safe = names.shelf(text)
        number = 1
        while file_names.key(path := as_on_disk(safe, destination)) in taken:
            number += 1
            safe = f"{names.shelf(text)} ({number})"
        taken.add(file_names.key(path))
        shelves[label, text] = Shelf(path, mounts.rules(transfer.existing_parent(path)))
    return shelves


def as_on_disk(relative: str, destination: str) -> str:
    """The shelf's path, with the spelling of what is there already: "cat" finds the folder "Cat".

    A link on the way may not lead out of the destination.
    """
    path = destination
    for part in relative.split(os.sep):
        path = os.path.join(path, _spelling(path, part))
        if os.path.islink(path):
            inside = os.path.realpath(destination)
            if not file_names.inside(os.path.realpath(path), inside):
                raise UserError(f"{path} is a link that leads out of {destination}: remove it")
        if os.path.lexists(path) and not os.path.isdir(path):
            raise UserError(f"{path} is a file, and a shelf needs that name: move it away")
    return path


def _spelling(folder: str, name: str) -> str:
    if os.path.lexists(os.path.join(folder, name)):
        return name
    try:
        there = sorted(os.listdir(folder), key=os.fsencode)
    except OSError:
        return name
    return next((other for other in there if file_names.key(other) == file_names.key(name)), name)


@dataclass(slots=True)
class Shelf:
    """The names in a shelf's folder, on the disk and in the plan. What grows with the plan is kept
    in tables of hashes: a shelf may get a million pictures."""

    path: str
    rules: file_names.Rules
    _kin: Kin | None = None  # all names, looked up when first needed
    _by_size: dict[int, list[str]] = field(default_factory=dict)  # names of files on the disk
    _links: dict[folder_identity.Identity, list[str]] = field(
        default_factory=dict
    )  # by what they lead to
    _next: dict[str, int] = field(default_factory=dict)  # key of a name -> next number to try

    def _look(self) -> Kin:
        if self._kin is None:
            self._kin = Kin()
            if os.path.isdir(self.path):
                with os.scandir(self.path) as entries:
                    for entry in sorted(entries, key=lambda e: os.fsencode(e.name)):
                        self._kin.add(entry.name, None)
                        self._note(entry)
        return self._kin

    def _note(self, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink():
            leads_to = folder_identity.identity(entry.path)
            if leads_to is not None:
                self._links.setdefault(leads_to, []).append(entry.name)
        elif not entry.is_dir(follow_symlinks=False):
            size = entry.stat(follow_symlinks=False).st_size
            self._by_size.setdefault(size, []).append(entry.name)

    def is_free(self, name: str) -> bool:
        return not self._look().is_taken(name)

    def take(self, name: str, folder: str) -> None:
        """`folder` is where the file comes from."""
        self._look().add(name, folder)

    def result_of(self, action: Action, kind: Kind) -> str | None:
        """The name under which an earlier run put this very picture here. Each counts once."""
        wanted = os.path.basename(action.source)
        other = file_names.portable(wanted, file_names.Rules(file_names.FAULTS, self.rules.longest))
        if (
            self.is_free(wanted)
            and (other == wanted or self.is_free(other))
            and len(os.fsencode(wanted)) < file_names.SHORT
        ):
            return None
        candidates = self._candidates(action, kind)
        for name in candidates:
            if not (file_names.is_numbered(name, wanted) or file_names.is_numbered(name, other)):
                continue
            path = os.path.join(self.path, name)
            if kind.is_symlink or kind.is_result(action, path):
                candidates.remove(name)
                return name
        return None

    def _candidates(self, action: Action, kind: Kind) -> list[str]:
        """Names here that may be the action's result; a symbolic link by where it leads."""
        self._look()
        if not kind.is_symlink:
            return self._by_size.get(action.size, [])
        leads_to = folder_identity.identity(action.source)
        return self._links.get(leads_to, []) if leads_to else []

    def free_names(self, sources: Sequence[str], folder: str) -> list[str]:
        """Of a picture and its companions, by their names now, the picture's first. No file of
        another unit becomes their companion by its name. `folder` is where they come from."""

        there = self._look()

        def is_free(name: str) -> bool:
            return not (there.is_taken(name) or there.has(name, folder, len(sources) > 1))

        key = file_names.key(sources[0])
        number, found = names.free_for_unit(
            sources, sources[0], is_free, self.rules, self._next.get(key, 1)
        )
        if number > 1:
            self._next[key] = number + 1
        return found
