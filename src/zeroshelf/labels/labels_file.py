"""Labels files: TOML, or plain text with a label per line -> a `LabelSet`, and back to TOML. Their
format is documented in docs/labels.md.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from zeroshelf import checks
from zeroshelf.errors import UserError
from zeroshelf.labels.parse import add, checked, clean_text, parse, shelf_name, split
from zeroshelf.records import Label, LabelSet
from zeroshelf.system import text_files

_SET_KEYS = ("kind", "templates", "negatives", "language", "labels")
_LABEL_KEYS = ("words", "prompts", "threshold")
_LABELS_KEY = re.compile(  # [labels], labels = [...], labels.cat = ...
    r"""^[ \t]*(\[[ \t]*["']?labels["']?[ \t]*[\].]|["']?labels["']?[ \t]*[.=])""", re.MULTILINE
)
_COMMENT = re.compile(r"(^|\s)#.*")  # not the "#" of "C# book"


def read(path: str | Path) -> LabelSet:
    """The label set in the file at `path`: UTF-8, or UTF-16 or UTF-32 with a byte order mark.

    A file is TOML where its name ends in .toml or where it has a `labels` key; else it has a label
    per line, each as on the command line. Raises `UserError` where the file can't be read or used;
    the message names the file and the line, and in TOML the key.
    """
    text = text_files.read(path).replace("\r\n", "\n").replace("\r", "\n")
    if Path(path).suffix.lower() == ".toml" or _LABELS_KEY.search(text):
        return _File(str(path), text).label_set()
    return _plain_file(str(path), text)


def read_labels(file: str | os.PathLike[str]) -> LabelSet:
    """The label set in a labels file, for `classify` and `Index.classify`.

    file: its path; TOML, or plain text with a label a line (docs/labels.md).

    Raises `UserError` where the file can't be read or used, and names the line and in TOML the key.
    """
    return read(checks.path(file, "file"))


def write(labels: LabelSet) -> str:
    """The text of a TOML file from which `read` makes the same label set."""
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


def _plain_file(path: str, text: str) -> LabelSet:
    """The label set of a file with a label per line. A "#" at the start of a line or of a word
    begins a comment."""
    made: list[Label] = []
    negatives: list[str] = []
    numbers: dict[str, int] = {}  # a label's name -> its line
    for number, line in enumerate(text.split("\n"), 1):
        written = _COMMENT.sub("", line).strip()
        if not written:
            continue
        before = len(made)
        try:
            add(*split(clean_text(written)), made, negatives)
        except UserError as trouble:
            raise UserError(f"{path}, line {number}: {trouble}") from None
        if len(made) > before:
            numbers[made[-1].name] = number

    def refuse(key: tuple[str, ...], why: str) -> NoReturn:
        line = f", line {numbers[key[-1]]}" if key[-1] in numbers else ""
        raise UserError(f"{path}{line}: {why}")

    return checked(LabelSet(tuple(made), negatives=tuple(negatives)), refuse)


def _is_probability(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _toml(value: Any) -> str:
    """A text, a number or a list of texts in TOML."""
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
    """A labels file in TOML: checks each key, and names its line where it is wrong."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text

    def label_set(self) -> LabelSet:
        try:
            data = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as trouble:
            raise UserError(f"{self.path}: {_explained(str(trouble))}") from None
        except RecursionError:
            raise UserError(f"{self.path}: its lists are nested too deeply") from None
        for key in data:
            if key not in _SET_KEYS:
                self._refuse((key,), f"unknown key; known are {', '.join(_SET_KEYS)}")
        if "labels" not in data:
            raise UserError(
                f'{self.path}: no [labels] table; it names the shelves: cat = ["kitten"]'
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
                self._refuse(
                    ("templates",), f'{template!r} must contain "{{}}" once, for the label'
                )
        kind, language = (self._one(data, key) for key in ("kind", "language"))
        if language is not None and not re.fullmatch("[a-z]{2}", language):
            self._refuse(("language",), f'{language!r} must be two letters, as in "en" or "de"')
        return checked(LabelSet(made, kind, templates, negatives, language or "en"), self._refuse)

    def _listed(self, texts: Sequence[str]) -> LabelSet:
        """The label set of a list of texts, which are written as on the command line."""
        try:
            return parse(texts)
        except UserError as trouble:
            self._refuse(("labels",), str(trouble))

    def _label(self, name: str, value: object) -> Label:
        at = ("labels", name)
        if name.startswith("!"):
            self._refuse(
                at, f"write a negative in the file's list: negatives = [{_toml(name[1:])}]"
            )
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
        if threshold is not None and not _is_probability(threshold):
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
            return tuple(map(clean_text, value))
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
        """The number of the line where the last part of `key` is first written, below the lines of
        the parts before it."""
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


_NAME = 'put a name with other characters than a-z, 0-9, "-" and "_" in quotes: "red car" = []'
_HINTS = {  # a message of tomllib -> what to do in a labels file
    "Expected '=' after a key in a key/value pair": _NAME,
    "Expected ']' at the end of a table declaration": _NAME,
    "Invalid statement": _NAME,
    "Invalid value": "put text in quotes",
    "Cannot overwrite a value": "the name is given twice",
}


def _explained(trouble: str) -> str:
    """tomllib's "Invalid value (at line 3, column 5)" -> "line 3, column 5: Invalid value; put
    text in quotes"."""
    found = re.fullmatch(r"(.*) \(at (.*)\)", trouble)
    if not found:
        return trouble
    hint = f"; {_HINTS[found[1]]}" if found[1] in _HINTS else ""
    return f"{found[2]}: {found[1]}{hint}"
