"""What a file has beside its content: extended attributes, flags, the space that it takes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import sys
from collections.abc import Callable, Mapping

from zeroshelf.system.file_io import READ_FLAGS

_COPYFILE_ACL, _COPYFILE_XATTR = 1, 4  # copyfile.h of macOS
_GET_FLAGS = 0x80006601 | struct.calcsize("l") << 16  # FS_IOC_GETFLAGS of linux/fs.h
_LOCKED = (
    getattr(stat, "UF_IMMUTABLE", 0)
    | getattr(stat, "UF_APPEND", 0)
    | getattr(stat, "SF_IMMUTABLE", 0)
    | getattr(stat, "SF_APPEND", 0)
)  # flags of macOS under which a file can be neither renamed nor removed


def is_placeholder(at: os.stat_result) -> bool:
    """True where reading would fetch the file from a cloud (flags of macOS: dataless; of
    Windows: FILE_ATTRIBUTE_OFFLINE, _RECALL_ON_OPEN and _RECALL_ON_DATA_ACCESS)."""
    if getattr(at, "st_flags", 0) & 0x40000000:
        return True
    return bool(getattr(at, "st_file_attributes", 0) & (0x1000 | 0x40000 | 0x400000))


def allocated(at: os.stat_result) -> int | None:
    """Bytes that the file takes on its disk; None where the system doesn't say."""
    blocks = getattr(at, "st_blocks", None)
    return None if blocks is None else int(blocks) * 512


def read(path: str) -> dict[str, bytes]:
    """The extended attributes of a file; none where the system or the file system has none."""
    list_all, get = getattr(os, "listxattr", None), getattr(os, "getxattr", None)
    found: dict[str, bytes] = {}
    if list_all is not None and get is not None:
        with contextlib.suppress(OSError):
            for name in list_all(path):
                with contextlib.suppress(OSError):  # one that only others may read
                    found[name] = get(path, name)
    return found


def write(path: str, wanted: Mapping[str, bytes]) -> None:
    """Set extended attributes; those that can't be set are left out."""
    put = getattr(os, "setxattr", None)
    if put is None:
        return
    for name, value in wanted.items():
        with contextlib.suppress(OSError):
            put(path, name, value)


def copy(source: str, target: str) -> None:
    """Extended attributes, and on macOS flags and the access list, each as far as the target's file
    system takes it."""
    write(target, read(source))
    if _COPYFILE is not None:
        _COPYFILE(os.fsencode(source), os.fsencode(target))
    flags = getattr(os.stat(source), "st_flags", 0) & ~_LOCKED
    set_flags = getattr(os, "chflags", None)
    if flags and set_flags is not None:
        with contextlib.suppress(OSError):
            set_flags(target, flags)


def is_immutable(path: str) -> bool:
    """True where a file or folder can be neither renamed nor removed: set by chattr on Linux, by
    chflags on macOS. False where the system does not tell."""
    flags = getattr(os.lstat(path), "st_flags", None)
    if flags is not None:
        return bool(flags & _LOCKED)
    if not sys.platform.startswith("linux"):
        return False
    try:
        import fcntl

        descriptor = os.open(path, READ_FLAGS | getattr(os, "O_NOFOLLOW", 0))
    except (ImportError, OSError):
        return False
    try:
        answer = fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0))
    except OSError:  # no such flags there
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack("l", answer)[0] & 0x30)  # immutable, append only


def _find_copyfile() -> Callable[[bytes, bytes], int] | None:
    if sys.platform != "darwin":
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).copyfile
    except (OSError, AttributeError, TypeError):
        return None
    return lambda source, target: int(
        call(source, target, None, ctypes.c_uint(_COPYFILE_ACL | _COPYFILE_XATTR))
    )


_COPYFILE = _find_copyfile()
