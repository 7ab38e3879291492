"""What an `OSError` means on each system, and how it is told to the user."""

from __future__ import annotations

import errno

from zeroshelf.system import machine

# The error numbers with which a file system refuses an operation that it does not have: an
# exclusive rename, links, attributes, modes.
UNSUPPORTED = frozenset(
    {
        errno.EINVAL,
        errno.ENOSYS,
        errno.EPERM,
        errno.EOPNOTSUPP,
        getattr(errno, "ENOTSUP", errno.EOPNOTSUPP),
        getattr(errno, "ENOTTY", errno.ENOSYS),
    }
)
_NOT_SAME_DEVICE = 17  # winerror.h
_PRIVILEGE_NOT_HELD = 1314
_LONGEST_PATH = 259  # characters: MAX_PATH of Windows without its end


def is_other_device(error: OSError) -> bool:
    """True where a rename or hard link failed because it would cross file systems."""
    return error.errno == errno.EXDEV or getattr(error, "winerror", None) == _NOT_SAME_DEVICE


def reason(error: OSError, path: str) -> str:
    """What to tell the user of an error that making the file `path` raised: one line."""
    told = error.strerror or str(error)
    if machine.WINDOWS and len(path) > _LONGEST_PATH and isinstance(error, FileNotFoundError):
        return (
            f"{told}: its path is {len(path)} long, and Windows takes {_LONGEST_PATH} characters "
            "unless long paths are switched on; sort into a folder with a shorter path"
        )
    return told


def lacks_link_right(error: OSError) -> bool:
    """True where Windows refused a symbolic link because the account lacks the privilege."""
    return getattr(error, "winerror", None) == _PRIVILEGE_NOT_HELD
