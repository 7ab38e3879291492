"""What the review page shows of a run, before and after the run itself is made.

A saved run has it in a file beside its record (runs/page_file.py), so that a page opens without the
run: embeddings, scores and smoothing are read or computed only for what decides anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeroshelf.corrections import stored
from zeroshelf.decisions.decide import Decisions
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.images import ignored
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select
from zeroshelf.records import (
    Corrections,
    Encoder,
    Ignored,
    Model,
    Picture,
    Progress,
    Request,
    Skipped,
)
from zeroshelf.run import start
from zeroshelf.run.run import Run
from zeroshelf.run.sources import check_helpers
from zeroshelf.runs import edit_log, page_file, registry, request
from zeroshelf.runs.edit_log import Edited
from zeroshelf.runs.page_file import PageFile
from zeroshelf.system import path_spelling, uris

_LOOKED_UP = 200  # vectors of a saved run that are looked for before its page opens

Thumbnails = Callable[[Sequence[str]], Mapping[str, bytes]]
# The request that decisions were made for, and the labels of the first one that were renamed since.
State = tuple[Request, Mapping[str, str]]


class Damaged(Exception):
    """A run's file of what its page shows can't be used; the line says so to the user."""


@dataclass(frozen=True, eq=False, slots=True)
class ShownRun:
    """What a page shows of a run, without the placements of its review. N pictures."""

    id: str | None
    record: str | None
    request: Request
    model: Model
    corrections: Corrections
    paths: list[str]  # N, below the run's folder, with "/" on every system
    pictures: Sequence[Picture]  # N
    digests: Callable[[int], bytes]  # row -> BLAKE3 of that picture's content
    near_duplicates: tuple[tuple[int, ...], ...]
    # N, maybe under other labels than the request's (`state`); of a saved run as in `PageFile`
    decisions: Decisions
    skipped: tuple[Skipped, ...]
    ignored: Ignored
    notes: tuple[str, ...]  # warnings about `decisions`
    trouble: tuple[str, ...]  # those among them that are not about decisions
    state: State  # what `decisions` were made for
    thumbnails: Thumbnails
    resolved: Callable[[], Decisions]  # `decisions` with resolved labels
    run: Callable[[Progress | None], Run]  # makes the run; of a large one this takes minutes


def of(run: Run) -> ShownRun:
    """Of a run that is there already."""
    root = run.request.folder
    embedded = run.embeddings
    return ShownRun(
        id=run.id,
        record=run.record,
        request=run.request,
        model=run.model,
        corrections=run.corrections,
        paths=[below(one.path, root) for one in embedded.pictures],
        pictures=embedded.pictures,
        digests=embedded.digests.__getitem__,
        near_duplicates=run.near_duplicates,
        decisions=run.decisions,
        skipped=run.skipped,
        ignored=run.ignored,
        notes=run.notes,
        trouble=(),
        state=(run.request, {}),
        thumbnails=run.thumbnails,
        resolved=lambda: run.decisions,
        run=lambda _: run,
    )


def open_saved(
    run: str | None = None,
    *,
    encoder: Encoder | None = None,
    store: EmbeddingCache | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> ShownRun:
    """What a page shows of a saved run, under the labels of its last edits or as it was saved: from
    its file where that can be used, else of the run itself, which is made now.

    run, encoder, store, progress: as for `reopen`. warn: told if the file is damaged, as the notes
    on the page tell.
    Raises `UserError` where `reopen` does.
    """
    check_helpers(encoder, store, progress, warn)
    if progress:
        progress("opening", 0, 0)
    found, said = registry.find(run), []
    if not uris.is_uri(found.destination):
        first = request.load(found.record)
        encoder = encoder or select.load(select.find(first.model))
        store = store or EmbeddingCache.open()
        try:
            state = state_of(first, edit_log.replay(first.labels, edit_log.read(found.record)))
            for one in [state] if state == (first, {}) else [state, (first, {})]:
                kept = _page_file(found.record, first, one, encoder.model, store)
                if kept is not None:
                    return _of_file(found, first, kept, one, encoder, store)
        except Damaged as damaged:
            said.append(str(damaged))
            if warn:
                warn(said[0])
    made = start.reopen(found.id, edited=False, encoder=encoder, store=store, progress=progress)
    shown = of(made)
    return replace(shown, notes=(*shown.notes, *said), trouble=tuple(said))


def state_of(first: Request, edited: Edited) -> State:
    """What decisions under the labels and the offset of `edited` are made for."""
    return edited.request(first), dict(edited.renamed)


def _page_file(
    record: str,
    first: Request,
    state: State,
    model: Model,
    store: EmbeddingCache,
) -> PageFile | None:
    """The run's file of a state; None where it is missing or outdated, or where the cache lacks
    some of the run's vectors: `reopen` then says so. Raises `Damaged`."""
    name = page_file.NAME if state == (first, {}) else page_file.EDITED
    try:
        kept = page_file.load(record, name, *state, model, select.calibration(model))
    except UserError:
        raise
    except (ValueError, KeyError, TypeError) as trouble:
        path = os.path.join(record, name)
        raise Damaged(f"{path} can't be used: {trouble}. All pictures were decided anew") from None
    if kept is None:
        return None
    count = len(kept.paths)
    rows = np.unique(np.linspace(0, max(count - 1, 0), min(count, _LOOKED_UP)).astype(np.int64))
    known = store.has_vectors(model.digest, [kept.digests[row].tobytes() for row in rows])
    return kept if known else None


