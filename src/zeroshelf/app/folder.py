"""The open folder: what is in it, its vectors in memory, and its labels.

Opened, it is looked through; then its pictures are read, in parts, so that their thumbnails can be
shown meanwhile. What does not depend on labels (nearest negatives, neighbours) is computed once, so
that other labels need the vectors of their own texts and nothing else.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zeroshelf.app import shelves, wording
from zeroshelf.app.settings import Settings, Words
from zeroshelf.corrections import stored
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.images import ignored
from zeroshelf.labels import parse, suggest
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.suggest import Shelf
from zeroshelf.models import select
from zeroshelf.records import Corrections, Embeddings, Folder, Picture, Progress, Request, Skipped
from zeroshelf.run.run import Run, make_run
from zeroshelf.run.sources import calibration_of, sources_of
from zeroshelf.runs import unsorted
from zeroshelf.system import file_names

FIRST_PART, LARGEST_PART = 16, 512  # pictures that are read before their thumbnails can be shown
SHOWN = 24  # thumbnails while reading
MOST_LABELS = 200
MOST_IN_SINGLE = 100_000_000  # numbers, 400 MB: 200,000 pictures of a model with 512 dimensions


class OpenFolder:
    """`look`, then `read`, each in a job; from then on `set_labels`, at any time.

    path: the folder, absolute.
    model: a model's id; None: the best that is installed.
    """

    def __init__(
        self, path: str, model: str | None, store: EmbeddingCache, settings: Settings
    ) -> None:
        self.path = path
        self.found: Folder | None = None  # after `look`
        self.run: Run | None = None  # under the present labels; None without labels
        self.suggested: tuple[Shelf, ...] = ()
        self.version = 0  # rises with every change of the labels
        self.warnings: list[str] = []
        self._model, self._store, self._settings = model, store, settings
        self._lock = threading.RLock()
        self._base: Run | None = None  # after `read`: keeps what does not depend on labels
        self._texts: Texts | None = None
        self._embedded: Embeddings | None = None  # as they are in the cache
        self._contents: dict[str, Any] | None = None  # after `look`, for the page
        self._read: list[bytes] = []  # digests, in the order in which they were read
        self._digests: set[bytes] = set()

    # --- in jobs ----------------------------------------------------------------------------

    def look(self, tell: Progress) -> str:
        """Find the pictures. Raises `UserError` where there is none, or none that is not sorted."""
        tell("looking", 0, 0)
        self.found = unsorted.find(self.path, exclude=(), leave_out=(), warn=self.warnings.append)
        self._contents = _contents(self.found, self.found.skipped)
        return ""

    def read(self, tell: Progress) -> str:
        """Embed the pictures, as far as the cache doesn't have them, and prepare for labels."""
        if self.found is None:
            raise UserError("this folder was not looked through yet: open it again")
        encoder = select.load(select.find(self._model), warn=self.warnings.append)
        total = len(self.found.pictures)
        for start, part in _parts(self.found):

            def told(_stage: str, done: int, _of: int, start: int = start) -> None:
                tell("reading", start + done, total)

            tell("reading", start, total)
            self._note(compute.embed(part, encoder, self._store, progress=told))
        embedded = compute.embed(self.found, encoder, self._store)
        if not len(embedded):
            raise UserError(f"none of the pictures in {self.path} can be read")
        tell("preparing", 0, 0)
        sources = sources_of(embedded, encoder, self._store, progress=tell)
        calibration = calibration_of(embedded, sources, tell, True)
        request = Request(self.path, parse.parse(["picture"]), encoder.model.id)
        base = make_run(request, embedded, calibration, Corrections(), sources, progress=tell)
        texts = compute.text_embedder(encoder, self._store, tell)
        with self._lock:
            self._base, self._texts, self._embedded = _in_single(base), texts, embedded
            self._contents = _contents(self.found, embedded.skipped)
        remembered = self._settings.now.labels.get(self.path)
        if remembered:
            self.set_labels(remembered, closed=self.path in self._settings.now.closed)
        self.version += 1
        once = sources.near_duplicates.groups(tell)
        tell("suggesting", 0, 0)
        self.suggested = suggest.suggest(embedded, texts, once=once, negatives=sources.negatives)
        self.version += 1
        return ""

    def _note(self, read: Embeddings) -> None:
        self._read += read.digests
        self._digests.update(read.digests)

    # --- labels -----------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether labels can be set."""
        return self._base is not None

    def set_labels(self, labels: Words, *, closed: bool = False) -> None:
        """Sort by these labels, label -> other words for it; {}: by none. closed: every picture
        fits one of them, if there are two or more. Raises `UserError` where they can't be used,
        and keeps those before."""
        with self._lock:
            if self._base is None:
                raise UserError("the pictures are not read yet: wait until they are")
            if len(labels) > MOST_LABELS:
                raise UserError(f"the app takes {MOST_LABELS} labels at most")
            run = None
            if labels:
                wanted, model = parse.parse(labels), self._base.model
                known = Corrections(stored.load_for(wanted, model))
                other = not closed or len(wanted) < 2
                request = Request(self.path, wanted, model.id, other=other)
                run = (self.run or self._base).derive(request, known)
            self.run = run
            self.version += 1
            self._settings.set_labels(self.path, labels, closed=closed)

    def to_plan(self) -> Run:
        """The run under the present labels, to be planned and saved. Raises `UserError` if there
        are no labels."""
        with self._lock:
            run, base, embedded = self.run, self._base, self._embedded
        if run is None or base is None or embedded is None:
            raise UserError("there are no labels yet: add one first")
        return make_run(
            run.request,
            embedded,
            run.decisions.calibration,
            run.corrections,
            base._sources,
            before=run,
        )

    @property
    def labels(self) -> Words:
        """The present labels, with other words for each."""
        run = self.run
        return {} if run is None else {one.name: [*one.words] for one in run.labels}

    # --- for the page -----------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """What is in the folder, and how far it is read."""
        return {
            "path": self.path,
            "found": self._contents,
            "warnings": [wording.in_app(line) for line in self.warnings],
            "read": len(self._read),
            "latest": [digest.hex() for digest in self._read[-SHOWN:]],
            "ready": self.ready,
            "version": self.version,
            "model": None if self._base is None else self._base.model.id,
            "destination": self.destination,
        }

    def cards(self) -> dict[str, Any]:
        """The labels with their pictures, and suggested labels."""
        with self._lock:
            base, run, texts, version = self._base, self.run, self._texts, self.version
        if base is None or texts is None:
            return {"version": version, "labels": [], "other": None, "suggested": []}
        embedded, taken = base.embeddings, {name.casefold() for name in self.labels}
        suggested = [
            {
                "name": one.name,
                "guess": one.is_guess,
                "count": len(one.rows),
                "pictures": shelves.pictures(embedded, one.examples),
            }
            for one in self.suggested
            if one.name != "mixed" and one.name.casefold() not in taken
        ]
        shown = {"labels": [], "other": None} if run is None else shelves.cards(run, texts)
        closed = self.path in self._settings.now.closed
        return {"version": version, "suggested": suggested, "closed": closed, **shown}

    def shelf(self, name: str, start: int, count: int) -> dict[str, Any]:
        """The pictures `start` to `start + count` of a shelf, the most probable first."""
        run = self.run
        if run is None:
            raise UserError("there are no labels yet")
        return shelves.shelf(run, name, start, count)

    def thumbnail(self, digest: str) -> bytes | None:
        """The thumbnail of a picture of this folder, by its digest in hex."""
        wanted = bytes.fromhex(digest)
        if wanted not in self._digests:
            return None
        return self._store.thumbnails([wanted]).get(wanted)

    # --- where the shelves go ---------------------------------------------------------------

    @property
    def destination(self) -> str | None:
        """Where the user put the shelves of this folder last; None: nowhere yet."""
        return self._settings.now.destinations.get(self.path)

    def check_destination(self, destination: str) -> None:
        """Raise `UserError` for a folder in which pictures lie that are to be sorted."""
        if self.found is None:
            return
        if any(
            destination == self.path or file_names.inside(picture.path, destination)
            for picture in self.found.pictures
        ):
            raise UserError(
                f"the pictures that are to be sorted lie in {destination}: choose another folder "
                "for the shelves"
            )
        self._settings.set_destination(self.path, destination)


