"""The truth about pictures from a CSV file: a path and a label in each row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from zeroshelf.counting import counted
from zeroshelf.errors import UserError
from zeroshelf.system import text_files

_PATH, _LABEL = ("path", "picture", "file", "filename"), ("label", "labels", "truth")
_DELIMITERS = (",", ";", "\t")  # spreadsheets write ";" where the comma is the decimal sign
_NAMED = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)  # a first line that Excel understands
_SUFFIX = re.compile(r"\.\w{2,5}$")  # of a file's name

Row = tuple[int, Sequence[str]]  # its number, from 1, and its cells


def read(path: str) -> dict[str, tuple[str, ...]]:
    """The file `path`: a picture's path, as it is written there -> all labels that are true of it.

    Each row has a path and a label; several labels are separated by ";". A first row with names of
    columns ("path", "label") may put them in any order, beside columns that are not read; a row
    without a label is passed over then. Cells are separated by commas, semicolons or tabs. The
    encoding: see `text_files.read`.

    Raises `UserError` where the file can't be read, or a row has no path or label or contradicts
    an earlier one.
    """
    text = text_files.read(path, "surrogateescape")
    first, _, rest = text.partition("\n")
    named = _NAMED.fullmatch(first)
    try:
        if named:
            return _truth(path, _rows(rest, named[1], 2))
        return _truth(path, max((_rows(text, one) for one in _DELIMITERS), key=_fits))
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file: {error}") from None


def _rows(text: str, delimiter: str, start: int = 1) -> list[Row]:
    """The rows that have a cell that isn't empty. Raises `csv.Error`."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    cells = [(number, [cell.strip() for cell in row]) for number, row in enumerate(reader, start)]
    return [row for row in cells if any(row[1])]


def _fits(rows: Sequence[Row]) -> tuple[bool, int, int]:
    """How well a delimiter fits, the best the greatest: the first row names both columns; rows with
    two cells; first cells that end like a file's name, which tells "Smith, Ann/a.jpg;cat" from
    "a.jpg,cat;dog". Where two are equal the first of `_DELIMITERS` is taken."""
    return (
        bool(rows) and _columns(rows[0][1]) is not None,
        sum(len(cells) > 1 and all(cells[:2]) for _, cells in rows),
        sum(_SUFFIX.search(cells[0]) is not None for _, cells in rows),
    )


def _truth(path: str, rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    named = _columns(rows[0][1]) if rows else None
    columns = named or (0, 1)
    for number, cells in rows[1:] if named else rows:
        picture, labels = (cells[at] if at < len(cells) else "" for at in columns)
        names = tuple(dict.fromkeys(name.strip() for name in labels.split(";") if name.strip()))
        if named and picture and not names:
            continue  # not known yet, or a file that a run skipped and has in its results.csv
        if why_not := _why_not(cells, picture, names, labels, named is not None):
            raise UserError(f"{path}, row {number}: {why_not}")
        if found.setdefault(picture, names) != names:
            raise UserError(f"{path}, row {number}: {picture} has another label in an earlier row")
    if not found:
        raise UserError(f"{path} has no row: write a path, a comma and a label in each")
    return found


def _why_not(
    cells: Sequence[str], picture: str, names: Sequence[str], labels: str, named: bool
) -> str | None:
    """What is wrong with a row, and what to do; None where it can be used."""
    if not picture or not names:
        return (
            f"no {'label' if picture else 'path'}; write a path, a comma "
            'and a label, or "other" where none is true'
        )
    if not named and any(cells[2:]):
        return (
            f"{counted(len(cells), 'cell')}, and no first row names the columns: add one "
            '(path,label), or put several labels into one cell, in quotes: "cat;dog"'
        )
    if not text_files.is_text(labels):
        return "the label isn't UTF-8 text; save the file as UTF-8 (Excel: CSV UTF-8)"
    return None


def _columns(cells: Sequence[str]) -> tuple[int, int] | None:
    """Where the path and the label are, if the row names the columns."""
    names = [cell.lower() for cell in cells]
    places = [
        next((names.index(n) for n in known if n in names), None) for known in (_PATH, _LABEL)
    ]
    return None if places[0] is None or places[1] is None else (places[0], places[1])
