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
from zeroshelf.records import Corrections, Embeddings, Model, Picture, Request, Skipped
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
    kept = _read(os.path.join(record, "results.jsonl"))
    embeddings = _embeddings(kept, os.path.join(record, "plan.jsonl"), model, store)
    embeddings = replace(embeddings, ignored=ignored.load(record))
    corrections = stored.load_run(record, model)
    if edited:
        edits = edit_log.replay(request.labels, edit_log.read(record))
        corrections = edits.corrections(corrections, request.folder)
        request = edits.request(request)
    return Reopened(request, embeddings, corrections, _near_duplicates(kept.groups))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is needed of the results: lists, because a record for each of a million pictures takes
    gigabytes."""

    paths: list[str]  # of N pictures, as the next three
    sizes: list[int]
    digests: list[bytes]
    groups: list[int | None]  # near-duplicates share a number
    skipped: list[Skipped]


def _read(path: str) -> _Kept:
    kept = _Kept([], [], [], [], [])
    for row in results.read_jsonl(path):
        if row.label is None:
            kept.skipped.append(Skipped(row.path, row.reason))
        elif row.digest is not None:
            kept.paths.append(row.path)
            kept.sizes.append(row.size or 0)
            kept.digests.append(bytes.fromhex(row.digest))
            kept.groups.append(row.group)
    return kept


def _embeddings(kept: _Kept, plan: str, model: Model, store: EmbeddingCache) -> Embeddings:
    """The results name the pictures, the cache has their (N, D) vectors. plan: the path of its
    file. Raises `UserError` if the cache no longer has them all."""
    planned = plan_file.head(plan)
    changed: dict[str, int] = {}
    companions: dict[str, list[str]] = {}
    for action in plan_file.each(plan):
        changed[action.source] = action.mtime_ns
        if action.companion_of is not None:
            companions.setdefault(action.companion_of, []).append(action.source)
    # An action of tags names no sidecars; a picture that stays where it is has no action.
    without = kinds.of(planned.kind).writes_tags or any(path not in changed for path in kept.paths)
    if without and os.path.isdir(planned.folder):
        with contextlib.suppress(UserError):  # a photo library, which 0.1.0 sorted
            for picture in scan.scan(planned.folder).pictures:
                companions.setdefault(picture.path, list(picture.companions))
    pictures = tuple(
        Picture(
            path,
            "",
            size,
            changed[path] if path in changed else _changed(path),
            0,
            tuple(companions.get(path, ())),
        )
        for path, size in zip(kept.paths, kept.sizes, strict=True)
    )
    found, vectors = store.vectors(model.digest, kept.digests)
    if not found.all():
        raise UserError("the cache no longer has this run's embeddings: sort the folder again")
    notes = compute.noted(kept.digests, store)
    return Embeddings(pictures, tuple(kept.digests), vectors, tuple(kept.skipped), model, notes)


def _changed(path: str) -> int:
    """The modification time, in nanoseconds, of a picture that has no action because it was on its
    shelf already; 0 if the file no longer exists."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _near_duplicates(numbers: Sequence[int | None]) -> tuple[tuple[int, ...], ...]:
    """The groups in the results, as rows of the embeddings. They do not depend on the labels."""
    groups: dict[int, list[int]] = {}
    for at, number in enumerate(numbers):
        if number is not None:
            groups.setdefault(number, []).append(at)
    return tuple(tuple(group) for _, group in sorted(groups.items()))
