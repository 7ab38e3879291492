"""The action remove: takes away what an earlier run made of a picture that goes elsewhere now.

It is removed only while it is what that run made and its original is there, and undo makes it again
from the original. A picture that an earlier run moved is never removed: it is the original.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from zeroshelf.actions import earlier_runs, transfer
from zeroshelf.actions.disk_space import Room
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.kinds.base import DONE, Answer, Earlier, Kind, Placement
from zeroshelf.actions.tags import tagging
from zeroshelf.errors import UserError
from zeroshelf.records import Action, Plan, PlanRequest
from zeroshelf.system import renaming


class Remove(Kind):
    name = earlier_runs.REMOVE
    done = "removed"
    plannable = False  # part of a plan of another kind
    offered = False
    last_of_unit = True
    allows_other_names = True
    undone_last = True

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds

    def _made(self, action: Action) -> tuple[Kind, Action]:
        """How the target was made: the earlier run's action and its kind. Raises `UserError`."""
        kind = self._kinds.get(action.made_by or "")
        if kind is None or not kind.replaceable:
            raise UserError(
                f"{action.target}: made_by is missing: a remove needs the action that made the file"
            )
        return kind, replace(action, kind=kind.name, made_by=None, made_in=None)

    def plan(
        self, request: PlanRequest, placements: Iterable[Placement], earlier: Earlier | None
    ) -> Plan:
        raise UserError(f"{self.name} can't be planned by itself, only as a part of other plans")

    def check_line(self, action: Action) -> None:
        self._made(action)

    def recover(self, entry: Entry) -> bool:
        return not transfer.exists(entry.action.target)

    def is_needless(self, action: Action) -> bool:
        return not transfer.exists(action.target)  # the user removed it: so it stays after an undo

    def why_not(self, action: Action, folders: Folders) -> str | None:
        kind, made = self._made(action)
        return earlier_runs.why_it_stays(made, kind)

    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        with contextlib.suppress(FileNotFoundError):  # removed in this moment
            renaming.remove(action.target)
        return ()

    def is_result(self, action: Action, path: str) -> bool:
        return False  # it makes nothing

    def revert(self, entry: Entry, lead: Entry | None = None) -> Answer:
        why_not = self._make_again(entry.action)
        return ("refused", why_not) if why_not else DONE

    def _make_again(self, action: Action) -> str | None:
        """Make what was removed from its original. Why not, where that can't be."""
        kind, made = self._made(action)
        target = action.target
        transfer.discard(transfer.part_of(target))
        if transfer.exists(target):
            return None if kind.is_result(made, target) else "something else is there now"
        if not transfer.exists(action.source) or transfer.leads_nowhere(action.source):
            return "the original no longer exists, so it can't be made again"
        if made.digest is not None and transfer.digest(action.source) != made.digest:
            return "the original has changed since"
        if why_not := transfer.why_no_folder(os.path.dirname(target)):
            return why_not
        kind.make_again(made)
        return None

    def room_to_revert(self, entry: Entry) -> Room | None:
        kind, made = self._made(entry.action)
        return kind.room_to_make_again(made)
