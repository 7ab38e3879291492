"""What the corrections suggest for the rest of the folder, and which pictures to correct next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeroshelf.corrections import active_learning
from zeroshelf.decisions import diagnose
from zeroshelf.decisions.diagnose import WordsToAdd
from zeroshelf.errors import UserError
from zeroshelf.review import label_edits
from zeroshelf.review.session import Session, check_offset
from zeroshelf.review.shelves import MODEL, USER


@dataclass(frozen=True, slots=True)
class Move:
    """Pictures that would go from one shelf to another, the surest first."""

    shelf: str
    to: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Suggestions:
    version: int  # of the session that they were made for
    corrections: int  # how many corrections they were derived from
    moves: tuple[Move, ...]  # the largest first


def find(session: Session) -> Suggestions:
    """The moves that adaptation to all corrections suggests; corrected pictures stay."""
    if not session.has_corrections:
        return Suggestions(session.version, 0, ())
    session.complete()
    with session.lock:
        version, now, count = session.version, session.shelves, len(session.all_corrections())
    if not count:
        return Suggestions(version, 0, ())
    after = session.adapted()
    free = np.flatnonzero((now.by != USER) & (after.chosen != now.columns))
    found: dict[tuple[int, int], list[int]] = {}
    for row in free[np.argsort(-after.probabilities[free, after.chosen[free]], kind="stable")]:
        found.setdefault((int(now.columns[row]), int(after.chosen[row])), []).append(int(row))
    moves = [
        Move(now.names[old], now.names[new], tuple(rows)) for (old, new), rows in found.items()
    ]
    return Suggestions(version, count, tuple(sorted(moves, key=lambda move: -len(move.rows))))


def accept(
    session: Session,
    suggested: Suggestions,
    wanted: Sequence[int],
    without: Collection[int] = (),
) -> int:
    """Make the moves of these numbers, but for the rows in `without`, which stay where they are;
    the number of pictures that changed shelf. Raises `UserError` if the shelves have changed since.
    """
    staying = frozenset(without)
    with session.lock:
        if suggested.version != session.version:
            raise UserError("the shelves have changed since: look at the suggestions again")
        shelves: dict[str, list[int]] = {}
        for number in wanted:
            if not 0 <= number < len(suggested.moves):
                raise UserError("there is no suggestion of that number")
            move = suggested.moves[number]
            going = [row for row in move.rows if row not in staying]
            if going:
                shelves.setdefault(move.to, []).extend(going)
        if shelves:
            session.accept(shelves)
        return sum(map(len, shelves.values()))


def words_to_add(session: Session) -> tuple[WordsToAdd, ...]:
    """Words to count as a label, by the pictures that the model put on "other" and the user has not
    moved."""
    with session.lock:
        decided, now = session.made.resolved(), session.shelves
    return diagnose.words_to_add(decided, now.by == MODEL)


def widen(session: Session, name: str, words: Sequence[str]) -> int:
    """Count further words as the label `name`: one edit. The number of pictures that came onto its
    shelf. Raises `UserError` where there is no such label, or the words can't be used."""
    session.complete()
    with session.lock:
        before = session.shelves.columns
        session.relabel(label_edits.widened(session.edited.labels, name, words), {})
        column = session.names.index(name)
        return int(((session.shelves.columns == column) & (before != column)).sum())


def most_informative(session: Session, count: int) -> list[int]:
    """Up to `count` rows whose correction would help the others most."""
    session.complete()
    with session.lock:
        corrected = session.corrected
    decided = session.adapted()
    vectors = session.run.embeddings.vectors
    return active_learning.choose(vectors, decided.probabilities, sorted(corrected), count)


def preview_offset(session: Session, by: float) -> dict[str, tuple[int, int]]:
    """Shelf -> (pictures that would leave it, pictures that would come) at a threshold offset of
    `by` logits. Shelves without a change are left out."""
    check_offset(by)
    session.complete()
    with session.lock:
        now, run = session.shelves, session.run
    then = run.derive(replace(run.request, offset=by), run.corrections).decisions.chosen
    moving = (now.by == 0) & (then != now.columns)
    leave = np.bincount(now.columns[moving], minlength=len(now.names))
    come = np.bincount(then[moving], minlength=len(now.names))
    pairs = zip(now.names, leave.tolist(), come.tolist(), strict=True)
    return {name: (gone, new) for name, gone, new in pairs if gone or new}
