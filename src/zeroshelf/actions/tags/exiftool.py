"""exiftool, where it is installed: writes metadata into copies of pictures, many in one process.

It works in a folder of ours, on copies with plain names: it never sees a picture of the user's, nor
a name that could be taken for an option, a pattern or two lines.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from zeroshelf.errors import Unreadable, UserError

OLDEST = (12, 24)  # before, a hostile picture could make it run code (CVE-2021-22204)
_LONGEST = 300  # seconds for one group of files; a process that hangs is ended
_TOO_LONG = f"it took longer than {_LONGEST} seconds"
_GROUP = 1 << 26  # bytes of pictures that one process gets: starting it takes a fifth of a second
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif"}


def find() -> str:
    """The path of the program. Raises `UserError` where it is missing or too old."""
    path = shutil.which("exiftool")
    if path is None:
        raise UserError(
            "exiftool isn't installed: get it from exiftool.org, or leave --in-files out"
        )
    try:
        answer = subprocess.run(
            [path, "-config", "", "-ver"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=True,
            creationflags=_NO_WINDOW,
        )
        found = answer.stdout.decode().strip()
        version = tuple(int(part) for part in found.split()[0].split("."))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        raise UserError(f"{path} doesn't say its version: reinstall exiftool") from None
    if version < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise UserError(f"exiftool {found} is too old: install {wanted} or a newer one")
    return path


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One picture that is to get other metadata."""

    picture: str
    format: str  # one of `metadata.FORMATS`
    xmp: bytes | None  # its new XMP packet; None: it has none
    options: Sequence[
        str
    ] = ()  # of exiftool, in ASCII; "{0}" is the name of a file that contains ...
    values: Sequence[bytes] = ()  # ... the first of these


class ExifTool:
    """A context manager that makes copies with other metadata, in the order of the jobs."""

    def __init__(self, folder: str) -> None:
        """`folder`: where to work; it is made, and what a killed run left in it is removed first.
        Raises `UserError` where the program is missing or too old, and OSError."""
        self._path = find()
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, mode=0o700)
        self._waiting: list[Job] = []
        self._made: dict[Job, str] = {}
        self._failed: dict[Job, str] = {}

    def __enter__(self) -> ExifTool:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def expect(self, jobs: Sequence[Job]) -> None:
        """The files that will be written next: exiftool gets them in groups."""
        self._waiting = list(jobs)

    def make(self, job: Job) -> str:
        """The path of the copy; valid until the next call.

        Raises:
            Unreadable: exiftool doesn't write this file; the message is its own.
            OSError: the picture can't be read, there is no room, or exiftool can't be started.
        """
        if job not in self._made and job not in self._failed:
            self._make_group(job)
        if job in self._failed:
            raise Unreadable(f"exiftool can't write it: {self._failed[job]}")
        return self._made[job]

    def _make_group(self, first: Job) -> None:
        """The first job and those that wait behind it, as many as fit."""
        self._made, self._failed = {}, {}
        for name in os.listdir(self._folder):
            os.unlink(os.path.join(self._folder, name))
        at = self._waiting.index(first) if first in self._waiting else None
        behind = [] if at is None else self._waiting[at + 1 :]
        arguments = self._lay_out(0, first)
        group, size = [first], os.path.getsize(first.picture)
        for job in behind:
            try:
                size += os.path.getsize(job.picture)
                if size > _GROUP:
                    break
                arguments += self._lay_out(len(group), job)
            except OSError:
                break  # its own turn says why
            group.append(job)
        self._run(arguments, group)
        if first not in self._made and len(group) > 1 and self._failed[first] == _TOO_LONG:
            self._waiting = []  # from here on each by itself, so that one can't stop the others
            self._make_group(first)

    def _lay_out(self, number: int, job: Job) -> list[str]:
        """Put down what a job needs; the arguments of its command. Raises OSError."""
        suffix = _SUFFIXES[job.format]
        names = [f"value{number}-{i}" for i in range(len(job.values))]
        for name, value in zip(names, job.values, strict=True):
            self._put(name, value)
        if job.xmp is not None:
            self._put(f"new{number}.xmp", job.xmp)
        shutil.copyfile(job.picture, os.path.join(self._folder, f"old{number}{suffix}"))
        return [
            "-XMP:all=" if job.xmp is None else f"-XMP<=new{number}.xmp",
            *(option.format(*names) for option in job.options),
            "-o",
            f"new{number}{suffix}",
            f"old{number}{suffix}",
            "-execute",
        ]

    def _put(self, name: str, content: bytes) -> None:
        with open(os.path.join(self._folder, name), "wb") as file:
            file.write(content)

    def _run(self, arguments: Sequence[str], group: Sequence[Job]) -> None:
        # An empty -config: the user's own settings could change what is written. No -stay_open: a
        # process that has that waits for ever where ours was killed.
        said, in_time = "", True
        try:
            answer = subprocess.run(
                [self._path, "-config", "", "-@", "-", "-common_args", "-charset", "utf8"],
                input="".join(f"{argument}\n" for argument in arguments).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self._folder,
                timeout=_LONGEST,
                creationflags=_NO_WINDOW,
                check=False,
            )
            said = answer.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            in_time = False
        for number, job in enumerate(group):
            suffix = _SUFFIXES[job.format]
            made = os.path.join(self._folder, f"new{number}{suffix}")
            if not in_time:
                self._failed[job] = _TOO_LONG
            elif os.path.exists(made):
                self._made[job] = made
            else:
                end = f" - old{number}{suffix}"
                own = [line.removesuffix(end) for line in said.splitlines() if line.endswith(end)]
                why = next((line for line in own if line.startswith("Error: ")), "")
                self._failed[job] = why.removeprefix("Error: ") or "it gives no reason"
