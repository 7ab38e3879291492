"""The system's trash: whether it takes a file, putting one there, and finding it there again.

Linux and other Unix systems: the freedesktop.org Trash specification 1.0, in steps of our own. What
send2trash does there can lose a picture: it looks for a free name in the trash and renames onto it
later, overwrites another program's information file, and copies and deletes where the trash lies
on another file system. Here the information file is made only where there is none, the rename
refuses an existing name, and nothing is ever copied.

macOS and Windows: through send2trash, which is imported when it is needed. No program can put a
file back there; the user does it in the Finder or in the Recycle Bin.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import os
import stat
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import quote, unquote_to_bytes

from blake3 import blake3

from zeroshelf.system import file_io, file_names, machine, mounts, renaming, users

_SUFFIX = ".trashinfo"
_INSTALL = 'the trash needs send2trash: pip install "zeroshelf[trash]"'
_LONGEST_INFO = 65_536  # bytes of an information file that are read: a path has 4,096 at most


def can_restore() -> bool:
    """Whether a program can find a file in the trash and put it back."""
    return not (machine.WINDOWS or machine.MACOS)


def bin_name() -> str:
    """What the system calls its trash."""
    return "the Recycle Bin" if machine.WINDOWS else "the Trash" if machine.MACOS else "the trash"


def restore_advice() -> str:
    """How the user takes files out of the trash, where no program can: a sentence."""
    how = "choose Restore" if machine.WINDOWS else "in the Finder, choose Put Back"
    return f"No program can take files out of {bin_name()}: open it, select them and {how}."


def why_unavailable() -> str | None:
    """Why no file at all can be put into the trash, in words for the user; None where it can."""
    if can_restore():
        return None
    try:
        _sender()
    except ImportError:
        return _INSTALL
    return None


def why_not(folder: str) -> str | None:
    """Why no file of `folder` can be put into the trash, in words for the user; None where nothing
    is known against it. Makes no folder."""
    if not can_restore():
        return why_unavailable()
    try:
        _trash_for(folder)
    except OSError as error:
        return error.strerror or str(error)
    return None


def reserve(source: str) -> str:
    """Make the information file that must be in the trash before `source` is. Returns its path; ""
    where the system makes it by itself. Raises OSError, then nothing was made."""
    if not can_restore():
        return ""
    folder, name = os.path.split(source)
    trash, top = _trash_for(folder)
    files, information = os.path.join(trash, "files"), os.path.join(trash, "info")
    for needed in (trash, files, information):
        os.makedirs(needed, mode=0o700, exist_ok=True)
    origin = _real(source)
    if top is not None and file_names.inside(origin, top):
        origin = os.path.relpath(origin, top)
    text = (
        f"[Trash Info]\nPath={quote(os.fsencode(origin))}\n"
        f"DeletionDate={datetime.now():%Y-%m-%dT%H:%M:%S}\n"
    )
    part = _part_of(information, source)
    _write(part, text.encode("ascii"))
    limit = min(mounts.rules(files).longest, file_names.MAX_BYTES) - len(_SUFFIX)
    try:
        for _, free in file_names.numbered(name, limit=limit):
            path = os.path.join(information, free + _SUFFIX)
            if os.path.lexists(path) or os.path.lexists(os.path.join(files, free)):
                continue
            with contextlib.suppress(FileExistsError):
                renaming.rename(part, path)
                return path
    except OSError:
        _discard(part)
        raise
    raise AssertionError("the numbers never end")


def content_of(information: str) -> str:
    """The path in the trash of the file that an information file is about."""
    folder, name = os.path.split(information)
    return os.path.join(os.path.dirname(folder), "files", name.removesuffix(_SUFFIX))


def _information_about(content: str) -> str:
    folder, name = os.path.split(content)
    return os.path.join(os.path.dirname(folder), "info", name + _SUFFIX)


def put(source: str, information: str) -> None:
    """Put `source` into the trash. `information`: what `reserve` returned. Raises OSError; then it
    is where it was."""
    if information:
        try:
            renaming.rename(source, content_of(information))
        except FileExistsError:
            why = "another program has just taken its name in the trash: apply again"
            raise OSError(errno.EBUSY, why, source) from None
        return
    try:
        _sender()(source)
    except OSError:
        raise
    except Exception as error:  # of the system's own libraries: COM, Objective-C
        raise OSError(errno.EIO, f"the system did not take it: {error}", source) from error
    if os.path.lexists(source):
        raise OSError(errno.EIO, "the system did not take it into the trash", source)


def find(source: str, known: str | None) -> Iterator[str]:
    """The paths in the trash at which what was `source` may lie. `known`: where it was put. Other
    programs may have put it back and into the trash again, so all the information files of that
    trash are read if need be."""
    if known is not None and os.path.lexists(known):
        yield known
    for information in _about(source, known):
        content = content_of(information)
        if content != known and os.path.lexists(content):
            yield content


def is_reachable(known: str) -> bool:
    """False where the trash of a file that was put at `known` isn't there: a drive is away."""
    return os.path.isdir(os.path.dirname(os.path.dirname(known)))


