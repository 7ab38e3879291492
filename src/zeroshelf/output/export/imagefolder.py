"""Hugging Face's ImageFolder: pictures and a metadata.jsonl with a line for each, which
`datasets.load_dataset("imagefolder", data_dir=...)` reads.

A new folder gets copies of the pictures, a subfolder a label. In a folder that is there already,
such as the one that a run sorted into, the pictures stay as they are, and only metadata.jsonl is
added.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from typing import Any

from zeroshelf.actions import names
from zeroshelf.counting import counted
from zeroshelf.errors import UserError
from zeroshelf.output.export.exported import Exported, left_out
from zeroshelf.output.results import Row
from zeroshelf.output.tables import is_utf8, utf8
from zeroshelf.system import file_names, mounts, path_spelling

METADATA = "metadata.jsonl"


def write(found: Exported, to: str) -> str:
    """Make the folder `to` with a copy of each picture."""
    os.mkdir(to)
    rules = mounts.rules(to)
    taken: set[str] = set()
    lines = []
    for row in found.rows():
        place = found.place(row)
        folder = names.shelf(row.label or "")
        wanted = file_names.portable(utf8(os.path.basename(place)), rules)
        tries = (os.path.join(folder, name) for _, name in file_names.numbered(wanted))
        below = next(path for path in tries if file_names.key(path) not in taken)
        taken.add(file_names.key(below))
        os.makedirs(os.path.join(to, folder), exist_ok=True)
        try:
            shutil.copy2(place, os.path.join(to, below))
        except FileNotFoundError:
            raise UserError(f"{place} is not there any more: sort the folder again") from None
        lines.append(_line(row, below))
    _write(lines, os.path.join(to, METADATA))
    return _advice(len(lines))


def write_into(found: Exported, to: str) -> str:
    """Add metadata.jsonl to the folder `to`, for those pictures of the run that lie below it. One
    whose path is not UTF-8 is left out: the library refuses a metadata.jsonl with such a line."""
    lines = []
    unnamed = 0
    for row in found.rows():
        for place in (row.path, row.target):
            if place and file_names.inside(place, to) and os.path.isfile(place):
                below = os.path.relpath(place, to)
                if is_utf8(below):
                    lines.append(_line(row, below))
                else:
                    unnamed += 1
                break
    if not lines:
        raise UserError(
            f"{to} is there already and has no picture of this run: name another folder"
        )
    path = os.path.join(to, METADATA)
    if os.path.lexists(path):
        raise UserError(f"{path} is there already: move it away, or name another folder")
    try:
        _write(lines, path)
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror or error}") from error
    return _advice(len(lines)) + left_out(unnamed, "datasets")


def _line(row: Row, below: str) -> dict[str, Any]:
    return {
        "file_name": path_spelling.slashed(below),
        "label": utf8(row.label or ""),
        "probability": round(row.probability or 0.0, 5),
        "confidence": row.confidence,
        "top_label": utf8(row.top_label or ""),
        "also": [utf8(name) for name in row.also],
        "digest": row.digest,
    }


def _write(lines: Iterable[dict[str, Any]], path: str) -> None:
    with open(path, "x", encoding="ascii", newline="\n") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def _advice(count: int) -> str:
    return (
        f'{counted(count, "picture")}; datasets.load_dataset("imagefolder", data_dir=...) takes '
        "the labels from metadata.jsonl"
    )
