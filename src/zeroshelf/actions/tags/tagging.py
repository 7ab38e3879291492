"""The actions tag and untag: a sidecar rewritten whole, what it was before kept in the journal; or
a picture's own file, by `picture_files`."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from zeroshelf.actions import journal, transfer
from zeroshelf.actions.journal_entries import Entry, Rewrite, Sidecar
from zeroshelf.actions.tags import exiftool, picture_files, sidecars
from zeroshelf.errors import Unreadable
from zeroshelf.records import Action
from zeroshelf.system import content_hash, file_attributes, file_io, renaming, users

_LARGEST = 1 << 24  # of a sidecar that is read


@dataclass(frozen=True, slots=True)
class Change:
    before: Sidecar | None  # None: there is no sidecar yet
    after: bytes | None  # None: the sidecar goes

    @property
    def rewrite(self) -> Rewrite:
        after = None if self.after is None else content_hash.of_bytes(self.after)
        return Rewrite(self.before, after)


def read(path: str) -> Sidecar:
    """Raises OSError, also for what is no regular file or too large."""
    at = os.lstat(path)
    if not stat.S_ISREG(at.st_mode) or at.st_size > _LARGEST:
        raise OSError(errno.EINVAL, "not a regular file, or too large for a sidecar")
    mode, owner = stat.S_IMODE(at.st_mode), (at.st_uid, at.st_gid)
    return Sidecar(_content(path), at.st_mtime_ns, mode, owner, file_attributes.read(path))


Changes: TypeAlias = Change | picture_files.Change


def is_in_file(action: Action) -> bool:
    """Of a tag or an untag: whether it is about the picture's own file, not a sidecar."""
    return not action.target.lower().endswith(".xmp")


def change(action: Action, run: str) -> Changes:
    """What a tag would do to the sidecar or the picture as it is now. `run`: the run's id. Raises
    `Unreadable` and OSError."""
    add, remove = _wanted(action)
    if is_in_file(action):
        _check_own_file(action)
        return picture_files.change(action.target, run, add, remove)
    before = None
    with contextlib.suppress(FileNotFoundError):
        before = read(action.target)
    known = picture_files.keywords_in(action.source)
    content = before.content if before else None
    return Change(before, sidecars.rewrite(content, add, remove, known))


def change_back(action: Action, run: str) -> Changes:
    """What an untag would do to the sidecar or the picture as it is now. `run`: the run's id.
    Raises `Unreadable` and OSError."""
    if is_in_file(action):
        _check_own_file(action)
        return picture_files.change_back(action.target, run, action.label)
    before = read(action.target)
    return Change(before, sidecars.remove(before.content, action.label))


def _check_own_file(action: Action) -> None:
    if action.target != action.source:
        raise Unreadable("the target is neither the picture's own file nor a sidecar")


def _wanted(action: Action) -> tuple[list[str], list[str]]:
    """The tags that a tag action adds, and those that it takes away."""
    return action.label.splitlines(), (action.instead_of or "").splitlines()


def event(target: str, change: Changes) -> dict[str, Any]:
    """For the journal, with the intent and before the change is published."""
    if isinstance(change, Change):
        return journal.rewrite(target, change.rewrite)
    return journal.edit(target, change.edit)


def folders_of(change: Changes) -> list[str]:
    """The folders that the change needs, beside that of its target."""
    return [os.path.dirname(change.backup)] if isinstance(change, picture_files.Change) else []


def jobs(changes: Sequence[Changes | None]) -> list[exiftool.Job]:
    """What exiftool has to do for them."""
    return [change.job for change in changes if isinstance(change, picture_files.Change)]


def stage(action: Action, change: Changes, tool: exiftool.ExifTool | None) -> str:
    """The new content beside the old one; its hidden name, or "" where the sidecar goes. Raises
    `Unreadable` and OSError."""
    if isinstance(change, picture_files.Change):
        assert tool is not None
        return picture_files.stage(change, tool)
    return "" if change.after is None else _beside(action.target, change.after, change.before)


def publish(part: str, action: Action, change: Changes) -> None:
    """What was staged takes its name, or the old one's place if that is still what it was."""
    if isinstance(change, picture_files.Change):
        picture_files.publish(part, change)
        return
    if change.before is None:
        renaming.rename(part, action.target)
        return
    if _content(action.target) != change.before.content:
        raise OSError(errno.EBUSY, "the sidecar has just changed", action.target)
    if change.after is None:
        renaming.remove(action.target)
    else:
        renaming.replace(part, action.target)


def is_done(entry: Entry) -> bool:
    if is_in_file(entry.action):
        return picture_files.is_done(entry)
    return entry.rewrite is not None and _digest(entry.action.target) == entry.rewrite.after


def digests(entry: Entry) -> tuple[bytes, bytes] | None:
    """BLAKE3 of a picture's content before and after a tag was written into its file."""
    edit = entry.edit
    if edit is None or edit.before is None or edit.after is None:
        return None
    return edit.before, edit.after


def clear(entry: Entry) -> None:
    """Take away what a kill has left beside a picture that was not written."""
    if is_in_file(entry.action):
        picture_files.clear(entry)


def revert(entry: Entry) -> str | None:
    """Put the old sidecar back. Why not, where it can't be; None when it is as it was."""
    if is_in_file(entry.action):
        return picture_files.revert(entry)
    target, rewrite = entry.action.target, entry.rewrite
    transfer.discard(transfer.part_of(target))
    if rewrite is None:
        return None  # never written
    before, now = rewrite.before, _digest(target)
    if now == (None if before is None else content_hash.of_bytes(before.content)):
        return None  # put back already
    if now != rewrite.after:
        return "the sidecar has changed since"
    if before is None:
        renaming.remove(target)
        return None
    part = _beside(target, before.content, before)
    try:
        transfer.set_times(part, before.mtime_ns, before.mtime_ns)
        file_io.sync([part])
        if rewrite.after is None:
            renaming.rename(part, target)
        else:
            renaming.replace(part, target)
    except OSError:
        transfer.discard(part)
        raise
    return None


def _beside(target: str, content: bytes, like: Sidecar | None) -> str:
    """A new file with the mode, the owner and the attributes of `like`."""
    part = transfer.part_of(target)
    transfer.discard(part)
    try:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            file_io.sync_written(file.fileno())
        if like is not None:
            users.keep_owner(part, like.owner)
            transfer.set_mode(part, like.mode)
            file_attributes.write(part, like.attributes)
    except OSError:
        transfer.discard(part)
        raise
    return part


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _digest(path: str) -> bytes | None:
    try:
        return transfer.digest(path)
    except FileNotFoundError:
        return None