def release(content: str) -> None:
    """Remove the information file about a path in the trash where nothing lies any more."""
    if os.path.lexists(content):
        return
    with contextlib.suppress(FileNotFoundError):
        renaming.remove(_information_about(content))


def forget(source: str, known: str | None) -> None:
    """Clear away what a run that was killed has left in the trash of `source`, which is still, or
    again, at its place: an information file about no file, and a second name of the file itself,
    where a rename is made of a link and a removal. `known`: where the file was to be put; None:
    that isn't in the journal."""
    if not can_restore():
        return
    with contextlib.suppress(OSError):
        _discard(_part_of(_information_folder(source, known), source))
        if known is None:
            for information in _about(source, None):
                release(content_of(information))
            return
        if os.path.lexists(known) and _are_two_names(source, known):
            renaming.remove(known)
        if _origin(_information_about(known)) == _real(source):
            release(known)


def _are_two_names(one: str, other: str) -> bool:
    """Whether one file has both names. False where the file system has no inodes to tell by."""
    at = os.lstat(one)
    return at.st_ino != 0 and at.st_nlink > 1 and os.path.samestat(at, os.lstat(other))


def _about(source: str, known: str | None) -> list[str]:
    """The information files that name `source` as the place where their file was. None where the
    trash can't be read."""
    try:
        folder = _information_folder(source, known)
        return _origins(folder, os.stat(folder).st_mtime_ns).get(_real(source), [])
    except OSError:
        return []


def _information_folder(source: str, known: str | None) -> str:
    """The folder of the information files in the trash that `source` goes to, or has gone to if
    `known` is its place there. Raises OSError where there is none."""
    if known is not None:
        return os.path.dirname(_information_about(known))
    return os.path.join(_trash_for(_above(os.path.dirname(source)))[0], "info")


@functools.lru_cache(maxsize=1)  # an undo asks for each file of a trash that was emptied
def _origins(folder: str, mtime_ns: int) -> dict[str, list[str]]:
    """Where files were -> the information files about them, of a folder last changed then. Raises
    OSError where it can't be read."""
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(_SUFFIX) and (origin := _origin(path)) is not None:
            found.setdefault(origin, []).append(path)
    return found


def _origin(information: str) -> str | None:
    """Where the file was that an information file is about; None where it doesn't say."""
    trash = os.path.dirname(os.path.dirname(information))
    top = os.path.dirname(trash)
    if os.path.basename(top) == ".Trash":
        top = os.path.dirname(top)
    try:
        with open(os.open(information, file_io.READ_FLAGS), "rb", buffering=0) as file:
            lines = file.read(_LONGEST_INFO).split(b"\n")
    except OSError:
        return None
    for line in lines:
        if line.startswith(b"Path="):
            path = os.fsdecode(unquote_to_bytes(line.removeprefix(b"Path=").strip()))
            return os.path.normpath(os.path.join(top, path))
    return None


