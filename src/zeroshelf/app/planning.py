"""What the user may choose of a plan, and the request for it."""

from __future__ import annotations

from typing import Any

from zeroshelf.actions import kinds, plan_request, plan_tags
from zeroshelf.actions.tags import exiftool
from zeroshelf.app.operations import Given
from zeroshelf.app.run_pages import OFFERED, describe
from zeroshelf.errors import UserError
from zeroshelf.records import LABEL_ONLY, LabelSet, PlanRequest, Progress
from zeroshelf.runs import registry


def choices(folder: str, destination: str) -> dict[str, Any]:
    """The actions, where the shelves of `folder` would go, and whether tags can go into files."""
    return {
        "destination": destination,
        "actions": [_choice(name, folder, destination) for name in OFFERED],
        "in_files": _has_exiftool(),
    }


def _choice(name: str, folder: str, destination: str) -> dict[str, str]:
    """An action in words, and why it can't be chosen if it can't."""
    kind, why_not = kinds.of(name), ""
    try:
        kind.check(PlanRequest(folder, destination if kind.needs_destination else None, name))
    except (UserError, OSError) as trouble:
        why_not = str(trouble)
    place = destination if kind.needs_destination else folder
    return describe(name, place) | {"why_not": why_not}


def _has_exiftool() -> bool:
    """Whether tags can be written into the pictures' own files."""
    try:
        return bool(exiftool.find())
    except UserError:
        return False


def wanted(given: Given, folder: str, destination: str | None, labels: LabelSet) -> PlanRequest:
    """What the fields of a request ask for, without what its action has no use for. destination:
    checked already. Raises `UserError` where no plan for it can work."""
    asked = PlanRequest(
        folder,
        destination,
        given["action"],
        ambiguous=given.get("ambiguous", "").strip() or None,
        several=given.get("several", False),
        replace=not given.get("keep_earlier", False),
        in_files=given.get("in_files", False),
        shelf_path=given.get("shelf_path", LABEL_ONLY),
    )
    return plan_request.checked(plan_request.without_unused(asked), labels)


def untag(folder: str, in_files: bool, tell: Progress) -> str:
    """Save a plan that takes the tags that zeroshelf wrote out of the files below `folder`; its
    run's id. Raises `UserError` where there are none."""
    tell("planning", 0, 0)
    planned = plan_tags.untags(folder, in_files=in_files)
    if not planned.actions:
        raise UserError(f"no tags that zeroshelf wrote were found in {folder}")
    return registry.new(planned)[0]
