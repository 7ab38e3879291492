"""One file from one place to another: never onto something, never half, nothing of it lost.

Hides what operating systems and file systems differ in.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Sequence

from blake3 import blake3

from zeroshelf.records import Action

LINKS = ("symlink", "relative-symlink")

_WHO = os.fsencode(f"{platform.node()}:{os.path.expanduser('~')}/")  # this user of this machine
_BLOCK = 1 << 30
_NO_REPLACE = 1  # RENAME_NOREPLACE of linux/fs.h
_EXCLUSIVE = 4  # RENAME_EXCL of macOS
_AT_FDCWD = -100
# What a file system says that has no such rename, or no hard links.
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP}


def rename(source: str, target: str) -> None:
    """Raises `FileExistsError` where `target` is there, and OSError EXDEV across file systems."""
    if sys.platform == "win32":
        os.rename(source, target)  # refuses an existing target by itself
        return
    try:
        _rename_exclusive(os.fsencode(source), os.fsencode(target))
        return
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        # Neither call: exFAT, some network shares. A look and a rename are all that is left.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(source, target)
    else:
        os.unlink(source)


def move(source: str, target: str) -> None:
    """`rename`, and across file systems: copy, sync, verify, and only then remove."""
    try:
        rename(source, target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    part = stage(source, target)
    try:
        sync([part])
        publish(part, target, source)
    except OSError:
        discard(part)
        raise
    os.unlink(source)


def publish(part: str, target: str, source: str | None = None) -> None:
    """Give a staged and synced copy its name. With `source`, which is to go next: both were read
    again and are equal, and the name is on the disk too."""
    if source is not None and digest(part) != digest(source):
        raise OSError(errno.EIO, "the copy differs from the original", source)
    rename(part, target)
    if source is not None:
        sync([os.path.dirname(target)])


def stage(source: str, target: str) -> str:
    """Copy `source` with its times, mode and extended attributes to a hidden file beside `target`,
    of which the name is returned. A reflink where the file system can."""
    part = part_of(target)
    with open(source, "rb", buffering=0) as reading:
        before = os.fstat(reading.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", source)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        discard(part)  # left by a run that was killed
        try:
            with open(os.open(part, flags, 0o600), "wb", buffering=0) as writing:
                _copy_content(reading.fileno(), writing.fileno(), before.st_size)
            shutil.copystat(source, part)
            with contextlib.suppress(OSError):
                if hasattr(os, "chown") and os.geteuid() == 0:
                    os.chown(part, before.st_uid, before.st_gid)
                    os.chmod(part, stat.S_IMODE(before.st_mode))
            after = os.fstat(reading.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise OSError(errno.EBUSY, "changed while it was copied", source)
            if os.stat(part).st_size != before.st_size:
                raise OSError(errno.EIO, "copy is not as long as the original", source)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
    return part


def part_of(target: str) -> str:
    """Where `stage` puts the copy: found again after a kill, for it depends on the target and this
    user of this machine only. Another machine that works on the same share never meets it."""
    folder, name = os.path.split(target)
    digest = blake3(_WHO + os.fsencode(name)).hexdigest(12)
    return os.path.join(folder, f".zeroshelf-{digest}.part")


def exists(path: str) -> bool:
    """`lexists` that raises OSError where the folder can't be looked into: what can't be seen may
    well be there."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def discard(path: str) -> None:
    """Remove a file of our own that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def sync(paths: Sequence[str]) -> None:
    """Files and folders, to the disk. Many at once cost as much as one: Linux is asked for each
    file system as a whole, where each file would wait for the disk by itself."""
    if len(paths) > 1 and _SYNCFS is not None:
        one_each = {os.stat(path).st_dev: path for path in paths}
        if all(_sync_file_system(path) for path in one_each.values()):
            return
    for path in paths:
        if sys.platform == "win32" and os.path.isdir(path):
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def digest(path: str) -> bytes:
    """BLAKE3 of a file's content, in bounded memory."""
    hasher = blake3()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.digest()


def digest_of(content: bytes) -> bytes:
    return blake3(content).digest()


def same_content(one: str, other: str) -> bool:
    return os.path.getsize(one) == os.path.getsize(other) and digest(one) == digest(other)


def is_result(action: Action, path: str) -> bool:
    """True where `path` is what `action` would have made there."""
    try:
        if action.kind in LINKS:
            return os.path.islink(path) and os.readlink(path) == link_text(action, path)
        if action.kind == "hardlink":
            return os.path.samestat(os.lstat(path), os.lstat(action.source))
        at = os.lstat(path)
        if not stat.S_ISREG(at.st_mode) or at.st_size != action.size:
            return False
        return digest(path) == (action.digest or digest(action.source))
    except OSError:
        return False


def link_text(action: Action, path: str) -> str:
    """What a symbolic link at `path` to the action's source says."""
    if action.kind == "symlink":
        return action.source
    shelf = os.path.realpath(os.path.dirname(path))  # ".." leads up from the real folder
    folder, name = os.path.split(action.source)
    return os.path.join(os.path.relpath(os.path.realpath(folder), shelf), name)


def existing_parent(path: str) -> str:
    """`path` itself or the nearest folder above it that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _copy_content(reading: int, writing: int, size: int) -> None:
    copied = 0
    if hasattr(os, "copy_file_range"):
        try:
            while copied < size:
                step = os.copy_file_range(reading, writing, min(size - copied, _BLOCK))
                if not step:
                    break
                copied += step
            if copied == size:
                return
        except OSError as error:
            if copied or error.errno not in {*_UNSUPPORTED, errno.EXDEV, errno.EBADF}:
                raise
    while block := os.read(reading, 1 << 20):
        view = memoryview(block)
        while view:
            view = view[os.write(writing, view) :]


def _rename_exclusive(source: bytes, target: bytes) -> None:
    if _RENAME is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _RENAME(source, target) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fsdecode(source), None, os.fsdecode(target))


def _find_rename() -> Callable[[bytes, bytes], int] | None:
    """renameat2 on Linux, renamex_np on macOS: the renames that refuse an existing target."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            rename = library.renamex_np
            return lambda source, target: int(rename(source, target, ctypes.c_uint(_EXCLUSIVE)))
        rename = library.renameat2
        return lambda source, target: int(
            rename(_AT_FDCWD, source, _AT_FDCWD, target, ctypes.c_uint(_NO_REPLACE))
        )
    except (OSError, AttributeError, TypeError):
        return None


def _sync_file_system(path: str) -> bool:
    """False where the system can't: then each file is synced by itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _SYNCFS is not None and _SYNCFS(descriptor) == 0
    finally:
        os.close(descriptor)


def _find_syncfs() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return lambda descriptor: int(call(descriptor))


_RENAME = _find_rename()
_SYNCFS = _find_syncfs()
