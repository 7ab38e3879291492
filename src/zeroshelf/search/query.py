"""A search as the user writes it -> `Query`: terms with weights, words or pictures each.

"red car"     what the pictures are to show
"+snow"       with that too; the "+" may be left out
"-people"     without that
"2:cat"       twice the weight of a term without a number; also "+0.5:snow" and "-2:people"
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TypeAlias

from zeroshelf import checks
from zeroshelf.errors import ArgumentError
from zeroshelf.labels.parse import clean_text

Words: TypeAlias = str | Sequence[str] | Mapping[str, float]
Pictures: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

# A sign, and a weight before a colon. No digit may follow: "16:9 screenshot" and "10:30" are words.
_TERM = re.compile(r"\s*([+-]?)\s*(?:(\d+(?:\.\d+)?|\.\d+):(?!\d))?\s*(.*?)\s*", re.DOTALL)
MOST_TERMS = 100
_HEAVIEST = 1000.0


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a query."""

    text: str  # words, or the path of a picture
    weight: float = 1.0  # below 0: pictures without it are wanted
    is_picture: bool = False

    def __str__(self) -> str:
        sign = "-" if self.weight < 0 else "+"
        number = "" if abs(self.weight) == 1 else f"{abs(self.weight):g}:"
        return f"{sign}{number}{self.text}"


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for. Each term counts by its weight."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.terms)).removeprefix("+")

    @property
    def title(self) -> str:
        """The query as it is written, but a picture by the name of its file: a heading."""
        named = (
            replace(term, text=os.path.basename(term.text)) if term.is_picture else term
            for term in self.terms
        )
        return " ".join(map(str, named)).removeprefix("+")

    @property
    def name(self) -> str:
        """A name for a folder of hits: no path, and no folder in a folder."""
        parts = [
            f"{'-' if term.weight < 0 else ''}{os.path.basename(term.text)}"
            if term.is_picture
            else str(term).removeprefix("+")
            for term in self.terms
        ]
        return " ".join(parts).replace("/", " ").replace("\\", " ").strip()

    @property
    def words(self) -> tuple[Term, ...]:
        """The terms that are words."""
        return tuple(term for term in self.terms if not term.is_picture)

    @property
    def pictures(self) -> tuple[Term, ...]:
        """The terms that are pictures; their texts are paths."""
        return tuple(term for term in self.terms if term.is_picture)


def parse(words: Words | Query | None = None, image: Pictures | None = None) -> Query:
    """The query for words, pictures, or both.

    words: one text, several, or a mapping of texts to weights. A text may begin with a sign and a
        weight, see above; a mapping's keys are taken as they are. A query is taken as it is.
    image: the path of a picture, or several, with signs and weights as in `words`.

    Raises `ArgumentError` where there is nothing to search for, or a term is empty or has a weight
    of 0 or of more than 1,000.
    """
    terms = [*_words(words), *_pictures(image)]
    if not terms:
        raise ArgumentError('nothing to search for: give words, "red car", or a picture')
    if len(terms) > MOST_TERMS:
        raise ArgumentError(f"a search has up to {MOST_TERMS} terms, not {len(terms)}")
    return Query(tuple(terms))


def split(line: str) -> list[str]:
    """The terms of one line as a user types it: "red car +snow -people" has three. A sign begins a
    term where a space is before it and none behind it: "T-shirt" and "salt + pepper" are words."""
    return [part for part in re.split(r"\s+(?=[+-][^\s+-])", line.strip()) if part]


def _words(words: object) -> list[Term]:
    if words is None:
        return []
    if isinstance(words, Query):
        return [*words.terms]
    if isinstance(words, str):
        return [_term(words)]
    if isinstance(words, Mapping):
        return [Term(_named(text), _weight(weight)) for text, weight in words.items()]
    return [_term(text) for text in checks.texts(words, "words")]


def _pictures(image: object) -> list[Term]:
    if image is None:
        return []
    if isinstance(image, (str, os.PathLike)):
        paths = [checks.path(image, "image")]
    else:
        paths = checks.paths(image, "image")
    return [_picture(path) for path in paths]


def _picture(path: str) -> Term:
    """A path that exists is taken as it is, whatever it begins with."""
    if os.path.exists(path):
        return Term(path, is_picture=True)
    sign, number, name = _parts(path)
    return Term(os.path.expanduser(name), _signed(sign, number), is_picture=True)


def _term(written: str) -> Term:
    sign, number, text = _parts(written)
    return Term(_named(text), _signed(sign, number))


def _parts(written: str) -> tuple[str, str | None, str]:
    """Sign, weight and text of a term as it is written."""
    found = _TERM.fullmatch(written)
    assert found is not None  # its last group takes anything
    sign, number, text = found.groups()
    return sign, number, text


def _signed(sign: str, number: str | None) -> float:
    weight = _weight(float(number)) if number else 1.0
    return -weight if sign == "-" else weight


def _named(text: object) -> str:
    if not checks.text(text, "each of words").split():
        raise ArgumentError('a search term is empty: give words, "red car", or a picture')
    words = clean_text(text)
    if not words.isprintable():
        raise ArgumentError(f"the words {words!r} contain characters that can't be seen")
    return words


def _weight(weight: object) -> float:
    if isinstance(weight, bool) or not isinstance(weight, Real):
        raise checks.refuse("a weight", "a number", weight)
    try:
        number = float(weight)
    except OverflowError:  # an int of hundreds of digits
        number = float("inf")
    if not 0 < abs(number) <= _HEAVIEST:  # nor a NaN
        raise checks.refuse("a weight", f"a number up to {_HEAVIEST:g} and not 0", number)
    return number
