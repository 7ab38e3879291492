"""`classify` and `reopen`: a folder with labels, or the record of an earlier run, -> a `Run`."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from zeroshelf import checks
from zeroshelf.corrections import stored
from zeroshelf.decisions import closed_set
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.labels import parse
from zeroshelf.models import select
from zeroshelf.records import Corrections, Encoder, Progress, Request
from zeroshelf.run.run import Labels, Run, make_run
from zeroshelf.run.sources import calibration_of, check_helpers, known_sources, sources_of
from zeroshelf.runs import registry, request, shelved, unsorted
from zeroshelf.runs.reopen import load
from zeroshelf.runs.saved import Saved
from zeroshelf.system import uris


def classify(
    folder: str | os.PathLike[str],
    labels: Labels,
    *,
    model: str | None = None,
    exclude: str | Sequence[str] = (),
    leave_out: Collection[str] = (),
    threshold: float | None = None,
    corrections: bool = True,
    other: bool = True,
    device: str | None = None,
    encoder: Encoder | None = None,
    store: EmbeddingCache | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Run:
    """Decide for every picture below `folder` which label fits it. Nothing is moved. Only the cache
    is written and, once for a model without measured constants, its calibration.

    folder: the folder to sort.
    labels: words or phrases, a mapping of a label to its synonyms, or a `LabelSet`.
    model: a model's id or folder; None: the best that is installed.
    exclude: a glob pattern or several; matching paths are left out.
    leave_out: absolute paths of folders that are left out.
    threshold: the least probability of a label, 0 to 1; None: the model's own decision.
    corrections: follow the corrections stored for these labels and this model, of any folder.
    other: False for a closed set: every picture is on the shelf of its best label (docs/labels.md).
    device: where the model runs, "cpu" or "cuda", ...; None: automatic.
    encoder, store: used in place of the model and the cache, in tests and in other programs.
    progress: called with a stage, how much of it is done, and the total (0 if unknown).
    warn: called with each warning, such as a pattern that matches nothing or a device that fails
        while another takes over; None: a Python warning.

    Raises `UserError` if the folder, a label or the model can't be used, and its subclass
    `errors.NothingToSort` if earlier runs have sorted every picture of the folder.
    """
    start = time.monotonic()
    wanted, threshold, root = parse.parse(labels), checks.threshold(threshold), scan.root_of(folder)
    model = None if model is None else checks.path(model, "model")
    device = None if device is None else checks.text(device, "device")
    exclude, leave_out = checks.texts(exclude, "exclude"), checks.paths(leave_out, "leave_out")
    checks.flag(corrections, "corrections")
    asked = Request(root, wanted, "", threshold, other=checks.flag(other, "other"))
    closed_set.check(asked)
    check_helpers(encoder, store, progress, warn)
    given, encoder = encoder, encoder or select.load(select.find(model), device, warn=warn)
    if progress:
        progress("looking", 0, 0)
    found = unsorted.find(root, exclude=exclude, leave_out=leave_out, warn=warn or warnings.warn)
    store = store or EmbeddingCache.open()
    embedded = compute.embed(found, encoder, store, progress=progress)
    sources = sources_of(embedded, encoder, store, progress=progress)
    calibration = calibration_of(embedded, sources, progress, given is None)
    known = Corrections(stored.load_for(wanted, encoder.model) if corrections else {})
    asked = replace(asked, model=encoder.model.id)
    return make_run(asked, embedded, calibration, known, sources, start=start, progress=progress)


def reopen(
    run: str | None = None,
    *,
    edited: bool = True,
    encoder: Encoder | None = None,
    store: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Run:
    """Open a run from its record, wherever its pictures are by now. No picture is read.

    run: the run's id or the beginning of it; None: the newest run.
    edited: with the edits that were made on the run's review page since; False: as it was saved.
    encoder, store, progress: as for `classify`.

    Raises `UserError` if there is no such run, if its record can't be used, or if the cache no
    longer has its embeddings.
    """
    start = time.monotonic()
    check_helpers(encoder, store, progress)
    checks.flag(edited, "edited")
    if progress:
        progress("opening", 0, 0)
    found = registry.find(run)
    if uris.is_uri(found.destination):
        raise UserError(f"run {found.id} copied objects on a store: it has no page; score again")
    first = request.load(found.record)
    encoder = encoder or select.load(select.find(first.model))
    store = store or EmbeddingCache.open()
    opened = load(found.record, first, encoder.model, store, edited=edited)
    beside = None
    if first.in_context:
        beside = shelved.pictures(found.destination, encoder.model, store, before=found.id)
    return make_run(
        opened.request,
        opened.embeddings,
        select.calibration(encoder.model),
        opened.corrections,
        known_sources(opened.embeddings, encoder, store, opened.near_duplicates, beside),
        start=start,
        progress=progress,
        record=Saved(found.id, found.record),
    )
