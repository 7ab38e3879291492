"""On which shelf every picture of a session is, by the decisions and the edits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.decide import Decisions
from zeroshelf.records import OTHER
from zeroshelf.runs.edit_log import Edited

MODEL, USER, SUGGESTION = 0, 1, 2  # who or what chose a picture's shelf


@dataclass(frozen=True, slots=True)
class Shelves:
    """Every picture's shelf. A column is a label's place in `names`; the last is "other"."""

    names: tuple[str, ...]
    columns: npt.NDArray[np.uint16]  # (N,)
    probabilities: npt.NDArray[np.float32]  # (N,), of that shelf
    by: npt.NDArray[np.uint8]  # (N,), MODEL, USER or SUGGESTION


def shelves_of(decided: Decisions, edited: Edited, row_of: Mapping[str, int]) -> Shelves:
    """The shelves of N pictures that `decided` is about, after the placements in `edited`.

    row_of: a picture's path below the run's folder -> its row.
    """
    names = (*decided.scores.labels.names, OTHER)
    columns = decided.chosen.astype(np.uint16)
    rows = np.arange(len(columns))
    probabilities = decided.probabilities[rows, decided.chosen].copy()
    by = np.zeros(len(columns), np.uint8)
    by[list(decided.corrected)] = USER
    place = {name: column for column, name in enumerate(names)}
    for moves, who in ((edited.accepted, SUGGESTION), (edited.corrected, USER)):
        found = [
            (row_of[path], place[name])
            for path, name in moves.items()
            if path in row_of and name in place
        ]
        if found:
            where, to = np.array(found, np.intp).T
            columns[where], by[where], probabilities[where] = to, who, 1
    return Shelves(names, columns, probabilities, by)


def changed(old: Shelves, new: Shelves) -> npt.NDArray[np.intp]:
    """The rows in which two states of the same pictures and names differ."""
    return np.flatnonzero(
        (old.columns != new.columns) | (old.by != new.by) | (old.probabilities != new.probabilities)
    )
