"""CSV for a spreadsheet: the table that every run has in its record, results.csv."""

from __future__ import annotations

from zeroshelf.output import results
from zeroshelf.output.export.exported import Exported


def write(found: Exported, to: str) -> str:
    results.write_csv(found.source.rows(found.targets), to)
    return "one row a picture; files that were skipped have no label"
