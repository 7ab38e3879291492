"""Tags in a picture's own file, for programs that read no sidecar beside a JPEG.

The picture itself is never opened for writing. exiftool makes a tagged copy; all of it but the
keywords is compared with the original, to the byte; the original gets a second name in a folder
for originals, and only then does the copy take its place, in one step. Undo puts the original back,
the very file that it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zeroshelf.actions import transfer
from zeroshelf.actions.journal_entries import Entry, PictureEdit
from zeroshelf.actions.tags import iptc, keyword_lists, metadata, sidecars
from zeroshelf.actions.tags.exiftool import ExifTool, Job
from zeroshelf.actions.tags.metadata import Metadata
from zeroshelf.errors import Unreadable
from zeroshelf.images import formats
from zeroshelf.system import (
    content_hash,
    file_attributes,
    file_io,
    file_names,
    links,
    renaming,
    users,
)

ORIGINALS = ".zeroshelf-originals"  # in each picture's folder; below it a folder a run
_SUFFIX = ".original"  # so that no program takes an original for one picture more
_END = re.compile(rb"""<\?xpacket end=["'][rw]["']\?>\Z""")
_OTHERS = ("WEBP", "HEIF", "AVIF")  # whose metadata is read, by Pillow and pi_heif, and not written


@dataclass(frozen=True, slots=True)
class Wanted:
    """The metadata that a picture is to have."""

    xmp: bytes | None
    keywords: tuple[str, ...]  # of its IPTC block

    def is_in(self, found: Metadata) -> bool:
        """True where a file has it already."""
        same = _trimmed(self.xmp) == _trimmed(found.xmp)
        return same and sorted(self.keywords) == sorted(found.keywords)


@dataclass(slots=True)
class Change:
    """A picture about to be written, and how it was found. `made`: known once it is staged."""

    target: str
    backup: str
    found: Metadata
    wanted: Wanted
    job: Job
    at: os.stat_result
    made: tuple[bytes, bytes] | None = None  # BLAKE3 of the content before and after

    @property
    def edit(self) -> PictureEdit:
        before, after = self.made or (None, None)
        return PictureEdit(self.backup, before, after)


def tagged(found: Metadata, format: str, add: Sequence[str], remove: Sequence[str] = ()) -> Wanted:
    """What a picture's metadata is with other tags. Raises `Unreadable`."""
    there = keyword_lists.NONE if found.xmp is None else sidecars.keywords(found.xmp)
    known = keyword_lists.NONE if there.flat else keyword_lists.Keywords(flat=found.keywords)
    xmp = sidecars.rewrite(found.xmp, add, remove, known)
    if format == "PNG":  # has no place for IPTC keywords
        return Wanted(xmp, found.keywords)
    keywords = [word for word in found.keywords if word not in remove]
    own = {tag.split("/")[0] for tag in add}
    others = [word for word in there.all if word.split("/")[0] not in own]
    # A program that reads IPTC first must not find our tags alone there.
    if found.keywords or not others:
        keywords += [tag for tag in add if tag not in keywords and _fits(tag, found)]
    return Wanted(xmp, tuple(keywords))


def untagged(found: Metadata, prefix: str) -> Wanted:
    """What a picture's metadata is without any tag below `prefix`. Raises `Unreadable`."""
    xmp = None if found.xmp is None else sidecars.remove(found.xmp, prefix)
    below = prefix + "/"
    return Wanted(xmp, tuple(word for word in found.keywords if not word.startswith(below)))


def _fits(tag: str, found: Metadata) -> bool:
    """True where the tag fits into the IPTC block: by its length and by the block's encoding."""
    return len(tag.encode()) <= iptc.LONGEST_KEYWORD and (
        found.iptc is None or found.is_utf8 or tag.isascii()
    )


def keywords_in(path: str) -> keyword_lists.Keywords:
    """The keywords in a picture's own file; none where it can't be read."""
    try:
        format = format_of(path)
        if format in metadata.FORMATS:
            found = metadata.read(path, format)
            own = keyword_lists.NONE if found.xmp is None else sidecars.keywords(found.xmp)
            return keyword_lists.Keywords(own.flat or found.keywords, own.paths)
        if format in _OTHERS:
            xmp = _asked_of_a_library(path, format)
            return keyword_lists.NONE if xmp is None else sidecars.keywords(xmp)
    except (OSError, Unreadable):
        pass
    return keyword_lists.NONE


def format_of(path: str) -> str | None:
    """What a file is, told by its first bytes. Raises OSError."""
    with open(path, "rb") as file:
        return formats.of(file.read(formats.HEAD), os.path.splitext(path)[1].lower())


def _asked_of_a_library(path: str, format: str) -> bytes | None:
    try:
        if format == "HEIF":
            import pi_heif

            xmp = pi_heif.open_heif(path).info.get("xmp")
        else:
            from PIL import Image

            with Image.open(path) as picture:
                xmp = picture.info.get("xmp")
    except Exception:  # what a damaged file makes a decoder raise: its keywords aren't found
        return None
    return xmp if isinstance(xmp, bytes) else None


# --- writing ------------------------------------------------------------------------------------


def change(path: str, run: str, add: Sequence[str], remove: Sequence[str]) -> Change:
    """What tagging the picture would do. `run`: the id of the run that keeps the original. Raises
    `Unreadable` where the picture can't be written safely, and OSError."""
    return _change(path, run, lambda found, format: tagged(found, format, add, remove))


def change_back(path: str, run: str, prefix: str) -> Change:
    """The same for taking away all tags below `prefix`."""
    return _change(path, run, lambda found, _: untagged(found, prefix))


def _change(path: str, run: str, decide: Callable[[Metadata, str], Wanted]) -> Change:
    at = os.lstat(path)
    if not stat.S_ISREG(at.st_mode):
        raise Unreadable("not a regular file")
    if at.st_nlink > 1:
        raise Unreadable("it has a hard link, which would keep the old content")
    if not at.st_mode & 0o222:
        raise Unreadable("it is write-protected")
    format = format_of(path)
    if format not in metadata.FORMATS:
        raise Unreadable(f"tags are written into {', '.join(metadata.FORMATS)} files only")
    found = metadata.read(path, format, whole=True)
    wanted = decide(found, format)
    options, values = _iptc(found, wanted)
    folder, name = os.path.split(path)
    backup = os.path.join(folder, ORIGINALS, run, name + _SUFFIX)
    if len(os.fsencode(os.path.basename(backup))) > file_names.MAX_BYTES:
        backup = os.path.join(
            folder, ORIGINALS, run, content_hash.of_bytes(os.fsencode(name)).hex()
        )
    return Change(path, backup, found, wanted, Job(path, format, wanted.xmp, options, values), at)


def _iptc(found: Metadata, wanted: Wanted) -> tuple[list[str], list[bytes]]:
    """exiftool's arguments for the IPTC block, and the values that they refer to."""
    gone = [word for word in found.keywords if word not in wanted.keywords]
    new = [word for word in wanted.keywords if word not in found.keywords]
    if not gone and not new:
        return [], []
    digest = ["-Photoshop:IPTCDigest=new"] if found.is_synchronized else []
    if not wanted.keywords and found.has_only_keywords:
        return ["-IPTC:all=", *(["-Photoshop:IPTCDigest="] if found.is_synchronized else [])], []
    options = [] if found.iptc is not None else ["-IPTC:CodedCharacterSet=UTF8"]
    for sign, words, first in (("-", gone, 0), ("+", new, len(gone))):
        options += [f"-IPTC:Keywords{sign}<={{{first + i}}}" for i in range(len(words))]
    return options + digest, [word.encode() for word in (*gone, *new)]


def stage(change: Change, tool: ExifTool) -> str:
    """The tagged picture beside the original, under a hidden name, which is returned. Raises
    `Unreadable` where exiftool changed more than it was asked to, and OSError."""
    path = change.target
    made = tool.make(change.job)
    now = metadata.read(made, change.job.format, whole=True)
    if now.rest != change.found.rest or not change.wanted.is_in(now):
        raise Unreadable("exiftool would change more than its keywords")
    part = transfer.part_of(path)
    transfer.discard(part)
    try:
        new = os.open(part, file_io.NEW_FILE_FLAGS, 0o600)
        with open(made, "rb") as reading, open(new, "wb") as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)
            writing.flush()
            file_io.sync_written(writing.fileno())
        _dress(part, path, change.at)
        after = transfer.digest(made)
        if transfer.digest(part) != after:
            raise OSError(errno.EIO, "the copy differs from what was written", part)
        change.made = transfer.digest(path), after
        if not _is_same_file(os.lstat(path), change.at):
            raise OSError(errno.EBUSY, "the picture has just changed", path)
    except OSError:
        transfer.discard(part)
        raise
    return part


