"""Scans a folder: pictures with their companions, skipped files, and all others by type.

Reads the first bytes of regular files and nothing else; a FIFO, socket or device is never opened.
Links are not followed unless asked: a tree with a link to `/` stays a tree.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from zeroshelf import checks
from zeroshelf.errors import UserError
from zeroshelf.images import formats, left_out, other_files, pairs_and_sidecars
from zeroshelf.images.codecs import optional
from zeroshelf.images.exclude import Excluder
from zeroshelf.images.in_order import InOrder
from zeroshelf.records import Folder, Ignored, Picture, Skipped
from zeroshelf.system import (
    file_attributes,
    file_io,
    file_names,
    folder_identity,
    path_spelling,
)

_SUFFIXES = formats.PICTURE_SUFFIXES | formats.VIDEO_SUFFIXES | formats.RAW_SUFFIXES

_STUBS = (".icloud", ".nextcloud", ".owncloud")  # .a.heic.icloud stands for one in a cloud
_IN_THE_CLOUD = "only a placeholder: the picture itself is in the cloud"


@dataclass(slots=True)
class Found:
    pictures: list[Picture] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    not_pictures: Counter[str] = field(default_factory=Counter)  # by kind
    left_out: Counter[str] = field(default_factory=Counter)  # by reason


def root_of(folder: str | os.PathLike[str]) -> str:
    """The absolute path of a folder as the user names it. Raises `UserError` for an empty name,
    which would be the current folder: a script's variable that was never set."""
    path = checks.path(folder, "the folder")
    if not path:
        raise UserError("the folder's name is empty: give its path, or . for this one")
    return os.path.abspath(os.path.expanduser(path))


def scan(
    root: str,
    *,
    exclude: str | Sequence[str] = (),
    leave_out: Collection[str] = (),
    follow: bool = False,
) -> Folder:
    """Every picture below `root`.

    `exclude`: glob patterns, or a single one; one without "/" is held against every name on the
    way, one with "/" against the path below `root`. `leave_out`: absolute folders, the output of
    this and earlier runs. `follow`: go through links too; by default a link is left alone, and a
    link to a picture outside of `root` is listed as skipped.

    Raises `UserError` where `root` is no folder that can be read, or is the library of a photo
    program: its inside is not for others to sort. A folder in such a library is a warning.
    """
    root = os.path.abspath(root)
    warnings = _warn_of_library(root)
    found = Found()
    excluded = Excluder((exclude,) if isinstance(exclude, str) else exclude)
    pictures = InOrder()
    for files in _walk(root, excluded, leave_out, follow, found):
        look_at(files, root, follow, found)
        if files:
            pictures.add(files[0].path.removesuffix(files[0].name), found.pictures)
            found.pictures.clear()
    return Folder(
        root=root,
        pictures=pictures.all(),
        skipped=tuple(sorted(found.skipped, key=lambda s: os.fsencode(s.path))),
        ignored=Ignored(
            other_files.counted_by(found.not_pictures), other_files.counted_by(found.left_out)
        ),
        warnings=(*warnings, *(f"exclude {p!r} matches nothing" for p in excluded.unmatched())),
    )


def _warn_of_library(root: str) -> tuple[str, ...]:
    library = left_out.library_around(root) or left_out.library_around(os.path.realpath(root))
    if library is None:
        return ()
    if library in (root, os.path.realpath(root)):
        raise UserError(
            f"{root} is the library of a photo program, and belongs to it: export the pictures "
            "into a folder, or give the folder of originals inside and copy from there"
        )
    return (f"{root} is in {library}, which a photo program manages: use --as copy, not --as move",)


def files_by_folder(
    root: str, *, exclude: Sequence[str] = (), leave_out: Collection[str] = ()
) -> Iterator[list[os.DirEntry[str]]]:
    """The files that `scan` would look at, a folder after the other. None is opened. Arguments and
    errors are those of `scan`."""
    return _walk(os.path.abspath(root), Excluder(exclude), leave_out, False, Found())


def sidecars(root: str) -> tuple[list[str], list[Skipped]]:
    """Every XMP sidecar below `root`, also where its picture is gone, and the folders that can't be
    read. Hidden ones and libraries are left alone as in `scan`, the output of runs is not."""
    root = os.path.abspath(root)
    found = Found()
    paths = [
        entry.path
        for files in _walk(root, Excluder(()), (), False, found)
        for entry in files
        if entry.name.lower().endswith(".xmp") and entry.is_file(follow_symlinks=False)
    ]
    return sorted(paths, key=os.fsencode), found.skipped


