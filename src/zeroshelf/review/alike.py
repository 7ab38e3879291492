"""Near-duplicates side by side: which of them is the sharpest, and the others put elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zeroshelf.errors import Unreadable, UserError
from zeroshelf.images import decode, photo_facts
from zeroshelf.images.sharpness import SIDE, sharpness
from zeroshelf.review import one_picture
from zeroshelf.review.session import Session

MOST = 60  # pictures of one group that are compared


def group(session: Session, row: int) -> dict[str, Any]:
    """The pictures that are nearly the same as that of `row`, itself among them: for each its row,
    size and date, and how sharp it is. "sharpest" is the row of the best: the sharpest, then the
    one with most pixels, then the largest file. Reads the files. Raises `UserError` where no other
    picture is nearly the same."""
    rows = next((rows for rows in session.first.near_duplicates if row in rows), None)
    if rows is None:
        raise UserError("no other picture is nearly the same")
    found = [_about(session, one) for one in rows[:MOST]]
    shown = [one for one in found if one["pixels"]]
    best = max(shown, key=_rank) if shown else None
    return {
        "pictures": found,
        "sharpest": None if best is None else best["row"],
        "more": len(rows) - len(found),
    }


def keep(session: Session, kept: int, others: Sequence[int], shelf: str) -> tuple[int, int]:
    """Put `others` onto `shelf`, in one edit that an undo takes back: how many moved, and how many
    stayed because the user placed them before. Like an accepted suggestion, it teaches nothing: a
    second picture of a cat is no example of what fits no label. Raises `UserError` where they
    are not all nearly the same as the one that is kept."""
    alike = next((frozenset(rows) for rows in session.first.near_duplicates if kept in rows), None)
    if alike is None or kept in others or not alike.issuperset(others):
        raise UserError("these pictures are not nearly the same: look at them again")
    with session.lock:
        placed = session.corrected
        column = session.names.index(shelf) if shelf in session.names else None
        going = [row for row in others if row not in placed]
        stay = sum(row in placed and placed[row] != column for row in others)
        if going:
            session.accept({shelf: going})
    return len(going), stay


def _about(session: Session, row: int) -> dict[str, Any]:
    picture = session.first.pictures[row]
    path = one_picture.place(session, row)
    facts = photo_facts.of_file(path, picture.size, picture.mtime_ns)
    about: dict[str, Any] = {
        "row": row,
        "size": picture.size,
        "taken": None if facts.taken is None else facts.taken.strftime("%Y-%m-%d %H:%M:%S"),
        "width": None,
        "height": None,
        "pixels": 0,
        "sharpness": None,
    }
    try:
        decoded = decode.decode(decode.read(path), SIDE)
    except Unreadable:
        return about
    about |= {"width": decoded.width, "height": decoded.height}
    about["pixels"] = decoded.width * decoded.height
    about["sharpness"] = round(sharpness(decoded.image), 1)
    return about


def _rank(about: dict[str, Any]) -> tuple[float, int, int, int]:
    return about["sharpness"], about["pixels"], about["size"], -about["row"]
