"""One file from one place to another: never onto something, never half, nothing of it lost.

Hides what operating systems and file systems differ in.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import stat
import struct
import sys
from collections.abc import Callable, Sequence

from blake3 import blake3

from zeroshelf.files import mounts, places
from zeroshelf.records import Action

LINKS = ("symlink", "relative-symlink")
SLACK_NS = 2_000_000_000  # FAT keeps times to two seconds

_WHO = os.fsencode(f"{platform.node()}:{os.path.expanduser('~')}/")  # this user of this machine
_BLOCK = 1 << 30
_NO_REPLACE = 1  # RENAME_NOREPLACE of linux/fs.h
_EXCLUSIVE = 4  # RENAME_EXCL of macOS
_AT_FDCWD = -100
_GET_FLAGS = 0x80006601 | struct.calcsize("l") << 16  # FS_IOC_GETFLAGS of linux/fs.h
_LOCKED = (
    getattr(stat, "UF_IMMUTABLE", 0)
    | getattr(stat, "UF_APPEND", 0)
    | getattr(stat, "SF_IMMUTABLE", 0)
    | getattr(stat, "SF_APPEND", 0)
)  # flags of macOS under which a file can be neither renamed nor removed
# What a file system says that has no such rename, or no hard links.
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP}
_NO_SUCH_NAME = {errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG}  # a name that can't be there
_UNSUITED = (OSError, OverflowError, ValueError)  # of a time that a system can't hold
_WHOLE = 1 << 20  # bytes of a file whose fingerprint is that of all of it
_SAMPLE = 1 << 16
_SAMPLES = 4


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
        try:
            os.unlink(source)
        except OSError:
            os.unlink(target)  # only a second name so far
            raise


def move(source: str, target: str, mtime_ns: int | None = None, mode: int | None = None) -> None:
    """`rename`, and across file systems: copy, sync, verify, and only then remove. The copy gets
    this time and mode, where they are given; a rename changes neither."""
    try:
        rename(source, target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    check_removable(source)
    part = stage(source, target)
    try:
        if mode is not None:
            set_mode(part, mode)
        if mtime_ns is not None:
            set_times(part, mtime_ns)
        sync([part])
        publish(part, target, source)
    except OSError:
        discard(part)
        raise
    remove_original(source, target)


def may_change(folder: str) -> bool:
    """True where this user can remove and make files in it, as far as a look tells."""
    may = os.W_OK | os.X_OK
    if os.access in os.supports_effective_ids:
        return os.access(folder, may, effective_ids=True)
    return os.access(folder, may)


def check_may_leave(path: str) -> None:
    """Raises OSError where a file can't be moved out of its folder for the folder's sake."""
    folder = os.path.dirname(path)
    what = "it can be copied, not moved"
    if mounts.is_read_only(folder):
        raise OSError(errno.EROFS, f"{os.strerror(errno.EROFS)}: {what}", path)
    if not may_change(folder):
        raise OSError(errno.EACCES, f"its folder may not be changed: {what}", path)
    at, above = os.lstat(path), os.stat(folder)
    if above.st_mode & stat.S_ISVTX and _user() not in (None, 0, at.st_uid, above.st_uid):
        raise OSError(errno.EPERM, f"only its owner may take it away: {what}", path)


def check_removable(path: str) -> None:
    """Raises OSError where a file can be copied but not taken away afterwards. What nobody can know
    beforehand passes: see `remove_original`."""
    check_may_leave(path)
    if _is_immutable(path) or _is_immutable(os.path.dirname(path)):
        raise OSError(
            errno.EPERM, "it or its folder is immutable: it can be copied, not moved", path
        )


def remove_original(source: str, target: str) -> None:
    """The end of a move by copy: `source` goes, whose equal copy has its name, `target`, for good.
    Where it can't be removed the copy goes again, and OSError is raised."""
    try:
        os.unlink(source)
    except FileNotFoundError:
        return  # another program was quicker: the copy may be the last one
    except OSError as error:
        if not exists(source):
            return
        try:
            remove(target)
        except OSError as second:
            why = f"{error.strerror}; its copy {target} can't be removed: {second.strerror}"
            raise OSError(error.errno, why, source) from error
        raise


