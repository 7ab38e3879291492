"""The rules on what a plan may be asked for: which options go together, and with which action."""

from __future__ import annotations

import os
from dataclasses import replace

from zeroshelf.actions import kinds, shelf_paths
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.labels import parse
from zeroshelf.records import LABEL_ONLY, LabelSet, PlanRequest


def without_unused(request: PlanRequest) -> PlanRequest:
    """The request without what its action has no use for, which `checked` would refuse."""
    kind = kinds.of(request.action)
    return replace(
        request,
        destination=request.destination if kind.needs_destination else None,
        prefix=request.prefix if kind.writes_tags else "zeroshelf",
        in_files=request.in_files and kind.writes_tags,
        shelf_path=request.shelf_path if kind.needs_destination else LABEL_ONLY,
    )


def checked(request: PlanRequest, labels: LabelSet) -> PlanRequest:
    """The request, with the destination as an absolute path and the shelf of ambiguous pictures
    spelled as shelves are. Cheap: called before any picture is read. `labels`: those that the
    pictures are sorted by. Raises `UserError` where no plan for it can work."""
    kind = kinds.of(request.action)
    destination = request.destination
    if not kind.writes_tags:
        if request.prefix != "zeroshelf":
            raise UserError("--prefix needs --as tag: add it, or leave --prefix out")
        if request.in_files:
            raise UserError("--in-files needs --as tag: add it, or leave --in-files out")
    shelf_path = shelf_paths.checked(request.shelf_path)
    if not kind.needs_destination:
        if shelf_path != LABEL_ONLY:
            raise UserError(f"--shelf-path needs shelves, and {kind.no_destination}: leave it out")
        if destination is not None:
            raise UserError(f"{kind.no_destination}: leave --to out")
    elif destination is None:
        raise UserError(f"{kind.name} needs a folder for the shelves: add --to DIR (Python: `to`)")
    else:
        destination = scan.root_of(destination)
    if request.several and not kind.takes_several:
        raise UserError("one file can't be moved onto several shelves: copy, link or tag it")
    ambiguous = request.ambiguous
    if ambiguous is not None:
        ambiguous = parse.shelf_beside(labels, ambiguous)
    unsure = request.unsure
    if unsure is not None:
        unsure = parse.shelf_beside(labels, unsure)
    found = replace(
        request,
        destination=destination,
        ambiguous=ambiguous,
        shelf_path=shelf_path,
        unsure=unsure,
    )
    if os.path.isdir(request.folder):  # if not, what reads the folder raises
        kind.check(found)
    return found
