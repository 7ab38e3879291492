"""The user's own words, from a command line or from Python -> a `LabelSet`. For files see
labels_file.py.

A label is what the user wrote, and names the shelf: "cat", "a red bicycle", "animals/cat". A name
that means "everything else" ("other", "misc", "rest") is no label: that shelf always exists.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from zeroshelf import checks
from zeroshelf.errors import UserError
from zeroshelf.labels.normalise import comparable, dictionary_form, phrase
from zeroshelf.records import OTHER, Label, LabelSet

MEANS_OTHER = frozenset(
    (OTHER, "others", "misc", "miscellaneous", "rest", "the rest", "everything else", "none")
)
# Raises `UserError` for the key at which a label set is wrong, ("labels", "cat"), and the reason.
Refuse = Callable[[tuple[str, ...], str], NoReturn]


def parse(labels: Sequence[str] | Mapping[str, Sequence[str] | str | None] | LabelSet) -> LabelSet:
    """The label set for words as they come from a command line or from Python.

    "cat"                          a label
    "dog=puppy, golden retriever"  a label and other words for it
    "animals/cat"                  a label whose shelf is in another one; it asks for "cat"
    "!cartoon"                     a negative: pictures of it go to "other"
    {"dog": ["puppy"]}             the same as "dog=puppy"

    Raises `UserError` where a label or the set can't be used.
    """
    if isinstance(labels, LabelSet):
        return _typed(labels)
    written: list[tuple[str, Sequence[str]]]
    if isinstance(labels, Mapping):
        written = [(clean_text(name), _words(words)) for name, words in labels.items()]
    else:
        written = [split(clean_text(text)) for text in checks.each(labels, "labels", _unchecked)]
    made: list[Label] = []
    negatives: list[str] = []
    for name, words in written:
        add(name, words, made, negatives)
    return checked(LabelSet(tuple(made), negatives=tuple(negatives)))


def _words(words: object) -> list[str]:
    if words is None:
        return []
    return [words] if isinstance(words, str) else checks.texts(words, "the words of a label")


def _unchecked(item: object, what: str) -> Any:
    return item


def _typed(labels: LabelSet) -> LabelSet:
    """A label set that a program made, with tuples for its lists. Raises `UserError` where a field
    is of another type, or two labels or the shelf "other" have one name."""
    made: list[Label] = []
    for label in checks.each(labels.labels, "LabelSet.labels", _unchecked):
        checks.instance(label, Label, "each of LabelSet.labels")
        clean_text(label.name)
        threshold = label.threshold
        if threshold is not None:
            threshold = checks.probability(threshold, f"the threshold of {label.name!r}")
        words, prompts = (
            tuple(checks.texts(getattr(label, key), f"the {key} of {label.name!r}"))
            for key in ("words", "prompts")
        )
        made.append(replace(label, words=words, prompts=prompts, threshold=threshold))
    names = [comparable(label.name) for label in made]
    if not made:
        raise UserError("no labels: name at least one shelf, for example cat")
    for number, name in enumerate(names):
        if name == OTHER or name in names[:number]:
            raise UserError(f"there is a shelf {made[number].name!r} already: name another one")
    for key in ("kind", "language"):
        if (value := getattr(labels, key)) is not None or key == "language":
            checks.text(value, f"LabelSet.{key}")
    templates, negatives = (
        tuple(checks.texts(getattr(labels, key), f"LabelSet.{key}"))
        for key in ("templates", "negatives")
    )
    for template in templates:
        if template.count("{}") != 1:
            raise UserError(f'template {template!r} must contain "{{}}" once, for the label')
    typed = replace(labels, labels=tuple(made), templates=templates, negatives=negatives)
    return labels if typed == labels else typed


def split(text: str) -> tuple[str, tuple[str, ...]]:
    """ "dog=puppy, hound" -> "dog" and its words."""
    name, equals, words = text.partition("=")
    if not equals:
        return text, ()
    return name, tuple(word for word in words.split(",") if word.strip())


def add(name: str, words: Sequence[object], made: list[Label], negatives: list[str]) -> None:
    """Append a label to `made`, or where its name begins with "!" its words to `negatives`."""
    if name.strip().startswith("!"):
        negatives += [clean_text(word) for word in (name.strip()[1:], *words)]
    else:
        made.append(Label(shelf_name(name), tuple(clean_text(word) for word in words)))


def clean_text(text: object) -> str:
    """A text with single spaces. Raises `UserError` where it is no text, or empty."""
    if not isinstance(text, str):
        raise UserError(f"{checks.described(text)} isn't text; put it in quotes")
    text = " ".join(_as_typed(text).split())
    if not text:
        raise UserError("a label or one of its words is empty")
    return text


def _as_typed(text: str) -> str:
    """A label from the command line of a process whose locale is not UTF-8 (LC_ALL=C): its bytes,
    decoded as UTF-8 where they are valid."""
    if not any("\udc80" <= character <= "\udcff" for character in text):
        return text
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text


def shelf_name(name: object) -> str:
    """A label's name, as its shelf is called. Raises `UserError` where it can't be one."""
    text = unicodedata.normalize("NFC", clean_text(name))  # macOS encodes accents apart
    if not text.isprintable():
        raise UserError(f"label {text!r} contains characters that can't be seen: delete them")
    parts = [part.strip() for part in text.split("/")]
    if any(part in ("", ".", "..") for part in parts):
        raise UserError(f'label {text!r}: write plain names between slashes, as in "animals/cat"')
    return "/".join(parts)


def shelf_beside(labels: LabelSet, name: str) -> str:
    """`name` as the name of a further shelf. Raises `UserError` where it is that of a label or of
    "other"."""
    clean = shelf_name(name)
    for taken in (*labels.names, OTHER):
        if comparable(taken) == comparable(clean):
            raise UserError(f"{clean!r} is the shelf of {taken!r} already: name another one")
    return clean


def _refuse(key: tuple[str, ...], why: str) -> NoReturn:
    raise UserError(why)


def checked(labels: LabelSet, refuse: Refuse = _refuse) -> LabelSet:
    """The label set without the labels that mean "other". `refuse` is called where two labels are
    the same, one contradicts a negative, or none is left."""
    kept = _distinct(labels, refuse)
    if not kept and labels.labels:
        refuse(
            ("labels",),
            f'{labels.labels[0].name!r} means the shelf "other", which is always there: '
            "name at least one shelf more",
        )
    given = [(("labels", one.name), (one.name, *one.words)) for one in kept]
    for key, texts in (*given, (("negatives",), labels.negatives)):
        for text in texts:
            if not text.rpartition("/")[2].strip("_ "):
                refuse(key, f"{text!r} has no word that a picture could show: write one")
            if text.startswith("!"):
                refuse(
                    key,
                    f'{text!r} is no word: write a negative as a -l "!..." of its own, or under '
                    'negatives without the "!"',
                )
    if labels.negatives:
        _check_negatives(kept, labels, refuse)
    if not kept:
        refuse(("labels",), "no labels: name at least one shelf, for example cat")
    return replace(labels, labels=tuple(kept))


def _distinct(labels: LabelSet, refuse: Refuse) -> list[Label]:
    """The labels but those that mean "other"; `refuse` is called for the second of two."""
    kept: list[Label] = []
    seen: dict[str, str] = {}
    for label in labels:
        key, name = ("labels", label.name), comparable(label.name)
        if name in MEANS_OTHER:
            if label != Label(label.name):
                refuse(
                    key,
                    f"{label.name!r} is for what fits no label, so it has no words, prompts or "
                    "threshold: leave them out",
                )
            continue
        if name in seen:
            twice = "" if seen[name] == label.name else f" (as {seen[name]!r})"
            refuse(key, f"label {label.name!r} is given twice{twice}; once is enough")
        seen[name] = label.name
        kept.append(label)
    return kept


def _check_negatives(kept: Sequence[Label], labels: LabelSet, refuse: Refuse) -> None:
    """Call `refuse` for a negative that a label of `kept` asks for, in the singular or plural."""

    def meant(word: str) -> str:
        return comparable(dictionary_form(phrase(word), labels.language))

    words = {meant(word): one.name for one in kept for word in (one.name, *one.words)}
    for negative in labels.negatives:
        if (name := words.get(meant(negative))) is not None:
            refuse(
                ("negatives",),
                f"label {name!r} asks for what !{negative} keeps from every shelf: "
                "leave one of the two out",
            )