def _parts(found: Folder) -> Iterator[tuple[int, Folder]]:
    """The pictures of a folder in parts, small ones first; each with the number of its first."""
    start, size = 0, FIRST_PART
    while start < len(found.pictures):
        yield start, Folder(found.root, found.pictures[start : start + size])
        start, size = start + size, min(2 * size, LARGEST_PART)


def _in_single(run: Run) -> Run:
    """The same run with vectors in single precision, if they fit: NumPy would convert those in half
    precision for every label anew, which takes longer than all else. No decision differs."""
    vectors, scores = run.embeddings.vectors, run.decisions.scores
    if vectors.size > MOST_IN_SINGLE or scores.smoothing is None:
        return run
    coordinates: Any = scores.smoothing.coordinates.astype(np.float32)
    smoothing = replace(scores.smoothing, coordinates=coordinates)
    return replace(
        run,
        embeddings=replace(run.embeddings, vectors=vectors.astype(np.float32)),
        decisions=replace(run.decisions, scores=replace(scores, smoothing=smoothing)),
    )


def _contents(found: Folder, unread: Sequence[Skipped]) -> dict[str, Any]:
    """A folder in numbers: files by what they are, and which can't be read."""
    formats = Counter(picture.format for picture in found.pictures)
    return {
        "pictures": len(found.pictures),
        "formats": dict(formats.most_common()),
        "with_them": _companions(found.pictures),
        "bytes": sum(picture.size for picture in found.pictures),
        "folders": len({os.path.dirname(picture.path) for picture in found.pictures}),
        "skipped": [[os.path.relpath(one.path, found.root), one.reason] for one in unread[:200]],
        "not_read": len(unread),
        "lines": list(ignored.lines(found.ignored)),
    }


def _companions(pictures: Sequence[Picture]) -> int:
    return sum(len(picture.companions) for picture in pictures)