def _dress(part: str, path: str, like: os.stat_result) -> None:
    """The mode, owner and attributes of the picture, as far as the file system has such things. The
    time is that of the change: the content is new, and programs look at the time."""
    with contextlib.suppress(OSError):
        shutil.copystat(path, part)
    file_attributes.copy(path, part)
    with contextlib.suppress(OSError):
        os.utime(part)
    users.keep_owner(part, (like.st_uid, like.st_gid))
    transfer.set_mode(part, stat.S_IMODE(like.st_mode))


def publish(part: str, change: Change) -> None:
    """The staged picture takes the original's place, which keeps a name among the originals.
    `change.edit` must be on the disk before. Raises OSError; then the original is where it was."""
    path, backup = change.target, change.backup
    folder = os.path.dirname(backup)
    os.makedirs(folder, exist_ok=True)
    if os.path.realpath(folder) != os.path.join(
        os.path.realpath(os.path.dirname(path)), *folder.split(os.sep)[-2:]
    ):
        raise OSError(errno.EPERM, f"{ORIGINALS} is a link")
    if not _is_same_file(os.lstat(path), change.at):
        raise OSError(errno.EBUSY, "the picture has just changed", path)
    _keep(path, backup)
    try:
        file_io.sync([folder])
        renaming.replace(part, path)
    except OSError:
        transfer.discard(backup)
        raise


