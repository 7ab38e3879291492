"""The embeddings of a folder as an object: `zeroshelf.index` makes an `Index`.

An index is searched, looked through for near-duplicates and outliers, and classified: all of it
from vectors in memory. This module can be called: `zeroshelf.index("Photos")`.
"""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zeroshelf import checks
from zeroshelf.counting import counted
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import NothingToSort, UserError
from zeroshelf.images import ignored
from zeroshelf.images.near_duplicates import NearDuplicates
from zeroshelf.images.scan_files import folder_of
from zeroshelf.models import select
from zeroshelf.records import (
    Calibration,
    Corrections,
    Embeddings,
    Encoder,
    Model,
    Progress,
    Request,
    Skipped,
    Vectors,
)
from zeroshelf.run.sources import Sources, calibration_of, check_helpers, sources_of
from zeroshelf.search import outliers, query
from zeroshelf.search.find import Searcher
from zeroshelf.search.outliers import Outlier
from zeroshelf.search.query import Pictures, Query, Words
from zeroshelf.search.sources import InMemory
from zeroshelf.system import file_names, path_spelling

if TYPE_CHECKING:
    from zeroshelf.labels.suggest import Shelf
    from zeroshelf.output.hits import Hits
    from zeroshelf.run.run import Labels, Run

Place = str | os.PathLike[str]


