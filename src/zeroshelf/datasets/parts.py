"""The Parquet files of a dataset, "parts": their schema, and how they are written and read.

A part is written once, as a whole, under a name that is made of its content: part-<32 hex
digits>.parquet. Several processes may write into one folder at the same time, and one that is
killed leaves whole parts or none.

Two parts may contain the same uri: two drivers ran at once, or a picture has changed and was
embedded again. Every run of `embed` has a number, its generation, one more than the highest that
it found in the folder. The row of the highest generation counts; among rows of one generation, that
of the part whose name comes first. `read_parts` yields these rows only.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zeroshelf.datasets.places import Place
from zeroshelf.errors import UserError
from zeroshelf.system import content_hash
from zeroshelf.system.ahead import ahead

_NAME = re.compile(r"part-[0-9a-f]{32}\.parquet")
_AT_ONCE = 4  # parts that are read ahead
_COMPLETE = b"zeroshelf.complete"  # in a part's metadata: a container of which all rows are written
# An error that begins so may not happen again: the next run tries that picture once more.
NOT_FETCHED = "can't be fetched: "


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of a dataset: `embedding` or `error` is None, never both."""

    uri: str  # "s3://bucket/a.jpg", "file:///home/a.jpg", "s3://bucket/00000.tar#000000017.jpg"
    etag: str  # the version of the file, as its store or the manifest tells it
    digest: str | None = None  # BLAKE3 of the content in hex; None if it could not be read
    width: int | None = None  # in pixels, upright; None if it could not be decoded
    height: int | None = None
    embedding: npt.NDArray[np.float16] | None = None  # (D,), of length 1
    error: str | None = None  # why there is no embedding
    note: str | None = None  # "cut short: ...", "dark picture" or "blurred picture"


def schema(dimension: int) -> pa.Schema:
    """The columns of every part, in their order, for vectors of `dimension` numbers. All but `uri`,
    `model`, `etag` and `generation` may be null."""
    return pa.schema(
        [
            pa.field("uri", pa.string(), nullable=False),
            pa.field("digest", pa.string()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("model", pa.string(), nullable=False),  # the model's digest
            pa.field("embedding", pa.list_(pa.field("element", pa.float16()), dimension)),
            pa.field("error", pa.string()),
            pa.field("note", pa.string()),
            pa.field("etag", pa.string(), nullable=False),
            pa.field("generation", pa.int32(), nullable=False),
        ]
    )


def table(rows: Sequence[Row], model: str, dimension: int, generation: int = 1) -> pa.Table:
    """Rows as an Arrow table of `schema(dimension)`, in the same order.

    model: the digest of the model that made the vectors.
    """
    kind = schema(dimension)
    there = np.array([row.embedding is not None for row in rows], bool)
    vectors = np.zeros((len(rows), dimension), np.float16)
    for at, row in enumerate(rows):
        if row.embedding is not None:
            vectors[at] = row.embedding
    columns = {
        name: pa.array([getattr(row, name) for row in rows], kind.field(name).type)
        for name in ("uri", "digest", "width", "height", "error", "note", "etag")
    }
    columns["model"] = pa.array([model] * len(rows), pa.string())
    columns["generation"] = pa.array([generation] * len(rows), pa.int32())
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.reshape(-1)), type=kind.field("embedding").type, mask=pa.array(~there)
    )
    return pa.table([columns[name] for name in kind.names], schema=kind)


