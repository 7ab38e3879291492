"""Everything in which operating systems and file systems differ.

No other module asks which system this is, or calls what only some systems have: tests/test_house.py
holds it. What a system may lack is looked up at the call, and each function says what it does then.
 Nothing here imports anything of zeroshelf's.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import shutil
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

WINDOWS = sys.platform == "win32"
MACOS = sys.platform == "darwin"

# O_NONBLOCK: a FIFO that took a file's place since it was listed doesn't hold the program up.
# O_BINARY: Windows would otherwise translate line ends.
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
NEW_FILE_FLAGS = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)

# What a file system says that lacks an operation: an exclusive rename, links, attributes, modes.
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
_COPY_BLOCK = 1 << 30  # bytes that one copy_file_range may copy
_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # sys/stdio.h of macOS
_AT_FDCWD = -100  # fcntl.h of Linux
_COPYFILE_ACL, _COPYFILE_XATTR = 1, 4  # copyfile.h of macOS
_GET_FLAGS = 0x80006601 | struct.calcsize("l") << 16  # FS_IOC_GETFLAGS of linux/fs.h
_LOCKED = (
    getattr(stat, "UF_IMMUTABLE", 0)
    | getattr(stat, "UF_APPEND", 0)
    | getattr(stat, "SF_IMMUTABLE", 0)
    | getattr(stat, "SF_APPEND", 0)
)  # flags of macOS under which a file can be neither renamed nor removed
_NOT_SAME_DEVICE = 17  # winerror.h
_PRIVILEGE_NOT_HELD = 1314
_LONGEST_PATH = 259  # characters: MAX_PATH of Windows without its end
_NO_LINK_RIGHT = (
    "Windows lets this account make no symbolic links: turn on Developer Mode, or use --as copy"
)

# --- the machine --------------------------------------------------------------------------------


def processors() -> int:
    """The number of processors that this process may use, at least 1: in a container often fewer
    than the machine has. Where the system can't tell, all of the machine's."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    if affinity is not None:
        with contextlib.suppress(OSError):
            return max(1, len(affinity(0)))
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def memory() -> int:
    """The machine's memory in bytes; 8 * 10^9, a plain laptop's, where the system can't tell."""
    if sys.platform == "win32":
        return _windows_memory() or 8_000_000_000
    sysconf = getattr(os, "sysconf", None)
    if sysconf is not None:
        with contextlib.suppress(ValueError, OSError):
            found = int(sysconf("SC_PHYS_PAGES")) * int(sysconf("SC_PAGE_SIZE"))
            if found > 0:
                return found
    return 8_000_000_000


def identity() -> bytes:
    """This user of this machine, in bytes that are the same in every process."""
    return os.fsencode(f"{platform.node()}:{os.path.expanduser('~')}/")


def user_id() -> str:
    """Short and the same in every process of this user, for a file's name."""
    getuid = getattr(os, "getuid", None)
    if getuid is not None:
        return str(getuid())
    name = os.environ.get("USERNAME", "user")
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def effective_user() -> int | None:
    """The number of the user in whose name this process works, 0 for root; None on systems whose
    users have none."""
    geteuid = getattr(os, "geteuid", None)
    return None if geteuid is None else int(geteuid())


def font_folders() -> list[str]:
    """Where the system and the user keep fonts; none of them needs to be there."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        own = os.path.join(os.environ.get("LOCALAPPDATA", home), "Microsoft", "Windows", "Fonts")
        return [os.path.join(os.environ.get("WINDIR", r"C:\Windows"), "Fonts"), own]
    if sys.platform == "darwin":
        return ["/System/Library/Fonts", "/Library/Fonts", f"{home}/Library/Fonts"]
    return ["/usr/share/fonts", "/usr/local/share/fonts", f"{home}/.local/share/fonts"]


def may_write(folder: str) -> bool:
    """Whether this process may make files in `folder`, as far as the system tells beforehand."""
    effective = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    return os.access(folder, os.W_OK | os.X_OK, **effective)


def is_private(at: os.stat_result) -> bool:
    """True where a file or folder belongs to this user and no other may write there. Windows keeps
    each user's temporary files apart by itself."""
    user = effective_user()
    if user is None:
        return True
    return at.st_uid == user and not at.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def exclusive_port(listening: socket.socket) -> None:
    """Let no other program listen on the address of `listening` too. Call before `bind`.

    On Linux and macOS SO_REUSEADDR takes over an address that a closed program left a minute ago,
    and nothing more. On Windows it would let another program take a live address over;
    SO_EXCLUSIVEADDRUSE forbids that.
    """
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    option = socket.SO_REUSEADDR if exclusive is None else exclusive
    listening.setsockopt(socket.SOL_SOCKET, option, 1)


