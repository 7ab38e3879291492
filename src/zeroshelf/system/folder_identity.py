"""Whether two folders are the same one, whatever path each is named by.

A path with a link in it, a bind mount, and "photos" for "Photos" on a file system without case all
name a folder that has another path too. So folders are compared by device and inode.
"""

from __future__ import annotations

import os
from typing import TypeAlias

from zeroshelf.system import file_names

Identity: TypeAlias = tuple[int, int]  # device, inode


def identity(folder: str) -> Identity | None:
    """None where it isn't there or the file system has no inodes."""
    try:
        at = os.stat(folder)
    except OSError:
        return None
    return (at.st_dev, at.st_ino) if at.st_ino else None


def same(one: str, other: str) -> bool:
    """True for two paths of one folder."""
    if one == other or os.path.realpath(one) == os.path.realpath(other):
        return True
    found = identity(one)
    return found is not None and found == identity(other)


def contains(folder: str, path: str) -> bool:
    """True where `path` is `folder` or lies below it. Neither needs to exist."""
    real, below = os.path.realpath(folder), os.path.realpath(path)
    if below == real or file_names.inside(below, real):
        return True
    wanted = identity(real)
    while wanted is not None:
        if identity(below) == wanted:
            return True
        above = os.path.dirname(below)
        if above == below:
            break
        below = above
    return False


def overlap(one: str, other: str) -> bool:
    """True where one of two folders is the other or lies below it."""
    return contains(one, other) or contains(other, one)
