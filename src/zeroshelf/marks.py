"""Marks that outlive their run: what a person said about pictures, for a label set and a model.

A file holds one set's marks: JSON Lines in ASCII, a header and one mark a line, each with the
picture's vector, so that neither the picture nor the cache is needed to learn from it again. The
marks of a label set are kept under the user's runs and found by its labels and the model.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from blake3 import blake3

from zeroshelf import runs
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, LabelSet, Model

VERSION = 1


@dataclass(frozen=True, slots=True)
class Mark:
    label: str  # a label's name, or OTHER
    vector: np.ndarray[tuple[int], np.dtype[np.float16]]  # (D,), of length 1


Marks = Mapping[str, Mark]  # a picture's digest in hex -> its mark


def home(labels: LabelSet, model: Model) -> str:
    """The file of this label set and model. The order of the labels does not matter."""
    key = blake3(json.dumps([model.digest, sorted(labels.names)]).encode()).hexdigest()[:32]
    return os.path.join(runs.root(), "marks", f"{key}.jsonl")


def save(path: str, marks: Marks, model: Model) -> None:
    """Whole or not at all; without marks there is no file."""
    try:
        if not marks:
            if os.path.exists(path):
                os.unlink(path)
            return
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path + ".part", "w", encoding="ascii") as file:
            header = {"zeroshelf_marks": VERSION, "model": model.digest, "id": model.id}
            file.write(json.dumps(header) + "\n")
            for digest, mark in marks.items():
                vector = base64.b64encode(mark.vector.astype("<f2").tobytes()).decode()
                line = {"digest": digest, "label": mark.label, "vector": vector}
                file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".part", path)
    except OSError as error:
        raise UserError(f"the marks can't be written to {path}: {error.strerror}") from None


def load(path: str, labels: LabelSet, model: Model) -> Marks:
    """Those of the file's marks whose label is in `labels`. Raises `UserError` with the line that
    is wrong, and where the marks belong to another model."""
    known = {*labels.names, OTHER}
    found: dict[str, Mark] = {}
    number = 0
    try:
        with open(path, encoding="ascii") as file:
            for number, line in enumerate(file, 1):
                row = json.loads(line)
                if number == 1:
                    _check(path, row, model)
                    continue
                vector = np.frombuffer(base64.b64decode(row["vector"], validate=True), "<f2")
                if vector.shape != (model.dim,) or not np.isfinite(vector).all():
                    raise ValueError("the vector has another length")
                if row["label"] in known:
                    found[str(row["digest"])] = Mark(row["label"], vector)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as trouble:
        raise UserError(f"{path}, line {number}: no mark ({trouble})") from None
    return found


def kept(labels: LabelSet, model: Model) -> Marks:
    """The marks that were kept for this label set and model, from whatever folder."""
    return load_if_any(home(labels, model), labels, model)


def load_if_any(path: str, labels: LabelSet, model: Model) -> Marks:
    return load(path, labels, model) if os.path.exists(path) else {}


def _check(path: str, header: object, model: Model) -> None:
    if not isinstance(header, dict) or header.get("zeroshelf_marks") != VERSION:
        raise UserError(
            f"{path} holds no marks: `zeroshelf teach --export FILE` writes such a file"
        )
    if header["model"] != model.digest:
        raise UserError(f"the marks in {path} belong to the model {header['id']}, not {model.id}")
