"""What the marks would change in the rest of the folder, and which pictures to ask about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeroshelf.corrections import active_learning
from zeroshelf.errors import UserError
from zeroshelf.review.session import PERSON, Session, check_offset


@dataclass(frozen=True, slots=True)
class Move:
    """Pictures that would go from one shelf to another, the surest first."""

    shelf: str
    to: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    version: int  # of the session that it was learnt from
    marks: int
    moves: tuple[Move, ...]  # the largest first


def lesson(session: Session) -> Lesson:
    """What the rest of the folder looks like after the marks so far; placed pictures stay."""
    with session.lock:
        version, now, count = session.version, session.shelves, len(session.all_marks())
    if not count:
        return Lesson(version, 0, ())
    after = session.taught()
    free = np.flatnonzero((now.by != PERSON) & (after.chosen != now.columns))
    found: dict[tuple[int, int], list[int]] = {}
    for row in free[np.argsort(-after.probabilities[free, after.chosen[free]], kind="stable")]:
        found.setdefault((int(now.columns[row]), int(after.chosen[row])), []).append(int(row))
    moves = [
        Move(now.names[old], now.names[new], tuple(rows)) for (old, new), rows in found.items()
    ]
    return Lesson(version, count, tuple(sorted(moves, key=lambda move: -len(move.rows))))


def accept(session: Session, learnt: Lesson, wanted: Sequence[int]) -> int:
    """Take over the moves of these numbers; how many pictures changed shelf."""
    with session.lock:
        if learnt.version != session.version:
            raise UserError("the shelves have changed since: look at what was learnt once more")
        shelves: dict[str, list[int]] = {}
        for number in wanted:
            if not 0 <= number < len(learnt.moves):
                raise UserError("what was learnt holds no such move")
            move = learnt.moves[number]
            shelves.setdefault(move.to, []).extend(move.rows)
        if shelves:
            session.learn(shelves)
        return sum(map(len, shelves.values()))


def ask(session: Session, count: int) -> list[int]:
    """The pictures whose answers help most, as things stand after the marks so far."""
    with session.lock:
        marked = session.marked
    decided = session.taught()
    vectors = session.run.embeddings.vectors
    return active_learning.ask(vectors, decided.probabilities, sorted(marked), count)


def bolder(session: Session, by: float) -> dict[str, tuple[int, int]]:
    """Shelf -> how many pictures would leave it and how many would come, the slider at `by`."""
    check_offset(by)
    with session.lock:
        now, run = session.shelves, session.run
    then = run.again(replace(run.question, offset=by), run.corrections).decisions.chosen
    moving = (now.by == 0) & (then != now.columns)
    leave = np.bincount(now.columns[moving], minlength=len(now.names))
    come = np.bincount(then[moving], minlength=len(now.names))
    pairs = zip(now.names, leave.tolist(), come.tolist(), strict=True)
    return {name: (gone, new) for name, gone, new in pairs if gone or new}