def _walk(  # noqa: PLR0912  # one branch for each thing that an entry can be
    root: str, excluded: Excluder, leave_out: Collection[str], follow: bool, found: Found
) -> Iterator[list[os.DirEntry[str]]]:
    """The files of one folder after the other, in the order in which the paths below them come."""
    if not os.path.isdir(root):
        what = "is a file, not a folder" if os.path.lexists(root) else "doesn't exist"
        raise UserError(f"{root} {what}")
    output = {os.path.abspath(path) for path in leave_out}
    by_identity = {folder_identity.identity(path) for path in output} - {
        None
    }  # whatever its path is
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
        names = {entry.name for entry in listing}
        loading = left_out.still_loading(names)
        files: list[os.DirEntry[str]] = []
        inside: list[str] = []
        for entry in listing:
            suffix = os.path.splitext(entry.name)[1].lower()
            is_folder = _is_folder(entry, follow)
            if suffix in _STUBS and _is_stub(entry.name):
                found.skipped.append(Skipped(entry.path, _IN_THE_CLOUD))
            elif excluded(entry.path[len(root) :].lstrip(os.sep)):
                found.left_out[left_out.EXCLUDED] += 1
            elif is_folder and (reason := left_out.of_folder(entry.name, here, names)):
                found.left_out[reason] += 1
            elif is_folder and (
                entry.path in output
                or (by_identity and folder_identity.identity(entry.path) in by_identity)
            ):
                found.left_out[left_out.OUTPUT] += 1
            elif is_folder:
                inside.append(entry.path)
            elif reason := left_out.of_file(entry.name, suffix, loading):
                found.left_out[reason] += 1
            else:
                files.append(entry)
        inside.sort(key=lambda path: path_spelling.in_order(path + os.sep), reverse=True)
        folders += inside
        yield files


def _is_stub(name: str) -> bool:
    stem, suffix = os.path.splitext(name.lower())
    return suffix in _STUBS and os.path.splitext(stem)[1] in _SUFFIXES


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


def look_at(files: list[os.DirEntry[str]], root: str, follow: bool, found: Found) -> None:
    """The files of one folder. Companions lie beside their picture, so a folder is the unit."""
    pictures: list[Picture] = []
    rest: dict[str, int] = {}  # path -> bytes of all that is no picture
    named: dict[str, str] = {}  # path -> why one that is named like a picture is none
    kind_of: dict[str, str] = {}  # path -> a word for it
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
        kind = formats.of(head, suffix)
        if kind is None:
            word = kind_of[entry.path] = other_files.kind_of(entry.name, head)
            if reason := _why_not(head, at, suffix):
                named[entry.path] = reason
            elif other_files.is_video(word) and suffix not in pairs_and_sidecars.LIVE_SUFFIXES:
                kind = formats.UNREAD_VIDEO
        if kind is None:
            rest[entry.path] = at.st_size
        else:
            pictures.append(Picture(entry.path, kind, at.st_size, at.st_mtime_ns, at.st_ctime_ns))
    kept, along = pairs_and_sidecars.gather(pictures, rest)
    found.skipped += [Skipped(path, named[path]) for path in named.keys() - along]
    found.not_pictures.update(kind_of[path] for path in rest.keys() - along - named.keys())
    for picture in kept:
        _sort_in(picture, found)


def _sort_in(picture: Picture, found: Found) -> None:
    """A picture that can be read, one that could be, or a video with what belongs to it."""
    if optional.has(picture.format):
        found.pictures.append(picture)
    elif picture.format in (formats.VIDEO, formats.UNREAD_VIDEO):
        unit = (picture.path, *picture.companions)
        found.not_pictures.update(other_files.kind_of(path) for path in unit)
    else:
        found.skipped.append(Skipped(picture.path, optional.advice(picture.format)))


def _head(path: str) -> tuple[bytes, os.stat_result]:
    """Not blocked by a FIFO that took the file's place since the listing."""
    descriptor = os.open(path, file_io.READ_FLAGS)
    try:
        at = os.fstat(descriptor)
        if not stat.S_ISREG(at.st_mode) or file_attributes.is_placeholder(at):
            return b"", at
        return os.read(descriptor, formats.HEAD), at
    finally:
        os.close(descriptor)


def _why_not(head: bytes, at: os.stat_result, suffix: str) -> str | None:
    """Why a file that is named like a picture is none; None where its name promised nothing."""
    if file_attributes.is_placeholder(at):
        return _IN_THE_CLOUD if suffix in _SUFFIXES else None
    if suffix not in formats.PICTURE_SUFFIXES:
        return None
    if not at.st_size:
        return "empty file"
    if not any(head):
        hole = file_attributes.allocated(at) == 0
        return (
            "no data: the file is a hole or a placeholder"
            if hole
            else "no data: the file starts with zeros"
        )
    return "has a picture's suffix, but its content is not a picture"


def _look_at_link(path: str, suffix: str, root: str, found: Found) -> None:
    if suffix not in formats.PICTURE_SUFFIXES:
        found.left_out[left_out.LINK] += 1
        return
    target = os.path.realpath(path)
    if not os.path.exists(target):
        found.skipped.append(Skipped(path, "a link that leads nowhere"))
    elif target == (real := os.path.realpath(root)) or file_names.inside(target, real):
        found.left_out[left_out.LINK] += 1  # the picture itself is seen where it lies
    else:
        found.skipped.append(Skipped(path, "a link that leads out of the folder: not followed"))


def _count_special(path: str, suffix: str, link: bool, found: Found) -> None:
    if suffix in formats.PICTURE_SUFFIXES:
        reason = "a link that leads nowhere" if link else "not a regular file: never opened"
        found.skipped.append(Skipped(path, reason))
    else:
        found.not_pictures[other_files.kind_of(path)] += 1


def paths(folder: Folder) -> Iterator[str]:
    """Every file that a sort of `folder` may touch, companions included."""
    for picture in folder.pictures:
        yield picture.path
        yield from picture.companions
