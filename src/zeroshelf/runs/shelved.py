"""The pictures that earlier runs put on shelves: the context in which new ones are judged."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.output import results
from zeroshelf.records import Embeddings, Model, Picture
from zeroshelf.runs import registry
from zeroshelf.system import folder_identity, mounts, uris

MOST = 4_000  # pictures: more change no decision, and cost seconds for each run

Known = MutableMapping[str, tuple[bytes, ...]]  # a run's id -> the digests of its pictures


def pictures(
    destination: str,
    model: Model,
    store: EmbeddingCache,
    *,
    before: str | None = None,
    known: Known | None = None,
) -> Embeddings | None:
    """Up to `MOST` pictures that runs with this destination sorted, those of the newest runs first,
    as far as the cache `store` has their vectors by `model`. None where there are none.

    No picture is read. Runs that were undone don't count. before: only runs older than the one with
    this id. known: what is read from the runs' records is kept there for the next call.
    """
    known = {} if known is None else known
    digests: dict[bytes, None] = {}
    for run in registry.all():
        if (before is not None and run.id >= before) or not run.may_be_in_place:
            continue
        if not isinstance(run, registry.RunRecord) or not _is_one(run.destination, destination):
            continue
        if run.id not in known:
            known[run.id] = _digests(run.record)
        digests |= dict.fromkeys(known[run.id])
        if len(digests) >= MOST:
            break
    wanted = sorted(list(digests)[:MOST])  # in whatever order they came: the same decisions
    found, vectors = store.vectors(model.digest, wanted)
    rows = found.nonzero()[0].tolist()
    if not rows:
        return None
    kept = tuple(wanted[row] for row in rows)
    return Embeddings(
        pictures=tuple(Picture(digest.hex(), "", 0, 0, 0) for digest in kept),
        digests=kept,
        vectors=vectors[rows],
        skipped=(),
        model=model,
        notes=compute.noted(kept, store),
    )


def _is_one(one: str, other: str) -> bool:
    """True for two paths of one folder; a network drive that may be away is not asked."""
    if uris.is_uri(one) or uris.is_uri(other):
        return False
    return one == other or (
        not mounts.is_elsewhere(one, other) and folder_identity.same(one, other)
    )


def _digests(record: str) -> tuple[bytes, ...]:
    """Those of the pictures in a run's results; none where they can't be read."""
    path = os.path.join(record, "results.jsonl")
    try:
        rows = list(results.read_jsonl(path))
    except (UserError, OSError, ValueError):
        return ()
    return tuple(bytes.fromhex(row.digest) for row in rows if row.digest and row.label)
