"""The one module that joins the others: a folder and labels in, a `Run` out.

The command line, the notebook and other people's programs use these same objects.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from zeroshelf import checks
from zeroshelf.actions import apply, kinds, plan, plan_file, plan_request, undo
from zeroshelf.corrections import follow, stored
from zeroshelf.counting import counted
from zeroshelf.decisions import decide
from zeroshelf.decisions.decide import Decisions
from zeroshelf.decisions.scores import score
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import Store
from zeroshelf.errors import NothingToSort, UserError
from zeroshelf.images import ignored, scan
from zeroshelf.images.near_duplicates import groups
from zeroshelf.images.quality import FLAWS
from zeroshelf.labels import parse
from zeroshelf.labels.advice import Advice, summary_lines
from zeroshelf.labels.check import serious
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select
from zeroshelf.output import contact_sheet, report, results
from zeroshelf.records import (
    OTHER,
    ActionKind,
    Calibration,
    Confidence,
    Correction,
    Corrections,
    Decision,
    Embeddings,
    Encoder,
    Ignored,
    LabelSet,
    Model,
    Outcome,
    Plan,
    PlanRequest,
    Progress,
    Question,
    Skipped,
    Vectors,
)
from zeroshelf.runs import edit_log, recorded, registry, request
from zeroshelf.system import path_spelling

Labels = LabelSet | Sequence[str] | Mapping[str, Sequence[str]]


def classify(
    folder: str | os.PathLike[str],
    labels: Labels,
    *,
    model: str | None = None,
    exclude: str | Sequence[str] = (),
    leave_out: Collection[str] = (),
    threshold: float | None = None,
    marks: bool = True,
    device: str | None = None,
    encoder: Encoder | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Run:
    """Find the shelf of every picture below `folder`. Nothing is moved and nothing is written
    but the cache and, once, where "other" begins for a model that nobody measured it for.

    `labels` are words or phrases, a mapping of a label to its synonyms, or a `LabelSet`;
    `marks`: follow what a person said under these labels before, in whatever folder.
    `exclude` are glob patterns, or one, and `leave_out` absolute paths of folders not to look into.
    `encoder` and `store` stand in for the model and the cache, in tests and in other programs.
    `warn` hears of a pattern that matches nothing, of a folder that belongs to a photo program, and
    of a device that fails while another takes over; None: a Python warning.
    Raises `UserError` where the folder, a label or the model can't be used, and its subclass
    `errors.NothingToSort` where earlier runs have sorted every picture of the folder.
    """
    start = time.monotonic()
    wanted = parse.parse(labels)
    threshold = _threshold(threshold)
    root = scan.root_of(folder)
    model = None if model is None else checks.path(model, "model")
    device = None if device is None else checks.text(device, "device")
    exclude = checks.texts(exclude, "exclude")
    leave_out = checks.paths(leave_out, "leave_out")
    checks.flag(marks, "marks")
    _check_helpers(encoder, store, progress, warn)
    given, encoder = encoder, encoder or select.load(select.find(model), device, warn=warn)
    if progress:
        progress("looking", 0, 0)
    found = scan.scan(root, exclude=exclude, leave_out={*leave_out, *registry.destinations(root)})
    for warning in found.warnings:
        (warn or warnings.warn)(warning)
    if not found.pictures and not found.skipped:
        passed_by = ignored.lines(found.ignored)
        left_out = "".join(f"; {line[0].lower()}{line[1:]}" for line in passed_by)
        if registry.has_sorted(root):
            raise NothingToSort(
                f"nothing new to sort in {folder}: earlier runs sorted it{left_out}"
            )
        raise UserError(f"no pictures in {folder}: give a folder that holds some{left_out}")
    store = store or Store.open()
    calibration = select.calibration(encoder.model)
    embedded = compute.embed(found, encoder, store, progress=progress)
    if given is None and calibration.origin == "default":
        from zeroshelf.decisions import calibration_transfer

        transferred = calibration_transfer.calibrate_once(embedded, encoder, store, progress)
        calibration = transferred or calibration
    question = Question(root, wanted, encoder.model.id, threshold)
    earlier = stored.kept(wanted, encoder.model) if marks else {}
    return _answer(
        question,
        embedded,
        calibration,
        Corrections(earlier),
        encoder,
        store,
        start=start,
        progress=progress,
    )


def reopen(
    run: str | None = None,
    *,
    edited: bool = True,
    encoder: Encoder | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Run:
    """The run of that id (None: the newest) from its record, wherever its pictures are by now.

    It gives the decisions that it gave when it was saved; with `edited`, those that it has after
    all that was changed on its review page since. No picture is read. Raises `UserError` where the
    record or the cache no longer holds it.
    """
    start = time.monotonic()
    _check_helpers(encoder, store, progress)
    checks.flag(edited, "edited")
    if progress:
        progress("opening", 0, 0)
    found = registry.find(run)
    question = request.load(found.record)
    encoder = encoder or select.load(select.find(question.model))
    store = store or Store.open()
    planned = plan_file.load(os.path.join(found.record, "plan.jsonl"))
    rows = list(results.read_jsonl(os.path.join(found.record, "results.jsonl")))
    embedded = recorded.embeddings(rows, planned, encoder.model, store)
    embedded = replace(embedded, ignored=ignored.load(found.record))
    said = stored.load_run(found.record, encoder.model)
    if edited:
        changed = edit_log.replay(question.labels, edit_log.read(found.record))
        question = changed.question(question)
        said = changed.corrections(said, question.folder)
    return _answer(
        question,
        embedded,
        select.calibration(encoder.model),
        said,
        encoder,
        store,
        start=start,
        progress=progress,
        near_duplicates=recorded.near_duplicates(rows),
        saved=Saved(found.id, found.record),
    )


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a run's record."""

    report: str
    results: str
    table: str
    contact_sheet: str