def vectors(part: pa.Table) -> npt.NDArray[np.float16]:
    """The embeddings of a table as (N, D); rows of zeros where there is none."""
    column = part.column("embedding").combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # a table without rows
        return np.zeros((0, column.type.list_size), np.float16)
    size = column.type.list_size
    flat = column.values.slice(column.offset * size, len(column) * size)
    found: npt.NDArray[np.float16] = flat.to_numpy(zero_copy_only=False).reshape(-1, size)
    if column.null_count:
        found = found.copy()
        found[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


def write_part(folder: Place, part: pa.Table, complete: tuple[str, str] | None = None) -> str:
    """Write a table as one part, and return the part's name. The same table written again is the
    same part. The folder must exist.

    complete: uri and etag of a tar or Parquet file whose last pictures these are.

    Raises `OSError`.
    """
    if complete is not None:
        part = part.replace_schema_metadata({_COMPLETE: json.dumps(complete)})
    buffer = io.BytesIO()
    pq.write_table(part, buffer, compression="zstd")
    content = buffer.getvalue()
    name = f"part-{content_hash.of_bytes(content).hex()[:32]}.parquet"
    folder.below(name).write(content)
    return name


def part_names(folder: Place) -> list[str]:
    """The names of the parts in a folder, sorted; [] where the folder doesn't exist."""
    return [name for name in folder.names() if _NAME.fullmatch(name)]


def read_parts(folder: Place, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
    """The rows of all parts, each uri once (see above), a table for each part. The order is that of
    the parts' names, and within a part that of its rows: the same for every reader of these parts.

    columns: names of `schema`; None: all.

    Memory: a few parts, and the uris of all rows once at the start. Raises `UserError` naming the
    part that can't be read.
    """
    names = part_names(folder)
    kept = _kept_rows([*_each(folder, names, ["uri", "generation"])])
    wanted = None if columns is None else [*columns]
    for part, mask in zip(_each(folder, names, wanted), kept, strict=True):
        found = part if mask is None else part.filter(mask)
        if found.num_rows:
            yield found.replace_schema_metadata(None)  # which speaks of one part alone


def read_each(folder: Place, columns: Sequence[str]) -> Iterator[pa.Table]:
    """All rows of all parts, those too that a newer row of the same uri replaces. Raises as
    `read_parts`, which takes longer: it compares all uris."""
    return _each(folder, part_names(folder), columns)


def count(folder: Place) -> int:
    """The number of rows that `read_parts` yields."""
    return sum(part.num_rows for part in read_parts(folder, ["uri"]))


def finished(folder: Place) -> pa.Table:
    """The uri and etag of every picture that needs no more work: embedded, or with an error that
    would come again."""
    found = [
        part.filter(pc.fill_null(pc.invert(pc.starts_with(part["error"], NOT_FETCHED)), True))
        for part in read_parts(folder, ["uri", "etag", "error"])
    ]
    kind = pa.schema([schema(1).field("uri"), schema(1).field("etag")])
    if not found:
        return kind.empty_table()
    return pa.concat_tables([part.select(["uri", "etag"]) for part in found])


def finished_uris(folder: Place) -> set[str]:
    """The uris of `finished`."""
    return set(finished(folder)["uri"].to_pylist())


def complete_files(folder: Place) -> dict[str, str]:
    """uri -> etag of the tar and Parquet files of which all pictures are in the parts."""
    found: dict[str, str] = {}
    newest: dict[str, int] = {}
    for part in _each(folder, part_names(folder), ["generation"]):
        about = (part.schema.metadata or {}).get(_COMPLETE)
        if about is None:
            continue
        uri, etag = json.loads(about)
        generation = pc.max(part["generation"]).as_py() or 0
        if generation >= newest.get(uri, 0):
            found[uri], newest[uri] = etag, generation
    return found


def next_generation(folder: Place) -> int:
    """The number of a run that starts now: one more than that of any row in the folder."""
    highest = 0
    for part in _each(folder, part_names(folder), ["generation"]):
        if part.num_rows:
            highest = max(highest, pc.max(part["generation"]).as_py())
    return highest + 1


def _each(folder: Place, names: Sequence[str], columns: Sequence[str] | None) -> Iterator[pa.Table]:
    """The parts in the order of `names`. Some are read at once: a store answers each late."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="parts") as pool:
        yield from ahead(pool, lambda name: _read(folder, name, columns), names, _AT_ONCE)


def _read(folder: Place, name: str, columns: Sequence[str] | None) -> pa.Table:
    place = folder.below(name)
    try:
        with place.open() as file:
            return pq.read_table(file, columns=None if columns is None else [*columns])
    except (OSError, pa.ArrowException) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"{place.uri} can't be read ({said}): try again; if the file is broken, delete it, and "
            "`zeroshelf embed` makes its pictures anew"
        ) from None


def _kept_rows(parts: Sequence[pa.Table]) -> list[pa.Array | None]:
    """For each part which of its rows count; None: all of them."""
    if not parts:
        return []
    rows = pa.concat_tables(parts)
    if len(pc.unique(rows["uri"])) == rows.num_rows:
        return [None] * len(parts)
    sizes = [part.num_rows for part in parts]
    rows = rows.append_column("row", pa.array(np.arange(rows.num_rows)))
    order = [("uri", "ascending"), ("generation", "descending"), ("row", "ascending")]
    rows = rows.take(pc.sort_indices(rows, sort_keys=order)).combine_chunks()
    codes = rows["uri"].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.ones(len(codes), bool)
    first[1:] = codes[1:] != codes[:-1]
    mask = np.zeros(rows.num_rows, bool)
    mask[rows["row"].to_numpy()[first]] = True
    return [pa.array(one) for one in np.split(mask, np.cumsum(sizes)[:-1])]
