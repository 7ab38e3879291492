"""A dataset's parts -> what scoring reads: the rows in the order of their paths, in plain files.

Made once for a dataset and a model, and used for every label set. It lies in the folder .zeroshelf
of a local dataset, and in the user's cache folder for one on an object store or in a folder that
can't be written. It may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from zeroshelf.counting import counted
from zeroshelf.datasets import parts, sample
from zeroshelf.datasets.places import Place, local_path
from zeroshelf.datasets.row_file import RowFile
from zeroshelf.decisions import by_blocks, constants, smoothing
from zeroshelf.decisions.before_labels import made_by
from zeroshelf.decisions.by_blocks import Prepared
from zeroshelf.decisions.smoothing import ImageRows
from zeroshelf.errors import UserError
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts
from zeroshelf.records import Embeddings, Model, NegativeRows, Progress, Smoothing
from zeroshelf.system import app_folders, content_hash, machine

VERSION = 1  # of the files
BATCH = 1 << 16  # rows of a column that are read at once
COLUMNS = ("uri", "digest", "etag", "note")  # that are kept for every row with a vector
_KEY = re.compile(r"[0-9a-f]{16}")
_FILE = "file://"
# A sample of the pictures -> the negative labels that all of them can need; None: all.
Negatives: TypeAlias = Callable[[Embeddings], NegativeRows | None]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that is ready to be scored. N rows with a vector, in the order of their paths."""

    folder: str  # of the files
    prepared: Prepared  # N
    errors: list[tuple[str, str]]  # uri and error of each row without a vector, in that order

    def column(self, name: str, size: int) -> Iterator[pa.Array]:
        """One of COLUMNS from the first row to the last, `size` rows at a time."""
        waiting: list[pa.Array] = []
        have = 0
        for one in _read_column(self.folder, name):
            while len(one):
                taken = one.slice(0, size - have)
                one, have = one.slice(len(taken)), have + len(taken)  # noqa: PLW2901
                waiting.append(taken)
                if have == size:
                    yield pa.concat_arrays(waiting)
                    waiting, have = [], 0
        if waiting:
            yield pa.concat_arrays(waiting)

    @contextlib.contextmanager
    def sample(self, model: Model, endpoint: str | None) -> Iterator[Embeddings | None]:
        """As `sample.opened`, of these rows."""
        prepared = self.prepared
        with _sample(self.folder, prepared.vectors, model, prepared.notes, endpoint) as made:
            yield made


def model_digest(dataset: Place) -> str:
    """The digest of the model that made the vectors. Raises `UserError` where there are none, or
    where several models made them."""
    found = _models(parts.read_each(dataset, ["model"]))
    if len(found) > 1:  # one of them perhaps only of rows that were embedded again since
        found = _models(parts.read_parts(dataset, ["model"]))
    if not found:
        raise UserError(f"no embeddings in {dataset.uri}: `zeroshelf embed` writes some there")
    if len(found) > 1:
        raise UserError(
            f"{counted(len(found), 'model')} made the embeddings in {dataset.uri}: embed into a "
            "folder for each model"
        )
    return found.pop()


def _models(tables: Iterator[pa.Table]) -> set[str]:
    return {model for table in tables for model in pc.unique(table["model"]).to_pylist()}


