"""One look at the watched folder: which files there are and whether they have changed. A walk that
reads no file's content."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from zeroshelf.images import left_out, scan
from zeroshelf.system import file_attributes

State: TypeAlias = tuple[int, int, int]  # bytes, mtime_ns, ctime_ns


@dataclass(frozen=True, slots=True)
class Look:
    """What is there. Hidden files, links, placeholders and unfinished downloads are not."""

    states: Mapping[str, State] = field(default_factory=dict)  # by path
    folders: Mapping[str, list[os.DirEntry[str]]] = field(default_factory=dict)  # by path


def look(root: str, *, exclude: Sequence[str], leave_out: Collection[str]) -> Look:
    """Every file below `root` that a sort may take, and its state. exclude, leave_out: as for
    `scan.scan`. Raises `UserError` where `root` is not there or can't be read."""
    states: dict[str, State] = {}
    folders: dict[str, list[os.DirEntry[str]]] = {}
    for entries in scan.files_by_folder(root, exclude=exclude, leave_out=leave_out):
        loading = _loading(os.path.dirname(entries[0].path)) if entries else frozenset()
        kept = []
        for entry in entries:
            if entry.name.startswith("~") or entry.name.lower() in loading:
                continue
            state = _state(entry)
            if state is not None:
                states[entry.path] = state
                kept.append(entry)
        if kept:
            folders[os.path.dirname(kept[0].path)] = kept
    return Look(states, folders)


def _state(entry: os.DirEntry[str]) -> State | None:
    """None for what is no regular file, has no content yet, or would be fetched from a cloud. Not
    by `entry.stat`: on Windows it has the size of before."""
    try:
        if entry.is_symlink() or not entry.is_file(follow_symlinks=False):
            return None
        at = os.lstat(entry.path)
    except OSError:
        return None
    if not at.st_size or file_attributes.is_placeholder(at):
        return None
    return at.st_size, at.st_mtime_ns, at.st_ctime_ns


def _loading(folder: str) -> frozenset[str]:
    """The files, in lower case, beside which there is an unfinished download of the same name:
    Firefox reserves `a.jpg` while it writes `a.jpg.part`."""
    return frozenset(_stems(folder))


def _stems(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name.lower() for entry in entries]
    except OSError:
        return
    for name in names:
        stem, suffix = os.path.splitext(name)
        if suffix and left_out.of_file("x" + suffix, suffix) == left_out.UNFINISHED:
            yield stem
