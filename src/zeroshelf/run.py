"""The one module that joins the others: a folder and labels in, a `Run` out.

The command line, the notebook and other people's programs use these same objects.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from zeroshelf import apply as application
from zeroshelf import (
    corrections,
    duplicates,
    models,
    plan,
    recall,
    report,
    results,
    runs,
    sheet,
)
from zeroshelf import decisions as deciding
from zeroshelf import embeddings as embedding
from zeroshelf import folder as scanning
from zeroshelf import labels as labelling
from zeroshelf import marks as remembered
from zeroshelf import question as asked
from zeroshelf import undo as undoing
from zeroshelf.decisions import Decisions
from zeroshelf.doctor import Advice, serious, told
from zeroshelf.errors import UserError
from zeroshelf.files import planfile
from zeroshelf.flaws import FLAWS
from zeroshelf.records import (
    OTHER,
    ActionKind,
    Confidence,
    Decision,
    Embeddings,
    Encoder,
    LabelSet,
    Model,
    Outcome,
    Plan,
    Progress,
    Question,
    Scores,
    Skipped,
    Vectors,
)
from zeroshelf.scores import score
from zeroshelf.store import Store

Labels = LabelSet | Sequence[str] | Mapping[str, Sequence[str]]


def classify(
    folder: str | os.PathLike[str],
    labels: Labels,
    *,
    model: str | None = None,
    exclude: Sequence[str] = (),
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
    `exclude` are glob patterns and `leave_out` absolute paths of folders not to look into.
    `encoder` and `store` stand in for the model and the cache, in tests and in other programs.
    `warn` hears of a device that fails while another takes over; None: a Python warning.
    Raises `UserError` where the folder, a label or the model can't be used.
    """
    start = time.monotonic()
    wanted = labelling.parse(labels)
    _check_threshold(threshold)
    root = scanning.root_of(folder)
    given, encoder = encoder, encoder or models.load(models.find(model), device, warn=warn)
    if progress:
        progress("looking", 0, 0)
    found = scanning.scan(root, exclude=exclude, leave_out={*leave_out, *runs.destinations(root)})
    if not found.pictures and not found.skipped:
        left_out = f"; {found.left_out:,} files and folders are left out" if found.left_out else ""
        raise UserError(f"no pictures in {folder}: give a folder that holds some{left_out}")
    store = store or Store.open()
    embedded = embedding.embed(found, encoder, store, progress=progress)
    if given is None and not embedded.model.open_set.measured:
        from zeroshelf.models import agreement

        embedded = agreement.settle(embedded, encoder, store, progress)
    question = Question(root, wanted, encoder.model.id, threshold)
    known = remembered.kept(wanted, encoder.model) if marks else {}
    return _answer(question, embedded, encoder, store, start, known, progress=progress)


