"""The user's own words -> a `LabelSet`. Owns the labels file, TOML or plain text: docs/labels.md.

A label is what the user wrote and names the shelf: "cat", "a red bicycle", "animals/cat". What says
"everything else" ("other", "misc", "rest") is no label: that shelf is always there.
"""

from __future__ import annotations

import codecs
import os
import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from zeroshelf import checks
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, Label, LabelSet

SAYS_OTHER = frozenset(
    (OTHER, "others", "misc", "miscellaneous", "rest", "the rest", "everything else", "none")
)

# What people write around what they look for, left and right of it: "this is a photo of a", "there
# is a", "in the picture". Not "drawing of" or "passport photo", which say how it looks.
_FRAME = re.compile(
    r"^((this|there|here|it) is |it's )?"
    r"((an? |the |my |some )?(photo|photograph|picture|image|pic|snapshot)s? "
    r"(of|showing|with|containing|depicting) )?"
    r"((an?|the|some) )?"
    r"|( in (the|this|an?) (photo|photograph|picture|image))?[.]?$",
    re.IGNORECASE,
)
_SET_KEYS = ("kind", "templates", "negatives", "language", "labels")
_LABEL_KEYS = ("words", "prompts", "threshold")


def parse(labels: Sequence[str] | Mapping[str, Sequence[str] | str | None] | LabelSet) -> LabelSet:
    """Words as they come from a command line or from Python.

    "cat"                          a label
    "dog=puppy, golden retriever"  a label and other words for it
    "animals/cat"                  a label whose shelf lies in another; "cat" is what is looked for
    "!cartoon"                     what is surely on no shelf
    {"dog": ["puppy"]}             the same as "dog=puppy"
    """
    if isinstance(labels, LabelSet):
        return _typed(labels)
    made: list[Label] = []
    negatives: list[str] = []
    written: list[tuple[str, Sequence[str]]]
    if isinstance(labels, Mapping):
        written = [(_text(name), _words(words)) for name, words in labels.items()]
    else:
        written = [_split(_text(text)) for text in checks.each(labels, "labels", _any)]
    for name, words in written:
        _add(name, words, made, negatives)
    return _checked(LabelSet(tuple(made), negatives=tuple(negatives)))


def _words(words: object) -> list[str]:
    if words is None:
        return []
    return [words] if isinstance(words, str) else checks.texts(words, "the words of a label")


def _any(item: object, what: str) -> Any:
    return item


def _typed(labels: LabelSet) -> LabelSet:
    """A label set as somebody made it, with tuples for its lists. Raises `UserError` where a field
    is of another type, or two labels or the shelf "other" have one name."""
    made: list[Label] = []
    for label in checks.each(labels.labels, "LabelSet.labels", _any):
        checks.instance(label, Label, "each of LabelSet.labels")
        _text(label.name)
        threshold = label.threshold
        if threshold is not None:
            threshold = checks.probability(threshold, f"the threshold of {label.name!r}")
        words, prompts = (
            tuple(checks.texts(getattr(label, key), f"the {key} of {label.name!r}"))
            for key in ("words", "prompts")
        )
        made.append(replace(label, words=words, prompts=prompts, threshold=threshold))
    names = [same(label.name) for label in made]
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
            raise UserError(f'template {template!r} must hold "{{}}" once, for the label')
    typed = replace(labels, labels=tuple(made), templates=templates, negatives=negatives)
    return labels if typed == labels else typed


def _add(name: str, words: Sequence[object], made: list[Label], negatives: list[str]) -> None:
    """What is written goes to `made`, or with a "!" before its name to `negatives`."""
    if name.strip().startswith("!"):
        negatives += [_text(word) for word in (name.strip()[1:], *words)]
    else:
        made.append(Label(shelf_name(name), tuple(_text(word) for word in words)))


def read(path: str | Path) -> LabelSet:
    """A labels file, in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    It is TOML where its name ends in .toml or it has a `labels` key, else a label per line, each
    as on the command line. Every error names the file and the line, and in TOML the key.
    """
    text = _content(path)
    if Path(path).suffix.lower() == ".toml" or _LABELS_KEY.search(text):
        return _File(str(path), text).label_set()
    return _plain_file(str(path), text)


