"""What a page asks for, as JSON, -> edits of the session. What is no edit raises `ValueError`."""

from __future__ import annotations

from typing import Any

from zeroshelf.review import suggestions
from zeroshelf.review.session import Session


def edit_label(session: Session, given: dict[str, Any]) -> int:
    """Change the labels; how many pictures came onto a shelf that got further words, else 0."""
    match given:
        case {"do": "add", "label": str(text)}:
            session.add_label(text)
        case {"do": "rename", "label": str(name), "to": str(to)}:
            session.rename_label(name, to)
        case {"do": "merge", "label": str(name), "into": str(into)}:
            session.merge_label(name, into)
        case {"do": "drop", "label": str(name)}:
            session.drop_label(name)
        case {"do": "widen", "label": str(name), "words": [_, *_] as words}:
            return suggestions.widen(session, name, texts(words))
        case _:
            raise ValueError("no such edit")
    return 0


def placement(given: Any) -> tuple[list[int], str]:
    """The rows and the shelf of a placement."""
    match given:
        case {"do": "place", "rows": [*rows], "shelf": str(shelf)}:
            return numbers(rows), shelf
    raise ValueError("no such edit")


def accepted(moves: list[Any], given: dict[str, Any]) -> tuple[list[int], list[int]]:
    """The numbers of the moves that are accepted, and the rows of them that stay all the same."""
    match given.get("without", []):
        case [*without]:
            return numbers(moves), numbers(without)
    raise ValueError("without is a list of rows")


def numbers(given: list[Any]) -> list[int]:
    """Rows, or the numbers of moves: JSON's whole numbers. int() would take true and 0.5 too."""
    if any(type(number) is not int for number in given):
        raise ValueError("a list of whole numbers contains something else")
    return given


def texts(given: list[Any]) -> list[str]:
    if any(type(text) is not str for text in given):
        raise ValueError("a list of texts contains something else")
    return given
