"""Checks whether a file is as it was when the plan was made, or as a run left it.

Times are compared first, and content where times differ: a file system may keep times to two
seconds, or not at all, or show all of them an hour later in summer (FAT). A program that edits a
file and gives it its old time can't set the time of the change itself (ctime) back: where the
journal knows it and it differs, the content is compared too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from zeroshelf.actions import transfer
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.records import Action
from zeroshelf.system import file_names


def why_not(action: Action, unit: Sequence[Action], *, follow: bool) -> str | None:
    """Why the source of `action` is not what the plan was made for, in words for the user; None
    where it is. `unit`: see `since_plan`. `follow`: a source that is a symbolic link stands for the
    file it leads to. Raises OSError where the system can't tell."""
    try:
        at = os.lstat(action.source)
        if stat.S_ISLNK(at.st_mode) and follow:
            at = os.stat(action.source)
    except FileNotFoundError:
        return "it no longer exists"
    if not stat.S_ISREG(at.st_mode):
        return "no longer a regular file"
    if at.st_size != action.size or not since_plan(action, unit, at.st_mtime_ns):
        return "it has changed since the plan was made"
    return None


def since_plan(action: Action, unit: Sequence[Action], mtime_ns: int) -> bool:
    """True where the source of `action`, whose modification time is `mtime_ns` now, is what the
    plan was made for. `unit`: the actions of the same picture and its companions. The content of a
    companion is not known: it passes where its time differs by as much as the picture's, and the
    picture's content is unchanged. Raises OSError where a file can't be read.
    """
    by = mtime_ns - action.mtime_ns
    if not by:
        return True
    if action.digest is not None:
        return transfer.digest(action.source) == action.digest
    lead = next((one for one in unit if one.source == action.companion_of), None)
    if lead is None or lead.digest is None:
        return False
    place = lead.source if transfer.exists(lead.source) else lead.target
    if not transfer.exists(place):  # in the trash by now
        return False
    off = os.lstat(place).st_mtime_ns - lead.mtime_ns - by
    return abs(off) <= transfer.SLACK_NS and transfer.digest(place) == lead.digest


def since_run(entry: Entry, path: str, lead: Entry | None = None) -> bool:
    """True where the file at `path` is what the run of `entry` left there. A kill may have come
    before the journal had its size and time: then those of the plan count. `lead`: of a companion,
    its picture's entry. Raises OSError where the file can't be read."""
    action = entry.action
    at = os.lstat(path)
    size, mtime_ns = entry.stamp or (action.size, action.mtime_ns)
    if at.st_size != size or not stat.S_ISREG(at.st_mode):
        return False
    by_ns = at.st_mtime_ns - mtime_ns
    touched = entry.ctime_ns is not None and at.st_ctime_ns != entry.ctime_ns
    return not (by_ns or touched) or _has_its_content(entry, path, lead, by_ns)


def _has_its_content(entry: Entry, path: str, lead: Entry | None, by_ns: int) -> bool:
    """The file at `path`, whose time differs by `by_ns`, by the best that is known of it."""
    action = entry.action
    if action.digest is not None:
        return transfer.digest(path) == action.digest
    if entry.fingerprint is not None:
        return transfer.fingerprint(path) == entry.fingerprint
    if path != action.source and os.path.isfile(action.source):
        return transfer.same_content(path, action.source)
    return lead is not None and _is_shifted(lead, by_ns)


def _is_shifted(lead: Entry, by_ns: int) -> bool:
    """True where the picture's time differs by as much, and its content is unchanged."""
    action = lead.action
    if lead.stamp is None or action.digest is None or not transfer.exists(action.target):
        return False
    off = os.lstat(action.target).st_mtime_ns - lead.stamp[1] - by_ns
    return abs(off) <= transfer.SLACK_NS and transfer.digest(action.target) == action.digest


def is_original(action: Action, copied_ns: int | None) -> bool:
    """True where the source of a copy is there with the content that was copied.

    copied_ns: when the copy was made, as its ctime; None: unknown. A file of equal size and time
    may be another one: the content is compared, unless nothing on the way to the source was touched
    since.
    """
    try:
        at = os.stat(action.source)
        if at.st_size != action.size:
            return False
        untouched = copied_ns is not None and _last_touched(action) < copied_ns
    except FileNotFoundError:
        return False
    if untouched and at.st_mtime_ns == action.mtime_ns:
        return True
    if action.digest is not None:
        return transfer.digest(action.source) == action.digest
    return transfer.same_content(action.source, action.target)


def _last_touched(action: Action) -> int:
    """The newest ctime, in nanoseconds, of the source, of what it leads to where it is a link, and
    of the folders around it, as far as the copy is not in them too: a renamed file or folder has a
    new one, and its modification time is the old one."""
    newest, path = os.stat(action.source).st_ctime_ns, action.source
    while not file_names.inside(action.target, path) and os.path.dirname(path) != path:
        newest = max(newest, os.lstat(path).st_ctime_ns)
        path = os.path.dirname(path)
    return newest


def matches(path: str, action: Action) -> bool:
    """True where the file at `path` has the content that `action` planned for its source. Raises
    OSError where one of the files can't be read."""
    at = os.lstat(path)
    if not stat.S_ISREG(at.st_mode) or at.st_size != action.size:
        return False
    return transfer.digest(path) == (action.digest or transfer.digest(action.source))
