"""Corrections on disk: those of one run, and those that later runs with the same labels follow.

A file is JSON Lines in ASCII: a header, then one correction a line. It is replaced as a whole, so
that it is never half written. Each line has the picture's vector, so that neither the picture nor
the cache is needed to adapt to it. The stored corrections of a label set and a model are one file
below the folder of the runs, named by a hash of both.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from blake3 import blake3

from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, Correction, Corrections, LabelSet, Model
from zeroshelf.system import app_folders, file_io, file_versions, text_files
from zeroshelf.system.file_versions import FileFormat

# Version 0.1.0 called corrections "marks". The names on disk stay, so that old files can be read:
_FOLDER = "marks"  # below the folder of the runs: the stored corrections
_STORED = file_versions.STORED_CORRECTIONS  # stored and exported files, and runs of 0.1.0
_NAME_OF_0_1 = "marks.jsonl"  # in a run's record

_OF_A_RUN = file_versions.RUN_CORRECTIONS
_NAME = "corrections.jsonl"
Row = dict[str, Any]
Read = TypeVar("Read")


def path_for(labels: LabelSet, model: Model) -> str:
    """The file of this label set and model. The order of the labels does not matter."""
    key = blake3(json.dumps([model.digest, sorted(labels.names)]).encode()).hexdigest()[:32]
    return os.path.join(app_folders.runs(), _FOLDER, f"{key}.jsonl")


def load_for(labels: LabelSet, model: Model) -> Mapping[str, Correction]:
    """The corrections stored for this label set and model, digest in hex -> correction, whatever
    folder they were given in. Raises `UserError` if the file can't be read or is damaged."""
    path = path_for(labels, model)
    return load(path, labels, model) if os.path.exists(path) else {}


def save(path: str, known: Mapping[str, Correction], model: Model) -> None:
    """Write `known`, digest in hex -> correction, to the file `path`; if `known` is empty, delete
    the file. Raises `UserError` if it can't be written."""
    _write(path, _STORED, map(_row, known, known.values()), model)


def load(path: str, labels: LabelSet, model: Model) -> Mapping[str, Correction]:
    """The corrections in the file `path` whose label is in `labels` or "other", digest in hex ->
    correction. Raises `UserError` with the line that is wrong, or if they belong to another
    model."""
    known = {*labels.names, OTHER}
    found = _read(path, _STORED, lambda row: _correction(row, model), model)
    return {digest: one for digest, one in found if one.label in known}


def save_run(record: str, corrections: Corrections, model: Model) -> None:
    """Write all corrections of a run into its record's folder. Raises `UserError`."""
    rows: list[Row] = []
    for origin, known in (("stored", corrections.stored), ("given", corrections.given)):
        rows += [{"origin": origin, **_row(digest, one)} for digest, one in known.items()]
    for origin, moves in (("reviewed", corrections.reviewed), ("accepted", corrections.accepted)):
        rows += [{"origin": origin, "path": path, "label": label} for path, label in moves.items()]
    _write(os.path.join(record, _NAME), _OF_A_RUN, rows, model)


def load_run(record: str, model: Model) -> Corrections:
    """The corrections in a run's record, also in one by version 0.1.0. Raises `UserError` as `load`
    does."""
    old = os.path.join(record, _NAME_OF_0_1)
    path = os.path.join(record, _NAME)
    if not os.path.exists(path):
        if not os.path.exists(old):
            return Corrections()
        return Corrections(dict(_read(old, _STORED, lambda row: _correction(row, model), model)))
    found: dict[str, dict[str, Any]] = {"stored": {}, "given": {}, "reviewed": {}, "accepted": {}}

    def take(row: Row) -> None:
        if "path" in row:
            found[row["origin"]][str(row["path"])] = str(row["label"])
        else:
            digest, one = _correction(row, model)
            found[row["origin"]][digest] = one

    _read(path, _OF_A_RUN, take, model)
    return Corrections(**found)


def moved(pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Make stored corrections follow pictures whose files were rewritten (tags, an undo): from the
    first digest of each pair to the second. A file that can't be read or written is left alone."""
    new = {old.hex(): now.hex() for old, now in pairs}
    folder = os.path.join(app_folders.runs(), _FOLDER)
    for name in os.listdir(folder) if new and os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError, ValueError, AttributeError, file_versions.NewerFile):
            with open(path, encoding="ascii") as file:
                head, *rows = map(json.loads, file)
            _STORED.check(path, head)
            if not any(row.get("digest") in new for row in rows):
                continue
            rows = [row | {"digest": new.get(row["digest"], row["digest"])} for row in rows]
            with open(path + ".part", "w", encoding="ascii") as file:
                file.writelines(json.dumps(row) + "\n" for row in (head, *rows))
                file.flush()
                file_io.sync_open(file.fileno())
            os.replace(path + ".part", path)


def _write(path: str, kind: FileFormat, rows: Iterable[Row], model: Model) -> None:
    lines = [json.dumps(row) + "\n" for row in rows]
    try:
        if not lines:
            if os.path.exists(path):
                os.unlink(path)
            return
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path + ".part", "w", encoding="ascii") as file:
            header = {**kind.header, "model": model.digest, "id": model.id}
            file.write(json.dumps(header) + "\n")
            file.writelines(lines)
            file.flush()
            file_io.sync_open(file.fileno())
        os.replace(path + ".part", path)
    except OSError as error:
        raise UserError(f"the corrections can't be written to {path}: {error.strerror}") from None


def _read(path: str, kind: FileFormat, take: Callable[[Row], Read], model: Model) -> list[Read]:
    """What `take` makes of each line after the header. Raises `UserError` with the wrong line."""
    found: list[Read] = []
    number = 0
    try:
        for number, line in enumerate(io.StringIO(text_files.read(path)), 1):
            row = json.loads(line)
            if number == 1:
                _check(path, row, kind, model)
            else:
                found.append(take(row))
    except (ValueError, KeyError, TypeError) as trouble:
        raise UserError(f"{path}, line {number}: not a correction ({trouble})") from None
    return found


def _check(path: str, header: object, kind: FileFormat, model: Model) -> None:
    if not isinstance(header, dict) or kind.key not in header:
        raise UserError(
            f"{path} is not a file of corrections: `zeroshelf teach --export FILE` writes one"
        )
    kind.check(path, header)
    if header["model"] != model.digest:
        raise UserError(
            f"the corrections in {path} belong to the model {header['id']}, not {model.id}"
        )


def _row(digest: str, one: Correction) -> Row:
    vector = base64.b64encode(one.vector.astype("<f2").tobytes()).decode()
    return {"digest": digest, "label": one.label, "vector": vector}


def _correction(row: Row, model: Model) -> tuple[str, Correction]:
    vector = np.frombuffer(base64.b64decode(row["vector"], validate=True), "<f2")
    if vector.shape != (model.dim,) or not np.isfinite(vector).all():
        raise ValueError("the vector has another length")
    return str(row["digest"]), Correction(str(row["label"]), vector)
