"""The action move: the picture itself lies on the shelf. A rename within one file system; across
two, a copy that is synced and verified before the original is removed."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any

from zeroshelf.actions import transfer, unchanged
from zeroshelf.actions.disk_space import Room
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.kinds.base import ALREADY, DONE, Answer
from zeroshelf.actions.kinds.copy import NO_ROOM_BACK
from zeroshelf.actions.kinds.shelved import Shelved, not_kept
from zeroshelf.actions.tags import tagging
from zeroshelf.actions.tags.exiftool import ExifTool
from zeroshelf.errors import UserError
from zeroshelf.images import left_out
from zeroshelf.records import Action, PlanRequest
from zeroshelf.system import file_io, mounts, os_errors, renaming

_NO_ROOM = "make room, or sort with --as symlink"  # asked for across file systems only
_CLOSED_FOLDER = (
    "lies in a folder that may not be changed, so it can't be moved; use --as copy",
    "lie in folders that may not be changed, so they can't be moved; use --as copy",
)


class Move(Shelved):
    name = "move"
    done = "moved"
    choice = "Move"
    meaning = (
        "Each picture is moved to its shelf in {to}. The originals leave their folders. "
        "Nothing is overwritten, and it can be undone."
    )
    takes_several = False
    takes_away = True

    def check(self, request: PlanRequest) -> None:
        super().check(request)
        check_may_take_away(request.folder)

    def warning(self, source: str, shelf: str, folders: Folders) -> tuple[str, str] | None:
        return _CLOSED_FOLDER if folders.is_closed(os.path.dirname(source)) else None

    def room(self, action: Action, entry: Entry | None) -> Room | None:
        if entry is not None and os.path.lexists(action.target):
            return None
        return Room(action.source, action.target, action.size, True, _NO_ROOM)

    def complete(self, entry: Entry) -> bool:
        """A move across file systems that was interrupted is finished."""
        action = entry.action
        if not transfer.exists(action.source) or _link_at(action):
            return unchanged.since_run(entry, action.target)
        if not self.is_result(action, action.target):
            return False
        if not transfer.same_content(action.target, action.source):
            return False  # edited since: neither of the two may be removed
        file_io.sync([os.path.dirname(action.target)])
        transfer.remove_original(action.source, action.target)
        return True

    def why_not(self, action: Action, folders: Folders) -> str | None:
        if found := super().why_not(action, folders):
            return found
        transfer.check_may_leave(action.source)
        return None

    def stage(
        self, action: Action, change: tagging.Changes | None, exiftool: ExifTool | None
    ) -> str:
        try:
            renaming.rename(action.source, action.target)
        except OSError as error:
            if not os_errors.is_other_device(error):
                raise
            transfer.check_removable(action.source)
            return transfer.stage(action.source, action.target)
        return ""

    def staged_events(
        self, action: Action, part: str, change: tagging.Changes | None
    ) -> list[dict[str, object]]:
        """By what a copy is known whose original is removed before its line is on the disk, also
        where it has another time; and the mode that the file system there did not keep."""
        if not part:
            return []
        with contextlib.suppress(OSError):
            found = transfer.fingerprint(part) if action.digest is None else None
            mode = stat.S_IMODE(os.lstat(action.source).st_mode)
            lost = mode if mode != stat.S_IMODE(os.lstat(part).st_mode) else None
            if found is not None or lost is not None:
                digest = None if found is None else found.hex()
                return [{"staged": action.target, "fingerprint": digest, "mode": lost}]
        return []

    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        if not part:
            return ()
        transfer.publish(part, action.target, action.source)
        notes = not_kept(action)
        transfer.remove_original(action.source, action.target)
        return notes

    def done_facts(self, action: Action) -> dict[str, Any]:
        if action.digest is None:
            with contextlib.suppress(OSError):
                if found := transfer.fingerprint(action.target):
                    return {"fingerprint": found.hex()}
        return {}

    def revert(self, entry: Entry, lead: Entry | None = None) -> Answer:
        action = entry.action
        if entry.stamp is None:
            transfer.discard(transfer.part_of(action.target))
        transfer.discard(transfer.part_of(action.source))
        there, back = transfer.exists(action.target), transfer.exists(action.source)
        if not there:
            return ALREADY if back else ("refused", "it exists neither here nor on its shelf")
        if back:
            return _revert_where_both_are(entry, lead)
        if not unchanged.since_run(entry, action.target, lead):
            return "refused", "it has changed since it was moved"
        if why_not := transfer.why_no_folder(os.path.dirname(action.source)):
            return "refused", why_not
        transfer.move(action.target, action.source, action.mtime_ns, entry.mode)
        return DONE

    def room_to_revert(self, entry: Entry) -> Room | None:
        """None where only a copy is to be removed: a move that was stopped before its last step."""
        action = entry.action
        with contextlib.suppress(OSError):
            if transfer.exists(action.source):
                return None
        return Room(action.target, action.source, action.size, True, NO_ROOM_BACK)


def _revert_where_both_are(entry: Entry, lead: Entry | None) -> Answer:
    """Take back a move across file systems that was stopped before its last step. Refused where
    something else lies at the file's old place."""
    action = entry.action
    if link := _link_at(action):
        return "refused", f"{link}: remove the link, then undo again"
    same = transfer.same_content(action.target, action.source)
    if same and unchanged.since_run(entry, action.target, lead):
        renaming.remove(action.target)
        return DONE
    return "refused", f"there is something else at {action.source} now"


def _link_at(action: Action) -> str | None:
    """What lies at the old place of a moved file, where that is a link, in words for the user. To
    remove the file on the shelf would be to lose what the link leads to."""
    if os.path.islink(action.source):
        return f"there is a symbolic link at {action.source} now"
    if transfer.depends_on(action.source, action.target):
        return f"{os.path.dirname(action.source)} leads to the file's shelf by a link now"
    return None


def check_may_take_away(folder: str) -> None:
    """Raise `UserError` where no picture may leave `folder`."""
    if library := left_out.library_around(os.path.realpath(folder)):
        raise UserError(
            f"{library} belongs to a photo program, which would miss what is moved out of it: "
            "use --as copy"
        )
    if mounts.is_read_only(folder):
        raise UserError(
            f"nothing can be moved out of {folder}: its file system is read-only; use --as copy"
        )
