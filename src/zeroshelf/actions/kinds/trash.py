"""The action trash: the picture goes to the system's trash, and comes back out of it by an undo
where the system lets a program do that. What the systems differ in is in `system/trash.py`.

There is no shelf: the target of an action is its source. A picture goes only where it surely or
likely fits a label of the user's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from zeroshelf.actions import left_behind, plan_shelves, transfer
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.kinds.base import ALREADY, DONE, Answer, Earlier, Kind, Placement
from zeroshelf.actions.kinds.move import check_may_take_away
from zeroshelf.actions.tags import tagging
from zeroshelf.actions.tags.exiftool import ExifTool
from zeroshelf.counting import counted
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, Action, Plan, PlanRequest
from zeroshelf.system import mounts, trash

_STAYING = (
    f'picture stays where it is: its label is unsure, or it is in "{OTHER}"',
    f'pictures stay where they are: their label is unsure, or they are in "{OTHER}"',
)
_SHARED = (
    "file is also about a picture that stays, and stays with it",
    "files are also about pictures that stay, and stay with them",
)
_REFUSED = (
    "picture lies where no trash can take it, and will be refused",
    "pictures lie where no trash can take them, and will be refused",
)


class Trash(Kind):
    name = "trash"
    done = "put into the system's trash"
    choice = "Trash"
    meaning = (
        "Of the pictures in {to}, those that surely or likely fit a label go to the system's "
        "trash. Unsure ones and those in other stay. Undo takes them out of the trash again where "
        "the system lets a program do that, until the trash is emptied."
    )
    place = "in the system's trash"
    no_destination = "pictures go to the system's trash"
    needs_destination = False
    takes_several = False
    only_clear = True
    takes_away = True
    unsupported = (errno.EXDEV,)
    unsupported_advice = "the trash is on another file system, and nothing is copied there"

    def confirmation(self, files: str, plan: Plan) -> str:
        return f"Put {files} of {plan.folder} into the system's trash?"

    def apply_question(self, run: str, destination: str, pictures: int) -> str:
        what = counted(pictures, "picture")
        return f"Put {what} of {destination} into the system's trash, as run {run} plans?"

    def report(self, plan: Plan) -> str:
        return self.done

    def goes_to(self, action: Action) -> str:
        return self.name

    def undo_hint(self) -> str:
        if trash.can_restore():
            return "takes everything out of the trash again, until that is emptied"
        return "says where the pictures are and how to put them back"

    def by_hand(self) -> str | None:
        return None if trash.can_restore() else trash.restore_advice()

    # --- plan -------------------------------------------------------------------------------

    def check(self, request: PlanRequest) -> None:
        if missing := trash.why_unavailable():
            raise UserError(missing)
        check_may_take_away(request.folder)
        if why_not := trash.why_not(request.folder):
            raise UserError(f"nothing in {request.folder} can go to the trash: {why_not}")

    def plan(
        self, request: PlanRequest, placements: Iterable[Placement], earlier: Earlier | None
    ) -> Plan:
        self.check(request)
        placed = sorted(placements, key=lambda placement: os.fsencode(placement[0].path))
        going = {p.path: (p, label, digest) for p, label, digest in placed if label != OTHER}
        staying = {p.path: p for p, _, _ in placed if p.path not in going}
        kept = {path for p in staying.values() for path in (*p.companions, *p.shared)}
        actions: list[Action] = []
        shared: set[str] = set()
        for picture, label, digest in going.values():
            for one in plan_shelves.unit_of(picture, label, digest, self.name):
                if one.source in kept:
                    shared.add(one.source)
                else:
                    actions.append(replace(one, target=one.source))
        left = left_behind.find([picture for picture, _, _ in placed], actions)
        notes = [_count(actions)] if actions else []
        if staying:
            notes.append(counted(len(staying), *_STAYING))
        if shared:
            notes.append(counted(len(shared), *_SHARED))
        notes += [*_refusals(actions), *left_behind.notes(left)]
        return Plan(
            request.folder,
            request.folder,
            self.name,
            tuple(actions),
            tuple(notes),
            left_behind=left,
        )

    def check_line(self, action: Action) -> None:
        if action.label == OTHER:
            raise UserError(f'{action.source}: a picture in "{OTHER}" never goes to the trash')
        if action.target != action.source:
            raise UserError(f"{action.target}: a file that goes to the trash has no other target")

    # --- apply ------------------------------------------------------------------------------

    def recover(self, entry: Entry) -> bool:
        if transfer.exists(entry.action.source):
            trash.forget(entry.action.source, entry.trashed)
            return False
        if entry.step == "done":
            return True
        if trash.can_restore():
            return _found(entry) is not None
        return _is_begun(entry)

    def why_not(self, action: Action, folders: Folders) -> str | None:
        transfer.check_may_leave(action.source)
        return trash.why_not(os.path.dirname(action.source))

    def stage(
        self, action: Action, change: tagging.Changes | None, exiftool: ExifTool | None
    ) -> str:
        """Returns the path of the information file about the picture, where the system has such."""
        return trash.reserve(action.source)

    def staged_events(
        self, action: Action, part: str, change: tagging.Changes | None
    ) -> list[dict[str, object]]:
        """Where the file will lie in the trash, and by what it is known there."""
        found = None
        with contextlib.suppress(OSError):
            found = transfer.fingerprint(action.source)
        return [
            {
                "staged": action.target,
                "fingerprint": None if found is None else found.hex(),
                "mode": None,
                "trashed": trash.content_of(part) if part else None,
            }
        ]

    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        trash.put(action.source, part)
        return ()

    # --- undo -------------------------------------------------------------------------------

    def is_result(self, action: Action, path: str) -> bool:
        return False  # it leaves nothing outside of the trash

    def revert(self, entry: Entry, lead: Entry | None = None) -> Answer:
        source = entry.action.source
        transfer.discard(transfer.part_of(source))
        if transfer.exists(source):
            return _back_already(entry)
        if not trash.can_restore():
            return "refused", f"it is in {trash.bin_name()}, where no program can take it out"
        found = _found(entry)
        if found is None:
            return "refused", _why_not_found(entry)
        folder = os.path.dirname(source)
        if not os.path.isdir(folder) and _is_across(found, folder):
            return "refused", f"{folder} is not there: connect its drive, then undo again"
        if why_not := transfer.why_no_folder(folder):
            return "refused", why_not
        transfer.move(found, source, entry.action.mtime_ns, entry.mode)
        trash.release(found)
        return DONE


def _count(actions: Iterable[Action]) -> str:
    """How many pictures of which label go, in a line."""
    labels = Counter(action.label for action in actions if action.companion_of is None)
    along = sum(action.companion_of is not None for action in actions)
    go = counted(sum(labels.values()), "picture goes", "pictures go")
    beside = counted(along, "file that belongs", "files that belong")
    each = ", ".join(f"{count:,} of {label}" for label, count in labels.items())
    return f"{go} to the system's trash{f', with {beside} to them' if along else ''}: {each}"


def _refusals(actions: Iterable[Action]) -> list[str]:
    """A line for each reason why pictures in folders below can't go."""
    folders = Counter(os.path.dirname(a.source) for a in actions if a.companion_of is None)
    reasons: Counter[str] = Counter()
    for folder, count in folders.items():
        if os.path.isdir(folder) and (why_not := trash.why_not(folder)):
            reasons[why_not] += count
    return [f"{counted(count, *_REFUSED)}: {why_not}" for why_not, count in reasons.items()]


