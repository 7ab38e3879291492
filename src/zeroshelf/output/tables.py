"""A run as a table for pandas, Arrow and Parquet: one row a picture, in the order of the run.

Both libraries are optional, and imported when they are needed. A path that is no valid UTF-8 has
its odd bytes written as "\\udcff", since neither library's texts can contain them; the digest names
such a picture too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zeroshelf.errors import MissingPackage

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from zeroshelf.output.run_files import Source

# The columns of each picture in their order, and the type of each in Arrow; output/results.py says
# what they contain. `note` is a quality problem: "dark picture".
COLUMNS = {
    "path": "string", "label": "string", "probability": "float", "confidence": "string",
    "margin": "float", "top_label": "string", "reason": "string", "also": "list",
    "looks_like": "string", "size": "int64", "digest": "string", "group": "int64",
    "note": "string",
}  # fmt: skip
_EXTRAS = {"pyarrow": "parquet"}  # library -> the extra that brings it, where it has another name


def to_pandas(source: Source) -> pandas.DataFrame:
    """The run as a data frame: `COLUMNS`, then one column for each label and one for "other" with
    their probabilities, named "P(cat)". Raises `MissingPackage` without pandas."""
    library = required("pandas")
    frame = library.DataFrame(_columns(source))
    frame["group"] = frame["group"].astype("Int64")  # whole numbers, of which some are missing
    names = [f"P({name})" for name in _names(source)]
    chances = library.DataFrame(source.run.decisions.probabilities, columns=names)
    found: pandas.DataFrame = library.concat([frame, chances], axis=1)
    return found


def to_arrow(source: Source, *, embeddings: bool = True) -> pyarrow.Table:
    """The run as an Arrow table: `COLUMNS`; `probabilities`, a fixed-size list of float32 with one
    number for each label and for "other"; and, with `embeddings`, `embedding`, a fixed-size list of
    D float32. The schema's metadata name the labels (`zeroshelf.labels`, a line each) and the
    model. Raises `MissingPackage` without pyarrow."""
    arrow = required("pyarrow")
    types = {
        "string": arrow.string(),
        "float": arrow.float32(),
        "int64": arrow.int64(),
        "list": arrow.list_(arrow.string()),
    }
    made = {
        name: arrow.array(values, types[COLUMNS[name]]) for name, values in _columns(source).items()
    }
    made["probabilities"] = _fixed(arrow, source.run.decisions.probabilities)
    if embeddings:
        made["embedding"] = _fixed(arrow, source.run.embeddings.vectors)
    model = source.run.model
    about = {
        "zeroshelf.labels": "\n".join(_names(source)),
        "zeroshelf.model": utf8(model.id),
        "zeroshelf.model_digest": model.digest,
    }
    found: pyarrow.Table = arrow.table(made).replace_schema_metadata(about)
    return found


def write_parquet(source: Source, path: str) -> None:
    """`to_arrow` as a Parquet file. Raises `OSError`, and `MissingPackage` without pyarrow."""
    table = to_arrow(source)
    import_module("pyarrow.parquet").write_table(table, path)


def required(library: str) -> Any:
    """An optional library. Raises `MissingPackage` with the command that installs it."""
    try:
        return import_module(library)
    except ImportError as missing:
        if missing.name != library:  # it is there, and itself lacks something
            raise
    extra = _EXTRAS.get(library, library)
    raise MissingPackage(f'this needs {library}: pip install "zeroshelf[{extra}]"')


def utf8(text: str) -> str:
    """The text without lone surrogates, which stand for bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_utf8(text: str) -> bool:
    return utf8(text) == text


def _columns(source: Source) -> dict[str, list[Any]]:
    """The columns of `COLUMNS`, without the files that were skipped."""
    rows = [row for row in source.rows({}) if row.label is not None]
    notes = source.run.embeddings.notes
    found: dict[str, list[Any]] = {
        name: [_value(getattr(row, name)) for row in rows] for name in COLUMNS if name != "note"
    }
    return found | {"note": [_value(notes.get(row)) for row in range(len(rows))]}


def _value(value: object) -> object:
    if isinstance(value, str):
        return utf8(value)
    return [utf8(one) for one in value] if isinstance(value, tuple) else value


def _names(source: Source) -> list[str]:
    return [utf8(name) for name in source.run.counts]


def _fixed(arrow: Any, values: npt.NDArray[np.floating]) -> Any:
    """(N, D) as N fixed-size lists of float32."""
    flat = arrow.array(np.ascontiguousarray(values, np.float32).reshape(-1))
    return arrow.FixedSizeListArray.from_arrays(flat, values.shape[1])
