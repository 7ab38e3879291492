"""The report, the contact sheet and the results of a run, as files in one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from zeroshelf.actions import kinds
from zeroshelf.corrections.classification import Classification
from zeroshelf.images import ignored
from zeroshelf.output import contact_sheet, report, results
from zeroshelf.output.results import Thumbnails
from zeroshelf.records import OTHER, Plan


@dataclass(frozen=True, slots=True)
class Written:
    """The paths of the files."""

    report: str
    results: str
    table: str
    contact_sheet: str


@dataclass(frozen=True, slots=True)
class Source:
    """What the files are made from."""

    run: Classification
    near_duplicates: Sequence[Sequence[int]]  # groups of rows
    thumbnails: Thumbnails
    id: str | None  # of the run's record, if it has one
    device: str | None  # where pictures were embedded
    when: datetime
    seconds: float  # from the folder to the decisions
    notes: tuple[str, ...]  # user-facing warnings about the run

    def rows(self, targets: Mapping[str, str]) -> Iterator[results.Row]:
        """One row a picture. targets: a picture's path -> where the plan puts it."""
        return results.rows(
            self.run.decisions,
            self.run.skipped,
            targets,
            self.run.embeddings.digests,
            self.near_duplicates,
            self.run.also,
        )

    def groups(self, each: int = 8) -> list[contact_sheet.Group]:
        """Up to `each` pictures on each shelf of `run.counts`, the most probable first."""
        decided, digests = self.run.decisions, self.run.embeddings.digests
        names = (*self.run.labels.names, OTHER)
        groups = []
        for column, name in enumerate(names):
            if name not in self.run.counts:
                continue
            rows = np.flatnonzero(decided.chosen == column)
            certain = decided.probabilities[rows, column]
            best = np.argsort(-certain, kind="stable")[:each]
            pictures = tuple((digests[rows[i]].hex(), float(certain[i])) for i in best.tolist())
            groups.append(contact_sheet.Group(name, len(rows), pictures))
        return groups


def write(source: Source, planned: Plan | None, folder: str) -> Written:
    """Write the four files into `folder`, which is made if needed. Raises `OSError`."""
    os.makedirs(folder, exist_ok=True)
    names = ("report.html", "results.jsonl", "results.csv", "contact-sheet.png")
    paths = Written(*(os.path.join(folder, name) for name in names))
    targets = targets_of(source.run, planned)
    decided = source.run.decisions
    pages = report.pages_of(
        decided.chosen, decided.probabilities[range(len(decided)), decided.chosen]
    )
    rows = results.writing(source.rows(targets), paths.results, paths.table)
    report.write(rows, source.thumbnails, paths.report, _facts(source, planned), pages)
    contact_sheet.write(source.groups(), source.thumbnails, paths.contact_sheet)
    return paths


def targets_of(run: Classification, planned: Plan | None) -> dict[str, str]:
    """A picture's path -> its target; of several targets, that on the shelf of its best label."""
    pictures = (picture.path for picture in run.embeddings.pictures)
    best = dict(zip(pictures, run.decisions.labels, strict=True))
    targets: dict[str, str] = {}
    for action in planned.actions if planned else ():
        if action.source not in targets or action.label == best.get(action.source):
            targets[action.source] = kinds.of(action.kind).goes_to(action)
    return targets


def _facts(source: Source, planned: Plan | None) -> report.Facts:
    run = source.run
    return report.Facts(
        run=source.id or "",
        folder=run.request.folder,
        model=f"{run.model.id}{f' on {source.device.upper()}' if source.device else ''}",
        when=source.when,
        seconds=source.seconds,
        labels=run.labels.names,
        counts=run.counts,
        skipped=len(run.skipped),
        notes=(
            *source.notes,
            *(planned.notes if planned else ()),
            *ignored.lines(run.ignored),
        ),
    )
