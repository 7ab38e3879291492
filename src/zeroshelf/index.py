"""The embeddings of a folder as an object: `zeroshelf.index` makes an `Index`.

An index is searched, looked through for near-duplicates and outliers, and classified: all of it
from vectors in memory. This module can be called: `zeroshelf.index("Photos")`.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import overload

import numpy as np
import numpy.typing as npt

from zeroshelf import checks, run
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import ArgumentError, NothingToSort, UserError
from zeroshelf.images import ignored, scan
from zeroshelf.images.near_duplicates import NearDuplicates
from zeroshelf.images.scan_files import scan_files
from zeroshelf.labels import suggest
from zeroshelf.labels.suggest import Shelf
from zeroshelf.models import select
from zeroshelf.output import contact_sheet
from zeroshelf.records import (
    Calibration,
    Embeddings,
    Encoder,
    Folder,
    LabelSet,
    Model,
    Progress,
    Skipped,
    Vectors,
)
from zeroshelf.run import Labels, Run
from zeroshelf.runs import registry
from zeroshelf.search import outliers, query
from zeroshelf.search.find import Hit, Searcher
from zeroshelf.search.outliers import Outlier
from zeroshelf.search.query import Pictures, Query, Words
from zeroshelf.search.sources import InMemory
from zeroshelf.system import file_names

SHOWN = 48  # hits that a notebook shows

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
    progress: called with a stage, how much of it is done, and the total (0 if unknown).
    warn: called with each warning; None: a Python warning.

    Raises `UserError` if the folder or the model can't be used, or there is no picture.
    """
    model = None if model is None else checks.path(model, "model")
    device = None if device is None else checks.text(device, "device")
    exclude = checks.texts(exclude, "exclude")
    leave_out = checks.paths(leave_out, "leave_out")
    _check(encoder, store, progress, warn)
    found = _folder(folder, exclude, leave_out, progress)
    for warning in found.warnings:
        (warn or warnings.warn)(warning)
    if not found.pictures and not found.skipped:
        passed_by = "; ".join(("give a folder with pictures", *ignored.lines(found.ignored)))
        raise UserError(f"no pictures in {found.root}: {passed_by}")
    given, encoder = encoder, encoder or select.load(select.find(model), device, warn=warn)
    store = store or EmbeddingCache.open()
    embedded = compute.embed(found, encoder, store, progress=progress)
    calibration = run.calibration_of(embedded, encoder, store, progress, given is None)
    return Index(
        found.root,
        embedded,
        calibration,
        run.Sources(encoder, store, NearDuplicates(embedded, store.hashes)),
    )


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """The embeddings of N pictures. Row i of `vectors` belongs to `paths[i]`."""

    folder: str  # that all pictures lie in, an absolute path
    embeddings: Embeddings
    calibration: Calibration
    _sources: run.Sources

    def __repr__(self) -> str:
        return (
            f"<Index of {self.folder!r}: {len(self):,} pictures, model {self.model.id}, "
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
