"""The user in whose name this process works, and what that user may do."""

from __future__ import annotations

import contextlib
import os
import platform
import stat


def identity() -> bytes:
    """Bytes that identify this user of this machine, the same in every process."""
    return os.fsencode(f"{platform.node()}:{os.path.expanduser('~')}/")


def user_id() -> str:
    """A short text for a file's name, the same in every process of this user."""
    getuid = getattr(os, "getuid", None)
    if getuid is not None:
        return str(getuid())
    name = os.environ.get("USERNAME", "user")
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def effective_user() -> int | None:
    """The number of the user in whose name this process works, 0 for root; None on systems whose
    users have none."""
    geteuid = getattr(os, "geteuid", None)
    return None if geteuid is None else int(geteuid())


def may_write(folder: str) -> bool:
    """Whether this process may make files in `folder`, as far as the system tells beforehand."""
    effective = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    return os.access(folder, os.W_OK | os.X_OK, **effective)


def is_private(at: os.stat_result) -> bool:
    """True where a file or folder belongs to this user and no other may write there. Windows has a
    folder for temporary files for each user, so there it is always true."""
    user = effective_user()
    if user is None:
        return True
    return at.st_uid == user and not at.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def keep_owner(path: str, owner: tuple[int, int]) -> None:
    """Give `path` to `owner`, user and group id, where root is at work and the file system knows of
    owners; else do nothing."""
    chown = getattr(os, "chown", None)
    if chown is not None and effective_user() == 0:
        with contextlib.suppress(OSError):
            chown(path, *owner)