def write(labels: LabelSet) -> str:
    """A label set -> the text of a labels file that `read` turns into the same label set."""
    lines = [
        f"{key} = {_toml(value)}"
        for key, value, default in (
            ("kind", labels.kind, None),
            ("language", labels.language, "en"),
            ("templates", labels.templates, ()),
            ("negatives", labels.negatives, ()),
        )
        if value != default
    ]
    lines += ["", "[labels]"] if lines else ["[labels]"]
    for label in labels:
        if not label.prompts and label.threshold is None:
            value = _toml(label.words)
        else:
            value = ", ".join(
                f"{key} = {_toml(getattr(label, key))}"
                for key in _LABEL_KEYS
                if getattr(label, key) not in ((), None)
            )
            value = f"{{ {value} }}"
        lines.append(f"{_toml(label.name)} = {value}")
    return "\n".join(lines) + "\n"


def spoken(name: str) -> str:
    """What is looked for in a picture: "animals/red_panda" and "a photo of a red panda" -> "red
    panda". The templates bring the frame and the article again.
    """
    words = " ".join(name.rpartition("/")[2].replace("_", " ").split())
    return _FRAME.sub("", words) or words


def same(name: str) -> str:
    """Equal for two names that are one to a person: in other case, or an accent written apart."""
    return unicodedata.normalize("NFC", name.casefold())


_LABELS_KEY = re.compile(  # [labels], labels = [...], labels.cat = ...
    r"""^[ \t]*(\[[ \t]*["']?labels["']?[ \t]*[\].]|["']?labels["']?[ \t]*[.=])""", re.MULTILINE
)
_COMMENT = re.compile(r"(^|\s)#.*")  # not the "#" of "C# book"
_ENCODINGS = {  # by their byte order marks, the longer before those that they begin with
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF8: "UTF-8-sig",
}


