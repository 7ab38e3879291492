"""What a scan passed by, as `ignored.json` in a run's record, and in lines for people."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

from zeroshelf.images import other_files
from zeroshelf.records import Ignored

_FILE = "ignored.json"


def lines(ignored: Ignored) -> tuple[str, ...]:
    """A line on files of other kinds and one on what was left out; none where there are none."""
    told = other_files.line(ignored.not_pictures), other_files.left_out_line(ignored.left_out)
    return tuple(line for line in told if line is not None)


def save(record: str, ignored: Ignored) -> None:
    with open(os.path.join(record, _FILE), "w", encoding="ascii") as file:
        json.dump(asdict(ignored), file, indent=1)


def load(record: str) -> Ignored:
    """Nothing, where the record was made by zeroshelf 0.1.0 or the file is damaged: no answer hangs
    on it."""
    try:
        with open(os.path.join(record, _FILE), encoding="ascii") as file:
            given = json.load(file)
        counts = [{str(k): int(n) for k, n in given[name].items()} for name in _NAMES]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Ignored()
    return Ignored(*counts)


_NAMES = ("not_pictures", "left_out")
