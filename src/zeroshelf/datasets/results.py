"""The results of scoring a dataset, as Parquet: a row a picture, in the order of their paths; then,
with a null label and the error as the reason, what could not be embedded."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import string
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zeroshelf.datasets.places import Place
from zeroshelf.decisions import wording
from zeroshelf.decisions.by_blocks import Decided
from zeroshelf.decisions.in_columns import CONFIDENCES, Columns, columns
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
        self._names = _names((*labels.names, OTHER))
        self._stack = contextlib.ExitStack()
        self._file: Any = None
        self._rows = 0  # in the file that is open
        self.files = 0
        self.counts = np.zeros((len(labels) + 1, len(CONFIDENCES)), np.int64)

    def table(self, uris: pa.Array, block: Decided) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        """The decisions of one block as a table, and how many pictures have each label (K + 1) and
        confidence. `uris` are those of its rows. Several threads may make tables at once."""
        found = columns(block.decisions)
        tally = np.bincount(
            found.label * len(CONFIDENCES) + found.confidence, minlength=self.counts.size
        )
        top = pa.StructArray.from_arrays(
            [
                _texts(found.top.reshape(-1), self._names),
                pa.array(found.top_probability.reshape(-1)),
            ],
            fields=list(_TOP),
        )
        starts = np.arange(len(uris) + 1, dtype=np.int32) * found.top.shape[1]
        also = np.concatenate(([0], np.cumsum(block.also.sum(axis=1)))).astype(np.int32)
        scores = block.decisions.scores
        names = _names((*scores.labels.names, *scores.negative_names))
        made = pa.table(
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
                _reasons(found, names),
            ],
            schema=self._schema,
        )
        return made, tally.reshape(self.counts.shape)

    def add(self, table: pa.Table, tally: npt.NDArray[np.int64]) -> None:
        """Write what `table` has made, behind what is there. Raises `OSError`."""
        self.counts += tally
        self._write(table)

    def add_errors(self, errors: Sequence[tuple[str, str]]) -> None:
        """Write the rows that have no embedding: uri and error of each. Raises `OSError`."""
        if not errors:
            return
        nulls = [pa.nulls(len(errors), SCHEMA.field(at).type) for at in range(1, 6)]
        uris, reasons = (pa.array(column, pa.string()) for column in zip(*errors, strict=True))
        self._write(pa.table([uris, *nulls, reasons], schema=self._schema))

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

    def _write(self, table: pa.Table) -> None:
        if self._file is None:
            place = self._place(self.files)
            sink = self._stack.enter_context(place.files.open_output_stream(place.path))
            self._file = self._stack.enter_context(
                pq.ParquetWriter(sink, self._schema, use_dictionary=_REPEATED)
            )
            self.files += 1
        self._file.write_table(table)
        self._rows += len(table)
        if self._rows >= FILE_ROWS:
            self.close()


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


@lru_cache(maxsize=4)
def _names(names: tuple[str, ...]) -> pa.Array:
    return pa.array([utf8(name) for name in names], pa.string())


def _reasons(found: Columns, names: pa.Array) -> pa.Array:
    """The reasons of N decisions in words, as `Columns.reason`. names: as there."""
    order = np.argsort(found.sentence, kind="stable")
    made, begin = [], 0
    for sentence, count in enumerate(np.bincount(found.sentence).tolist()):
        rows = order[begin : begin + count]
        begin += count
        fields = _texts(found.top[rows, 0], names), _texts(found.named[rows], names)
        pieces = []
        for literal, field, _, _ in string.Formatter().parse(wording.REASONS[sentence]):
            pieces += [literal] if field is None else [literal, fields[int(field)]]
        made.append(pc.binary_join_element_wise(*pieces, ""))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return pa.concat_arrays(made).take(pa.array(back))
