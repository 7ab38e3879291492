"""A run's record -> what the run knew of its pictures, without reading one of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from zeroshelf.actions import kinds
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import Store
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.output.results import Row
from zeroshelf.records import Embeddings, Model, Picture, Plan, Skipped


def embeddings(rows: Sequence[Row], planned: Plan, model: Model, store: Store) -> Embeddings:
    """The results say which pictures, the store has their (N, D) vectors. Raises `UserError` where
    it no longer has them all."""
    actions = {action.source: action for action in planned.actions}
    companions: dict[str, list[str]] = {}
    for action in planned.actions:
        if action.companion_of is not None:
            companions.setdefault(action.companion_of, []).append(action.source)
    # Actions of tags name no sidecars, and a picture that was to stay where it lies has no action.
    without = kinds.of(planned.kind).writes_tags or any(
        row.label and row.path not in actions for row in rows
    )
    if without and os.path.isdir(planned.folder):
        with contextlib.suppress(UserError):  # a library, which 0.1.0 did sort
            for picture in scan.scan(planned.folder).pictures:
                companions.setdefault(picture.path, list(picture.companions))
    pictures, digests = [], []
    for row in rows:
        if row.label is None or row.digest is None:  # it was skipped: neither or both
            continue
        changed = actions[row.path].mtime_ns if row.path in actions else _changed(row.path)
        along = tuple(companions.get(row.path, ()))
        pictures.append(Picture(row.path, "", row.size or 0, changed, 0, along))
        digests.append(bytes.fromhex(row.digest))
    found, vectors = store.vectors(model.digest, digests)
    if not found.all():
        raise UserError("the cache no longer holds this run's pictures: sort the folder again")
    skipped = tuple(Skipped(row.path, row.reason) for row in rows if row.label is None)
    notes = compute.noted(digests, store)
    return Embeddings(tuple(pictures), tuple(digests), vectors, skipped, model, notes)


def _changed(path: str) -> int:
    """When a picture changed that no action tells of, for it lay on its shelf: as it is now, in
    nanoseconds; 0 where it is gone."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def near_duplicates(rows: Sequence[Row]) -> tuple[tuple[int, ...], ...]:
    """The groups that the results tell of, as rows of the embeddings: they hang on no label."""
    groups: dict[int, list[int]] = {}
    for at, row in enumerate(row for row in rows if row.label is not None):
        if row.group is not None:
            groups.setdefault(row.group, []).append(at)
    return tuple(tuple(group) for _, group in sorted(groups.items()))
