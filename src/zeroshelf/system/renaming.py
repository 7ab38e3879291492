"""Giving a file another name without overwriting one, replacing a file, removing a file."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator

from zeroshelf.system import links, machine
from zeroshelf.system.os_errors import UNSUPPORTED

_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # sys/stdio.h of macOS
_AT_FDCWD = -100  # fcntl.h of Linux


def rename(source: str, target: str) -> None:
    """Give a file another name, never onto an existing one.

    Raises `FileExistsError` where `target` is there, and OSError for which `is_other_device` is
    true where the two lie on different file systems. Where the file system has no exclusive rename,
    a hard link is made and the old name removed; where it has no hard links either (exFAT, some
    network shares), a look at `target` comes before a plain rename.
    """
    if sys.platform == "win32":
        os.rename(source, target)  # refuses an existing target by itself
        return
    try:
        _rename_exclusive(os.fsencode(source), os.fsencode(target))
        return
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    try:
        links.hard_link(source, target)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(source, target)
    else:
        try:
            os.unlink(source)
        except OSError:
            os.unlink(target)  # only a second name so far
            raise


def replace(source: str, target: str) -> None:
    """`os.replace`, also onto a target that is read-only, which Windows refuses."""
    try:
        os.replace(source, target)
    except PermissionError as refused:
        with _made_writable(target, refused):
            os.replace(source, target)


def remove(path: str) -> None:
    """`os.unlink`, also of a read-only file, which Windows refuses."""
    try:
        os.unlink(path)
    except PermissionError as refused:
        with _made_writable(path, refused):
            os.unlink(path)


@contextlib.contextmanager
def _made_writable(path: str, refused: PermissionError) -> Iterator[None]:
    """Take the read-only flag from a file of ours, for what Windows refuses while that is set; the
    flag comes back where that fails. Raises `refused` where the flag isn't the reason."""
    mode = os.lstat(path).st_mode if machine.WINDOWS else stat.S_IWRITE
    if mode & stat.S_IWRITE or not stat.S_ISREG(mode):
        raise refused
    os.chmod(path, mode | stat.S_IWRITE)
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError):
            os.chmod(path, mode)
        raise


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
            return lambda source, target: int(rename(source, target, ctypes.c_uint(_RENAME_EXCL)))
        rename = library.renameat2
        return lambda source, target: int(
            rename(_AT_FDCWD, source, _AT_FDCWD, target, ctypes.c_uint(_RENAME_NOREPLACE))
        )
    except (OSError, AttributeError, TypeError):
        return None


_RENAME = _find_rename()
