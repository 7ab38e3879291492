"""What all actions have in common that put a file onto a shelf: copy, move and the links."""

from __future__ import annotations

import os
from collections.abc import Iterable

from zeroshelf.actions import earlier_runs, plan_shelves, transfer, unchanged
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.kinds.base import ALREADY, DONE, Answer, Earlier, Kind, Placement
from zeroshelf.errors import UserError
from zeroshelf.records import Action, Plan, PlanRequest
from zeroshelf.system import mounts, renaming

_NOT_KEPT = "copied without its {}, which the file system there doesn't keep"


class Shelved(Kind):
    """A file under a name on a shelf. A subclass says how it is made, and by what it is known."""

    family = "shelves"
    names_files = True

    def check(self, request: PlanRequest) -> None:
        """Raise `UserError` where the destination can't take such files."""
        destination = request.destination or ""
        above = destination
        while not os.path.lexists(above) and os.path.dirname(above) != above:
            above = os.path.dirname(above)
        if not os.path.isdir(above):
            raise UserError(f"{above} is not a folder: name a folder with --to")

    def plan(
        self, request: PlanRequest, placements: Iterable[Placement], earlier: Earlier | None
    ) -> Plan:
        self.check(request)
        return plan_shelves.make(self, request, placements, earlier)

    def recover(self, entry: Entry) -> bool:
        if not transfer.exists(entry.action.target):
            return False
        return entry.step == "done" or self.complete(entry)

    def complete(self, entry: Entry) -> bool:
        """True where the target, of which the journal does not say that it is done, is the action's
        work; what is left to do is done then. Raises OSError."""
        return self.is_result(entry.action, entry.action.target)

    def is_result(self, action: Action, path: str) -> bool:
        """True where the file at `path` has the content that the plan knows of the source."""
        try:
            return unchanged.matches(path, action)
        except OSError:
            return False

    def why_not(self, action: Action, folders: Folders) -> str | None:
        if transfer.exists(action.target):
            return f"there is already something at {action.target}"
        return None

    def revert(self, entry: Entry, lead: Entry | None = None) -> Answer:
        if entry.stamp is None:
            transfer.discard(transfer.part_of(entry.action.target))
        if not transfer.exists(entry.action.target):
            return ALREADY
        if why_not := self.why_it_stays(entry, lead):
            return "refused", why_not
        renaming.remove(entry.action.target)
        return DONE

    def why_it_stays(self, entry: Entry, lead: Entry | None) -> str | None:
        """Why an undo can't remove the target; None where it can."""
        source = entry.action.source
        if not transfer.exists(source) or transfer.leads_nowhere(source):
            return "the original no longer exists: what leads to it stays"
        if transfer.depends_on(source, entry.action.target):
            return earlier_runs.ONLY_A_LINK
        if not self.is_result(entry.action, entry.action.target):
            return "something else is there now"
        return None


def not_kept(action: Action) -> tuple[str, ...]:
    """Notes on what a copy does not have of its original."""
    return tuple(_NOT_KEPT.format(what) for what in transfer.lost(action.source, action.target))


def check_has_links(request: PlanRequest) -> None:
    """Raise `UserError` where the destination's file system is known to have no links."""
    above = transfer.existing_parent(request.destination or "")
    if mounts.kind(above) in mounts.WITHOUT_LINKS:
        raise UserError(
            f"the file system of {above} ({mounts.kind(above)}) has no links: use --as copy"
        )
