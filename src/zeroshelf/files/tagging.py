"""The tag action: a sidecar rewritten whole, what it held before kept in the journal."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import shutil
import stat
from dataclasses import dataclass
from typing import Any

from zeroshelf.files import sidecars, transfer
from zeroshelf.files.journal import Entry, Rewrite
from zeroshelf.records import Action

_LARGEST = 1 << 24  # of a sidecar that is read


@dataclass(frozen=True, slots=True)
class Change:
    before: bytes | None  # None: there is no sidecar yet
    after: bytes
    mtime_ns: int


def change(action: Action) -> Change:
    """What the action would do to the sidecar as it is now. Raises `Unreadable` and OSError."""
    before, mtime_ns = None, 0
    with contextlib.suppress(FileNotFoundError):
        at = os.lstat(action.target)
        if not stat.S_ISREG(at.st_mode) or at.st_size > _LARGEST:
            raise OSError(errno.EINVAL, "no regular file, or too large for a sidecar")
        before, mtime_ns = _content(action.target), at.st_mtime_ns
    return Change(before, sidecars.add(before, action.label), mtime_ns)


def event(action: Action, change: Change) -> dict[str, Any]:
    """For the journal, beside the intent: all that undo needs."""
    before = None if change.before is None else base64.b64encode(change.before).decode()
    after = transfer.digest_of(change.after).hex()
    return {"rewrite": action.target, "before": before, "after": after, "mtime_ns": change.mtime_ns}


def stage(action: Action, change: Change) -> str:
    """The new sidecar beside the old one, with its mode; its hidden name."""
    return _beside(action.target, change.after, change.before is not None)


def publish(part: str, action: Action, change: Change) -> None:
    """The staged sidecar takes its name, or the old one's place if that is still what it was."""
    if change.before is None:
        transfer.rename(part, action.target)
        return
    if _content(action.target) != change.before:
        raise OSError(errno.EBUSY, "the sidecar has just changed", action.target)
    os.replace(part, action.target)


def is_done(entry: Entry) -> bool:
    return entry.rewrite is not None and _digest(entry) == entry.rewrite.after


def revert(entry: Entry) -> str | None:
    """Put the old sidecar back. Why not, where it can't be; None when it is as it was."""
    target, rewrite = entry.action.target, entry.rewrite
    transfer.discard(transfer.part_of(target))
    now = _digest(entry)
    if rewrite is None or now == _digest_or_none(rewrite):
        return None  # never written, or put back already
    if now != rewrite.after:
        return "the sidecar has changed since"
    if rewrite.before is None:
        os.unlink(target)
        return None
    part = _beside(target, rewrite.before, True)
    os.utime(part, ns=(rewrite.mtime_ns, rewrite.mtime_ns))
    transfer.sync([part])
    os.replace(part, target)
    return None


def _beside(target: str, content: bytes, replaces: bool) -> str:
    part = transfer.part_of(target)
    transfer.discard(part)
    with open(part, "xb") as file:
        file.write(content)
    if replaces:
        shutil.copymode(target, part)
        transfer.copy_attributes(target, part)
    return part


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _digest(entry: Entry) -> bytes | None:
    try:
        return transfer.digest(entry.action.target)
    except FileNotFoundError:
        return None


def _digest_or_none(rewrite: Rewrite) -> bytes | None:
    return None if rewrite.before is None else transfer.digest_of(rewrite.before)