def _content(path: str | Path) -> str:
    """A file's text, its lines ended by "\\n". Raises `UserError` where it is none."""
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as trouble:  # ValueError: a NUL in the name
        reason = getattr(trouble, "strerror", None) or trouble
        raise UserError(f"{path}: can't be read ({reason})") from None
    encoding = next((_ENCODINGS[mark] for mark in _ENCODINGS if content.startswith(mark)), "UTF-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as trouble:
        name = encoding.removesuffix("-sig")
        raise UserError(f"{path}: isn't {name} text (byte {trouble.start})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain_file(path: str, text: str) -> LabelSet:
    """A label per line. A "#" that begins a line or a word begins a comment."""
    made: list[Label] = []
    negatives: list[str] = []
    numbers: dict[str, int] = {}  # a label's name -> its line
    for number, line in enumerate(text.split("\n"), 1):
        written = _COMMENT.sub("", line).strip()
        if not written:
            continue
        before = len(made)
        try:
            _add(*_split(_text(written)), made, negatives)
        except UserError as trouble:
            raise UserError(f"{path}, line {number}: {trouble}") from None
        if len(made) > before:
            numbers[made[-1].name] = number

    def refuse(key: tuple[str, ...], why: str) -> NoReturn:
        line = f", line {numbers[key[-1]]}" if key[-1] in numbers else ""
        raise UserError(f"{path}{line}: {why}")

    return _checked(LabelSet(tuple(made), negatives=tuple(negatives)), refuse)


def _split(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, words = text.partition("=")
    if not equals:
        return text, ()
    return name, tuple(word for word in words.split(",") if word.strip())


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise UserError(f"{checks.described(text)} isn't text; put it in quotes")
    text = " ".join(_as_typed(text).split())
    if not text:
        raise UserError("a label or one of its words is empty")
    return text


def _as_typed(text: str) -> str:
    """A label from the command line of a process whose locale is not UTF-8 (LC_ALL=C): its bytes,
    read as UTF-8 where they are that."""
    if not any("\udc80" <= character <= "\udcff" for character in text):
        return text
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text


def shelf_name(name: object) -> str:
    """A label's name, as its shelf is called. Raises `UserError` where it can't be one."""
    text = unicodedata.normalize("NFC", _text(name))  # as typed on a Mac is as typed elsewhere
    if not text.isprintable():
        raise UserError(f"label {text!r} holds characters that can't be seen")
    parts = [part.strip() for part in text.split("/")]
    if any(part in ("", ".", "..") for part in parts):
        raise UserError(f'label {text!r}: between slashes stand plain names, as in "animals/cat"')
    return "/".join(parts)


def is_probability(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def shelf_beside(labels: LabelSet, name: str) -> str:
    """`name` for a shelf of its own, beside those of the labels and "other"."""
    clean = shelf_name(name)
    for taken in (*labels.names, OTHER):
        if same(taken) == same(clean):
            raise UserError(f"{clean!r} is the shelf of {taken!r} already: name another one")
    return clean


def _refuse(key: tuple[str, ...], why: str) -> NoReturn:
    raise UserError(why)


def _checked(
    labels: LabelSet, refuse: Callable[[tuple[str, ...], str], NoReturn] = _refuse
) -> LabelSet:
    """Without the labels that say "other"; refuses doubles, contradictions and an empty set."""
    kept: list[Label] = []
    seen: dict[str, str] = {}
    for label in labels:
        at, folded = ("labels", label.name), same(label.name)
        if folded in SAYS_OTHER:
            if label != Label(label.name):
                refuse(at, f"{label.name!r} is for what fits no label, and asks for nothing itself")
            continue
        if folded in seen:
            twice = "" if seen[folded] == label.name else f" (as {seen[folded]!r})"
            refuse(at, f"label {label.name!r} is given twice{twice}; once is enough")
        seen[folded] = label.name
        kept.append(label)
    if not kept and labels.labels:
        refuse(
            ("labels",),
            f'{labels.labels[0].name!r} says "other", which is always there: '
            "name at least one shelf more",
        )
    said = [(("labels", one.name), one.words) for one in kept]
    for key, texts in (*said, (("negatives",), labels.negatives)):
        for text in texts:
            if text.startswith("!"):
                refuse(
                    key,
                    f'{text!r} is no word: a negative is a -l "!..." of its own, or stands under '
                    'negatives without the "!"',
                )
    words = {same(spoken(word)): one.name for one in kept for word in (one.name, *one.words)}
    for negative in labels.negatives:
        if (name := words.get(same(spoken(negative)))) is not None:
            refuse(
                ("negatives",),
                f"label {name!r} looks for what, as !{negative}, is on no shelf: leave one out",
            )
    if not kept:
        refuse(("labels",), "no labels: name at least one shelf, for example cat")
    return LabelSet(tuple(kept), labels.kind, labels.templates, labels.negatives, labels.language)


def _toml(value: Any) -> str:
    if isinstance(value, str):
        escaped = "".join(
            {"\\": "\\\\", '"': '\\"'}.get(c, c if c.isprintable() else f"\\U{ord(c):08X}")
            for c in value
        )
        return f'"{escaped}"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)


class _File:
    """One labels file on its way into a label set: knows where each key stands."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text

    def label_set(self) -> LabelSet:
        try:
            data = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as trouble:
            raise UserError(f"{self.path}: {_plain(str(trouble))}") from None
        except RecursionError:
            raise UserError(f"{self.path}: lists in lists, too deep to be labels") from None
        for key in data:
            if key not in _SET_KEYS:
                self._refuse((key,), f"unknown key; known are {', '.join(_SET_KEYS)}")
        if "labels" not in data:
            raise UserError(
                f'{self.path}: no [labels] table, which names the shelves: cat = ["kitten"]'
            )
        negatives = self._texts(data, "negatives", ())
        if isinstance(data["labels"], list):
            listed = self._listed(self._texts(data, "labels", ()))
            made, negatives = listed.labels, (*negatives, *listed.negatives)
        elif isinstance(data["labels"], dict):
            made = tuple(self._label(name, value) for name, value in data["labels"].items())
        else:
            self._refuse(("labels",), "must be a table of labels or a list of texts")
        templates = self._texts(data, "templates", ())
        for template in templates:
            if template.count("{}") != 1:
                self._refuse(("templates",), f'{template!r} must hold "{{}}" once, for the label')
        kind, language = (self._one(data, key) for key in ("kind", "language"))
        if language is not None and not re.fullmatch("[a-z]{2}", language):
            self._refuse(("language",), f'{language!r} must be two letters, as in "en" or "de"')
        return _checked(LabelSet(made, kind, templates, negatives, language or "en"), self._refuse)

    def _listed(self, texts: Sequence[str]) -> LabelSet:
        """A list of labels says what it would on the command line."""
        try:
            return parse(texts)
        except UserError as trouble:
            self._refuse(("labels",), str(trouble))

    def _label(self, name: str, value: object) -> Label:
        at = ("labels", name)
        if name.startswith("!"):
            self._refuse(at, f"what is on no shelf is named by negatives = [{_toml(name[1:])}]")
        try:
            clean = shelf_name(name)
        except UserError as trouble:
            self._refuse(at, str(trouble))
        if isinstance(value, (str, list)):
            value = {"words": [value] if isinstance(value, str) else value}
        if not isinstance(value, dict):
            self._refuse(at, "must be a list of words or a table with words, prompts, threshold")
        for key in value:
            if key not in _LABEL_KEYS:
                self._refuse(
                    (*at, key),
                    f"unknown key; a label has {', '.join(_LABEL_KEYS)}. "
                    'A shelf in a shelf is written "animals/cat"',
                )
        threshold = value.get("threshold")
        if threshold is not None and not is_probability(threshold):
            self._refuse((*at, "threshold"), f"{threshold!r} must be a number from 0 to 1")
        return Label(
            clean, self._texts(value, "words", at), self._texts(value, "prompts", at), threshold
        )

    def _texts(self, table: dict[str, Any], key: str, above: tuple[str, ...]) -> tuple[str, ...]:
        value = table.get(key, [])
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            self._refuse((*above, key), "must be a list of texts")
        try:
            return tuple(map(_text, value))
        except UserError as trouble:
            self._refuse((*above, key), str(trouble))

    def _one(self, table: dict[str, Any], key: str) -> str | None:
        value = table.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            self._refuse((key,), "must be a text")
        return value

    def _refuse(self, key: tuple[str, ...], why: str) -> NoReturn:
        raise UserError(f"{self.path}, line {self._line(key)}, {'.'.join(key)}: {why}")

    def _line(self, key: tuple[str, ...]) -> int:
        """Where the last part of `key` is first written, below where the parts above it are."""
        lines = self.text.splitlines()
        at = 0
        for part in key:
            spelt = (part, f'"{part}"', f"'{part}'", _toml(part))
            name = f"({'|'.join(map(re.escape, spelt))})"
            word = re.compile(
                rf"^\s*\[+([^#]*\.)?\s*{name}\s*[\].]"  # [labels.cat]
                rf"|(^|^[^#]*[.{{,])\s*{name}\s*[.=]"  # cat = ..., or cat.words = ...
            )
            at = next((n for n in range(at, len(lines)) if word.search(lines[n])), at)
        return at + 1


_NAME = 'a name with more in it than a-z, 0-9, "-" and "_" stands in quotes: "red car" = []'
_HINTS = {  # what tomllib says -> what is meant, in a file of labels
    "Expected '=' after a key in a key/value pair": _NAME,
    "Expected ']' at the end of a table declaration": _NAME,
    "Invalid statement": _NAME,
    "Invalid value": "text stands in quotes",
    "Cannot overwrite a value": "the name is there twice",
}


def _plain(trouble: str) -> str:
    """tomllib's "Invalid value (at line 3, column 5)" -> "line 3, column 5: Invalid value; text
    stands in quotes"."""
    found = re.fullmatch(r"(.*) \(at (.*)\)", trouble)
    if not found:
        return trouble
    hint = f"; {_HINTS[found[1]]}" if found[1] in _HINTS else ""
    return f"{found[2]}: {found[1]}{hint}"