def free_bytes(folder: str) -> int | None:
    """Bytes that are free on the disk of `folder`; None where the system can't tell."""
    if not hasattr(shutil, "disk_usage"):
        return None
    usage = shutil.disk_usage(folder)
    return usage.free if usage.free or usage.total else None  # some phones and shares tell neither


# --- names and links ------------------------------------------------------------------------------


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
        hard_link(source, target)
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


def is_other_device(error: OSError) -> bool:
    """True where a rename or hard link failed because it would cross file systems."""
    return error.errno == errno.EXDEV or getattr(error, "winerror", None) == _NOT_SAME_DEVICE


def reason(error: OSError, path: str) -> str:
    """What to tell a person of an error that came of making the file `path`."""
    told = error.strerror or str(error)
    if WINDOWS and len(path) > _LONGEST_PATH and isinstance(error, FileNotFoundError):
        return (
            f"{told}: its path is {len(path)} long, and Windows takes {_LONGEST_PATH} characters "
            "unless long paths are switched on; sort into a folder with a shorter path"
        )
    return told


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
    """A symbolic link at `target` that says `text`. Raises OSError; its `strerror` says what to do
    where Windows forbids it to this account."""
    make = getattr(os, "symlink", None)
    if make is None:
        raise OSError(errno.ENOSYS, "this system has no symbolic links", target)
    try:
        make(text, target)
    except NotImplementedError:
        raise OSError(errno.ENOSYS, "this system has no symbolic links", target) from None
    except OSError as error:
        if _lacks_link_right(error):
            raise PermissionError(errno.EACCES, _NO_LINK_RIGHT, target) from None
        raise


def why_no_symlinks(scratch: str) -> str | None:
    """One line where this account can't make symbolic links anywhere; None where it can.

    Tries one in the existing folder `scratch`, and removes it again. What only `scratch`'s file
    system can't do is not told: the link's own place may.
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
        return _NO_LINK_RIGHT if _lacks_link_right(error) else None
    with contextlib.suppress(OSError):
        os.unlink(path)
    return None


def relative(path: str, start: str) -> str:
    """`os.path.relpath`; the absolute path where they lie on different drives of Windows."""
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return os.path.abspath(path)


def has_relative(path: str, start: str) -> bool:
    """False for two drives of Windows, between which no relative path leads."""
    return os.path.splitdrive(path)[0].lower() == os.path.splitdrive(start)[0].lower()


def slashed(path: str) -> str:
    """A path with "/" between its parts, on Windows too. Elsewhere a "\\" is part of a name."""
    return path.replace(os.sep, "/")


def below(folder: str, path: str) -> str:
    """The absolute path of `path` in `folder`, in the system's own spelling: from "deep/a.jpg" also
    on Windows, or from what is absolute already."""
    return os.path.normpath(os.path.join(folder, path))


# --- what a file has beside its content -----------------------------------------------------------


def is_placeholder(at: os.stat_result) -> bool:
    """True where reading would fetch the file from a cloud (macOS: dataless, Windows: recall)."""
    if getattr(at, "st_flags", 0) & 0x40000000:
        return True
    return bool(getattr(at, "st_file_attributes", 0) & (0x1000 | 0x40000 | 0x400000))


def allocated(at: os.stat_result) -> int | None:
    """Bytes that the file takes on its disk; None where the system doesn't say."""
    blocks = getattr(at, "st_blocks", None)
    return None if blocks is None else int(blocks) * 512


def keep_owner(path: str, owner: tuple[int, int]) -> None:
    """Give `path` to `owner`, user and group id, where root is at work and the file system knows of
    owners; else do nothing."""
    chown = getattr(os, "chown", None)
    if chown is not None and effective_user() == 0:
        with contextlib.suppress(OSError):
            chown(path, *owner)


