"""Copies and moves one file: nothing is overwritten, no file is partial, metadata goes along."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from blake3 import blake3

from zeroshelf.system import (
    content_hash,
    file_attributes,
    file_io,
    folder_identity,
    machine,
    mounts,
    os_errors,
    renaming,
    users,
)

SLACK_NS = 2_000_000_000  # FAT keeps times to two seconds

_WHO = users.identity()
_NO_SUCH_NAME = {errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG}  # a name that can't be there
_UNSUITED = (OSError, OverflowError, ValueError)  # of a time that a system can't hold
_WHOLE = 1 << 20  # bytes of a file whose fingerprint is that of all of it
_SAMPLE = 1 << 16
_SAMPLES = 4


def move(source: str, target: str, mtime_ns: int | None = None, mode: int | None = None) -> None:
    """`rename`, and across file systems: copy, sync, verify, and only then remove. The copy gets
    this time and mode, where they are given; a rename changes neither."""
    try:
        renaming.rename(source, target)
        return
    except OSError as error:
        if not os_errors.is_other_device(error):
            raise
    check_removable(source)
    part = stage(source, target)
    try:
        if mode is not None:
            set_mode(part, mode)
        if mtime_ns is not None:
            set_times(part, mtime_ns)
        file_io.sync([part])
        publish(part, target, source)
    except OSError:
        discard(part)
        raise
    remove_original(source, target)


def check_may_leave(path: str) -> None:
    """Raises OSError where a file can't be moved out of its folder for the folder's sake."""
    folder = os.path.dirname(path)
    what = "it can be copied, not moved"
    if mounts.is_read_only(folder):
        raise OSError(errno.EROFS, f"{os.strerror(errno.EROFS)}: {what}", path)
    if not users.may_write(folder):
        raise OSError(errno.EACCES, f"its folder is write-protected: {what}", path)
    at, above = os.lstat(path), os.stat(folder)
    owners = (None, 0, at.st_uid, above.st_uid)  # None: where there are no such owners
    if above.st_mode & stat.S_ISVTX and users.effective_user() not in owners:
        raise OSError(errno.EPERM, f"only its owner may remove it: {what}", path)


def check_removable(path: str) -> None:
    """Raises OSError where a file can be copied but not taken away afterwards. What can't be known
    beforehand passes: see `remove_original`."""
    check_may_leave(path)
    if file_attributes.is_immutable(path) or file_attributes.is_immutable(os.path.dirname(path)):
        raise OSError(
            errno.EPERM, "it or its folder is immutable: it can be copied, not moved", path
        )


def remove_original(source: str, target: str) -> None:
    """The end of a move by copy: `source` goes, whose equal copy has its name, `target`, for good.
    Where it can't be removed the copy goes again, and OSError is raised."""
    try:
        renaming.remove(source)
    except FileNotFoundError:
        return  # another program was quicker: the copy may be the last one
    except OSError as error:
        if not exists(source):
            return
        try:
            renaming.remove(target)
        except OSError as second:
            why = f"{error.strerror}; its copy {target} can't be removed: {second.strerror}"
            raise OSError(error.errno, why, source) from error
        raise


