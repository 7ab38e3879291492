"""Opening a file, copying its content, and making sure that it is on the disk."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable, Sequence

from zeroshelf.system import machine
from zeroshelf.system.os_errors import UNSUPPORTED

# O_NONBLOCK: a FIFO that took a file's place since it was listed does not block the program.
# O_BINARY: Windows would otherwise translate line ends.
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
NEW_FILE_FLAGS = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
_COPY_BLOCK = 1 << 30  # bytes that one copy_file_range may copy
_SEEKING = threading.Lock()


def copy_content(reading: int, writing: int, size: int) -> None:
    """From one open file to another, both at their start: `size` bytes or all that there are. As
    copy-on-write where the file system can (a reflink)."""
    copy_range = getattr(os, "copy_file_range", None)
    copied = 0
    if copy_range is not None:
        try:
            while copied < size:
                step = copy_range(reading, writing, min(size - copied, _COPY_BLOCK))
                if not step:
                    break
                copied += step
            if copied == size:
                return
        except OSError as error:
            if copied or error.errno not in {*UNSUPPORTED, errno.EXDEV, errno.EBADF}:
                raise
    while block := os.read(reading, 1 << 20):
        view = memoryview(block)
        while view:
            view = view[os.write(writing, view) :]


def read_at(descriptor: int, size: int, at: int) -> bytes:
    """`size` bytes of an open file from byte `at` on. Safe in several threads; where there is
    `fork`, also in several processes that share the open file. Raises OSError, also where the file
    is shorter."""
    if sys.platform == "win32":
        with _SEEKING:
            os.lseek(descriptor, at, os.SEEK_SET)
            found = os.read(descriptor, size)
    else:
        found = os.pread(descriptor, size, at)
    if len(found) != size:
        raise OSError(errno.EIO, "a temporary file is shorter than it was")
    return found


def sync_open(descriptor: int) -> None:
    """What was written to an open file is on the disk when this returns. macOS' own fsync leaves it
    in the drive's cache; F_FULLFSYNC doesn't."""
    if machine.MACOS and _full_sync(descriptor):
        return
    os.fsync(descriptor)


def sync_written(descriptor: int) -> None:
    """Before a new file is closed that `sync` gets later. Windows syncs only what is open for
    writing, and the file may be made read-only meanwhile; elsewhere this does nothing."""
    if machine.WINDOWS:
        os.fsync(descriptor)


def sync(paths: Sequence[str]) -> None:
    """Files and folders, to the disk; raises OSError where a file can't be.

    Many at once cost as much as one: Linux is asked for each file system as a whole, where each
    file would wait for the disk by itself. A folder is left out where the system or the file system
    can't sync one; what lies in it is then as safe as that file system makes it.
    """
    if len(paths) > 1 and _SYNCFS is not None:
        one_each = {os.stat(path).st_dev: path for path in paths}
        if all(_sync_file_system(path) for path in one_each.values()):
            return
    # One full sync empties a drive's cache for all that came before it.
    last = {os.stat(path).st_dev: path for path in paths}.values() if machine.MACOS else ()
    for path in paths:
        _sync_one(path, full=path in last)


def _sync_one(path: str, *, full: bool) -> None:
    folder = os.path.isdir(path)
    if machine.WINDOWS:
        if folder:
            return
        try:
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        except PermissionError:
            return  # read-only: `sync_written` did it
    else:
        descriptor = os.open(path, os.O_RDONLY)
    try:
        if full:
            sync_open(descriptor)
        else:
            os.fsync(descriptor)
    except OSError as error:
        if not folder or error.errno not in {*UNSUPPORTED, errno.EBADF}:
            raise
    finally:
        os.close(descriptor)


def _full_sync(descriptor: int) -> bool:
    """F_FULLFSYNC; False where the file system has none (network shares)."""
    if sys.platform != "win32":
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl

            fcntl.fcntl(descriptor, getattr(fcntl, "F_FULLFSYNC"))  # noqa: B009  # macOS alone
            return True
    return False


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
    except (OSError, AttributeError, TypeError):
        return None
    return lambda descriptor: int(call(descriptor))


_SYNCFS = _find_syncfs()
