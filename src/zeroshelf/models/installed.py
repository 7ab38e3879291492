"""The models that are installed on this machine: a folder each below `home()`, with zeroshelf.json,
which names its source. What is still being brought is in `.partial/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zeroshelf.errors import UserError
from zeroshelf.models import catalogue
from zeroshelf.models.families import read_json
from zeroshelf.system import app_folders
from zeroshelf.system.file_versions import INSTALLED_MODEL

RECORD = "zeroshelf.json"


def home() -> Path:
    """Where installed models live, a folder each."""
    return Path(app_folders.models())


@contextmanager
def writing() -> Iterator[None]:
    """Turns errors of the disk into a `UserError` of one line that says what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or home()}: {error.strerror or error}; ZEROSHELF_MODELS names "
            "another folder for models"
        ) from error


def folder_of(id: str) -> Path:
    return home() / id.replace("/", "--")


def ids() -> tuple[str, ...]:
    """The installed models."""
    records = sorted(home().glob(f"*/{RECORD}"))
    return tuple(str(read_json(one).get("id", one.parent.name)) for one in records)


def begun() -> dict[str, int]:
    """The downloads that were cut off, and how many bytes of each are here: `install` goes on with
    them, `remove` frees the space."""
    return {
        folder.name.replace("--", "/"): sum(
            file.stat().st_size for file in folder.rglob("*") if file.is_file()
        )
        for folder in sorted(home().glob(".partial/*"))
    }


def place_of(id: str) -> Path:
    """Where an installed model's files lie, or what was brought of one so far."""
    if id in ids():
        return folder_of(id)
    if id in begun():
        return partial_of(id)
    raise UserError(f"{id} is not installed; `zeroshelf models` lists what is")


def partial_of(id: str) -> Path:
    """Where a model's files are put together, until it is complete."""
    return home() / ".partial" / folder_of(id).name


def record(folder: Path) -> dict[str, Any]:
    """What was written down when the model was installed: repository, commit, each file's SHA-256;
    empty for a folder that was never installed."""
    file = folder / RECORD
    if not file.is_file():
        return {}
    found = read_json(file)
    try:
        INSTALLED_MODEL.check(str(file), found)
    except ValueError as error:
        raise UserError(f"{file} can't be read: {error}") from None
    return found


def settings(folder: Path) -> dict[str, Any]:
    """What the catalogue knew of a model when it was installed, or knows of a folder's name."""
    here = record(folder)
    if here:
        kept: dict[str, Any] = here["settings"]
        return kept
    row = catalogue.by_source(folder.name)
    return row.settings if row else {}
