"""The actions tag and untag: a sidecar rewritten whole, what it was before kept in the journal."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass

from zeroshelf.files import sidecars, transfer
from zeroshelf.files.journal import Entry, Rewrite, Sidecar
from zeroshelf.records import Action

KINDS = ("tag", "untag")
_LARGEST = 1 << 24  # of a sidecar that is read


@dataclass(frozen=True, slots=True)
class Change:
    before: Sidecar | None  # None: there is no sidecar yet
    after: bytes | None  # None: the sidecar goes

    @property
    def rewrite(self) -> Rewrite:
        after = None if self.after is None else transfer.digest_of(self.after)
        return Rewrite(self.before, after)


def read(path: str) -> Sidecar:
    """Raises OSError, also for what is no regular file or too large."""
    at = os.lstat(path)
    if not stat.S_ISREG(at.st_mode) or at.st_size > _LARGEST:
        raise OSError(errno.EINVAL, "no regular file, or too large for a sidecar")
    attributes = {}
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    mode, owner = stat.S_IMODE(at.st_mode), (at.st_uid, at.st_gid)
    return Sidecar(_content(path), at.st_mtime_ns, mode, owner, attributes)


def change(action: Action) -> Change:
    """What the action would do to the sidecar as it is now. Raises `Unreadable` and OSError."""
    before = None
    try:
        before = read(action.target)
    except FileNotFoundError:
        if action.kind == "untag":
            raise
    if before is not None and action.kind == "untag":
        return Change(before, sidecars.remove(before.content, action.label))
    after = before.content if before else None
    for tag in action.label.splitlines():
        after = sidecars.add(after, tag)
    return Change(before, after)


def stage(action: Action, change: Change) -> str:
    """The new sidecar beside the old one; its hidden name, or "" where the sidecar goes."""
    return "" if change.after is None else _beside(action.target, change.after, change.before)


def publish(part: str, action: Action, change: Change) -> None:
    """The staged sidecar takes its name, or the old one's place if that is still what it was."""
    if change.before is None:
        transfer.rename(part, action.target)
        return
    if _content(action.target) != change.before.content:
        raise OSError(errno.EBUSY, "the sidecar has just changed", action.target)
    if change.after is None:
        os.unlink(action.target)
    else:
        os.replace(part, action.target)


def is_done(entry: Entry) -> bool:
    return entry.rewrite is not None and _digest(entry.action.target) == entry.rewrite.after


def revert(entry: Entry) -> str | None:
    """Put the old sidecar back. Why not, where it can't be; None when it is as it was."""
    target, rewrite = entry.action.target, entry.rewrite
    transfer.discard(transfer.part_of(target))
    if rewrite is None:
        return None  # never written
    before, now = rewrite.before, _digest(target)
    if now == (None if before is None else transfer.digest_of(before.content)):
        return None  # put back already
    if now != rewrite.after:
        return "the sidecar has changed since"
    if before is None:
        os.unlink(target)
        return None
    part = _beside(target, before.content, before)
    try:
        transfer.set_times(part, before.mtime_ns, before.mtime_ns)
        transfer.sync([part])
        if rewrite.after is None:
            transfer.rename(part, target)
        else:
            os.replace(part, target)
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
        if like is not None:
            if hasattr(os, "chown") and os.geteuid() == 0:
                with contextlib.suppress(OSError):
                    os.chown(part, *like.owner)
            transfer.set_mode(part, like.mode)
            for name, value in like.attributes.items():
                with contextlib.suppress(OSError):
                    os.setxattr(part, name, value)
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
