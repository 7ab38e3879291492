"""What every format is written from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from zeroshelf.actions import kinds, plan_file
from zeroshelf.counting import counted
from zeroshelf.output.results import Row
from zeroshelf.output.run_files import Source, targets_of


@dataclass(frozen=True, slots=True)
class Exported:
    """A run's pictures with their decisions."""

    source: Source
    targets: dict[str, str]  # a picture's path -> where the plan puts it

    @classmethod
    def of(cls, source: Source, record: str | None) -> Exported:
        """record: the folder of the run's record, if it has one."""
        planned = None if record is None else plan_file.load(os.path.join(record, "plan.jsonl"))
        if planned is not None and kinds.of(planned.kind).writes_tags:
            planned = None  # its targets are sidecars
        return cls(source, targets_of(source.run, planned))

    def rows(self) -> Iterator[Row]:
        """One row a picture, without the files that were skipped."""
        return (row for row in self.source.rows(self.targets) if row.label is not None)

    def place(self, row: Row) -> str:
        """Where the picture lies: where it lay when it was classified, or where the plan put it."""
        if row.target is not None and not os.path.lexists(row.path) and os.path.exists(row.target):
            return row.target
        return row.path


def left_out(count: int, program: str) -> str:
    """The end of the line for the user: pictures that `program` can't be told of, if there are."""
    if not count:
        return ""
    are = "path is" if count == 1 else "paths are"
    return f"; left out: {counted(count, 'picture')} whose {are} not UTF-8, which {program} needs"
