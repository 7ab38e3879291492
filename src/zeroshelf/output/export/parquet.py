"""Parquet, through pyarrow: the columns of `output/tables.py`, the embeddings among them."""

from __future__ import annotations

from zeroshelf.output import tables
from zeroshelf.output.export.exported import Exported


def write(found: Exported, to: str) -> str:
    """Raises `MissingPackage` without pyarrow."""
    tables.write_parquet(found.source, to)
    return 'SELECT path, label FROM "the file" in DuckDB, or pandas.read_parquet'
