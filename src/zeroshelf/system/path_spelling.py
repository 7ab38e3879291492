"""Paths as the system writes them: relative ones, separators, drives."""

from __future__ import annotations

import os


def relative(path: str, start: str) -> str:
    """`os.path.relpath`; the absolute path where they lie on different drives of Windows."""
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return os.path.abspath(path)


def has_relative(path: str, start: str) -> bool:
    """False for two drives of Windows, between which no relative path leads."""
    return os.path.splitdrive(path)[0].lower() == os.path.splitdrive(start)[0].lower()


def slashed(path: str) -> str:
    """A path with "/" between its parts, on Windows too. Elsewhere a "\\" is part of a name."""
    return path.replace(os.sep, "/")


def below(folder: str, path: str) -> str:
    """The absolute path of `path` in `folder`, with the system's own separators: also from
    "deep/a.jpg" on Windows. A `path` that is absolute already is returned normalised."""
    return os.path.normpath(os.path.join(folder, path))


def in_order(path: str) -> str:
    """A key that puts paths into the order of their bytes. Of most paths that is the path itself,
    so that sorting a million of them makes no second copy of each.

    >>> sorted(["z.jpg", "\u00e4.jpg", "a.jpg"], key=in_order)
    ['a.jpg', 'z.jpg', '\u00e4.jpg']
    """
    return path if path.isascii() else os.fsencode(path).decode("latin-1")
