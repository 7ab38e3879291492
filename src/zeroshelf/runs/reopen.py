"""A run's record -> the request, embeddings and corrections of the run. No picture is read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zeroshelf.actions import kinds, plan_file
from zeroshelf.corrections import stored
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.images import ignored, scan
from zeroshelf.output import results
from zeroshelf.output.results import Row
from zeroshelf.records import Corrections, Embeddings, Model, Picture, Plan, Request, Skipped
from zeroshelf.runs import edit_log


@dataclass(frozen=True, slots=True)
class Reopened:
    """What a record says about its run."""

    request: Request
    embeddings: Embeddings
    corrections: Corrections
    near_duplicates: tuple[tuple[int, ...], ...]  # rows of the embeddings, two or more a group


def load(
    record: str, request: Request, model: Model, store: EmbeddingCache, *, edited: bool
) -> Reopened:
    """The run in the folder `record`, as it was saved; with `edited`, after all edits on its review
    page since.

    request: as it was saved. model: the one that `request` names.
    Raises `UserError` if a file of the record can't be used, or if the cache `store` no longer has
    the vectors of all its pictures.
    """
    planned = plan_file.load(os.path.join(record, "plan.jsonl"))
    rows = list(results.read_jsonl(os.path.join(record, "results.jsonl")))
    embeddings = replace(_embeddings(rows, planned, model, store), ignored=ignored.load(record))
    corrections = stored.load_run(record, model)
    if edited:
        edits = edit_log.replay(request.labels, edit_log.read(record))
        corrections = edits.corrections(corrections, request.folder)
        request = edits.request(request)
    return Reopened(request, embeddings, corrections, _near_duplicates(rows))


def _embeddings(
    rows: Sequence[Row], planned: Plan, model: Model, store: EmbeddingCache
) -> Embeddings:
    """The results name the pictures, the cache has their (N, D) vectors. Raises `UserError` if it
    no longer has them all."""
    actions = {action.source: action for action in planned.actions}
    companions: dict[str, list[str]] = {}
    for action in planned.actions:
        if action.companion_of is not None:
            companions.setdefault(action.companion_of, []).append(action.source)
    # An action of tags names no sidecars; a picture that stays where it is has no action.
    without = kinds.of(planned.kind).writes_tags or any(
        row.label and row.path not in actions for row in rows
    )
    if without and os.path.isdir(planned.folder):
        with contextlib.suppress(UserError):  # a photo library, which 0.1.0 sorted
            for picture in scan.scan(planned.folder).pictures:
                companions.setdefault(picture.path, list(picture.companions))
    pictures, digests = [], []
    for row in rows:
        if row.label is None or row.digest is None:  # skipped: it has neither
            continue
        changed = actions[row.path].mtime_ns if row.path in actions else _changed(row.path)
        along = tuple(companions.get(row.path, ()))
        pictures.append(Picture(row.path, "", row.size or 0, changed, 0, along))
        digests.append(bytes.fromhex(row.digest))
    found, vectors = store.vectors(model.digest, digests)
    if not found.all():
        raise UserError("the cache no longer has this run's embeddings: sort the folder again")
    skipped = tuple(Skipped(row.path, row.reason) for row in rows if row.label is None)
    notes = compute.noted(digests, store)
    return Embeddings(tuple(pictures), tuple(digests), vectors, skipped, model, notes)


def _changed(path: str) -> int:
    """The modification time, in nanoseconds, of a picture that has no action because it was on its
    shelf already; 0 if the file no longer exists."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _near_duplicates(rows: Sequence[Row]) -> tuple[tuple[int, ...], ...]:
    """The groups in the results, as rows of the embeddings. They do not depend on the labels."""
    groups: dict[int, list[int]] = {}
    for at, row in enumerate(row for row in rows if row.label is not None):
        if row.group is not None:
            groups.setdefault(row.group, []).append(at)
    return tuple(tuple(group) for _, group in sorted(groups.items()))