@dataclass(frozen=True, slots=True)
class Saved:
    """Where a run's record lies, and the plan in it as far as this process wrote it."""

    id: str
    record: str
    plan: Plan | None = None


class Run:
    """The answers for one folder and one label set, and what was done with them.

    Shown in a notebook as pictures under their labels. `id` and `record` are None until `save`.
    """

    def __init__(
        self,
        question: Question,
        embeddings: Embeddings,
        decisions: Decisions,
        encoder: Encoder,
        store: Store,
        *,
        corrections: Corrections | None = None,
        advice: tuple[Advice, ...] = (),
        seconds: float = 0.0,
        near_duplicates: tuple[tuple[int, ...], ...] | None = None,
        saved: Saved | None = None,
    ) -> None:
        self.question = question
        self.embeddings = embeddings
        self.decisions = decisions
        self.corrections = corrections or Corrections()  # that the decisions follow
        self.advice = advice  # what is seriously wrong with the labels
        self.when = datetime.now().astimezone()
        self.seconds = seconds  # from the folder to the decisions
        self._near_duplicates = near_duplicates  # None: not looked for yet
        self.saved = saved
        self._encoder = encoder
        self._store = store

    def __repr__(self) -> str:
        shelves = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return f"<Run of {self.question.folder!r}: {shelves}; skipped {len(self.skipped)}>"

    @property
    def id(self) -> str | None:
        """The name of the run's record; None until `save`."""
        return self.saved.id if self.saved else None

    @property
    def record(self) -> str | None:
        """The folder of the run's record; None until `save`."""
        return self.saved.record if self.saved else None

    @property
    def labels(self) -> LabelSet:
        return self.decisions.scores.labels

    @property
    def model(self) -> Model:
        return self.embeddings.model

    @property
    def device(self) -> str | None:
        """Where this run embedded pictures: "cpu", "cuda", ...; None where every one was known."""
        return self._encoder.device

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return self.embeddings.skipped

    @property
    def ignored(self) -> Ignored:
        """What was passed by in the folder: files that are no pictures, and what was left out."""
        return self.embeddings.ignored

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about these answers."""
        noted = self.embeddings.notes.values()
        flawed = sum(note in FLAWS for note in noted)
        short = len(noted) - flawed
        number = len(self.corrections.stored)
        kept = (
            "mark that was kept for these labels is followed (--no-marks: without it)",
            "marks that were kept for these labels are followed (--no-marks: without them)",
        )
        followed = counted(number, *kept)
        half = "picture is cut short and was", "pictures are cut short and were"
        cut = f"{counted(short, *half)} judged by what is there"
        dark = "picture is dark or blurred: it", "pictures are dark or blurred: they"
        dim = f"{counted(flawed, *dark)} must fit a label better than others"
        return (
            *select.notes(self.model, self.decisions.calibration, self.labels),
            *summary_lines(self.advice),
            *([cut] if short else []),
            *([dim] if flawed else []),
            *([followed] if number else []),
            *([self._store.trouble] if self._store.trouble else []),
        )

    @property
    def near_duplicates(self) -> tuple[tuple[int, ...], ...]:
        """Rows of pictures that are nearly the same, two or more a group."""
        return self.find_near_duplicates()

    def find_near_duplicates(self, progress: Progress | None = None) -> tuple[tuple[int, ...], ...]:
        """The same, looked for once: a minute and more where there are many pictures."""
        checks.function(progress, "progress")
        if self._near_duplicates is None:
            self._near_duplicates = groups(self.embeddings, self._store.thumbnails, progress)
        return self._near_duplicates

    @cached_property
    def also(self) -> list[tuple[str, ...]]:
        """Of each picture the labels that fit it too, beside that of its shelf."""
        found: list[list[str]] = [[] for _ in self.embeddings.pictures]
        for row, column in np.argwhere(decide.also(self.decisions)):
            found[row].append(self.labels.names[column])
        return [tuple(names) for names in found]

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by shelf, in the order of the labels, "other" last."""
        tally = Counter(self.decisions.labels)
        return {name: tally[name] for name in (*self.labels.names, OTHER)}

    @property
    def confidences(self) -> dict[str, dict[Confidence, int]]:
        """Pictures by shelf and by how sure the answer is."""
        tally: dict[str, dict[Confidence, int]] = {
            name: {"sure": 0, "likely": 0, "unsure": 0} for name in self.counts
        }
        chosen = self.decisions.chosen[:, None]
        given = np.take_along_axis(self.decisions.probabilities, chosen, axis=1)[:, 0]
        for label, probability in zip(self.decisions.labels, given, strict=True):
            tally[label][decide.confidence(probability)] += 1
        return tally

    def shelf(self, label: str) -> list[Decision]:
        """The decisions for one label or for "other", the most probable first."""
        if checks.text(label, "label") not in (*self.labels.names, OTHER):
            raise UserError(f"no label {label!r} in this run; there are {', '.join(self.counts)}")
        rows = [row for row, name in enumerate(self.decisions.labels) if name == label]
        found = [self.decisions[row] for row in rows]
        return sorted(found, key=lambda decision: -decision.probability)

    def relabel(self, labels: Labels, *, threshold: float | None = None) -> Run:
        """The same pictures under other labels. No picture is read again.

        Corrections stay: those under a label that is gone wait until there is that label again.
        """
        threshold = _threshold(threshold)
        question = replace(self.question, labels=parse.parse(labels), threshold=threshold)
        return self.again(question, self.corrections)

    def correct(self, marks: Mapping[str, str]) -> Run:
        """The same run after a person's word, path -> label or "other": those pictures, and files
        with the same content, are where they were put, and the rest follows what can be learnt from
        them. Corrections add up. `relabel`, `save` and `reopen` keep them."""
        names = (*self.labels.names, OTHER)
        marks = checks.mapping(marks, "marks", 'a mapping, {"a.jpg": "cat"}')
        for label in marks.values():
            if checks.text(label, "a label") not in names:
                raise UserError(f"no label {label!r} in this run; there are {', '.join(names)}")
        here = self.embeddings
        given = {
            here.digests[row].hex(): Correction(label, here.vectors[row])
            for row, label in zip(self._rows_of(marks), marks.values(), strict=True)
        }
        said = replace(self.corrections, given={**self.corrections.given, **given})
        return self.again(self.question, said, saved=self.saved)

    def again(self, question: Question, said: Corrections, *, saved: Saved | None = None) -> Run:
        """The same pictures under another question or other corrections: what every other way to a
        changed run goes through. `saved`: the record that goes on to be this run's."""
        checks.record(question, Question, "question")
        checks.instance(said, Corrections, "said")
        if saved is not None:
            checks.instance(saved, Saved, "saved")
        return _answer(
            question,
            self.embeddings,
            self.decisions.calibration,
            said,
            self._encoder,
            self._store,
            before=self,
            near_duplicates=self._near_duplicates,
            saved=saved,
        )

    def keep_marks(self) -> None:
        """Store what was said in this run with its labels and model: other runs with both follow
        it. Raises `UserError` where it can't be written."""
        known = {**stored.kept(self.labels, self.model), **self.corrections.given}
        stored.save(stored.home(self.labels, self.model), known, self.model)

    @cached_property
    def uncorrected(self) -> Decisions:
        """What the model says without any correction."""
        question = self.question
        return decide.decide(
            self.decisions.scores,
            self.decisions.calibration,
            threshold=question.threshold,
            offset=question.offset,
        )

    def following(self, known: Mapping[str, Correction]) -> Decisions:
        """What the model says after the corrections `known`, digest in hex -> correction."""
        for one in checks.mapping(known, "known", "a mapping of digests to corrections").values():
            checks.instance(one, Correction, "each of known")
        return follow.follow(
            self.embeddings,
            self.uncorrected,
            known,
            self.embed_texts,
            threshold=self.question.threshold,
            offset=self.question.offset,
        )

    def corrected(self, names: Sequence[str]) -> dict[int, int]:
        """Row -> column in `names` of the pictures that were corrected, here or in earlier runs."""
        names = checks.texts(names, "names")
        return follow.rows_of(self.embeddings, self.corrections.followed, names)

    def ask(self, count: int = 20) -> list[Decision]:
        """The pictures about which a person's word would help most."""
        from zeroshelf.corrections import active_learning

        count = checks.count(count, "count")
        decided = self.decisions
        marked = sorted(decided.placed)
        rows = active_learning.ask(self.embeddings.vectors, decided.probabilities, marked, count)
        return [decided[row] for row in rows]

    def _rows_of(self, paths: Iterable[str]) -> list[int]:
        place = {picture.path: row for row, picture in enumerate(self.embeddings.pictures)}
        try:
            return [
                place[path_spelling.below(self.question.folder, checks.path(path, "a picture"))]
                for path in paths
            ]
        except KeyError as missing:
            raise UserError(f"{missing.args[0]} is no picture of this run") from None

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """N texts -> (N, D), rows of length 1: what pictures are looked for by."""
        texts = checks.texts(texts, "texts")
        if not texts:
            return np.empty((0, self.model.dim), np.float32)
        return compute.text_embedder(self._encoder, self._store)(texts)

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
    ) -> Plan:
        """Where every picture would go. Looks at the destination and changes nothing.

        `ambiguous` names a shelf for the pictures that two labels or more fit; with `several` a
        picture goes on every shelf that it fits, not only on the best. The action "tag"
        needs no `to`: the tags go beside the pictures, below `prefix`; "untag" takes all tags below
        `prefix` away again, whatever their labels were. With `in_files` the tags are written into
        JPEG, PNG and TIFF files themselves, through exiftool. With `replace_earlier`, the copies,
        links and tags by which earlier runs with the same labels put a picture on another shelf go
        from there, unless somebody has changed them since; a run's undo brings them back.
        """
        checks.choice(action, "action", kinds.plannable())
        for flag, what in (
            (several, "several"),
            (replace_earlier, "replace_earlier"),
            (in_files, "in_files"),
        ):
            checks.flag(flag, what)
        wanted = PlanRequest(
            self.question.folder,
            None if to is None else scan.root_of(to),
            action,
            checks.text(prefix, "prefix"),
            ambiguous,
            several,
            replace_earlier,
            in_files,
        )
        wanted = plan_request.checked(plan_request.without_unused(wanted), self.labels)
        earlier = registry.earlier(wanted, self.labels) if replace_earlier else None
        return plan.by_decisions(wanted, self.embeddings, self.decisions, earlier=earlier)

    def save(self, planned: Plan, progress: Progress | None = None) -> Written:
        """Begin the run's record: its plan, report, contact sheet and results in one folder."""
        plan.check(planned)
        checks.function(progress, "progress")
        self.saved = saved = Saved(*registry.new(planned), planned)
        with registry.writing(saved.record):
            request.save(saved.record, self.question)
            ignored.save(saved.record, self.ignored)
            stored.save_run(saved.record, self.corrections, self.model)
        return self.write(saved.record, planned, progress)

    def apply(self, planned: Plan, progress: Progress | None = None) -> list[Outcome]:
        """Carry out `planned`, never overwriting. The same plan again goes on where it was stopped;
        another one begins a record of its own."""
        plan.check(planned)
        checks.function(progress, "progress")
        if self.saved is None or planned != self.saved.plan:
            self.save(planned)
        assert self.record is not None
        return apply.apply(self.record, progress)

    def undo(self, progress: Progress | None = None) -> list[Outcome]:
        """Put everything back that `apply` did, but what has changed since."""
        checks.function(progress, "progress")
        if self.record is None:
            raise UserError("this run has done nothing yet, so there is nothing to undo")
        return undo.undo(self.record, progress)

    def write(
        self,
        to: str | os.PathLike[str],
        planned: Plan | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """Write the report, the contact sheet and the results into the folder `to`. Raises
        `UserError` where it can't be written."""
        folder = scan.root_of(to)
        if planned is not None:
            plan.check(planned)
        self.find_near_duplicates(progress)
        if progress:
            progress("writing", 0, 0)
        with registry.writing(folder):
            return self._write(folder, planned)

    def _write(self, folder: str, planned: Plan | None) -> Written:
        os.makedirs(folder, exist_ok=True)
        paths = Written(
            *(
                os.path.join(folder, name)
                for name in ("report.html", "results.jsonl", "results.csv", "contact-sheet.png")
            )
        )
        best = dict(zip(self._paths(), self.decisions.labels, strict=True))
        targets: dict[str, str] = {}
        for action in planned.actions if planned else ():
            if action.source not in targets or action.label == best.get(action.source):
                targets[action.source] = action.target
        results.write_jsonl(self._rows(targets), paths.results)
        results.write_csv(self._rows(targets), paths.table)
        report.write(self._rows(targets), self.thumbnails, paths.report, self._facts(planned))
        contact_sheet.write(self._groups(), self.thumbnails, paths.contact_sheet)
        return paths

    def show(self, each: int = 12) -> str:
        """The figure as HTML: up to `each` pictures under their label, the most probable first."""
        return contact_sheet.html(self._groups(checks.count(each, "each")), self.thumbnails)

    def _repr_html_(self) -> str:
        return self.show()

    def _rows(self, targets: Mapping[str, str]) -> Iterator[results.Row]:
        return results.rows(
            self.decisions,
            self.skipped,
            targets,
            self.embeddings.digests,
            self.near_duplicates,
            self.also,
        )

    def _paths(self) -> list[str]:
        return [picture.path for picture in self.embeddings.pictures]

    def _groups(self, each: int = 8) -> list[contact_sheet.Group]:
        return contact_sheet.groups(self._rows({}), self.labels.names, each)

    def _facts(self, planned: Plan | None) -> report.Facts:
        return report.Facts(
            run=self.id or "",
            folder=self.question.folder,
            model=f"{self.model.id}{f' on {self.device.upper()}' if self.device else ''}",
            when=self.when,
            seconds=self.seconds,
            labels=self.labels.names,
            counts=self.counts,
            skipped=len(self.skipped),
            notes=(
                *self.notes,
                *(planned.notes if planned else ()),
                *ignored.lines(self.ignored),
            ),
        )

    def thumbnails(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """Digests in hex -> small JPEGs."""
        for digest in (digests := checks.texts(digests, "digests")):
            if not re.fullmatch("([0-9a-fA-F]{2})*", digest):
                raise checks.refuse("each of digests", "in hex", digest)
        found = self._store.thumbnails([bytes.fromhex(digest) for digest in digests])
        return {digest.hex(): thumbnail for digest, thumbnail in found.items()}


def _threshold(given: object) -> float | None:
    return None if given is None else checks.probability(given, "threshold")


def _check_helpers(encoder: object, store: object, *functions: object) -> None:
    checks.encoder(encoder)
    if store is not None and not isinstance(store, Store):
        raise checks.refuse("store", "a Store (zeroshelf.embeddings.cache) or None", store)
    for one in functions:
        checks.function(one, "progress or warn")


def _answer(
    question: Question,
    embedded: Embeddings,
    calibration: Calibration,
    said: Corrections,
    encoder: Encoder,
    store: Store,
    *,
    start: float | None = None,
    before: Run | None = None,
    progress: Progress | None = None,
    near_duplicates: tuple[tuple[int, ...], ...] | None = None,
    saved: Saved | None = None,
) -> Run:
    """The one place where a run is made: the same question, embeddings and corrections give the
    same decisions. `before` is a run of the same embeddings, whose scores are used again."""
    start = time.monotonic() if start is None else start
    texts = compute.text_embedder(encoder, store, progress)
    if progress:
        progress("deciding", 0, 0)
    if before is not None and before.labels == question.labels:
        scores, advice = before.decisions.scores, before.advice
    else:
        known = None if before is None else before.decisions.scores
        resolved = resolve(question.labels, texts, progress)
        scores = score(embedded, resolved, texts, known, progress)
        advice = serious(resolved, encoder.model, texts)
    decided = decide.decide(
        scores, calibration, threshold=question.threshold, offset=question.offset
    )
    decided = follow.follow(
        embedded,
        decided,
        said.followed,
        texts,
        threshold=question.threshold,
        offset=question.offset,
    )
    return Run(
        question,
        embedded,
        follow.place(decided, said),
        encoder,
        store,
        corrections=said,
        advice=advice,
        seconds=time.monotonic() - start,
        near_duplicates=near_duplicates,
        saved=saved,
    )