def publish(part: str, target: str, source: str | None = None) -> None:
    """Give a staged and synced copy its name. With `source`, which is to go next: both were read
    again and are equal, and the name is on the disk too. After an OSError it hasn't its name."""
    if source is None:
        renaming.rename(part, target)
        return
    before = os.lstat(source)
    if digest(part) != digest(source):
        raise OSError(errno.EIO, "the copy differs from the original", source)
    renaming.rename(part, target)
    try:
        file_io.sync([os.path.dirname(target)])
        after = os.lstat(source)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError(errno.EBUSY, "changed while it was copied", source)
    except OSError:
        renaming.remove(target)
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
        mode = stat.S_IMODE(before.st_mode) & 0o777 | stat.S_IWUSR  # where chmod isn't to be had
        discard(part)  # left by a run that was killed
        try:
            with open(os.open(part, file_io.NEW_FILE_FLAGS, mode), "wb", buffering=0) as writing:
                file_io.copy_content(reading.fileno(), writing.fileno(), before.st_size)
                file_io.sync_written(writing.fileno())
            file_attributes.copy(source, part)
            users.keep_owner(part, (before.st_uid, before.st_gid))
            set_mode(part, stat.S_IMODE(before.st_mode))
            set_times(part, before.st_mtime_ns, before.st_atime_ns)
            after = os.fstat(reading.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise OSError(errno.EBUSY, "changed while it was copied", source)
            if os.stat(part).st_size != before.st_size:
                raise OSError(errno.EIO, "the copy and the original differ in size", source)
        except BaseException:
            with contextlib.suppress(OSError):
                renaming.remove(part)
            raise
    return part


def lost(source: str, copy: str) -> tuple[str, ...]:
    """What of a file its copy doesn't have: "time", "mode", "extended attributes"."""
    try:
        old, new = os.stat(source), os.lstat(copy)
        found = []
        if abs(old.st_mtime_ns - new.st_mtime_ns) >= SLACK_NS:
            found.append("time")
        if not machine.WINDOWS and stat.S_IMODE(old.st_mode) != stat.S_IMODE(new.st_mode):
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


def leads_nowhere(path: str) -> bool:
    """True for a symbolic link whose file does not exist, or that leads to itself."""
    if not os.path.islink(path):
        return False
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return True
        raise
    return False


def depends_on(path: str, file: str) -> bool:
    """True where nothing is left at `path` once `file` is removed: `path` is a symbolic link to it,
    or the same file by a path with a linked folder in it. A second hard link doesn't depend on it.
    """
    try:
        at, there = os.stat(path), os.lstat(file)
    except OSError:
        return False  # then `path` is no original that could be lost
    folder, name = os.path.split(os.path.realpath(path))
    other, wanted = os.path.split(file)
    if name == wanted and folder_identity.same(folder, other):
        return True
    return bool(at.st_ino) and os.path.samestat(at, there) and at.st_nlink == 1


def discard(path: str) -> None:
    """Remove a file of our own that may be gone already. Asks first: a file system that is
    read-only refuses to remove even what isn't there."""
    with contextlib.suppress(FileNotFoundError):
        if exists(path):
            renaming.remove(path)


def drop(part: str) -> None:
    """A staged copy that gets no name. Where it can't be removed now, the next run does it."""
    if part:
        with contextlib.suppress(OSError):
            discard(part)


def digest(path: str) -> bytes:
    """BLAKE3 of a file's content, in bounded memory."""
    with open(path, "rb", buffering=0) as file:
        return content_hash.of_file(file)


def fingerprint(path: str) -> bytes | None:
    """BLAKE3 of a file's content; of one over 1 MB, of its size and four samples: enough to tell an
    edit by, and quick where a disk is slow. None where reading would fetch it from a cloud."""
    with open(path, "rb", buffering=0) as file:
        at = os.fstat(file.fileno())
        if file_attributes.is_placeholder(at):
            return None
        if at.st_size <= _WHOLE:
            return content_hash.of_file(file)
        hasher = blake3(at.st_size.to_bytes(8, "big"))
        for i in range(_SAMPLES):
            file.seek((at.st_size - _SAMPLE) * i // (_SAMPLES - 1))
            hasher.update(file.read(_SAMPLE))
        return hasher.digest()


def same_content(one: str, other: str) -> bool:
    return os.path.getsize(one) == os.path.getsize(other) and digest(one) == digest(other)


def why_no_folder(folder: str) -> str | None:
    """Make `folder`, for an undo, and those above it. Why that can't be, where something else lies
    there now: a file, or a link that leads nowhere."""
    above = folder
    while not os.path.lexists(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        what = "a link that leads nowhere" if os.path.islink(above) else "no folder"
        return f"{above} is {what} now: remove it or connect its drive, then undo again"
    os.makedirs(folder, exist_ok=True)
    return None


def existing_parent(path: str) -> str:
    """`path` itself or the nearest folder above it that is there."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:  # a drive may be away
        path = os.path.dirname(path)
    return path


def _attributes(path: str) -> set[str]:
    """The names of the extended attributes that the user or a program may have set."""
    found = file_attributes.read(path)
    return {name for name in found if name.startswith(("user.", "system.posix_acl"))}