def index(
    folder: Place | Sequence[Place],
    *,
    model: str | None = None,
    exclude: str | Sequence[str] = (),
    leave_out: Collection[str] = (),
    device: str | None = None,
    encoder: Encoder | None = None,
    store: EmbeddingCache | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Index:
    """Embed the pictures of a folder, as far as the cache doesn't have them, for search and more.

    No file is changed. Other than `classify`, an index has the shelves of earlier runs too.

    folder: a folder, or a list of paths of pictures.
    model: a model's id or folder; None: the best that is installed.
    exclude: a glob pattern or several; matching paths are left out. Not for a list of paths.
    leave_out: absolute paths of folders that are left out. Not for a list of paths.
    device: where the model runs, "cpu" or "cuda", ...; None: automatic.
    encoder, store: used in place of the model and the cache, in tests and in other programs.
    progress: called with a stage, how much of it is done, and the total (0 if unknown); later too,
        by what first needs the vectors of many texts from a large model.
    warn: called with each warning; None: a Python warning.

    Raises `UserError` if the folder or the model can't be used, or there is no picture.
    """
    model = None if model is None else checks.path(model, "model")
    device = None if device is None else checks.text(device, "device")
    exclude = checks.texts(exclude, "exclude")
    leave_out = checks.paths(leave_out, "leave_out")
    check_helpers(encoder, store, progress, warn)
    if progress:
        progress("looking", 0, 0)
    found = folder_of(folder, exclude, leave_out)
    for warning in found.warnings:
        (warn or warnings.warn)(warning)
    if not found.pictures and not found.skipped:
        passed_by = "; ".join(("give a folder with pictures", *ignored.lines(found.ignored)))
        raise UserError(f"no pictures in {found.root}: {passed_by}")
    given, encoder = encoder, encoder or select.load(select.find(model), device, warn=warn)
    store = store or EmbeddingCache.open()
    embedded = compute.embed(found, encoder, store, progress=progress)
    if store.trouble:
        (warn or warnings.warn)(store.trouble)
    return Index(found.root, embedded, encoder, store, progress, given is None)


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """The embeddings of N pictures. Row i of `vectors` belongs to `paths[i]`."""

    folder: str  # that all pictures lie in, an absolute path
    embeddings: Embeddings
    _encoder: Encoder
    _store: EmbeddingCache
    _progress: Progress | None
    _may_transfer: bool  # whether a calibration may be transferred to the model

    def __repr__(self) -> str:
        return (
            f"<Index of {self.folder!r}: {counted(len(self), 'picture')}, model {self.model.id}, "
            f"skipped {len(self.skipped):,}>"
        )

    def __len__(self) -> int:
        """N, the number of pictures."""
        return len(self.embeddings)

    @property
    def paths(self) -> list[str]:
        """The absolute path of each picture."""
        return [picture.path for picture in self.embeddings.pictures]

    @property
    def vectors(self) -> npt.NDArray[np.float16]:
        """(N, D), rows of length 1: the product of two rows is their cosine."""
        return self.embeddings.vectors

    @property
    def model(self) -> Model:
        """The model that made the vectors."""
        return self.embeddings.model

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The files that could not be used, each with the reason."""
        return self.embeddings.skipped

    @cached_property
    def calibration(self) -> Calibration:
        """The model's calibration. For a model without one, the first use transfers the starter's,
        as `zeroshelf.classify` does: the model embeds some hundred texts for it."""
        return calibration_of(self.embeddings, self._sources, self._progress, self._may_transfer)

    @cached_property
    def _sources(self) -> Sources:
        return sources_of(self.embeddings, self._encoder, self._store, progress=self._progress)

    @cached_property
    def _near_duplicates(self) -> NearDuplicates:
        return NearDuplicates(self.embeddings, self._store.hashes)

    # --- search -----------------------------------------------------------------------------

    def search(
        self,
        words: Words | Query | None = None,
        *,
        image: Pictures | None = None,
        top: int | None = 20,
        least: float | None = None,
        fold: bool = True,
    ) -> Hits:
        """The pictures that look most like some words, some pictures, or both.

        words: "red car"; several, ["dog", "+snow", "-people"], where "-" asks for pictures without
            it and "2:snow" counts twice; a mapping of texts to weights, {"dog": 1, "snow": -2}; or
            the `query` of earlier hits.
        image: the path of a picture, or several, with signs and weights as in `words`.
        top: how many hits at most; None: all.
        least: the least probability that a hit fits the words, 0 to 1; None: any. With 0.5, a word
            that nothing in the folder fits brings nothing as a rule (docs/decision.md).
        fold: near-duplicates of a better hit are listed in it, and are no hits of their own.

        Returns: hits, best first. The score is the cosine with the query, in which each term is
        weighted by its weight over the spread of its cosines in this folder. The probability is
        that of the term that fits the picture worst; it is None if the query has no words.

        Raises `ArgumentError` for a query that can't be understood, `UserError` for a picture that
        can't be read and for `least` without words.
        """
        from zeroshelf.output.hits import Hits

        asked = query.parse(words, image)
        top = None if top is None else checks.count(top, "top")
        least = None if least is None else checks.probability(least, "least")
        checks.flag(fold, "fold")
        found = self.searcher.search(asked, top=top, least=least, fold=fold)
        return Hits(asked, tuple(found), self._store)

    @cached_property
    def searcher(self) -> Searcher:
        """What `search` calls; it keeps what does not depend on the words."""
        return Searcher(
            InMemory(self.embeddings),
            self._encoder,
            self._store,
            lambda: self.calibration,
            progress=self._progress,
        )

    # --- the folder as a whole --------------------------------------------------------------

    def near_duplicates(self, progress: Progress | None = None) -> tuple[tuple[int, ...], ...]:
        """Groups of rows whose pictures are nearly the same: one file twice, a copy in another
        size, a burst. Two rows or more a group; what is in no group has no near-duplicate.

        progress: called with the stages "comparing" and "grouping"; the first call takes a minute
            and more if there are many pictures.
        """
        checks.function(progress, "progress")
        return self._near_duplicates.groups(progress)

    def suggest_labels(self, count: int | None = None) -> tuple[Shelf, ...]:
        """Labels for a folder that has none: groups of pictures that look alike, each with a name,
        the fullest first. `classify([shelf.name for shelf in ...])` sorts by them.

        count: how many groups are made, 1 or more; None: the best number.

        Returns: one `Shelf` a name, with its rows, the most typical first. The name "mixed" is for
        a group that no name fits. () for fewer than three pictures.
        """
        from zeroshelf.labels import suggest

        count = None if count is None else checks.count(count, "count")
        if count == 0:
            raise checks.refuse("count", "a whole number from 1 on, or None", count)
        once, negatives = self.near_duplicates(), self._sources.negatives
        texts = compute.text_embedder(self._encoder, self._store, self._progress)
        return suggest.suggest(self.embeddings, texts, count=count, once=once, negatives=negatives)

    def outliers(self, count: int = 20) -> list[Outlier]:
        """The pictures that are like no other of the folder, the oddest first: those with the
        least mean cosine with their five nearest neighbours, around the folder's mean.

        count: how many at most.
        """
        return outliers.outliers(self.embeddings, checks.count(count, "count"))

    def typical(self, paths: Sequence[Place] | None = None, count: int = 4) -> list[str]:
        """The most typical of some pictures, the most typical first: those with the greatest
        cosine with the mean of their vectors.

        paths: pictures of this index, absolute or below `folder`, as those of one shelf; None: all.
        count: how many at most.

        Returns: absolute paths. Raises `UserError` for a path that is no picture of this index.
        """
        wanted, count = self.paths, checks.count(count, "count")
        if paths is not None:
            given = checks.paths(paths, "paths")
            wanted = [path_spelling.below(self.folder, path) for path in given]
        place = {path: row for row, path in enumerate(self.paths)}
        if missing := [path for path in wanted if path not in place]:
            raise UserError(f"{missing[0]} is no picture of this index")
        rows = [place[path] for path in dict.fromkeys(wanted)]
        return [self.paths[row] for row in outliers.typical(self.embeddings, rows, count)]

    def classify(
        self,
        labels: Labels,
        *,
        threshold: float | None = None,
        corrections: bool = True,
        other: bool = True,
        progress: Progress | None = None,
    ) -> Run:
        """Decide for every picture which label fits it, as `zeroshelf.classify` does. No picture is
        read, unless the model is a large one: the starter then looks at up to 300 of them, once.
        Pictures on the shelves of earlier runs inside the folder are left out.

        labels, threshold, corrections, other, progress: as for `zeroshelf.classify`.

        Raises `UserError` if a label can't be used, and `NothingToSort` if earlier runs have sorted
        every picture.
        """
        from zeroshelf.corrections import stored
        from zeroshelf.decisions import closed_set
        from zeroshelf.labels import parse
        from zeroshelf.run.run import make_run
        from zeroshelf.runs import earlier

        wanted, threshold = parse.parse(labels), checks.threshold(threshold)
        asked = Request(
            self.folder, wanted, self.model.id, threshold, other=checks.flag(other, "other")
        )
        closed_set.check(asked)
        checks.flag(corrections, "corrections")
        checks.function(progress, "progress")
        embedded = self.embeddings
        sources = replace(self._sources, near_duplicates=self._near_duplicates)
        shelves = earlier.destinations(self.folder)
        kept = [row for row, path in enumerate(self.paths) if not _inside_any(path, shelves)]
        if embedded.pictures and not kept:
            raise NothingToSort(f"nothing new to sort in {self.folder}: earlier runs sorted it")
        if len(kept) < len(embedded):
            embedded = embedded.some(kept)
            duplicates = NearDuplicates(embedded, self._store.hashes)
            sources = replace(sources, near_duplicates=duplicates)
        known = stored.load_for(wanted, self.model) if corrections else {}
        return make_run(
            asked,
            embedded,
            self.calibration,
            Corrections(known),
            sources,
            progress=progress,
        )

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """N texts -> (N, D), rows of length 1, comparable with `vectors`."""
        given = checks.texts(texts, "texts")
        if not given:
            return np.empty((0, self.model.dim), np.float32)
        return compute.text_embedder(self._encoder, self._store)(given)

    def thumbnails(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """Digests in hex -> small JPEGs; a digest without a thumbnail is left out."""
        from zeroshelf.output.hits import thumbnails

        return thumbnails(self._store, digests)


def _inside_any(path: str, folders: Collection[str]) -> bool:
    return any(file_names.inside(path, folder) for folder in folders)


class _Callable(ModuleType):
    """`zeroshelf.index` is this module and the function, whatever was imported first."""

    __call__ = staticmethod(index)


sys.modules[__name__].__class__ = _Callable
__signature__ = inspect.signature(index)  # of the module as a function, for `help`
