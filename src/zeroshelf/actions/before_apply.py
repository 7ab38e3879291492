"""What is looked at in a whole plan before its first action."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from zeroshelf.actions import disk_space, kinds
from zeroshelf.actions.disk_space import Room
from zeroshelf.actions.journal_entries import Entries
from zeroshelf.actions.tags import tagging
from zeroshelf.errors import UserError
from zeroshelf.records import Action


def check(folder: str, actions: Iterable[Action], begun: Entries) -> bool:
    """Raise `UserError` if `folder`, that of the pictures, is not there, or if the actions lack
    disk space. `begun`: those of an earlier, interrupted run. Returns whether they need exiftool.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{folder} no longer exists: nothing of this plan can be carried out")
    in_files = False

    def rooms() -> Iterator[Room]:
        nonlocal in_files
        for action in actions:
            kind = kinds.of(action.kind)
            in_files |= kind.keeps_originals and tagging.is_in_file(action)
            if (room := kind.room(action, begun.get(action.target))) is not None:
                yield room

    disk_space.check(rooms())
    return in_files
