"""A run's decisions as files of other programs, one module a format.

To add a format: a module with a function that takes an `Exported` and a path that nothing lies at,
writes the file or folder, and returns a line for the user; and an entry in `FORMATS`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from zeroshelf import checks
from zeroshelf.errors import UserError
from zeroshelf.output.export import csv_table, fiftyone, imagefolder, label_studio, parquet
from zeroshelf.output.export.exported import Exported
from zeroshelf.output.run_files import Source
from zeroshelf.system import renaming

Writer = Callable[[Exported, str], str]


@dataclass(frozen=True, slots=True)
class Format:
    write: Writer
    into: Writer | None = None  # the same for a folder that is there already; None: refused


FORMATS = {
    "parquet": Format(parquet.write),
    "csv": Format(csv_table.write),
    "fiftyone": Format(fiftyone.write),
    "label-studio": Format(label_studio.write),
    "imagefolder": Format(imagefolder.write, imagefolder.write_into),
}


def export(source: Source, record: str | None, format: object, to: str) -> str:
    """Write the run's decisions as a file or folder `to`, and return a line about it for the user.

    record: the folder of the run's record, if it has one. Its plan tells where pictures were put.
    format: a key of `FORMATS`.

    Nothing is ever overwritten, and a file that could not be written to its end is removed. Raises
    `UserError`, also where `to` is there already or can't be written, and `MissingPackage`.
    """
    checks.choice(format, "format", tuple(FORMATS))
    chosen = FORMATS[str(format)]
    found = Exported.of(source, record)
    if chosen.into is not None and os.path.isdir(to):
        return chosen.into(found, to)
    if os.path.lexists(to):
        raise UserError(f"{to} is there already: name another file")
    partial = f"{to}.part"
    if os.path.lexists(partial):
        raise UserError(f"{partial} is in the way: remove it, or name another file than {to}")
    try:
        said = chosen.write(found, partial)
        renaming.rename(partial, to)
    except BaseException as error:
        _remove(partial)
        if isinstance(error, OSError):
            raise UserError(f"{to} can't be written: {error.strerror or error}") from error
        raise
    return said


def _remove(partial: str) -> None:
    """What was written so far: our own, since nothing lay there before."""
    if os.path.isdir(partial):
        shutil.rmtree(partial, ignore_errors=True)
    elif os.path.lexists(partial):
        os.unlink(partial)
