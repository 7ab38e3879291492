"""What is watched, and what is done with the pictures that arrive."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from zeroshelf.actions import kinds, plan_request
from zeroshelf.actions.plan import check_closed
from zeroshelf.errors import UserError
from zeroshelf.records import ActionKind, LabelSet, PlanRequest
from zeroshelf.system import folder_identity


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are in seconds."""

    folder: str  # that is watched, an absolute path
    destination: str  # of the shelves, an absolute path
    labels: LabelSet
    action: ActionKind = "copy"
    unsure: str | None = "unsure"  # the shelf of pictures that are unsure of their label, or None
    quiet: float = 5.0  # a file is whole that has not changed for so long
    every: float = 10.0  # between two looks at the folder
    model: str | None = None
    device: str | None = None
    exclude: tuple[str, ...] = ()
    threshold: float | None = None
    other: bool = True
    corrections: bool = True
    labels_file: str | None = None  # absolute; read again where it changes

    @property
    def request(self) -> PlanRequest:
        """Of each run. What earlier runs made is left: nothing is sorted twice."""
        return PlanRequest(
            self.folder, self.destination, self.action, unsure=self.unsure, replace=False
        )


def checked(settings: Settings) -> Settings:
    """The settings with absolute paths and the name of the unsure shelf as shelves are spelled.
    The watched folder may be missing: it is waited for. Raises `UserError` where they can't work.
    """
    kind = kinds.of(settings.action)
    if not kind.needs_destination:
        names = (name for name in kinds.offered() if kinds.of(name).needs_destination)
        raise UserError(f"watch puts pictures onto shelves: --as one of {', '.join(names)}")
    check_closed(settings.action, not settings.other)
    asked = plan_request.checked(settings.request, settings.labels)
    destination = asked.destination or ""
    folder = os.path.abspath(os.path.expanduser(settings.folder))
    if destination == folder or folder_identity.same(destination, folder):
        raise UserError(
            f"--to is the watched folder itself, {folder}: name a folder in it, or another one"
        )
    return replace(settings, folder=folder, destination=destination, unsure=asked.unsure)
