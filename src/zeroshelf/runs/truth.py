"""The truth about pictures from a CSV file: a path and a label in each row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

from zeroshelf.errors import UserError

_PATH, _LABEL = ("path", "picture", "file", "filename"), ("label", "labels", "truth")


def read(path: str) -> dict[str, tuple[str, ...]]:
    """The file `path`: a picture's path, as it is written there -> all labels that are true of it.

    Each row has a path and a label; several labels are separated by ";". A first row with names of
    columns ("path", "label") may put them in any order, beside columns that are not read.

    Raises `UserError` where the file can't be read, or a row has no path or label or contradicts
    an earlier one.
    """
    try:  # surrogates stand for bytes that are no UTF-8, as in paths
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
            return _truth(path, rows)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file: {error}") from None


def _truth(path: str, rows: Iterable[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    columns = (0, 1)
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if not found and (named := _columns(cells)):
            columns = named
            continue
        picture, labels = (cells[at] if at < len(cells) else "" for at in columns)
        names = tuple(dict.fromkeys(name.strip() for name in labels.split(";") if name.strip()))
        if not picture or not names:
            raise UserError(
                f"{path}, row {number}: no {'label' if picture else 'path'}; write a path, a comma "
                'and a label, or "other" where none is true'
            )
        if found.setdefault(picture, names) != names:
            raise UserError(f"{path}, row {number}: {picture} has another label in an earlier row")
    if not found:
        raise UserError(f"{path} has no row: write a path, a comma and a label in each")
    return found


def _columns(cells: Sequence[str]) -> tuple[int, int] | None:
    """Where the path and the label are, if the row names the columns."""
    names = [cell.lower() for cell in cells]
    places = [
        next((names.index(n) for n in known if n in names), None) for known in (_PATH, _LABEL)
    ]
    return None if places[0] is None or places[1] is None else (places[0], places[1])
