"""Shelves within shelves, by what the pictures' files say: "{label}/{year}" makes cat/2024.

What a file doesn't say has a folder of its own, `UNDATED` and so on: it is never guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from zeroshelf.counting import counted
from zeroshelf.errors import UserError
from zeroshelf.images import photo_facts
from zeroshelf.images.photo_facts import PhotoFacts
from zeroshelf.records import LABEL_ONLY, Picture, Progress

if TYPE_CHECKING:
    from zeroshelf.actions.kinds.base import Placement

UNDATED, NO_CAMERA, NO_PLACE = "undated", "unknown camera", "unknown place"
_FIELD = re.compile(r"\{([^{}]*)\}")


def _dated(form: str) -> Callable[[PhotoFacts], str]:
    return lambda facts: UNDATED if facts.taken is None else facts.taken.strftime(form)


def _year(facts: PhotoFacts) -> str:
    return UNDATED if facts.taken is None else f"{facts.taken.year:04}"


def _camera(facts: PhotoFacts) -> str:
    return NO_CAMERA if facts.camera is None else facts.camera.replace("/", "-")


def place(facts: PhotoFacts) -> str:
    """The place to a tenth of a degree, 11 km or less: "48.9N 2.4E"."""
    if facts.place is None:
        return NO_PLACE
    latitude, longitude = facts.place
    north, east = "S" if latitude < 0 else "N", "W" if longitude < 0 else "E"
    return f"{abs(latitude):.1f}{north} {abs(longitude):.1f}{east}"


FIELDS: dict[str, Callable[[PhotoFacts], str]] = {
    "year": _year,
    "month": _dated("%m"),
    "day": _dated("%d"),
    "camera": _camera,
    "place": place,
}


def checked(template: str) -> str:
    """The template, without slashes at its ends. Raises `UserError` where it isn't one."""
    fields = _FIELD.findall(template)
    for name in fields:
        if name != "label" and name not in FIELDS:
            raise UserError(
                f"--shelf-path has no {{{name}}}; there are {{label}}, "
                + ", ".join(f"{{{known}}}" for known in FIELDS)
            )
    parts = template.strip("/").split("/")
    if "label" not in fields:
        raise UserError('--shelf-path needs {label}: for example "{label}/{year}"')
    if re.search(r"[{}]", _FIELD.sub("", template)):
        raise UserError(f"--shelf-path {template!r} has a brace too many")
    if template.startswith("/") or any(part.strip() in ("", ".", "..") for part in parts):
        raise UserError(f"--shelf-path {template!r} is no path below the destination")
    return "/".join(parts)


def of(
    template: str, placements: Sequence[Placement], progress: Progress | None = None
) -> tuple[Callable[[Picture, str], str], tuple[str, ...]]:
    """A function that gives the path of a picture's shelf of a label below the destination, as a
    label is written ("/" between its parts), and notes for the user. Files are read only if the
    template asks for what they say."""
    if template == LABEL_ONLY:
        return lambda picture, label: label, ()
    wanted = [name for name in dict.fromkeys(_FIELD.findall(template)) if name != "label"]
    known = photo_facts.of((picture for picture, _, _ in placements), progress) if wanted else {}

    def path_of(picture: Picture, label: str) -> str:
        facts = known.get(picture.path, photo_facts.NOTHING)
        values = {name: FIELDS[name](facts) for name in wanted} | {"label": label}
        return _FIELD.sub(lambda match: values[match[1]], template)

    return path_of, tuple(_notes(wanted, known.values()))


def _notes(wanted: Iterable[str], known: Iterable[PhotoFacts]) -> Iterable[str]:
    """How many pictures lack what the template asks for, and where they go."""
    facts = list(known)
    lacking = {
        UNDATED: (("year", "month", "day"), Counter(one.taken is None for one in facts)[True]),
        NO_CAMERA: (("camera",), Counter(one.camera is None for one in facts)[True]),
        NO_PLACE: (("place",), Counter(one.place is None for one in facts)[True]),
    }
    words = {UNDATED: "no date taken", NO_CAMERA: "no camera", NO_PLACE: "no place"}
    for folder, (names, count) in lacking.items():
        if count and not {*names}.isdisjoint(wanted):
            what = counted(count, "picture has", "pictures have")
            goes = "it goes" if count == 1 else "they go"
            yield f'{what} {words[folder]} in the file: {goes} to "{folder}"'