def publish(part: str, target: str, source: str | None = None) -> None:
    """Give a staged and synced copy its name. With `source`, which is to go next: both were read
    again and are equal, and the name is on the disk too. After an OSError it hasn't its name."""
    if source is None:
        rename(part, target)
        return
    before = os.lstat(source)
    if digest(part) != digest(source):
        raise OSError(errno.EIO, "the copy differs from the original", source)
    rename(part, target)
    try:
        sync_folder(os.path.dirname(target))
        after = os.lstat(source)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError(errno.EBUSY, "changed while it was copied", source)
    except OSError:
        remove(target)
        raise


def stage(source: str, target: str) -> str:
    """Copy `source` to a hidden file beside `target`, of which the name is returned. A reflink
    where the file system can. Times, mode and extended attributes go along as far as the file
    system there keeps them: see `lost`."""
    part = part_of(target)
    with open(source, "rb", buffering=0) as reading:
        before = os.fstat(reading.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", source)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        mode = stat.S_IMODE(before.st_mode) & 0o777 | stat.S_IWUSR  # where chmod isn't to be had
        discard(part)  # left by a run that was killed
        try:
            with open(os.open(part, flags, mode), "wb", buffering=0) as writing:
                _copy_content(reading.fileno(), writing.fileno(), before.st_size)
            _copy_attributes(source, part)
            if hasattr(os, "chown") and _user() == 0:
                with contextlib.suppress(OSError):
                    os.chown(part, before.st_uid, before.st_gid)
            set_mode(part, stat.S_IMODE(before.st_mode))
            set_times(part, before.st_mtime_ns, before.st_atime_ns)
            after = os.fstat(reading.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise OSError(errno.EBUSY, "changed while it was copied", source)
            if os.stat(part).st_size != before.st_size:
                raise OSError(errno.EIO, "copy is not as long as the original", source)
        except BaseException:
            with contextlib.suppress(OSError):
                remove(part)
            raise
    return part


def lost(source: str, copy: str) -> tuple[str, ...]:
    """What of a file its copy doesn't have: "time", "mode", "extended attributes"."""
    try:
        old, new = os.stat(source), os.lstat(copy)
        found = []
        if abs(old.st_mtime_ns - new.st_mtime_ns) >= SLACK_NS:
            found.append("time")
        if os.name != "nt" and stat.S_IMODE(old.st_mode) != stat.S_IMODE(new.st_mode):
            found.append("mode")
        if _attributes(source) - _attributes(copy):
            found.append("extended attributes")
    except OSError:
        return ()  # gone meanwhile: nothing can be said
    return tuple(found)


def set_times(path: str, mtime_ns: int, atime_ns: int | None = None) -> bool:
    """False where the file system or the system can't: a share of somebody else's, the year 30828.
    `atime_ns`: None leaves the time of access as it is."""
    try:
        atime_ns = os.stat(path).st_atime_ns if atime_ns is None else atime_ns
        os.utime(path, ns=(atime_ns, mtime_ns))
    except _UNSUITED:
        return False
    return True


def set_mode(path: str, mode: int) -> bool:
    """False where the file system can't."""
    try:
        os.chmod(path, mode)
    except (OSError, NotImplementedError):
        return False
    return True


def part_of(target: str) -> str:
    """Where `stage` puts the copy: found again after a kill, for it depends on the target and this
    user of this machine only. Another machine that works on the same share never meets it."""
    folder, name = os.path.split(target)
    digest = blake3(_WHO + os.fsencode(name)).hexdigest(12)
    return os.path.join(folder, f".zeroshelf-{digest}.part")


def exists(path: str) -> bool:
    """`lexists` that raises OSError where the folder can't be looked into: what can't be seen may
    well be there. A name that the file system refuses isn't there."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in _NO_SUCH_NAME:
            return False
        raise
    return True


def remove(path: str) -> None:
    """Unlink a file of our own, one that Windows calls read-only too."""
    try:
        os.unlink(path)
    except PermissionError:
        if os.name != "nt":
            raise
        os.chmod(path, stat.S_IWRITE)
        os.unlink(path)


def discard(path: str) -> None:
    """Remove a file of our own that may be gone already. Asks first: a file system that is
    read-only refuses to remove even what isn't there."""
    with contextlib.suppress(FileNotFoundError):
        if exists(path):
            remove(path)


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


def sync_folder(folder: str) -> None:
    """The folder's own entries, to the disk, where the file system knows of such."""
    try:
        sync([folder])
    except OSError as error:
        if error.errno not in _UNSUPPORTED:  # some network shares sync files only
            raise


def digest(path: str) -> bytes:
    """BLAKE3 of a file's content, in bounded memory."""
    hasher = blake3()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.digest()


def digest_of(content: bytes) -> bytes:
    return blake3(content).digest()


def fingerprint(path: str) -> bytes | None:
    """BLAKE3 of a file's content; of one over 1 MB, of its size and four samples: enough to tell an
    edit by, and quick where a disk is slow. None where reading would fetch it from a cloud."""
    with open(path, "rb", buffering=0) as file:
        at = os.fstat(file.fileno())
        if _is_in_a_cloud(at):
            return None
        if at.st_size <= _WHOLE:
            return blake3(file.readall()).digest()
        hasher = blake3(at.st_size.to_bytes(8, "big"))
        for i in range(_SAMPLES):
            file.seek((at.st_size - _SAMPLE) * i // (_SAMPLES - 1))
            hasher.update(file.read(_SAMPLE))
        return hasher.digest()


def same_content(one: str, other: str) -> bool:
    return os.path.getsize(one) == os.path.getsize(other) and digest(one) == digest(other)


def is_result(action: Action, path: str) -> bool:
    """True where `path` is what `action` would have made there."""
    try:
        if action.kind in LINKS:
            if not os.path.islink(path):
                return False
            return _says_the_same(os.readlink(path), link_text(action, path))
        if action.kind == "hardlink":
            return os.path.samestat(os.lstat(path), os.lstat(action.source))
        at = os.lstat(path)
        if not stat.S_ISREG(at.st_mode) or at.st_size != action.size:
            return False
        return digest(path) == (action.digest or digest(action.source))
    except OSError:
        return False


def _says_the_same(text: str, other: str) -> bool:
    """True for two absolute paths of one file, whose folder a link may lead to."""
    if text == other:
        return True
    (folder, name), (place, wanted) = os.path.split(text), os.path.split(other)
    return name == wanted and os.path.isabs(text) and places.same(folder, place)


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


def _user() -> int | None:
    """0 for one who may do everything; None where users have no numbers."""
    geteuid = getattr(os, "geteuid", None)
    return geteuid() if geteuid else None


def _is_immutable(path: str) -> bool:
    """Set by chattr on Linux, by chflags on macOS."""
    flags = getattr(os.lstat(path), "st_flags", None)
    if flags is not None:
        return bool(flags & _LOCKED)
    if not sys.platform.startswith("linux"):
        return False
    try:
        import fcntl

        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    except (ImportError, OSError):
        return False
    try:
        answer = fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0))
    except OSError:  # no such flags there
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack("l", answer)[0] & 0x30)  # immutable, append only


def _is_in_a_cloud(at: os.stat_result) -> bool:
    """True where reading would fetch the content (macOS dataless, Windows recall)."""
    if getattr(at, "st_flags", 0) & 0x40000000:
        return True
    return bool(getattr(at, "st_file_attributes", 0) & (0x1000 | 0x40000 | 0x400000))


def _attributes(path: str) -> set[str]:
    """The extended attributes that a person or his programs may have set."""
    if not hasattr(os, "listxattr"):
        return set()
    try:
        there = os.listxattr(path)
    except OSError:
        return set()
    return {name for name in there if name.startswith(("user.", "system.posix_acl"))}


def _copy_attributes(source: str, part: str) -> None:
    """Extended attributes, and on macOS flags, each as far as it goes."""
    if sys.platform.startswith("linux") and hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(source):
                with contextlib.suppress(OSError):
                    os.setxattr(part, name, os.getxattr(source, name))
    flags = getattr(os.stat(source), "st_flags", 0) & ~_LOCKED
    if flags and hasattr(os, "chflags"):
        with contextlib.suppress(OSError):
            os.chflags(part, flags)


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
