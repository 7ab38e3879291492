"""One picture of a session: where its file is now, and what is known about it."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from zeroshelf.actions import kinds, plan_file
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode, photo_facts
from zeroshelf.review.session import Session
from zeroshelf.review.shelves import USER


def place(session: Session, row: int) -> str:
    """The picture's path now: its old one, or the one that the plan gave it."""
    path = session.first.pictures[row].path
    if os.path.exists(path) or not kinds.of(session.planned.kind).takes_away:
        return path
    return moved(session).get(path, path)


def moved(session: Session) -> dict[str, str]:
    """Where the plan puts each file: source -> target."""
    planned = plan_file.load(os.path.join(session.record, "plan.jsonl"))
    return {action.source: action.target for action in planned.actions}


def about(session: Session, row: int) -> dict[str, Any]:
    """What the page shows beside a large picture. Reads the file."""
    with session.lock:
        decision = session.decisions[row]
        by = int(session.shelves.by[row])
    picture = session.first.pictures[row]
    reason = decision.reason if by != USER else "you placed it here"
    where = place(session, row)
    found = {"path": where, "size": picture.size, "reason": reason, "top": decision.top}
    found["other"] = float(session.decisions.probabilities[row, -1])
    facts = photo_facts.of_file(where, picture.size, picture.mtime_ns)
    found["taken"] = None if facts.taken is None else facts.taken.strftime("%Y-%m-%d %H:%M")
    found |= {"camera": facts.camera, "place": facts.place}
    try:
        decoded = decode.decode(decode.read(where), 32)
        found |= {"width": decoded.width, "height": decoded.height, "note": decoded.note}
        found["changed"] = day(os.stat(where).st_mtime)
    except (Unreadable, OSError) as trouble:
        found["note"] = f"can't be shown now: {trouble}"
    return found


def day(seconds: float) -> str | None:
    """A file's time in words; None if it is out of range, as the year 30828 is."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return None
