"""dataset.json in a dataset's folder: which model made it, and from what."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from zeroshelf.datasets import parts
from zeroshelf.datasets.places import Place
from zeroshelf.errors import UserError, one_line
from zeroshelf.records import Model

FILE = "dataset.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class About:
    """What all parts of a dataset have in common."""

    model: str  # its id
    model_digest: str
    dimension: int  # D, the length of a vector
    preprocessing: dict[str, Any]  # how a picture became pixels: records.Preprocessing
    sources: tuple[str, ...]  # what was given to `embed`, in the order in which it was
    layouts: tuple[str, ...] = ()  # that were made of the parts: "clip-retrieval"

    @staticmethod
    def of(model: Model) -> About:
        """Of a new dataset."""
        return About(model.id, model.digest, model.dim, asdict(model.preprocessing), ())


def read(folder: Place) -> About | None:
    """None where the folder has none. Raises `UserError` for one that can't be understood."""
    file = folder.below(FILE)
    if FILE not in folder.names():
        return None
    try:
        found = json.loads(file.read())
        if found["format"] != _FORMAT:
            raise UserError(f"{file.uri} is of a newer zeroshelf: update this one")
        return About(
            model=found["model"]["id"],
            model_digest=found["model"]["digest"],
            dimension=int(found["model"]["dimension"]),
            preprocessing=found["model"]["preprocessing"],
            sources=tuple(found["sources"]),
            layouts=tuple(found["layouts"]),
        )
    except OSError as error:
        raise UserError(f"{file.uri} can't be read: {one_line(error)}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file.uri} is not zeroshelf's ({one_line(error)})") from None


def start(folder: Place, model: Model, source: str) -> About:
    """The record of the dataset in `folder` for a run of `embed`: made where there is none, and
    with `source` among its sources. Raises `UserError` if the dataset is of another model."""
    before = read(folder)
    if before is None:
        _check_parts(folder, model)
    elif before.model_digest != model.digest:
        raise UserError(
            f"{folder.uri} has embeddings of the model {before.model} "
            f"({before.model_digest[:12]}), not of {model.id} ({model.digest[:12]}): give --model "
            f"{before.model}, or another folder for --out"
        )
    found = before or About.of(model)
    if source not in found.sources:
        found = replace(found, sources=(*found.sources, source))
    if found != before:
        write(folder, found)
    return found


def write(folder: Place, about: About) -> None:
    """Raises `OSError`."""
    model = {
        "id": about.model,
        "digest": about.model_digest,
        "dimension": about.dimension,
        "preprocessing": about.preprocessing,
    }
    record = {
        "format": _FORMAT,
        "model": model,
        "sources": about.sources,
        "layouts": about.layouts,
    }
    folder.below(FILE).write(json.dumps(record, indent=1).encode())


def _check_parts(folder: Place, model: Model) -> None:
    """The parts of a folder whose dataset.json was lost say which model made them, too."""
    part = next(parts.read_parts(folder, ["uri", "model"]), None)
    if part is not None and part["model"][0].as_py() != model.digest:
        raise UserError(
            f"{folder.uri} has embeddings of another model than {model.id}: give another folder "
            "for --out"
        )