def reopen(
    run: str | None = None,
    *,
    encoder: Encoder | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Run:
    """The run of that id (None: the newest) from its record, wherever its pictures are by now.

    No picture is read. Raises `UserError` where the record or the cache no longer holds it.
    """
    start = time.monotonic()
    if progress:
        progress("opening", 0, 0)
    found = runs.find(run)
    question = asked.load(found.record)
    encoder = encoder or models.load(models.find(question.model))
    store = store or Store.open()
    planned = planfile.load(os.path.join(found.record, "plan.jsonl"))
    rows = list(results.read_jsonl(os.path.join(found.record, "results.jsonl")))
    embedded = recall.embeddings(rows, planned, encoder.model, store)
    known = remembered.load_if_any(_marks_of(found.record), question.labels, encoder.model)
    opened = _answer(question, embedded, encoder, store, start, known, progress=progress)
    opened._near_duplicates = recall.near_duplicates(rows)
    opened.id, opened.record = found.id, found.record
    return opened


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a run's record."""

    report: str
    results: str
    table: str
    contact_sheet: str


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
        seconds: float = 0.0,
        known: remembered.Marks | None = None,
    ) -> None:
        self.question = question
        self.embeddings = embeddings
        self.decisions = decisions
        self.when = datetime.now().astimezone()
        self.seconds = seconds  # from the folder to the decisions
        self.id: str | None = None
        self.record: str | None = None
        self._saved: Plan | None = None  # the plan that `record` holds
        self.known = known or {}  # the kept marks that the decisions follow
        self.marks: dict[str, str] = {}  # path -> label, a person's word in this run
        self.advice: tuple[Advice, ...] = ()  # what is seriously wrong with the labels
        self._near_duplicates: tuple[tuple[int, ...], ...] | None = None  # nobody looked yet
        self._encoder = encoder
        self._store = store

    def __repr__(self) -> str:
        shelves = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return f"<Run of {self.question.folder!r}: {shelves}; skipped {len(self.skipped)}>"

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
    def notes(self) -> tuple[str, ...]:
        """What a person should know about these answers."""
        noted = self.embeddings.notes.values()
        flawed = sum(note in FLAWS for note in noted)
        short = len(noted) - flawed
        followed = (
            f"{len(self.known):,} marks that were kept for these labels are followed "
            "(--no-marks: without them)"
        )
        cut = f"{short:,} pictures are cut short and were judged by what is there"
        dim = f"{flawed:,} pictures are dark or blurred: they must fit a label better than others"
        return (
            *models.notes(self.model, self.labels),
            *told(self.advice),
            *([cut] if short else []),
            *([dim] if flawed else []),
            *([followed] if self.known else []),
            *([self._store.trouble] if self._store.trouble else []),
        )

    @property
    def near_duplicates(self) -> tuple[tuple[int, ...], ...]:
        """Rows of pictures that are nearly the same, two or more a group."""
        return self.find_near_duplicates()

    def find_near_duplicates(self, progress: Progress | None = None) -> tuple[tuple[int, ...], ...]:
        """The same, looked for once: a minute and more where there are many pictures."""
        if self._near_duplicates is None:
            self._near_duplicates = duplicates.groups(
                self.embeddings, self._store.thumbnails, progress
            )
        return self._near_duplicates

    @cached_property
    def also(self) -> list[tuple[str, ...]]:
        """Of each picture the labels that fit it too, beside that of its shelf."""
        found: list[list[str]] = [[] for _ in self.embeddings.pictures]
        for row, column in np.argwhere(deciding.also(self.decisions)):
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
            tally[label][deciding.confidence(probability)] += 1
        return tally

    def shelf(self, label: str) -> list[Decision]:
        """The decisions for one label or for "other", the most probable first."""
        if label not in (*self.labels.names, OTHER):
            raise UserError(f"no label {label!r} in this run; there are {', '.join(self.counts)}")
        rows = [row for row, name in enumerate(self.decisions.labels) if name == label]
        found = [self.decisions[row] for row in rows]
        return sorted(found, key=lambda decision: -decision.probability)

    def relabel(self, labels: Labels, *, threshold: float | None = None) -> Run:
        """The same pictures under other labels. No picture is read again."""
        _check_threshold(threshold)
        question = replace(self.question, labels=labelling.parse(labels), threshold=threshold)
        start = time.monotonic()
        names = (*question.labels.names, OTHER)
        known = {digest: mark for digest, mark in self.known.items() if mark.label in names}
        run = _answer(
            question,
            self.embeddings,
            self._encoder,
            self._store,
            start,
            known,
            self.decisions.scores,
        )
        run._near_duplicates = self._near_duplicates
        return run

    def correct(self, marks: Mapping[str, str]) -> Run:
        """The same run after a person's word, path -> label or "other": those pictures are where
        they were put, and the rest follows what can be learnt from them. Marks add up."""
        column = {name: k for k, name in enumerate((*self.labels.names, OTHER))}
        for label in marks.values():
            if label not in column:
                raise UserError(f"no label {label!r} in this run; there are {', '.join(column)}")
        everything = {**self.marks, **marks}
        columns = [column[label] for label in everything.values()]
        rows = dict(zip(self._rows_of(everything), columns, strict=True))
        untaught = deciding.decide(self.decisions.scores, threshold=self.question.threshold)
        decided = self.taught(untaught, rows, self.known)
        run = Run(
            self.question,
            self.embeddings,
            decided,
            self._encoder,
            self._store,
            self.seconds,
            self.known,
        )
        run.marks, run.id, run.record = everything, self.id, self.record
        run.advice = self.advice
        run._near_duplicates = self._near_duplicates
        return run

    def keep_marks(self) -> None:
        """Keep this run's marks with its labels and model: other runs with both follow them."""
        digests, vectors = self.embeddings.digests, self.embeddings.vectors
        rows = self._rows_of(self.marks)
        own = {
            digests[row].hex(): remembered.Mark(label, vectors[row])
            for row, label in zip(rows, self.marks.values(), strict=True)
        }
        known = {**remembered.kept(self.labels, self.model), **own}
        remembered.save(remembered.home(self.labels, self.model), known, self.model)

    def taught(
        self,
        decided: Decisions,
        placed: Mapping[int, int],
        known: remembered.Marks,
        boldness: float = 0.0,
    ) -> Decisions:
        """`decided`, made with this boldness, after marks: row -> column of the pictures placed in
        this run, and marks that were kept, of whatever folder. Pictures of this run among the
        latter are where they were marked, if nobody placed them since."""
        return corrections.follow(
            self.embeddings,
            decided,
            placed,
            known,
            self.embed_texts,
            threshold=self.question.threshold,
            boldness=boldness,
        )

    def marked(self, known: remembered.Marks, names: Sequence[str]) -> dict[int, int]:
        """Row -> column of the pictures of this run that kept marks are about."""
        return corrections.here(self.embeddings, known, names)

    def ask(self, count: int = 20) -> list[Decision]:
        """The pictures about which a person's word would help most."""
        from zeroshelf import ask

        marked, decided = self._rows_of(self.marks), self.decisions
        rows = ask.ask(self.embeddings.vectors, decided.probabilities, marked, count)
        return [decided[row] for row in rows]

    def _rows_of(self, paths: Iterable[str]) -> list[int]:
        place = {picture.path: row for row, picture in enumerate(self.embeddings.pictures)}
        try:
            return [place[os.path.join(self.question.folder, path)] for path in paths]
        except KeyError as missing:
            raise UserError(f"{missing.args[0]} is no picture of this run") from None

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """N texts -> (N, D), rows of length 1: what pictures are looked for by."""
        return embedding.text_embedder(self._encoder, self._store)(texts)

    def plan(
        self,
        to: str | os.PathLike[str] | None = None,
        action: ActionKind = "copy",
        *,
        ambiguous: str | None = None,
        several: bool = False,
        prefix: str = "zeroshelf",
    ) -> Plan:
        """Where every picture would go. Looks at the destination and changes nothing.

        `ambiguous` names a shelf for the pictures that two labels or more fit; with `several` a
        picture goes on every shelf that it fits, not only on the best. The action "tag"
        needs no `to`: the tags go beside the pictures, below `prefix`; "untag" takes all tags below
        `prefix` away again, whatever their labels were.
        """
        if to is None and action not in ("tag", "untag"):
            raise UserError(f"{action} needs a folder to go to: give `to` (--to DIR)")
        if several and action == "move":
            raise UserError("one file can't be moved onto several shelves: copy, link or tag it")
        folder = self.question.folder
        destination = folder if to is None else scanning.root_of(to)
        if ambiguous is not None:
            ambiguous = labelling.shelf_beside(self.labels, ambiguous)
        asked_for = Plan(folder, destination, action, (), (), prefix, ambiguous, several)
        return plan.like(asked_for, self.embeddings, self.decisions)

    def save(self, planned: Plan, progress: Progress | None = None) -> Written:
        """Begin the run's record: its plan, report, contact sheet and results in one folder."""
        self.id, self.record = runs.new(planned)
        self._saved = planned
        with runs.writing(self.record):
            asked.save(self.record, self.question)
            remembered.save(_marks_of(self.record), self.known, self.model)
        return self.write(self.record, planned, progress)

    def apply(self, planned: Plan, progress: Progress | None = None) -> list[Outcome]:
        """Carry out `planned`, never overwriting. The same plan again goes on where it was stopped;
        another one begins a record of its own."""
        if planned != self._saved:
            self.save(planned)
        assert self.record is not None
        return application.apply(self.record, progress)

    def undo(self, progress: Progress | None = None) -> list[Outcome]:
        """Put everything back that `apply` did, but what has changed since."""
        if self.record is None:
            raise UserError("this run has done nothing yet, so there is nothing to undo")
        return undoing.undo(self.record, progress)

    def write(
        self,
        to: str | os.PathLike[str],
        planned: Plan | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """Write the report, the contact sheet and the results into the folder `to`. Raises
        `UserError` where they can't be written."""
        self.find_near_duplicates(progress)
        if progress:
            progress("writing", 0, 0)
        folder = os.path.abspath(os.fspath(to))
        with runs.writing(folder):
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
        report.write(self._rows(targets), self.thumbnails, paths.report, self._facts())
        sheet.write(self._groups(), self.thumbnails, paths.contact_sheet)
        return paths

    def show(self, each: int = 12) -> str:
        """The figure as HTML: up to `each` pictures under their label, the most probable first."""
        return sheet.html(self._groups(each), self.thumbnails)

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

    def _groups(self, each: int = 8) -> list[sheet.Group]:
        return sheet.groups(self._rows({}), self.labels.names, each)

    def _facts(self) -> report.Facts:
        return report.Facts(
            run=self.id or "",
            folder=self.question.folder,
            model=f"{self.model.id}{f' on {self.device.upper()}' if self.device else ''}",
            when=self.when,
            seconds=self.seconds,
            labels=self.labels.names,
            counts=self.counts,
            skipped=len(self.skipped),
            notes=self.notes,
        )

    def thumbnails(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """Digests in hex -> small JPEGs."""
        found = self._store.thumbnails([bytes.fromhex(digest) for digest in digests])
        return {digest.hex(): thumbnail for digest, thumbnail in found.items()}


def _check_threshold(threshold: float | None) -> None:
    if threshold is not None and not labelling.is_probability(threshold):
        raise UserError(f"threshold {threshold!r} must be a number from 0 to 1")


def _answer(
    question: Question,
    embedded: Embeddings,
    encoder: Encoder,
    store: Store,
    start: float,
    known: remembered.Marks,
    before: Scores | None = None,
    progress: Progress | None = None,
) -> Run:
    texts = embedding.text_embedder(encoder, store, progress)
    if progress:
        progress("deciding", 0, 0)
    scores = score(embedded, question.labels, texts, before)
    decided = deciding.decide(scores, threshold=question.threshold)
    run = Run(question, embedded, decided, encoder, store, known=known)
    run.decisions = run.taught(decided, {}, known)
    run.advice = serious(question.labels, encoder.model, texts)
    run.seconds = time.monotonic() - start
    return run


def _marks_of(record: str) -> str:
    """The kept marks that a run followed, so that opened again it says the same."""
    return os.path.join(record, "marks.jsonl")