def attributes(path: str) -> dict[str, bytes]:
    """The extended attributes of a file; none where the system or the file system has none."""
    list_all, get = getattr(os, "listxattr", None), getattr(os, "getxattr", None)
    found: dict[str, bytes] = {}
    if list_all is not None and get is not None:
        with contextlib.suppress(OSError):
            for name in list_all(path):
                with contextlib.suppress(OSError):  # one that only others may read
                    found[name] = get(path, name)
    return found


def set_attributes(path: str, wanted: Mapping[str, bytes]) -> None:
    """Set extended attributes; those that can't be set are left out."""
    put = getattr(os, "setxattr", None)
    if put is None:
        return
    for name, value in wanted.items():
        with contextlib.suppress(OSError):
            put(path, name, value)


def copy_attributes(source: str, target: str) -> None:
    """Extended attributes, and on macOS flags and the access list, each as far as the target's file
    system takes it."""
    set_attributes(target, attributes(source))
    if _COPYFILE is not None:
        _COPYFILE(os.fsencode(source), os.fsencode(target))
    flags = getattr(os.stat(source), "st_flags", 0) & ~_LOCKED
    set_flags = getattr(os, "chflags", None)
    if flags and set_flags is not None:
        with contextlib.suppress(OSError):
            set_flags(target, flags)


def is_immutable(path: str) -> bool:
    """True where a file or folder can be neither renamed nor removed: set by chattr on Linux, by
    chflags on macOS. False where nobody can tell."""
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


# --- to the disk ----------------------------------------------------------------------------------


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


def sync_open(descriptor: int) -> None:
    """What was written to an open file is on the disk when this returns. macOS' own fsync leaves it
    in the drive's cache; F_FULLFSYNC doesn't."""
    if MACOS and _full_sync(descriptor):
        return
    os.fsync(descriptor)


def sync_written(descriptor: int) -> None:
    """Before a new file is closed that `sync` gets later. Windows syncs only what is open for
    writing, and the file may be made read-only meanwhile; elsewhere this does nothing."""
    if WINDOWS:
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
    last = {os.stat(path).st_dev: path for path in paths}.values() if MACOS else ()
    for path in paths:
        _sync_one(path, full=path in last)


def _sync_one(path: str, *, full: bool) -> None:
    folder = os.path.isdir(path)
    if WINDOWS:
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


# --- inside ---------------------------------------------------------------------------------------


def _lacks_link_right(error: OSError) -> bool:
    return getattr(error, "winerror", None) == _PRIVILEGE_NOT_HELD


@contextlib.contextmanager
def _made_writable(path: str, refused: PermissionError) -> Iterator[None]:
    """A file of ours without its read-only flag, for what Windows refuses while that is set; the
    flag comes back where that fails. Raises `refused` where the flag isn't the reason."""
    mode = os.lstat(path).st_mode if WINDOWS else stat.S_IWRITE
    if mode & stat.S_IWRITE or not stat.S_ISREG(mode):
        raise refused
    os.chmod(path, mode | stat.S_IWRITE)
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError):
            os.chmod(path, mode)
        raise


def _windows_memory() -> int | None:
    """GlobalMemoryStatusEx's ullTotalPhys."""
    if sys.platform == "win32":

        class Status(ctypes.Structure):
            _fields_ = (
                ("length", ctypes.c_ulong),
                ("load", ctypes.c_ulong),
                *((name, ctypes.c_ulonglong) for name in "abcdefg"),
            )

        status = Status()
        status.length = ctypes.sizeof(status)
        with contextlib.suppress(OSError, AttributeError):
            if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
                return int(status.a)
    return None


def _full_sync(descriptor: int) -> bool:
    """F_FULLFSYNC; False where the file system has none (network shares)."""
    if sys.platform != "win32":
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl

            fcntl.fcntl(descriptor, getattr(fcntl, "F_FULLFSYNC"))  # noqa: B009  # macOS alone
            return True
    return False


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


_RENAME = _find_rename()
_SYNCFS = _find_syncfs()
_COPYFILE = _find_copyfile()