def _is_begun(entry: Entry) -> bool:
    """Whether the journal says that the file is about to go: as long as it doesn't, no file does.
    Of a file whose content is in a cloud it may not say so where no program can restore."""
    return entry.trashed is not None or entry.fingerprint is not None


def _found(entry: Entry) -> str | None:
    """Where the file of an entry lies in the trash, unchanged; None where it doesn't."""
    paths = trash.find(entry.action.source, entry.trashed)
    return next((path for path in paths if _is_its_file(entry, path)), None)


def _is_its_file(entry: Entry, path: str) -> bool:
    """Whether the file at `path` has the content that the entry's had. Raises OSError."""
    action = entry.action
    at = os.lstat(path)
    if not stat.S_ISREG(at.st_mode) or at.st_size != action.size:
        return False
    if entry.fingerprint is not None:
        return transfer.fingerprint(path) == entry.fingerprint
    if action.digest is not None:
        return transfer.digest(path) == action.digest
    return at.st_mtime_ns == action.mtime_ns


def _back_already(entry: Entry) -> Answer:
    """For an undo, where something lies at the file's old place: the file itself, or another."""
    source = entry.action.source
    trash.forget(source, entry.trashed)
    if not _is_begun(entry):
        return ALREADY  # it never left
    if _is_its_file(entry, source):
        return ALREADY
    if trash.can_restore() and _found(entry) is None:
        return ALREADY  # it never left, or the user put it back, and has changed it since
    return "refused", f"there is something else at {source} now: the file stays in the trash"


def _why_not_found(entry: Entry) -> str:
    """Why an undo can't put the file back, in words for the user."""
    if entry.trashed is not None and not trash.is_reachable(entry.trashed):
        place = os.path.dirname(os.path.dirname(entry.trashed))
        return f"the trash {place} is not there: connect its drive, then undo again"
    if entry.trashed is not None and os.path.lexists(entry.trashed):
        return f"it has changed since: it stays in the trash, at {entry.trashed}"
    return "it is no longer in the trash: the trash was emptied, or the file was taken out of it"


def _is_across(path: str, folder: str) -> bool:
    """Whether a file would have to be copied to be put into `folder`, which is not there."""
    return mounts.mount(os.path.dirname(path)) != mounts.mount(transfer.existing_parent(folder))