@contextlib.contextmanager
def opened(
    dataset: Place,
    model: Model,
    texts: Texts,
    *,
    together: bool = True,
    negatives: Negatives | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Dataset]:
    """The dataset, made ready if that hasn't been done yet.

    dataset: the folder of the parts. model: the one that made them. texts: embeds with it.
    together: with the neighbours that scores are smoothed over; False: each picture by itself.
    negatives: finds the negative labels for a model that doesn't use all; None: all.
    endpoint: of the server from which pictures are fetched, for `negatives`.
    progress: called with the stages "reading" (parts), "negatives" and "neighbours" (pictures).

    Raises `UserError` where the parts can't be read, and `OSError` where the disk is full.
    """
    home = _home(dataset)
    names = parts.part_names(dataset)
    keys = [_key(names, model, some=some) for some in (False, True)]
    folder = os.path.join(home, keys[negatives is not None])
    if not os.path.isdir(folder):
        _make(dataset, model, texts, folder, negatives, endpoint, progress)
    _remove_others(home, keys)
    smoothed = os.path.join(folder, "smoothing.npz")
    with contextlib.ExitStack() as stack:

        def rows(name: str, kind: npt.DTypeLike, columns: int) -> RowFile:
            file: BinaryIO = open(os.path.join(folder, name), "rb", buffering=0)  # noqa: SIM115
            return RowFile(stack.enter_context(file), kind, columns)

        vectors = rows("vectors", np.float16, model.dim)
        if together and not os.path.exists(smoothed):
            _save_smoothing(smoothing.smoothing_of(vectors, progress), smoothed)
        searched = sample.load(folder)
        every = len(negative_labels()) if searched is None else len(searched.rows)
        near = min(constants.CANDIDATE_NEGATIVES, every)
        prepared = Prepared(
            vectors,
            rows("candidates", np.uint16, near),
            rows("cosines", np.float32, near),
            _load_smoothing(smoothed) if together else None,
            _notes(folder),
            searched,
        )
        uris, errors = (_whole(_read_column(folder, name)) for name in ("error-uri", "error"))
        yield Dataset(folder, prepared, list(zip(uris, errors, strict=True)))


def _home(dataset: Place) -> str:
    """The folder below which the files of a dataset lie; it is made."""
    if dataset.local and os.path.isdir(dataset.path):
        home = os.path.join(dataset.path, ".zeroshelf")
        with contextlib.suppress(OSError):
            os.makedirs(home, exist_ok=True)
            if os.access(home, os.W_OK):
                return home
    name = content_hash.of_bytes(os.fsencode(dataset.uri)).hex()[:16]
    home = os.path.join(app_folders.cache(), "datasets", name)
    os.makedirs(home, exist_ok=True)
    return home


def _key(names: list[str], model: Model, *, some: bool) -> str:
    """What the files depend on, as a name: the parts, the model, the negative labels (some of them,
    or all), constants."""
    given = repr((VERSION, names, model.digest, made_by(), *(["some"] if some else [])))
    return content_hash.of_bytes(given.encode()).hex()[:16]


def _remove_others(home: str, keys: list[str]) -> None:
    """Remove what was made of earlier states of the dataset."""
    for name in os.listdir(home):
        if _KEY.fullmatch(name) and name not in keys:
            shutil.rmtree(os.path.join(home, name), ignore_errors=True)


