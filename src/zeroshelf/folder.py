"""Looks at a folder: which files are pictures, which only should be, and what belongs together.

Reads the first bytes of regular files and nothing else; a FIFO, socket or device is never opened.
Links are not followed unless asked: a tree that holds a link to `/` stays a tree.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from zeroshelf import checks, system
from zeroshelf.errors import UserError
from zeroshelf.files import companions, extras, kinds, names, places
from zeroshelf.records import Folder, Picture, Skipped

# Folders that programs and systems keep for themselves; sorting them would break a library.
_SYSTEM_FOLDERS = frozenset({"@eadir", "#recycle", "$recycle.bin", "lost+found", "__macosx",
                             "system volume information"})  # fmt: skip
_SUFFIXES = kinds.PICTURE_SUFFIXES | kinds.VIDEO_SUFFIXES
_LIBRARY_SUFFIXES = (".photoslibrary", ".photolibrary", ".aplibrary", ".lrdata", ".lrlibrary")

_STUBS = (".icloud", ".nextcloud", ".owncloud")  # .a.heic.icloud stands for one in a cloud
_IN_THE_CLOUD = "only a placeholder: the picture itself is in the cloud"


@dataclass(slots=True)
class _Found:
    pictures: list[Picture] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    not_pictures: int = 0
    left_out: int = 0


def root_of(folder: str | os.PathLike[str]) -> str:
    """The absolute path of a folder as a person names it. Raises `UserError` for an empty name,
    which would be the current folder: a script's variable that nobody set."""
    path = checks.path(folder, "the folder")
    if not path:
        raise UserError("the folder's name is empty: give its path, or . for this one")
    return os.path.abspath(os.path.expanduser(path))


def scan(
    root: str,
    *,
    exclude: Sequence[str] = (),
    leave_out: Collection[str] = (),
    follow: bool = False,
) -> Folder:
    """Every picture below `root`.

    `exclude`: glob patterns; one without "/" is held against every name on the way, one with "/"
    against the path below `root`. `leave_out`: absolute folders, the output of this and earlier
    runs. `follow`: go through links too; by default a link is left alone, and a link to a picture
    outside of `root` is listed as skipped.
    """
    root = os.path.abspath(root)
    found = _Found()
    for files in _walk(root, exclude, leave_out, follow, found):
        _look_at(files, root, follow, found)
    return Folder(
        root=root,
        pictures=tuple(sorted(found.pictures, key=lambda p: os.fsencode(p.path))),
        skipped=tuple(sorted(found.skipped, key=lambda s: os.fsencode(s.path))),
        not_pictures=found.not_pictures,
        left_out=found.left_out,
    )


def sidecars(root: str) -> tuple[list[str], list[Skipped]]:
    """Every XMP sidecar below `root`, also where its picture is gone, and the folders that can't be
    read. Hidden ones and libraries are left alone as in `scan`, the output of runs is not."""
    root = os.path.abspath(root)
    found = _Found()
    paths = [
        entry.path
        for files in _walk(root, (), (), False, found)
        for entry in files
        if entry.name.lower().endswith(".xmp") and entry.is_file(follow_symlinks=False)
    ]
    return sorted(paths, key=os.fsencode), found.skipped


def _walk(
    root: str, exclude: Sequence[str], leave_out: Collection[str], follow: bool, found: _Found
) -> Iterator[list[os.DirEntry[str]]]:
    """The files of one folder after the other."""
    if not os.path.isdir(root):
        what = "is a file, not a folder" if os.path.lexists(root) else "doesn't exist"
        raise UserError(f"{root} {what}")
    excluded = _excluder(exclude)
    left_out = {os.path.abspath(path) for path in leave_out}
    by_identity = {places.identity(path) for path in left_out} - {None}  # whatever its path is
    seen: set[tuple[int, int]] = set()
    folders = [root]
    while folders:
        here = folders.pop()
        if follow and not _first_visit(here, seen):
            continue
        try:
            with os.scandir(here) as entries:
                listing = list(entries)
        except OSError as error:
            if here == root:
                raise UserError(f"{root} can't be read: {error.strerror}") from None
            found.skipped.append(Skipped(here, f"folder can't be read: {error.strerror}"))
            continue
        files: list[os.DirEntry[str]] = []
        for entry in listing:
            if _is_stub(entry.name):
                found.skipped.append(Skipped(entry.path, _IN_THE_CLOUD))
            elif _hidden(entry.name) or excluded(entry.path[len(root) :].lstrip(os.sep)):
                found.left_out += 1
            elif _is_folder(entry, follow):
                if (
                    entry.path in left_out
                    or (by_identity and places.identity(entry.path) in by_identity)
                    or _is_system(entry.name)
                ):
                    found.left_out += 1
                else:
                    folders.append(entry.path)
            else:
                files.append(entry)
        yield files


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _is_stub(name: str) -> bool:
    stem, suffix = os.path.splitext(name.lower())
    return suffix in _STUBS and os.path.splitext(stem)[1] in _SUFFIXES