def _of_file(
    found: registry.RunRecord,
    first: Request,
    kept: PageFile,
    state: State,
    encoder: Encoder,
    store: EmbeddingCache,
) -> ShownRun:
    model, decided = encoder.model, kept.decisions

    def thumbnails(digests: Sequence[str]) -> Mapping[str, bytes]:
        read = store.thumbnails([bytes.fromhex(one) for one in digests])
        return {digest.hex(): jpeg for digest, jpeg in read.items()}

    def resolved() -> Decisions:
        texts = compute.text_embedder(encoder, store)
        labels = resolve(decided.scores.labels, texts)
        return replace(decided, scores=replace(decided.scores, resolved=labels))

    def run(progress: Progress | None) -> Run:
        made = start.reopen(found.id, edited=False, encoder=encoder, store=store, progress=progress)
        if b"".join(made.embeddings.digests) != kept.digests.tobytes():
            raise UserError(
                f"the results and the arrays in {found.record} are not of the same pictures: "
                f"remove {page_file.NAME} and {page_file.EDITED}, and open the run again"
            )
        if made.decisions.calibration != decided.calibration:
            raise UserError(
                f"{model.id} was calibrated since this page was opened, and decides otherwise now: "
                "open the run again"
            )
        return made

    trouble = (store.trouble,) if store.trouble else ()
    general = select.notes(model, decided.calibration, decided.scores.labels)
    return ShownRun(
        id=found.id,
        record=found.record,
        request=first,
        model=model,
        corrections=stored.load_run(found.record, model),
        paths=kept.paths,
        pictures=kept.pictures,
        digests=lambda row: kept.digests[row].tobytes(),
        near_duplicates=kept.near_duplicates,
        decisions=decided,
        skipped=kept.skipped,
        ignored=ignored.load(found.record),
        notes=(*general, *kept.notes, *trouble),
        trouble=(),
        state=state,
        thumbnails=thumbnails,
        resolved=resolved,
        run=run,
    )


def below(path: str, root: str) -> str:
    """The path below the run's folder, with "/" on every system: for the page and the edit log."""
    beginning = root + os.sep
    if path.startswith(beginning) and "." + os.sep not in path[len(beginning) :]:
        return path_spelling.slashed(path[len(beginning) :])
    return path_spelling.slashed(
        path_spelling.relative(path, root) if os.path.isabs(path) else path
    )
