"""`Run`: the decisions for a folder, which are looked at, corrected, planned, saved and applied."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from zeroshelf import checks
from zeroshelf.actions import apply, kinds, plan, undo
from zeroshelf.corrections import classification, given, stored
from zeroshelf.corrections.classification import Classification
from zeroshelf.decisions import before_labels
from zeroshelf.embeddings import compute
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.labels import parse
from zeroshelf.output import contact_sheet, export, notes, run_files, tables
from zeroshelf.output.run_files import Written
from zeroshelf.records import (
    LABEL_ONLY,
    ActionKind,
    Calibration,
    Corrections,
    Decision,
    Embeddings,
    LabelSet,
    Outcome,
    Plan,
    PlanRequest,
    Progress,
    Request,
    Vectors,
)
from zeroshelf.run import plans
from zeroshelf.run.sources import Sources
from zeroshelf.runs import registry, saved
from zeroshelf.runs.saved import Saved
from zeroshelf.search.find import Searcher
from zeroshelf.search.sources import InMemory

if TYPE_CHECKING:
    import pandas
    import pyarrow

Labels = LabelSet | Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False, repr=False)
class Run(Classification):
    """The decisions for one folder and one label set: to look at, correct, plan, save and apply.

    A run never changes: `relabel` and `correct` make another one. The one exception is `save`,
    which notes where the record is, so that `id`, `record`, `apply` and `undo` know it. A notebook
    shows a run as pictures under their labels.
    """

    _sources: Sources
    seconds: float = 0.0  # from the folder to the decisions
    when: datetime = field(default_factory=lambda: datetime.now().astimezone())
    _records: list[Saved] = field(default_factory=list)  # one for each `save`, the newest last

    def __repr__(self) -> str:
        shelves = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return f"<Run of {self.request.folder!r}: {shelves}; skipped {len(self.skipped)}>"

    @property
    def saved(self) -> Saved | None:
        """Where the run's record is; None before the first `save`."""
        return self._records[-1] if self._records else None

    @property
    def id(self) -> str | None:
        """The name of the run's record; None before the first `save`."""
        return self.saved.id if self.saved else None

    @property
    def record(self) -> str | None:
        """The folder of the run's record; None before the first `save`."""
        return self.saved.record if self.saved else None

    @property
    def device(self) -> str | None:
        """Where this run embedded pictures: "cpu", "cuda", ...; None if all were in the cache."""
        return self._sources.encoder.device

    @property
    def notes(self) -> tuple[str, ...]:
        """User-facing warnings about these decisions, one line each."""
        trouble = self._sources.store.trouble
        return (*notes.lines(self), *([trouble] if trouble else []))

    @property
    def near_duplicates(self) -> tuple[tuple[int, ...], ...]:
        """Groups of rows whose pictures are nearly the same, two or more a group."""
        return self.find_near_duplicates()

    def find_near_duplicates(self, progress: Progress | None = None) -> tuple[tuple[int, ...], ...]:
        """`near_duplicates`, with progress: the first call takes a minute and more if there are
        many pictures."""
        checks.function(progress, "progress")
        return self._sources.near_duplicates.groups(progress)

    def relabel(self, labels: Labels, *, threshold: float | None = None) -> Run:
        """The same pictures under other labels. No picture is read again.

        labels, threshold: as for `classify`. Corrections to a label that is not among `labels` are
        followed again as soon as it is.
        """
        threshold = checks.threshold(threshold)
        request = replace(self.request, labels=parse.parse(labels), threshold=threshold)
        return self.derive(request, self.corrections)

    def correct(self, corrections: Mapping[str, str]) -> Run:
        """The same run after further corrections, which `relabel`, `save` and `reopen` keep.

        corrections: a picture's path (absolute, or below the run's folder) -> a label of this run
            or "other". These pictures, and files with the same content, get that label; the other
            pictures follow what can be learnt from it.

        Raises `UserError` for a path or a label that the run does not have.
        """
        known = given.added(self.corrections, corrections, self.request, self.embeddings)
        return self.derive(self.request, known, record=self.saved)

    def derive(
        self, request: Request, corrections: Corrections, *, record: Saved | None = None
    ) -> Run:
        """The same pictures under another request or other corrections: `relabel`, `correct` and
        the review page all go through this. record: that of the new run, if it has one."""
        checks.record(request, Request, "request")
        checks.instance(corrections, Corrections, "corrections")
        if record is not None:
            checks.instance(record, Saved, "record")
        return make_run(
            request,
            self.embeddings,
            self.decisions.calibration,
            corrections,
            self._sources,
            before=self,
            record=record,
        )

    def store_corrections(self) -> None:
        """Store the corrections given in this run: later runs with the same labels and model follow
        them. Raises `UserError` if they can't be written."""
        known = {**stored.load_for(self.labels, self.model), **self.corrections.given}
        stored.save(stored.path_for(self.labels, self.model), known, self.model)

    def most_informative(self, count: int = 20) -> list[Decision]:
        """Up to `count` decisions, the most helpful first: correcting these pictures would help
        the others most (active learning)."""
        from zeroshelf.corrections import active_learning

        count = checks.count(count, "count")
        decided = self.decisions
        corrected = sorted(decided.corrected)
        vectors = self.embeddings.vectors
        rows = active_learning.choose(vectors, decided.probabilities, corrected, count)
        return [decided[row] for row in rows]

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """N texts -> (N, D), rows of length 1, comparable with `embeddings.vectors`."""
        texts = checks.texts(texts, "texts")
        if not texts:
            return np.empty((0, self.model.dim), np.float32)
        return compute.text_embedder(self._sources.encoder, self._sources.store)(texts)

    def plan(
        self,
        to: str | os.PathLike[str] | None = None,
        action: ActionKind = "copy",
        *,
        ambiguous: str | None = None,
        several: bool = False,
        prefix: str = "zeroshelf",
        replace_earlier: bool = True,
        in_files: bool = False,
        shelf_path: str = LABEL_ONLY,
    ) -> Plan:
        """Where every picture would go. Looks at the destination and changes nothing.

        `ambiguous` names a shelf for the pictures that two labels fit about equally; with `several`
        a picture goes on every shelf that it fits. "tag" and "trash" need no `to`: tags go beside
        the pictures, below `prefix` ("untag" takes all below it away), and only pictures that
        surely or likely fit their label, or were corrected, go to the trash. With `in_files` tags
        are written into JPEG, PNG and TIFF files themselves, through exiftool. With
        `replace_earlier`, copies, links and tags by which earlier runs with the same labels put a
        picture on another shelf go, unless changed since; undo brings them back. `shelf_path` is
        where a shelf lies below `to`: {label} with {year}, {month}, {day}, {camera} or {place} of
        the pictures' files; "{label}/{year}" makes cat/2024, and cat/undated without a date.
        """
        checks.choice(action, "action", kinds.plannable())
        for flag, what in (
            (several, "several"),
            (replace_earlier, "replace_earlier"),
            (in_files, "in_files"),
        ):
            checks.flag(flag, what)
        root = None if to is None else scan.root_of(to)
        prefix, shelf_path = checks.text(prefix, "prefix"), checks.text(shelf_path, "shelf_path")
        flags = several, replace_earlier, in_files
        folder = self.request.folder
        wanted = PlanRequest(folder, root, action, prefix, ambiguous, *flags, shelf_path)
        return plans.make(self, wanted)

    def save(self, planned: Plan, progress: Progress | None = None) -> Written:
        """Make the run's record: its plan, report, contact sheet and results in one folder, which
        `id` and `record` name from here on. Saving again makes another record. Raises `UserError`
        if it can't be written."""
        plan.check(planned, self.request.folder)
        checks.function(progress, "progress")
        record = saved.begin(self, planned)
        self._records.append(record)
        saved.keep_page(record, self, self.find_near_duplicates(progress))
        return self.write(record.record, planned, progress)

    def apply(self, planned: Plan, progress: Progress | None = None) -> list[Outcome]:
        """Carry out `planned`, never overwriting a file. The plan that was saved last is resumed if
        it was interrupted; for another one, a record is made first."""
        plan.check(planned, self.request.folder)
        checks.function(progress, "progress")
        if self.saved is None or planned != self.saved.plan:
            self.save(planned)
        assert self.record is not None
        return apply.apply(self.record, progress)

    def undo(self, progress: Progress | None = None) -> list[Outcome]:
        """Reverse all that `apply` did, but leave alone what has changed since. Raises `UserError`
        if the run was never saved."""
        checks.function(progress, "progress")
        if self.record is None:
            raise UserError("this run was never applied, so there is nothing to undo")
        return undo.undo(self.record, progress)

    def write(
        self,
        to: str | os.PathLike[str],
        planned: Plan | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """Write the report, the contact sheet and the results into the folder `to`, with the
        targets of `planned` if it is given. Raises `UserError` if they can't be written."""
        folder = scan.root_of(to)
        if planned is not None:
            plan.check(planned, self.request.folder)
        self.find_near_duplicates(progress)
        if progress:
            progress("writing", 0, 0)
        with registry.writing(folder):
            return run_files.write(self._source(), planned, folder)

    def searcher(self) -> Searcher:
        """What searches the pictures of this run, as `Index.search` does."""
        encoder, store = self._sources.encoder, self._sources.store
        source, known = InMemory(self.embeddings), self.decisions
        return Searcher(source, encoder, store, lambda: known.calibration, before=known.scores)

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame with a row a picture, in the order of the run: the columns are named in
        docs/python.md. Raises `MissingPackage` without pandas."""
        return tables.to_pandas(self._source())

    def to_arrow(self, *, embeddings: bool = True) -> pyarrow.Table:
        """An Arrow table with a row a picture; with `embeddings`, its vector too. Raises
        `MissingPackage` without pyarrow."""
        checks.flag(embeddings, "embeddings")
        return tables.to_arrow(self._source(), embeddings=embeddings)

    def export(self, format: str, to: str | os.PathLike[str]) -> str:
        """Write the decisions for another program, as `zeroshelf export` does: `to` is a new file
        or folder. Returns a line about what was written."""
        return export.export(self._source(), self.record, format, scan.root_of(to))

    def show(self, each: int = 12) -> str:
        """The contact sheet as HTML: up to `each` pictures a label, the most probable first."""
        groups = self._source().groups(checks.count(each, "each"))
        return contact_sheet.html(groups, self.thumbnails)

    def _repr_html_(self) -> str:
        return self.show()

    def _source(self) -> run_files.Source:
        return run_files.Source(
            self,
            self.near_duplicates,
            self.thumbnails,
            self.id,
            self.device,
            self.when,
            self.seconds,
            self.notes,
        )

    def thumbnails(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """Digests in hex -> small JPEGs; a digest without a thumbnail is left out."""
        given = [checks.digest(one, "each of digests") for one in checks.texts(digests, "digests")]
        found = self._sources.store.thumbnails(given)
        return {digest.hex(): thumbnail for digest, thumbnail in found.items()}


def make_run(
    request: Request,
    embedded: Embeddings,
    calibration: Calibration,
    corrections: Corrections,
    sources: Sources,
    *,
    start: float | None = None,
    before: Run | None = None,
    progress: Progress | None = None,
    record: Saved | None = None,
) -> Run:
    """The one place where a `Run` is made. start: when its work began, by `time.monotonic`; None:
    now. before, progress: as for `classification.make`."""
    start = time.monotonic() if start is None else start
    texts = compute.text_embedder(sources.encoder, sources.store, progress)
    known = None
    if before is None and sources.beside is None:
        known = before_labels.of_folder(embedded, texts, sources.store, sources.negatives)
    made = classification.make(
        request,
        embedded,
        calibration,
        corrections,
        texts,
        negatives=sources.negatives,
        before=before,
        known=known,
        progress=progress,
        beside=sources.beside,
    )
    return Run(
        made.request,
        made.embeddings,
        made.corrections,
        made.decisions,
        made.uncorrected,
        made.advice,
        sources,
        seconds=time.monotonic() - start,
        _records=[record] if record else [],
    )
