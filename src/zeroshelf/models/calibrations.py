"""A model's calibration on disk: in its own settings, or stored beside the installed models.

Both use the keys of zeroshelf 0.1.0 (`delta`, `t_open`, `t_labels`, `typical`, `source`), under
"open_set" in a model's config.json and as a file of their own below `.calibrated`. `origin` and
the file's version are new in 0.2.0; without `origin`, it follows from `source` as 0.1.0 wrote it.
"""

from __future__ import annotations

import json
from pathlib import Path

from zeroshelf.errors import UserError
from zeroshelf.models import installed
from zeroshelf.models.families import Json, number, one_of, read_json, section
from zeroshelf.records import Calibration, Model
from zeroshelf.system.file_versions import CALIBRATION

_KEYS = {  # on disk -> in the record
    "delta": "ood_threshold",
    "t_open": "ood_temperature",
    "t_labels": "label_temperature",
    "typical": "typical_logit",
}
_DEFAULT_0_1 = "generic: not calibrated for this model"  # `source` of uncalibrated models
_TRANSFERRED_0_1 = "the answers of "  # `source` of transferred calibrations began so
_ORIGINS = {name: name for name in ("default", "provisional", "transferred", "measured")}


def of(model: Model) -> Calibration | None:
    """The calibration that `store` wrote for the model; None if there is none."""
    file = _file(model)
    if not file.is_file():
        return None
    table = read_json(file)
    try:
        CALIBRATION.check(str(file), table)
    except ValueError as error:
        raise UserError(f"{file} can't be read: {error}") from None
    table.pop(CALIBRATION.key, None)
    return parse({"open_set": table}, file)


def store(model: Model, calibration: Calibration | None) -> Path:
    """Store a calibration for the model, or with None delete it; returns the file.

    It lies beside the installed models, under the digest of the model's files: the model's own
    folder may be read-only or belong to another program, and other weights need another
    calibration. Raises `UserError` if it can't be written.
    """
    file = _file(model)
    with installed.writing():
        if calibration is None:
            file.unlink(missing_ok=True)
            return file
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        content = CALIBRATION.header | as_json(calibration)
        partial.write_text(json.dumps(content, indent=2), encoding="utf-8")
        partial.replace(file)
    return file


def parse(settings: Json, file: Path) -> Calibration:
    """The calibration in the table "open_set" of a model's settings; the default one without.

    `file` is named in the `UserError` for a value that is not understood.
    """
    table = section(settings, "open_set", file)
    unknown = table.keys() - {*_KEYS, "origin", "source"}
    if unknown:
        raise UserError(f"{file}: open_set has an unknown key {min(unknown)!r}")
    values = {
        field: number(table[key], file, f"open_set.{key}")
        for key, field in _KEYS.items()
        if key in table and not (key == "typical" and table[key] is None)
    }
    source = str(table.get("source", _DEFAULT_0_1))
    if "origin" in table:
        origin = one_of(table["origin"], _ORIGINS, file, "open_set.origin")
    elif source == _DEFAULT_0_1:
        origin, source = "default", ""
    elif source.startswith(_TRANSFERRED_0_1):
        origin, source = "transferred", source.removeprefix(_TRANSFERRED_0_1)
    else:
        origin = "measured"
    return Calibration(**values, origin=origin, source=source)


def as_json(calibration: Calibration) -> Json:
    """The table that `parse` reads."""
    values = {key: getattr(calibration, field) for key, field in _KEYS.items()}
    return values | {"origin": calibration.origin, "source": calibration.source}


def described(calibration: Calibration) -> str:
    """The calibration in one line, for users."""
    source = f", {calibration.source}" if calibration.source else ""
    return (
        f"threshold {calibration.ood_threshold:g}, temperatures {calibration.ood_temperature:g} "
        f"and {calibration.label_temperature:g} ({calibration.origin}{source})"
    )


def _file(model: Model) -> Path:
    return installed.home() / ".calibrated" / f"{model.digest}.json"
