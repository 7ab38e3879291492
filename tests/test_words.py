"""Words that were replaced stay out of the code, the docs and the messages.

CONTRIBUTING.md lists the words that are used instead.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("src", "tests", "benchmarks", "training", "docs")
FILES = [
    path
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*")),
    )
    if path.suffix in {".py", ".md", ".html", ".js", ".css"} and path.name != "test_words.py"
]
RETIRED = [
    "near by",
    "far and wide",
    "along axes",
    "doctor",
    "comes by itself",
    "made by hand",
    "where other begins",
    "whence",
    "nobody",
    "holds",
    "kinds",
    "settle[ds]?",
    "flaws?",
    "carrying",
    "nouns of a run",
    "films?",
    "marks?",
    "marked",
    "unmarked",
    "taught",
    "strangers?",
    "misfits?",
    "likeness",
    "boldness",
    "it is gone",
]

# Where a retired word is right: the standard term of the field, or a name that an old file has.
EXCEPTIONS = {
    "marks?": r"pytest\.mark|byte[_ ]order[_ ]marks?|question[_ ]marks?|"  # standard terms
    # names of 0.1.0: its options, and the files in which it stored corrections
    r'OLD_OPTIONS = .*|"--(no-)?marks?"|assert "mark" not in|marks\.jsonl|zeroshelf_marks|'
    r'called corrections "marks"|_FOLDER = "marks"',
    "garbage": "garbage collection",
    "bar": r"BarColumn|apply-bar|scroll bar|Espresso Bar",  # of progress, of a window; a name
    # the classes of the actions: their package, its dictionary, and lists of their names in tests
    "kinds": r"(?-i:\b_?KINDS\b)|\bkinds[./]|[./]kinds\b|^ *(from|import) .*|^ +kinds,$"
    r"|self\._kinds = kinds|_kinds\b|kinds: Mapping\[str, Kind\]|names of the kinds",
    "settle[ds]?": r"edits\.settled|--settle",  # a file of 0.1.0; an option of watch
    "questions?": r"question\.json",  # the request of a run, written by 0.1.0
    "sheet": "contact[-_ ]sheet",
    "extras": r"onnx \(extras\)",  # of a Python package
    # the edit of 0.1.0 that sets the threshold offset; a weight of fonts
    "bold": r'"do": "bold"|"label", "bold"|"bold", "italic"',
    "recall": r"RECALL_ON|precision.*recall|recall.*precision",  # a flag of Windows; the metric
}


def words_of(text: str) -> str:
    """The words of a text, those inside of snake_case and camelCase names among them."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text)


@pytest.mark.parametrize("word", RETIRED)
def test_a_retired_word_does_not_come_back(word: str) -> None:
    assert len(FILES) > 200  # it looked
    pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
    allowed = re.compile(EXCEPTIONS.get(word, "(?!)"), re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(words_of(allowed.sub("", line)))
    ]
    assert not found, "\n".join(found)
