"""A count and its words agree: "1 picture", never "1 pictures"."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from tests.colours import GREY, RED, ColourEncoder, paint
from zeroshelf import counting
from zeroshelf.commands import cli
from zeroshelf.models import select
from zeroshelf.run import classify

SOURCE = Path(__file__).parent.parent / "src" / "zeroshelf"
VERBS = {"was", "is", "has", "fits", "lies", "gets", "goes", "looks", "unless"}
WRONG = re.compile(r"(?<![\d.,/:~-])\b1 ([a-z]+(?:s|ies))\b")


def wrong(said: str) -> list[str]:
    """What is counted as one and written as many."""
    return [word for word in WRONG.findall(said) if word not in VERBS]


def test_what_is_wrong_is_found() -> None:
    assert wrong("1 pictures and 1 file, 1 was there, 21 files, 2.1 files") == ["pictures"]


def test_counted() -> None:
    assert doctest.testmod(counting).failed == 0


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_no_message_counts_by_itself(path: Path) -> None:
    """A number in a message is followed by words only through `counted`."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"\{[^{}]*:,\} (?!more\b|of\b|x\b|MB\b)[a-z]+", text)
    found += re.findall(r"\{(?:len\([^{}]*\)|count|[a-z_.]*count)\} [a-z]+s\b", text)
    allowed = {
        "actions/disk_space.py": ["{free:,} free"],
        "decisions/diagnose.py": ["{kept:,} pictures"],  # ENOUGH at the least
        "decisions/calibrate.py": ["{len(shown)} pictures", "{len(known)} names"],  # dozens
    }
    assert found == allowed.get(path.relative_to(SOURCE).as_posix(), [])


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch, encoder: ColourEncoder) -> None:
    monkeypatch.setattr(select, "find", lambda name=None: encoder.model)
    monkeypatch.setattr(select, "load", lambda *_, **__: encoder)


def test_one_of_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command on a folder of one picture says "1 picture"."""
    paint(tmp_path / "P" / "a.png", RED)
    paint(tmp_path / "Q" / "deep" / "a.png", RED)
    (tmp_path / "Q" / "b.jpg").write_bytes((tmp_path / "P" / "a.png").read_bytes()[:40])
    to = ["--to", str(tmp_path / "S")]
    labels = ["-l", "red", "-l", "red car", "-l", "blue"]
    first = ["sort", str(tmp_path / "P"), *labels, *to, "-y", "-v"]
    for words in (
        first,
        first,  # again: it already lies there
        ["sort", str(tmp_path / "Q"), *labels, *to, "-y", "-v"],  # its name is taken
        ["runs"],
        ["cache"],
        ["teach", "--correct", "deep/a.png", "blue"],
        ["teach", "--export", str(tmp_path / "exported.jsonl")],
        ["undo", "-y"],
        ["sort", str(tmp_path / "P"), *labels, *to, "-y"],  # follows what was said
        ["sort", str(tmp_path / "P"), *labels, "--to", str(tmp_path / "T"), "-y", "--several"],
        [
            "sort",
            str(tmp_path / "P"),
            *labels,
            "--to",
            str(tmp_path / "U"),
            "--ambiguous",
            "x",
            "-n",
        ],
        ["sort", str(tmp_path / "P"), *labels, "--as", "tag", "-y"],
        ["sort", str(tmp_path / "P"), *labels, "--as", "tag", "-y"],
        ["untag", str(tmp_path / "P"), "-y"],
        ["suggest", str(tmp_path / "P")],
        ["runs", "prune", "--all", "--keep", "5", "-y"],
        ["cache", "prune", "--all"],
    ):
        assert cli.main(words) in (0, 1), words
        said = capsys.readouterr()
        assert not wrong(said.out + said.err), words
        if words is first:
            assert "1 file copied" in said.out or "1 is already on its shelf" in said.err


def test_the_notes_of_one_picture(tmp_path: Path, encoder: ColourEncoder) -> None:
    dim = GREY[0] // 20, 0, 0
    paint(tmp_path / "dark.png", dim, (200, 200))
    run = classify(tmp_path, ["red"], encoder=encoder)
    assert any(note.startswith("1 picture is dark or blurred: it must") for note in run.notes)
    assert not wrong(" ".join(run.notes))
