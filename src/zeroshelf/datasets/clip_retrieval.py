"""The layout of clip-retrieval's `inference`, which its index and embedding-reader read:
img_emb/img_emb_0.npy (N, D) in half precision and metadata/metadata_0.parquet with `image_path`.
Row i of one file belongs to row i of the other. Pictures without an embedding are left out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zeroshelf.datasets import about, parts
from zeroshelf.datasets.about import About
from zeroshelf.datasets.places import Place
from zeroshelf.errors import UserError, one_line

NAME = "clip-retrieval"
VECTORS, METADATA = "img_emb", "metadata"
ROWS = 1_000_000  # of a file; clip-retrieval's default too


def claim(folder: Place, record: About) -> About:
    """Note in dataset.json that these files are ours, so that a later run may write them anew.
    Raises `UserError` where another program has written such files."""
    if NAME in record.layouts:
        return record
    for name in (VECTORS, METADATA):
        if folder.below(name).names():
            raise UserError(
                f"{folder.below(name).uri} has files that zeroshelf didn't write: give another "
                "folder for --out"
            )
    record = replace(record, layouts=(*record.layouts, NAME))
    about.write(folder, record)
    return record


def write(folder: Place, rows: int = ROWS) -> int:
    """Make both sets of files of the parts in `folder`, in place of earlier ones; the number of
    files in each. Memory: one file's vectors. Raises `UserError` where they can't be written."""
    total: int = sum(one.num_rows for one in _readable(folder, ["uri", "error"]))
    count = max(1, -(-total // rows))  # rounded up
    digits = len(str(count - 1))
    written: dict[str, set[str]] = {VECTORS: set(), METADATA: set()}
    try:
        for name in written:
            folder.below(name).make_folder()
        for number, table in enumerate(_files(folder, rows, total)):
            written[VECTORS].add(
                _put(folder, VECTORS, f"img_emb_{number:0{digits}d}.npy", _npy(table))
            )
            written[METADATA].add(
                _put(folder, METADATA, f"metadata_{number:0{digits}d}.parquet", _metadata(table))
            )
        for name, kept in written.items():  # those of an earlier run with more or fewer files
            for old in {*folder.below(name).names()} - kept:
                folder.files.delete_file(folder.below(name).below(old).path)
    except OSError as error:
        raise UserError(f"{folder.uri} can't be written: {one_line(error)}") from None
    return count


def _put(folder: Place, kind: str, name: str, content: bytes) -> str:
    folder.below(kind).below(name).write(content)
    return name


def _readable(folder: Place, columns: list[str]) -> Iterator[pa.Table]:
    for part in parts.read_parts(folder, columns):
        yield part.filter(part["error"].is_null())


def _files(folder: Place, rows: int, total: int) -> Iterator[pa.Table]:
    """The rows that have an embedding, `rows` for each file."""
    pending: list[pa.Table] = []
    columns = ["uri", "digest", "width", "height", "embedding", "error", "note"]
    for part in _readable(folder, columns):
        pending.append(part)
        while sum(one.num_rows for one in pending) >= rows:
            whole = pa.concat_tables(pending)
            yield whole.slice(0, rows)
            pending = [whole.slice(rows)]
    rest = pa.concat_tables(pending) if pending else None
    if rest is not None and (rest.num_rows or not total):
        yield rest


def _npy(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, parts.vectors(table))
    return buffer.getvalue()


def _metadata(table: Any) -> bytes:
    kept = table.select(["uri", "digest", "width", "height", "note"])
    buffer = io.BytesIO()
    pq.write_table(kept.rename_columns(["image_path", *kept.column_names[1:]]), buffer)
    return buffer.getvalue()
