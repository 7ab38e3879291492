"""The actions tag and untag: labels as tags in the pictures' sidecars or own files, and their
removal. What is written, and how, is in `actions/tags/`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from zeroshelf.actions import plan_tags, transfer
from zeroshelf.actions.disk_space import Room
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.kinds.base import DONE, Answer, Earlier, Kind, Placement
from zeroshelf.actions.tags import exiftool, tagging
from zeroshelf.actions.tags.exiftool import ExifTool
from zeroshelf.records import Action, Plan, PlanRequest

_NO_ROOM = "the originals are kept: make room, or leave --in-files out"


class Tag(Kind):
    name = "tag"
    done = "tagged"
    choice = "Tag"
    meaning = (
        "Each picture's label is written as a tag into the sidecar beside it, in {to}. No picture "
        "is touched, and it can be undone."
    )
    needs_destination = False
    no_destination = "tags are written beside the pictures"
    writes_tags = True
    family: ClassVar[str | None] = "tags"
    keeps_originals = True

    def check(self, request: PlanRequest) -> None:
        plan_tags.check_prefix(request.prefix)
        if request.in_files:
            exiftool.find()

    def plan(
        self, request: PlanRequest, placements: Iterable[Placement], earlier: Earlier | None
    ) -> Plan:
        folder, prefix = request.folder, request.prefix
        return plan_tags.tags(placements, folder, prefix, earlier, in_files=request.in_files)

    def room(self, action: Action, entry: Entry | None) -> Room | None:
        """A picture whose own file is rewritten: its original is kept."""
        begun = entry is not None and entry.step == "done"
        if begun or not tagging.is_in_file(action):
            return None
        return Room(action.source, action.target, action.size, False, _NO_ROOM)

    def recover(self, entry: Entry) -> bool:
        if entry.step == "done":
            return self._is_there(entry)
        if not self._is_there(entry):
            return False
        if tagging.is_done(entry):
            return True
        tagging.clear(entry)
        return False

    def _is_there(self, entry: Entry) -> bool:
        return transfer.exists(entry.action.target) or tagging.is_done(entry)

    def why_not(self, action: Action, folders: Folders) -> str | None:
        return None

    def prepare(self, action: Action, run: str) -> tagging.Changes | None:
        return tagging.change(action, run)

    def folders_of(self, change: tagging.Changes) -> list[str]:
        return tagging.folders_of(change)

    def intent_events(
        self, action: Action, change: tagging.Changes | None
    ) -> list[dict[str, object]]:
        return [] if change is None else [tagging.event(action.target, change)]

    def stage(
        self, action: Action, change: tagging.Changes | None, exiftool: ExifTool | None
    ) -> str:
        return tagging.stage(action, cast("tagging.Changes", change), exiftool)

    def staged_events(
        self, action: Action, part: str, change: tagging.Changes | None
    ) -> list[dict[str, object]]:
        """Of a picture's own file, once more: the digests are known by now."""
        return self.intent_events(action, change) if tagging.is_in_file(action) else []

    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        tagging.publish(part, action, cast("tagging.Changes", change))
        return ()

    def is_result(self, action: Action, path: str) -> bool:
        return False  # it has no file of its own

    def revert(self, entry: Entry, lead: Entry | None = None) -> Answer:
        why_not = tagging.revert(entry)
        return ("refused", why_not) if why_not else DONE


class Untag(Tag):
    name = "untag"
    done = "untagged"
    choice = "Remove tags"
    meaning = ""  # not offered on the page
    offered = False  # it is a command of its own, and asks about no label
    family = None  # nothing is left of it that a later plan could replace

    def prepare(self, action: Action, run: str) -> tagging.Changes | None:
        return tagging.change_back(action, run)

    def plan(
        self, request: PlanRequest, placements: Iterable[Placement], earlier: Earlier | None
    ) -> Plan:
        return plan_tags.untags(request.folder, request.prefix, in_files=request.in_files)