def _keep(path: str, backup: str) -> None:
    """A second name for the picture; a copy where the file system has no hard links. Raises
    `FileExistsError` where something has that name."""
    try:
        links.hard_link(path, backup)
    except FileExistsError:
        raise
    except OSError:
        part = transfer.stage(path, backup)
        try:
            file_io.sync([part])
            if transfer.digest(part) != transfer.digest(path):
                raise OSError(errno.EIO, "the copy differs from the original", path) from None
            renaming.rename(part, backup)
        except OSError:
            transfer.discard(part)
            raise


def _is_same_file(now: os.stat_result, then: os.stat_result) -> bool:
    return (now.st_size, now.st_mtime_ns, now.st_ino) == (
        then.st_size,
        then.st_mtime_ns,
        then.st_ino,
    )


def _trimmed(xmp: bytes | None) -> bytes | None:
    """Without what exiftool changes: white space at the end, and whether the packet may be edited
    where it lies."""
    return None if xmp is None else _END.sub(b"", xmp.rstrip(b" \t\r\n\0"))


# --- afterwards ---------------------------------------------------------------------------------


def is_done(entry: Entry) -> bool:
    edit = entry.edit
    return edit is not None and edit.after is not None and _digest(entry) == edit.after


def clear(entry: Entry) -> None:
    """After a kill, where the picture still is the original: take away what was made beside it."""
    edit = entry.edit
    if edit is None or not os.path.lexists(edit.backup):
        return
    if _is_one(edit.backup, entry.action.target) or _digest(entry) == edit.before:
        renaming.remove(edit.backup)


def revert(entry: Entry) -> str | None:
    """Put the original back. Why not, where it can't be; None when it is there."""
    path, edit = entry.action.target, entry.edit
    transfer.discard(transfer.part_of(path))
    if edit is None or edit.before is None:
        return None  # never written
    transfer.discard(transfer.part_of(edit.backup))
    now, kept = _digest(entry), transfer.exists(edit.backup)
    why_not = _why_not(edit, now, kept)
    if why_not is None and kept:
        at = os.lstat(path)
        untouched = now == edit.before and at.st_mtime_ns == entry.action.mtime_ns
        if untouched or os.path.samestat(at, os.lstat(edit.backup)):
            renaming.remove(edit.backup)  # the picture was not replaced yet
        else:
            renaming.replace(edit.backup, path)
    return why_not


def _why_not(edit: PictureEdit, now: bytes | None, kept: bool) -> str | None:
    if now not in (edit.before, edit.after):
        what = "the picture no longer exists" if now is None else "the picture has changed since"
        return f"{what}; its original is {edit.backup}" if kept else what
    if not kept:
        return None if now == edit.before else f"its original {edit.backup} no longer exists"
    if transfer.digest(edit.backup) != edit.before:
        return f"its original {edit.backup} has changed"
    return None


def _digest(entry: Entry) -> bytes | None:
    try:
        return transfer.digest(entry.action.target)
    except FileNotFoundError:
        return None


def _is_one(one: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except FileNotFoundError:
        return False
