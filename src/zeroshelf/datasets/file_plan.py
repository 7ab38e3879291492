"""The results of scoring a dataset of local files -> a plan that `zeroshelf apply` carries out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa

from zeroshelf.actions import plan, plan_request, transfer
from zeroshelf.actions.kinds.base import Placement
from zeroshelf.counting import counted
from zeroshelf.datasets.places import local_path
from zeroshelf.errors import UserError
from zeroshelf.images.scan_files import scan_files
from zeroshelf.records import ActionKind, Picture, Plan, PlanRequest, Request
from zeroshelf.runs import earlier, registry, request

_FILE = "file://"


@dataclass(slots=True)
class Answers:
    """What a plan needs to know of each picture, collected block by block."""

    paths: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)  # BLAKE3 of the content
    etags: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    also: dict[int, list[str]] = field(default_factory=dict)  # row -> further labels that fit

    def add(self, rows: pa.Table) -> None:
        """Take rows of results with the columns `digest` and `etag`. Raises `UserError` for a
        picture that is no file on this machine."""
        for uri in rows["uri"].to_pylist():
            if not uri.startswith(_FILE) or "#" in uri:
                raise UserError(
                    f"{uri} is no file of its own on this machine: for objects name a place on "
                    "their store with --to; --shards writes what is in archives"
                )
            self.paths.append(local_path(uri))
        for place, also in enumerate(rows["also"].to_pylist()):
            if also:
                self.also[len(self.labels) + place] = also
        self.labels += rows["label"].to_pylist()
        self.digests += [bytes.fromhex(one or "") for one in rows["digest"].to_pylist()]
        self.etags += rows["etag"].to_pylist()

    def is_same(self, picture: Picture, row: int) -> bool:
        """Whether the file of a row is what was embedded."""
        return _is_same(picture, self.etags[row], self.digests[row])


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
    found = scan_files(answers.paths)
    wanted = PlanRequest(found.root, to, action, several=several, replace=replace_earlier)
    wanted = plan_request.checked(wanted, asked.labels)
    rows = {path: row for row, path in enumerate(answers.paths)}
    here = [one for one in found.pictures if answers.is_same(one, rows[one.path])]
    made = earlier.made(wanted, asked.labels) if replace_earlier else None
    planned = plan.make(wanted, _placements(answers, rows, here, several), made)
    if changed := len(rows) - len(here):
        left = "picture is", "pictures are"
        note = f"{counted(changed, *left)} left out: gone or changed since the embedding"
        planned = replace(planned, notes=(*planned.notes, note))
    name, record = registry.new(planned)
    with registry.writing(record):
        request.save(record, replace(asked, folder=found.root))
    return planned, name


def _placements(
    answers: Answers, rows: dict[str, int], pictures: list[Picture], several: bool
) -> Iterator[Placement]:
    for picture in pictures:
        row = rows[picture.path]
        more = answers.also.get(row, ()) if several else ()
        for label in dict.fromkeys((answers.labels[row], *more)):
            yield picture, label, answers.digests[row] or None


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