def _make(
    dataset: Place,
    model: Model,
    texts: Texts,
    folder: str,
    negatives: Negatives | None,
    endpoint: str | None,
    progress: Progress | None,
) -> None:
    """Make the files in `folder`, which appears as a whole."""
    beside = f"{folder}.{uuid.uuid4().hex[:8]}.part"
    os.makedirs(beside)
    try:
        order, there = _order(dataset)
        kept, broken = order[there[order]], order[~there[order]]
        for name in COLUMNS:
            _write_column(dataset, name, kept, beside, name)
        _write_column(dataset, "uri", broken, beside, "error-uri")
        _write_column(dataset, "error", broken, beside, "error")
        place = np.full(len(order), -1, np.int64)
        place[kept] = np.arange(len(kept))
        with open(os.path.join(beside, "vectors"), "w+b", buffering=0) as file:
            vectors = RowFile(file, np.float16, model.dim)
            _write_vectors(dataset, place, vectors, model.dim, progress)
            if len(vectors) != len(kept):
                raise UserError(f"the parts in {dataset.uri} have changed meanwhile: score again")
            searched = None
            if negatives is not None:
                with _sample(beside, vectors, model, _notes(beside), endpoint) as some:
                    searched = None if some is None else negatives(some)
            sample.save(searched, beside)
            _write_candidates(vectors, texts, model, searched, beside, progress)
        try:
            os.rename(beside, folder)
        except OSError:  # another process was first
            if not os.path.isdir(folder):
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _order(dataset: Place) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The rows of all parts in the order of their paths, and (in the order of the parts) which have
    a vector."""
    keys, there = [], [np.zeros(0, bool)]
    for part in parts.read_parts(dataset, ["uri", "error"]):
        keys.append(pa.array([_path(uri) for uri in part["uri"].to_pylist()], pa.binary()))
        there.append(part["error"].is_null().to_numpy())
    order = pc.sort_indices(pa.chunked_array(keys, pa.binary()))
    return order.to_numpy().astype(np.int64), np.concatenate(there)


def _path(uri: str) -> bytes:
    """What rows are sorted by: the bytes of a local file's path, as a folder is sorted; of another
    the uri."""
    if not uri.startswith(_FILE):
        return uri.encode()
    if "%" in uri or machine.WINDOWS:
        return os.fsencode(local_path(uri))
    return uri[len(_FILE) :].encode()


def _write_column(
    dataset: Place, name: str, rows: npt.NDArray[np.int64], folder: str, to: str
) -> None:
    """One column of the parts, the given rows of it in that order."""
    read = parts.read_parts(dataset, [name])
    whole = pa.chunked_array([one for part in read for one in part[name].chunks], pa.string())
    schema = pa.schema([pa.field(name, pa.string())])
    path = os.path.join(folder, f"{to}.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        for start in range(0, len(rows), BATCH):
            some = whole.take(pa.array(rows[start : start + BATCH])).combine_chunks()
            file.write_batch(pa.record_batch([some], schema=schema))


def _read_column(folder: str, name: str) -> Iterator[pa.Array]:
    with pa.OSFile(os.path.join(folder, f"{name}.arrow"), "rb") as source:
        file = pa.ipc.open_file(source)
        for number in range(file.num_record_batches):
            yield file.get_batch(number).column(0)


def _whole(batches: Iterator[pa.Array]) -> list[str]:
    return [value for batch in batches for value in batch.to_pylist()]


def _write_vectors(
    dataset: Place,
    place: npt.NDArray[np.int64],
    vectors: RowFile,
    dimension: int,
    progress: Progress | None,
) -> None:
    """The vectors of all parts, each at its row of `place`; -1: without a vector."""
    begin, names = 0, parts.part_names(dataset)
    for number, part in enumerate(parts.read_parts(dataset, ["embedding"]), 1):
        found = parts.vectors(part)
        if found.shape[1] != dimension:
            raise UserError(
                f"the embeddings in {dataset.uri} have {found.shape[1]} numbers, and those of the "
                f"model {dimension}: embed again"
            )
        at = place[begin : begin + len(found)]
        begin += len(found)
        rows = np.argsort(at, kind="stable")
        rows = rows[at[rows] >= 0]
        for run in np.split(rows, 1 + np.flatnonzero(np.diff(at[rows]) != 1)):
            if len(run):
                vectors.put(int(at[run[0]]), found[run])
        if progress:
            progress("reading", number, len(names))


def _write_candidates(
    vectors: RowFile,
    texts: Texts,
    model: Model,
    searched: NegativeRows | None,
    folder: str,
    progress: Progress | None,
) -> None:
    with (
        open(os.path.join(folder, "candidates"), "wb") as rows,
        open(os.path.join(folder, "cosines"), "wb") as cosines,
    ):
        for found in by_blocks.candidates(vectors, texts, model, progress, searched):
            rows.write(found.rows.astype(np.uint16).tobytes())
            cosines.write(found.cosines.tobytes())


def _notes(folder: str) -> dict[int, str]:
    """Row -> note, of the few that have one."""
    notes: dict[int, str] = {}
    begin = 0
    for batch in _read_column(folder, "note"):
        for row in pc.indices_nonzero(batch.is_valid()).to_pylist():
            notes[begin + row] = batch[row].as_py()
        begin += len(batch)
    return notes


def _sample(
    folder: str, vectors: ImageRows, model: Model, notes: Mapping[int, str], endpoint: str | None
) -> contextlib.AbstractContextManager[Embeddings | None]:
    uris, digests = (pa.chunked_array(_read_column(folder, name)) for name in ("uri", "digest"))
    return sample.opened(uris, digests, vectors, model, notes, endpoint)


def _save_smoothing(made: Smoothing, path: str) -> None:
    beside = f"{path}.{uuid.uuid4().hex[:8]}"
    with open(beside, "wb") as file:
        np.savez(
            file,
            neighbours=made.neighbours,
            cosines=made.cosines,
            coordinates=made.coordinates,
        )
    os.replace(beside, path)


def _load_smoothing(path: str) -> Smoothing:
    with np.load(path) as file:
        return Smoothing(file["neighbours"], file["cosines"], file["coordinates"])
