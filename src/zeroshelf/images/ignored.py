"""The files that a scan ignored: `ignored.json` in a run's record, and lines for the user."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

from zeroshelf.images import other_files
from zeroshelf.records import Ignored
from zeroshelf.system import file_versions

_FILE = "ignored.json"


def lines(ignored: Ignored) -> tuple[str, ...]:
    """A line on files that are no pictures and one on what was left out; only those with files."""
    told = other_files.line(ignored.not_pictures), other_files.left_out_line(ignored.left_out)
    return tuple(line for line in told if line is not None)


def save(record: str, ignored: Ignored) -> None:
    with open(os.path.join(record, _FILE), "w", encoding="ascii") as file:
        json.dump(file_versions.IGNORED.header | asdict(ignored), file, indent=1)


def load(record: str) -> Ignored:
    """What `save` wrote; nothing where the file is missing, as in a record of 0.1.0, or damaged: no
    decision depends on it. Raises `UserError` where a newer zeroshelf wrote it."""
    path = os.path.join(record, _FILE)
    try:
        with open(path, encoding="ascii") as file:
            given = json.load(file)
        file_versions.IGNORED.check(path, given)
        counts = [{str(k): int(n) for k, n in given[name].items()} for name in _NAMES]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Ignored()
    return Ignored(*counts)


_NAMES = ("not_pictures", "left_out")