def _trash_for(folder: str) -> tuple[str, str | None]:
    """The trash into which the files of `folder` can go without being copied, by the specification:
    the one in the user's home, or the one at the top of the folder's own file system. With the
    latter comes that top. Raises OSError with words for the user where there is none."""
    here = mounts.mount(folder)
    home = _home()
    if home is not None and _is_on(home, here):
        above = _above(home)
        if os.stat(above).st_uid != users.effective_user():  # with sudo
            why = f"the trash {home} belongs to another user: start zeroshelf as that user"
            raise OSError(errno.EACCES, why, home)
        if not users.may_write(above):
            raise OSError(errno.EACCES, f"the trash {home} is write-protected", home)
        return home, None
    top = mounts.point(folder)
    if top is None:
        raise OSError(errno.EXDEV, "the trash is on another file system, so it would be copied")
    for place in _at_top(top):
        if _is_usable(place) and _is_on(place, here):
            return place, top
    why = f"the file system of {top} has no trash of yours, and none can be made there"
    raise OSError(errno.EACCES, why, folder)


def _home() -> str | None:
    """The trash in the user's home; None where there is no home."""
    data = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # is to be ignored, as the XDG Base Directory specification says
        data = os.path.expanduser("~/.local/share")
    return os.path.join(data, "Trash") if os.path.isabs(data) else None


def _at_top(top: str) -> Iterator[str]:
    """The places of a trash at the top of a file system, in the specification's order."""
    user = users.effective_user()
    if user is None:
        return
    shared = os.path.join(top, ".Trash")
    with contextlib.suppress(OSError):
        mode = os.lstat(shared).st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
            yield os.path.join(shared, str(user))
    yield os.path.join(top, f".Trash-{user}")


def _is_usable(place: str) -> bool:
    """Whether this folder is, or can be made, a trash that is the user's own."""
    try:
        at = os.lstat(place)
    except FileNotFoundError:
        return users.may_write(os.path.dirname(place))
    except OSError:
        return False
    return (
        stat.S_ISDIR(at.st_mode) and at.st_uid == users.effective_user() and users.may_write(place)
    )


def _is_on(trash: str, mount: mounts.Mount) -> bool:
    """Whether both folders of a trash are, or would be made, on that mount."""
    try:
        return all(
            mounts.mount(_above(os.path.join(trash, part))) == mount for part in ("files", "info")
        )
    except OSError:
        return False


def _above(path: str) -> str:
    """`path` itself or the nearest folder above it that is there."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _real(path: str) -> str:
    """The path without links in its folder; a link at its end stays."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _part_of(folder: str, source: str) -> str:
    """Where the information file about `source` is written before it gets its name, so that a kill
    leaves none that is half written: found again by the source."""
    name = blake3(users.identity() + os.fsencode(source)).hexdigest(12)
    return os.path.join(folder, f".zeroshelf-{name}.part")


def _write(part: str, data: bytes) -> None:
    """Make a file, over what a run that was killed has left of it. Raises OSError, then none is
    left."""
    _discard(part)
    try:
        with open(os.open(part, file_io.NEW_FILE_FLAGS, 0o600), "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
    except BaseException:
        _discard(part)
        raise


def _discard(path: str) -> None:
    """Remove a file of our own that may not be there. What can't be removed now is left."""
    with contextlib.suppress(OSError):
        renaming.remove(path)


def _sender() -> Callable[[str], None]:
    """send2trash's function. On Windows only the one that refuses what the Recycle Bin can't take:
    the other deletes such a file for good. Raises `ImportError`."""
    name = "send2trash.win.modern" if machine.WINDOWS else "send2trash"
    send: Callable[[str], None] = importlib.import_module(name).send2trash
    return send
