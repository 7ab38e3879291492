"""The results of scoring a dataset, as Parquet: a row a picture, in the order of their paths; then,
with a null label and the error as the reason, what could not be embedded."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from zeroshelf.datasets.places import Place
from zeroshelf.decisions.by_blocks import Decided
from zeroshelf.decisions.in_columns import CONFIDENCES, Explainer
from zeroshelf.errors import UserError, one_line
from zeroshelf.output.tables import utf8
from zeroshelf.records import OTHER, LabelSet

REQUEST = "zeroshelf.request"  # in the files' metadata
COMPLETE = "_SUCCESS"  # on a store, where files appear one by one: the last of all
FILE_ROWS = 1 << 18  # of one file of results: 262,144
_NAME = re.compile(r"results-\d{5}\.parquet")
_TOP = pa.struct([pa.field("label", pa.string()), pa.field("probability", pa.float32())])
SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),
        pa.field("label", pa.string()),  # a label, or "other"; null where there is no embedding
        pa.field("probability", pa.float32()),  # of that label, or of "other"
        pa.field("confidence", pa.string()),  # "sure", "likely", "unsure"
        pa.field("top", pa.list_(_TOP)),  # the five most probable labels, best first
        pa.field("also", pa.list_(pa.string())),  # labels that fit too
        pa.field("reason", pa.string()),  # one line in words, or the error
    ]
)

# The columns in which few texts occur often; probabilities and uris all differ.
_REPEATED = ["label", "confidence", "top.list.element.label", "also.list.element", "reason"]


class Writer:
    """Writes results into a folder, file after file. `close` ends the last file."""

    def __init__(self, folder: Place, labels: LabelSet, facts: Mapping[str, str]) -> None:
        self._folder, self._schema = folder, SCHEMA.with_metadata(dict(facts))
        self._names = pa.array([utf8(name) for name in (*labels.names, OTHER)], pa.string())
        self._explainer = Explainer()
        self._reasons = pa.array([], pa.string())  # the explainer's texts
        self._stack = contextlib.ExitStack()
        self._file: Any = None
        self._rows = 0  # in the file that is open
        self.files = 0
        self.counts = np.zeros((len(labels) + 1, len(CONFIDENCES)), np.int64)

    def add(self, uris: pa.Array, block: Decided) -> pa.Table:
        """Write the decisions of one block, and return them as a table. `uris` are those of its
        rows. Raises `OSError`."""
        found = self._explainer.columns(block.decisions)
        places = found.label * len(CONFIDENCES) + found.confidence
        self.counts += np.bincount(places, minlength=self.counts.size).reshape(self.counts.shape)
        new = [utf8(text) for text in self._explainer.texts[len(self._reasons) :]]
        self._reasons = pa.concat_arrays([self._reasons, pa.array(new, pa.string())])
        flat = found.top.reshape(-1)
        top = pa.StructArray.from_arrays(
            [
                _texts(flat, self._names),
                pa.array(found.top_probability.reshape(-1)),
            ],
            fields=list(_TOP),
        )
        starts = np.arange(len(uris) + 1, dtype=np.int32) * found.top.shape[1]
        also = np.concatenate(([0], np.cumsum(block.also.sum(axis=1)))).astype(np.int32)
        return self._write(
            [
                uris,
                _texts(found.label, self._names),
                pa.array(found.probability),
                _texts(found.confidence, pa.array(CONFIDENCES)),
                pa.ListArray.from_arrays(pa.array(starts), top, type=SCHEMA.field("top").type),
                pa.ListArray.from_arrays(
                    pa.array(also),
                    _texts(np.nonzero(block.also)[1].astype(np.int32), self._names),
                    type=SCHEMA.field("also").type,
                ),
                _texts(found.reason, self._reasons),
            ]
        )

    def add_errors(self, errors: Sequence[tuple[str, str]]) -> None:
        """Write the rows that have no embedding: uri and error of each."""
        if not errors:
            return
        nulls = [pa.nulls(len(errors), SCHEMA.field(at).type) for at in range(1, 6)]
        uris, reasons = (pa.array(column, pa.string()) for column in zip(*errors, strict=True))
        self._write([uris, *nulls, reasons])

    def close(self) -> None:
        self._stack.close()
        self._file, self._rows = None, 0

    def discard(self) -> None:
        """Remove the files that were written."""
        self.close()
        for number in range(self.files):
            with contextlib.suppress(OSError):
                place = self._place(number)
                place.files.delete_file(place.path)

    def _place(self, number: int) -> Place:
        return self._folder.below(f"results-{number:05d}.parquet")

    def _write(self, columns: Sequence[pa.Array]) -> pa.Table:
        if self._file is None:
            place = self._place(self.files)
            sink = self._stack.enter_context(place.files.open_output_stream(place.path))
            self._file = self._stack.enter_context(
                pq.ParquetWriter(sink, self._schema, use_dictionary=_REPEATED)
            )
            self.files += 1
        table = pa.table(columns, schema=self._schema)
        self._file.write_table(table)
        self._rows += len(table)
        if self._rows >= FILE_ROWS:
            self.close()
        return table


@contextlib.contextmanager
def writing(folder: Place, labels: LabelSet, facts: Mapping[str, str]) -> Iterator[Writer]:
    """A writer of the results in `folder`, which must not have results yet. On this machine's file
    systems the folder appears as a whole, at the end; elsewhere the last file is an empty one whose
    name is COMPLETE.

    facts: for the files' metadata.
    Raises `UserError` where there is something already.
    """
    check_free(folder)
    target = folder
    if folder.local:
        target = Place(folder.files, f"{folder.path}.{uuid.uuid4().hex[:8]}.part", folder.prefix)
    target.make_folder()
    try:
        writer = Writer(target, labels, facts)
        try:
            yield writer
        except BaseException:
            writer.discard()
            raise
        writer.close()
        if folder.local:
            if os.path.isdir(folder.path):
                os.rmdir(folder.path)  # it is empty; Windows renames onto nothing that is there
            os.rename(target.path, folder.path)
        else:
            folder.below(COMPLETE).write(b"")
    finally:
        if folder.local:
            shutil.rmtree(target.path, ignore_errors=True)


def request_of(folder: Place) -> str | None:
    """What complete results in a folder were made for, as `score` names it; None where there are no
    such results. Raises `UserError`."""
    names = [name for name in folder.names() if _NAME.fullmatch(name)]
    if not names or not (folder.local or COMPLETE in folder.names()):
        return None
    try:
        with folder.below(names[0]).open() as file:
            found = (pq.read_schema(file).metadata or {}).get(REQUEST.encode())
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{folder.below(names[0]).uri} can't be read: {one_line(error)}") from None
    return None if found is None else str(found.decode())


def read(folder: Place, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The results in a folder, file after file, in the order in which they were written. Raises
    `UserError`."""
    for name in (name for name in folder.names() if _NAME.fullmatch(name)):
        try:
            with folder.below(name).open() as file:
                yield pq.read_table(file, columns=[*columns])
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{folder.below(name).uri} can't be read: {one_line(error)}") from None


def check_free(folder: Place) -> None:
    """Raise `UserError` where results can't go: into a folder that has something in it, or, on an
    object store, results."""
    if folder.local:
        if os.path.lexists(folder.path) and not (
            os.path.isdir(folder.path) and not os.listdir(folder.path)
        ):
            raise UserError(f"{folder.path} is there already: name a new folder with --out")
    elif any(_NAME.fullmatch(name) for name in folder.names()):
        ended = "results" if COMPLETE in folder.names() else "results of a score that did not end"
        raise UserError(f"{folder.uri} has {ended} already: name a new folder with --out")


def _texts(codes: npt.NDArray[np.integer], texts: pa.Array) -> pa.Array:
    """(N,) places in `texts` -> the texts."""
    return texts.take(pa.array(codes))
