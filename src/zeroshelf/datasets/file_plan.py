"""The results of scoring a dataset of local files -> a plan that `zeroshelf apply` carries out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa

from zeroshelf.actions import plan, plan_request, transfer
from zeroshelf.actions.kinds.base import Placement
from zeroshelf.actions.path_table import PathTable
from zeroshelf.counting import counted
from zeroshelf.datasets.places import local_path
from zeroshelf.errors import UserError
from zeroshelf.images.scan_files import scan_files
from zeroshelf.records import ActionKind, Folder, Picture, Plan, PlanRequest, Request
from zeroshelf.runs import earlier, registry, request
from zeroshelf.system import spooled
from zeroshelf.system.spooled import Spooled

_FILE = "file://"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a plan needs to know of one picture."""

    path: str
    digest: bytes  # BLAKE3 of the content
    etag: str
    label: str
    also: tuple[str, ...]  # further labels that fit

    def is_about(self, picture: Picture) -> bool:
        """Whether the file is what was embedded."""
        return _is_same(picture, self.etag, self.digest)


@dataclass(slots=True)
class Answers:
    """What a plan needs to know of each picture, collected block by block."""

    rows: Spooled[Answer] = field(default_factory=lambda: spooled.records(Answer))

    def add(self, rows: pa.Table) -> None:
        """Take rows of results with the columns `digest` and `etag`. Raises `UserError` for a
        picture that is no file on this machine."""
        columns = (rows[name].to_pylist() for name in ("uri", "digest", "etag", "label", "also"))
        for uri, digest, etag, label, also in zip(*columns, strict=True):
            if not uri.startswith(_FILE) or "#" in uri:
                raise UserError(
                    f"{uri} is no file of its own on this machine: for objects name a place on "
                    "their store with --to; --shards writes what is in archives"
                )
            content = bytes.fromhex(digest or "")
            self.rows.append(Answer(local_path(uri), content, etag, label, tuple(also or ())))


def make(
    answers: Answers,
    asked: Request,
    to: str,
    action: ActionKind,
    *,
    several: bool = False,
    replace_earlier: bool = True,
) -> tuple[Plan, str]:
    """The plan that puts every picture onto the shelf of its label, and the id of the run that was
    made for it. Nothing else is written.

    asked: the labels. to: the folder for the shelves. several, replace_earlier: as for `Run.plan`.
    A picture that no longer exists, or has changed since it was embedded, is left out; the plan's
    notes count them. Raises `UserError`.
    """
    found = scan_files(answer.path for answer in answers.rows)
    wanted = PlanRequest(found.root, to, action, several=several, replace=replace_earlier)
    wanted = plan_request.checked(wanted, asked.labels)
    made = earlier.made(wanted, asked.labels) if replace_earlier else None
    placing = _Placing(answers, found, several)
    planned = plan.make(wanted, placing.placements(), made)
    if changed := len(placing.rows) - placing.count:
        left = "picture is", "pictures are"
        note = f"{counted(changed, *left)} left out: gone or changed since the embedding"
        planned = replace(planned, notes=(*planned.notes, note))
    name, record = registry.new(planned)
    with registry.writing(record):
        request.save(record, replace(asked, folder=found.root))
    return planned, name


class _Placing:
    """The pictures that are there and unchanged, and their labels."""

    def __init__(self, answers: Answers, found: Folder, several: bool) -> None:
        self._answers, self._found, self._several = answers, found, several
        self.rows = PathTable()  # a picture's path -> its row of the answers
        for row, answer in enumerate(answers.rows):
            self.rows.put(answer.path, row)
        self.count = 0  # of the pictures so far

    def placements(self) -> Iterator[Placement]:
        for picture in self._found.pictures:
            row = self.rows.get(picture.path)
            assert row is not None
            answer = self._answers.rows[row]
            if answer.is_about(picture):
                self.count += 1
                also = answer.also if self._several else ()
                for label in dict.fromkeys((answer.label, *also)):
                    yield picture, label, answer.digest or None


def _is_same(picture: Picture, etag: str, digest: bytes) -> bool:
    """Whether a file is what was embedded: by its size and time; where these don't tell, because a
    manifest had versions of its own or the time alone differs, by its content."""
    if etag == f"{picture.size}-{picture.mtime_ns}":
        return True
    size, _, time = etag.partition("-")
    if size.isdecimal() and time.isdecimal() and int(size) != picture.size:
        return False
    try:
        return transfer.digest(picture.path) == digest
    except OSError:
        return False