def _is_system(name: str) -> bool:
    folded = name.lower()
    return folded in _SYSTEM_FOLDERS or folded.endswith(_LIBRARY_SUFFIXES)


def _is_folder(entry: os.DirEntry[str], follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:
        return False


def _first_visit(path: str, seen: set[tuple[int, int]]) -> bool:
    """False where a link leads back to a folder that was seen already."""
    try:
        at = os.stat(path)
    except OSError:
        return True  # the listing will say why
    key = (at.st_dev, at.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _excluder(patterns: Sequence[str]) -> Callable[[str], bool]:
    patterns = [system.slashed(pattern) for pattern in patterns]
    plain = [p for p in patterns if "/" not in p.strip("/")]
    paths = [p.strip("/") for p in patterns if "/" in p.strip("/")]
    if not patterns:
        return lambda path: False
    case = re.IGNORECASE if system.WINDOWS else re.NOFLAG
    name = re.compile("|".join(fnmatch.translate(p.strip("/")) for p in plain) or r"(?!)", case)
    whole = re.compile("|".join(fnmatch.translate(p) for p in paths) or r"(?!)", case)

    def excluded(path: str) -> bool:
        slashed = system.slashed(path)
        return bool(name.match(slashed.rpartition("/")[2]) or whole.match(slashed))

    return excluded


def _look_at(files: list[os.DirEntry[str]], root: str, follow: bool, found: _Found) -> None:
    """The files of one folder. Companions lie beside their picture, so a folder is the unit."""
    pictures: list[Picture] = []
    others: list[str] = []
    away: set[str] = set()  # those of the others whose content is in a cloud
    for entry in files:
        suffix = os.path.splitext(entry.name)[1].lower()
        try:
            link = entry.is_symlink()
            if link and not follow:
                _look_at_link(entry.path, suffix, root, found)
                continue
            if not entry.is_file():
                _count_special(entry.path, suffix, link, found)
                continue
            head, at = _head(entry.path)
        except OSError as error:
            found.skipped.append(Skipped(entry.path, f"can't be read: {error.strerror}"))
            continue
        kind = kinds.of(head, suffix)
        if kind is None or (kind == kinds.VIDEO and not extras.has(kind)):
            reason = _why_not(head, at, suffix)
            if reason and reason != _IN_THE_CLOUD:
                found.skipped.append(Skipped(entry.path, reason))
                continue
            others.append(entry.path)
            if reason:
                away.add(entry.path)
            continue
        pictures.append(Picture(entry.path, kind, at.st_size, at.st_mtime_ns, at.st_ctime_ns))
    kept, along = companions.gather(pictures, others)
    found.skipped += [Skipped(path, _IN_THE_CLOUD) for path in away - along]
    for picture in kept:
        if extras.has(picture.format):
            found.pictures.append(picture)
        else:
            found.skipped.append(Skipped(picture.path, extras.advice(picture.format)))
    found.not_pictures += len(set(others) - along - away)


def _head(path: str) -> tuple[bytes, os.stat_result]:
    """Not blocked by a FIFO that took the file's place since the listing."""
    descriptor = os.open(path, system.READ_FLAGS)
    try:
        at = os.fstat(descriptor)
        if not stat.S_ISREG(at.st_mode) or system.is_placeholder(at):
            return b"", at
        return os.read(descriptor, kinds.HEAD), at
    finally:
        os.close(descriptor)


def _why_not(head: bytes, at: os.stat_result, suffix: str) -> str | None:
    """Why a file that is named like a picture is none; None where its name promised nothing."""
    if system.is_placeholder(at):
        return _IN_THE_CLOUD if suffix in _SUFFIXES else None
    if suffix not in kinds.PICTURE_SUFFIXES:
        return None
    if not at.st_size:
        return "empty file"
    if not any(head):
        hole = system.allocated(at) == 0
        return "holds no data: a hole or a placeholder" if hole else "begins with zeros only"
    return "named like a picture, but its content is none"


def _look_at_link(path: str, suffix: str, root: str, found: _Found) -> None:
    if suffix not in kinds.PICTURE_SUFFIXES:
        found.left_out += 1
        return
    target = os.path.realpath(path)
    if not os.path.exists(target):
        found.skipped.append(Skipped(path, "a link that leads nowhere"))
    elif target == (real := os.path.realpath(root)) or names.inside(target, real):
        found.left_out += 1  # the picture itself is seen where it lies
    else:
        found.skipped.append(Skipped(path, "a link that leads out of the folder: not followed"))


def _count_special(path: str, suffix: str, link: bool, found: _Found) -> None:
    if suffix in kinds.PICTURE_SUFFIXES:
        reason = "a link that leads nowhere" if link else "not a regular file: never opened"
        found.skipped.append(Skipped(path, reason))
    else:
        found.not_pictures += 1


def paths(folder: Folder) -> Iterator[str]:
    """Every file that a sort of `folder` may touch, companions included."""
    for picture in folder.pictures:
        yield picture.path
        yield from picture.companions
