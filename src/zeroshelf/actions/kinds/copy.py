"""The action copy: the picture stays where it is, and an equal file lies on the shelf."""

from __future__ import annotations

import os

from zeroshelf.actions import earlier_runs, transfer, unchanged
from zeroshelf.actions.disk_space import Room
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.kinds.shelved import Shelved, not_kept
from zeroshelf.actions.tags import tagging
from zeroshelf.actions.tags.exiftool import ExifTool
from zeroshelf.records import Action
from zeroshelf.system import file_io

NO_ROOM = "make room, or sort with --as move, hardlink or symlink"
NO_ROOM_BACK = "make room, then undo again"


class Copy(Shelved):
    name = "copy"
    done = "copied"
    choice = "Copy"
    meaning = (
        "Each picture is copied to its shelf in {to}. The originals stay where they are. "
        "Nothing is overwritten, and it can be undone."
    )
    reads_through_links = True
    replaceable = True
    within_stores = True

    def room(self, action: Action, entry: Entry | None) -> Room | None:
        if entry is not None and os.path.lexists(action.target):
            return None
        return Room(action.source, action.target, action.size, False, NO_ROOM)

    def stage(
        self, action: Action, change: tagging.Changes | None, exiftool: ExifTool | None
    ) -> str:
        return transfer.stage(action.source, action.target)

    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        transfer.publish(part, action.target)
        return not_kept(action)

    def why_it_stays(self, entry: Entry, lead: Entry | None) -> str | None:
        target = entry.action.target
        ours = (
            self.is_result(entry.action, target)
            if entry.stamp is None
            else unchanged.since_run(entry, target, lead)
        )
        if not ours:
            return "the copy has changed since"
        if not unchanged.is_original(entry.action, entry.ctime_ns):
            return "the original no longer exists or has changed: its copy stays"
        if transfer.depends_on(entry.action.source, target):
            return earlier_runs.ONLY_A_LINK
        return None

    def make_again(self, action: Action) -> None:
        part = transfer.stage(action.source, action.target)
        try:
            file_io.sync([part])
            transfer.publish(part, action.target)
        except OSError:
            transfer.discard(part)
            raise

    def room_to_make_again(self, action: Action) -> Room | None:
        return Room(action.source, action.target, action.size, False, NO_ROOM_BACK)
