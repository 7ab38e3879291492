"""A run -> the record that `apply`, `undo`, `review` and `reopen` work from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from zeroshelf.corrections import stored
from zeroshelf.corrections.classification import Classification
from zeroshelf.images import ignored
from zeroshelf.records import Plan
from zeroshelf.runs import page_file, registry, request


@dataclass(frozen=True, slots=True)
class Saved:
    """Where the record of a saved run is."""

    id: str  # the record's name
    record: str  # its folder
    plan: Plan | None = None  # the plan in it, if this process wrote it


def begin(classification: Classification, planned: Plan) -> Saved:
    """Make a new record with all of `classification` that `runs.reopen` needs, but for the results
    and the embeddings. Raises `UserError` if it can't be written."""
    saved = Saved(*registry.new(planned), planned)
    with registry.writing(saved.record):
        request.save(saved.record, classification.request)
        ignored.save(saved.record, classification.ignored)
        stored.save_run(saved.record, classification.corrections, classification.model)
    return saved


def keep_page(
    saved: Saved, classification: Classification, near_duplicates: Sequence[Sequence[int]]
) -> None:
    """Add to the record what opens its review page at once. near_duplicates: groups of rows.
    Without it the page decides anew: a disk that is too full for it must not end the run."""
    with contextlib.suppress(OSError):
        page_file.save(saved.record, classification, near_duplicates)
