"""Properties of a file system, read before anything is written to it: mount, type, allowed names.

Most of them are available on Linux only. Elsewhere the functions return "not known", and a refused
operation is handled when it fails.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from typing import TypeAlias

from zeroshelf.system import file_names

Mount: TypeAlias = tuple[int, int | None]  # device, Linux's number of the mount
_FAT = frozenset({"vfat", "msdos", "exfat"})
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "autofs"})
_OCTAL = re.compile(r"\\([0-7]{3})")  # of a space in /proc/self/mountinfo
WITHOUT_LINKS = _FAT  # neither hard nor symbolic ones


def mount(folder: str) -> Mount:
    """Equal for two folders between which a hard link or a rename can lead. A folder that is
    mounted a second time elsewhere has the same device there, and yet nothing can be linked across.
    """
    return os.stat(folder).st_dev, _number(folder)


def point(folder: str) -> str | None:
    """The top of the mount on which `folder` lies; None where that can't be told, or lies on
    another file system: a subvolume, a mount that another one covers."""
    number = _number(folder)
    found = next((place for row, _, place, _ in _table() if row == number), None)
    if number is None:
        found = os.path.realpath(folder)
        while not os.path.ismount(found):
            found = os.path.dirname(found)
    try:
        return found if found is not None and mount(found) == mount(folder) else None
    except OSError:
        return None


def kind(folder: str) -> str | None:
    """The type of the file system, "vfat"; None where it isn't known."""
    number = _number(folder)
    return next((type_ for row, _, _, type_ in _table() if row == number), None)


def rules(folder: str) -> file_names.Rules:
    """Which names can be had in `folder`, as far as that is known."""
    refused: frozenset[file_names.Fault] = frozenset()
    if sys.platform == "win32" or kind(folder) in _FAT:
        refused = file_names.FAULTS
    return file_names.Rules(refused, _longest_name(folder) or file_names.MAX_BYTES)


def _longest_name(folder: str) -> int | None:
    if sys.platform == "win32" or not hasattr(os, "pathconf"):
        return None
    try:
        longest = os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):
        return None
    return longest if longest > 0 else None


def free_bytes(folder: str) -> int | None:
    """Bytes that are free on the disk of `folder`; None where the system does not tell. Raises
    OSError where `folder` is missing."""
    if not hasattr(shutil, "disk_usage"):
        return None
    usage = shutil.disk_usage(folder)
    return usage.free if usage.free or usage.total else None  # some phones and shares tell neither


def is_read_only(folder: str) -> bool:
    """True where the file system is mounted read-only, so that no user can write to it."""
    if sys.platform == "win32" or not hasattr(os, "statvfs"):
        return False
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def is_elsewhere(path: str, folder: str) -> bool:
    """True where `path` is on a network drive, and `folder` isn't on the same. Reads the table of
    mounts and no drive: one that doesn't answer would keep us waiting for minutes."""
    place, other = _place(path), _place(folder)
    return place is not None and other is not None and place != other and place[1] in _REMOTE


def _place(path: str) -> tuple[tuple[int, int], str] | None:
    """Device and type at a path, by its name alone."""
    best, found = -1, None
    for _, device, point, type_ in _table():
        if (path == point or file_names.inside(path, point)) and len(point) >= best:
            best, found = len(point), (device, type_)
    return found


def _number(folder: str) -> int | None:
    if not sys.platform.startswith("linux") or not hasattr(os, "O_PATH"):
        return None
    try:
        descriptor = os.open(folder, os.O_PATH)
        try:
            with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
                lines = dict(line.split(":", 1) for line in file if ":" in line)
        finally:
            os.close(descriptor)
        return int(lines["mnt_id"])
    except (OSError, ValueError, KeyError):
        return None


def _table() -> Iterator[tuple[int, tuple[int, int], str, str]]:
    """Number, device, mount point and type of every mount; nothing where there is no such table."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            rows = [os.fsdecode(line).split(" ") for line in file]
    except OSError:
        return
    for row in rows:
        major, minor = row[2].split(":")
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), row[4])
        yield int(row[0]), (int(major), int(minor)), point, row[row.index("-") + 1]
