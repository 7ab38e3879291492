"""Hard links and symbolic links, as far as the system and this account can make them."""

from __future__ import annotations

import contextlib
import errno
import os

from zeroshelf.system import os_errors

_NO_LINK_RIGHT = (
    "Windows lets this account make no symbolic links: turn on Developer Mode, or use --as copy"
)


def hard_link(source: str, target: str) -> None:
    """A hard link at `target` to the regular file `source`. Raises `FileExistsError` where `target`
    is there, and OSError with an errno of `UNSUPPORTED` where there are no hard links."""
    link = getattr(os, "link", None)
    if link is None:
        raise OSError(errno.ENOSYS, "this system has no hard links", source, None, target)
    try:
        link(source, target, follow_symlinks=False)
    except NotImplementedError:  # a system whose call always follows, or never does
        if os.path.islink(source):
            raise OSError(errno.EINVAL, "a symbolic link can't be hard-linked", source) from None
        link(source, target)


def symlink(text: str, target: str) -> None:
    """A symbolic link at `target` that leads to `text`. Raises OSError; where Windows forbids
    links to this account, its `strerror` says what to do."""
    make = getattr(os, "symlink", None)
    if make is None:
        raise OSError(errno.ENOSYS, "this system has no symbolic links", target)
    try:
        make(text, target)
    except NotImplementedError:
        raise OSError(errno.ENOSYS, "this system has no symbolic links", target) from None
    except OSError as error:
        if os_errors.lacks_link_right(error):
            raise PermissionError(errno.EACCES, _NO_LINK_RIGHT, target) from None
        raise


def why_no_symlinks(scratch: str) -> str | None:
    """One line where this account can't make symbolic links anywhere; None where it can.

    Tries one in the existing folder `scratch`, and removes it again. Other errors say
    something of the file system of `scratch` alone: None, for the links' own folder may differ.
    """
    path = os.path.join(scratch, f".zeroshelf-link-{os.getpid()}")
    make = getattr(os, "symlink", None)
    if make is None:
        return "this system has no symbolic links: use --as copy"
    try:
        make("nowhere", path)
    except NotImplementedError:
        return "this system has no symbolic links: use --as copy"
    except OSError as error:
        return _NO_LINK_RIGHT if os_errors.lacks_link_right(error) else None
    with contextlib.suppress(OSError):
        os.unlink(path)
    return None
