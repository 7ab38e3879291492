"""What a scan of a folder finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that begins as a picture does. Only its first bytes were read so far."""

    path: str
    format: str  # as Pillow names it: "JPEG", "PNG", "HEIF", ...
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int
    companions: tuple[str, ...] = ()  # files that go where the picture goes: sidecars, RAW, MOV
    shared: tuple[str, ...] = ()  # companions of another picture that are about this one too


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that should have been a picture and could not be used. Never a gap in an array."""

    path: str
    reason: str  # one line, for the user


@dataclass(frozen=True, slots=True)
class Ignored:
    """What a scan passed by, counted: the most frequent first."""

    not_pictures: Mapping[str, int] = field(
        default_factory=dict
    )  # file type -> files: "MTS video": 3
    left_out: Mapping[str, int] = field(default_factory=dict)  # reason -> files and folders


@dataclass(frozen=True, slots=True)
class Folder:
    """What a scan found below `root`, in the order of the paths' bytes."""

    root: str
    pictures: Sequence[Picture]  # a scan's is in a file where they are many; it equals a tuple
    skipped: tuple[Skipped, ...] = ()
    ignored: Ignored = field(default_factory=Ignored)
    warnings: tuple[str, ...] = ()  # for the user, before the pictures are read

    @property
    def not_pictures(self) -> int:
        """How many files are no pictures, by file type, and left where they are."""
        return sum(self.ignored.not_pictures.values())

    @property
    def left_out(self) -> int:
        """How many files and folders are excluded, hidden, or of an earlier run's output."""
        return sum(self.ignored.left_out.values())
