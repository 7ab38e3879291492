""" "No" is an answer, no mistake; and a folder that is sorted already is no mistake either."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from tests.colours import BLUE, RED, ColourEncoder, paint
from tests.making import tree
from tests.program import command
from zeroshelf.errors import UserError
from zeroshelf.models import installed, ort, select
from zeroshelf.run import classify
from zeroshelf.runs import registry

pytestmark = pytest.mark.usefixtures("colours")


@pytest.fixture
def place(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """P: sorted to S, with tags beside; Q: planned to T. A model "mine" is installed."""
    for name in ("P", "Q"):
        paint(tmp_path / name / "a.png", RED)
        paint(tmp_path / name / "b.png", BLUE)
    (tmp_path / "Q" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    label = ("-l", "red")
    assert command("sort", tmp_path / "P", *label, "--to", tmp_path / "S", "-y") == 0
    assert command("sort", tmp_path / "P", *label, "--as", "tag", "-y") == 0
    assert command("plan", tmp_path / "Q", *label, "--to", tmp_path / "T") == 1
    (home / "models" / "mine").mkdir(parents=True)
    (home / "models" / "mine" / installed.RECORD).write_text("{}")
    capsys.readouterr()
    return tmp_path


CONFIRMATIONS = {
    "sort": ["sort", "Q", "-l", "red", "--to", "N"],
    "sort json": ["sort", "Q", "-l", "red", "--to", "N", "--json"],
    "apply": ["apply"],
    "apply json": ["apply", "--json"],
    "undo": ["undo"],
    "undo quiet": ["undo", "-q"],
    "untag": ["untag", "P"],
    "models remove": ["models", "remove", "mine"],
    "runs prune": ["runs", "prune", "--all"],
    "teach": ["teach", "--correct", "a.png", "other"],
}


@pytest.mark.parametrize("words", CONFIRMATIONS.values(), ids=CONFIRMATIONS)
def test_no_is_zero_and_changes_nothing(
    words: list[str],
    place: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    asked: list[str] = []

    def no(text: str, **_: object) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", no)
    before = tree(place, home / "models")
    assert command(*words) == 0
    said = capsys.readouterr()
    assert asked or words[0] == "teach"  # which asks where there is something to learn
    assert tree(place, home / "models") == before
    if "--json" in words:
        json.loads(said.out)
        assert "Nothing was changed." in said.err
    elif "-q" not in words and asked:
        assert "Nothing was changed." in said.out


@pytest.mark.parametrize("words", CONFIRMATIONS.values(), ids=CONFIRMATIONS)
def test_ctrl_c_at_a_confirmation_is_130(
    words: list[str],
    place: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object, **__: object) -> bool:
        raise click.Abort

    monkeypatch.chdir(place)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", stop)
    before = tree(place, home / "models")
    assert command(*words) == (0 if words[0] == "teach" else 130)
    assert tree(place, home / "models") == before
    if words[0] != "teach":
        assert "run the same command again to resume" in capsys.readouterr().err


@pytest.mark.parametrize("words", CONFIRMATIONS.values(), ids=CONFIRMATIONS)
def test_where_no_user_can_answer_yes_is_asked_for(
    words: list[str],
    place: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    before = tree(place, home / "models")
    assert command(*words) == (0 if words[0] == "teach" else 2)
    if words[0] != "teach":
        assert "not running in a terminal: pass --yes to confirm" in capsys.readouterr().err
    assert tree(place, home / "models") == before


@pytest.mark.parametrize("kind", ["move", "copy"])
def test_nothing_new_to_sort_is_no_mistake(
    kind: str, tmp_path: Path, encoder: ColourEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a nightly job does: the folder is empty, or all that is in it is sorted already."""
    paint(tmp_path / "in" / "a.png", RED)
    paint(tmp_path / "in" / "deep" / "b.png", BLUE)
    words = (tmp_path / "in", "-l", "red", "--to", tmp_path / "S", "--as", kind)
    assert command("sort", *words, "-y") == 0
    capsys.readouterr()
    for _ in range(2):
        assert command("sort", *words, "-y") == 0
        assert "othing" in capsys.readouterr().out  # nothing new to sort; nothing to do
    assert command("plan", *words) == 0
    capsys.readouterr()
    assert command("sort", *words, "-y", "--json") == 0
    given = json.loads(capsys.readouterr().out)
    assert given["skipped"] == 0 and set(given["counts"]) == {"red", "other", "skipped"}
    assert (given["run"] is None) == (kind == "move")
    assert [run.state for run in registry.all()].count("applied") == 1
    if kind == "move":
        with pytest.raises(UserError, match="nothing new to sort"):
            classify(tmp_path / "in", ["red"], encoder=encoder)
        assert command("review", tmp_path / "in", "-l", "red", "--no-open") == 0
    assert command("undo", "-y") == 0
    (tmp_path / "in" / "a.png").unlink()
    (tmp_path / "in" / "deep" / "b.png").unlink()
    assert command("sort", *words, "-y") == 2  # undone: a folder without pictures, as any other


def test_its_own_shelves_are_nothing_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "a.png", RED)
    words = ("sort", tmp_path, "-l", "red", "--to", tmp_path / "S", "--as", "move", "-y")
    assert command(*words) == 0
    assert command(*words) == 0
    assert "nothing new to sort" in capsys.readouterr().out
    assert command("sort", tmp_path / "S", "-l", "red", "--to", tmp_path / "S", "-y") == 0
    assert "Nothing to do: no file would change." in capsys.readouterr().out
    assert (tmp_path / "S" / "red" / "a.png").exists()


def test_a_folder_that_never_held_pictures_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "P" / "a.png", RED)
    assert command("sort", tmp_path / "P", "-l", "red", "--to", tmp_path / "S", "-y") == 0
    (tmp_path / "empty").mkdir()
    words = ("sort", tmp_path / "empty", "-l", "red", "--to", tmp_path / "S", "-y")
    assert command(*words) == 2
    assert "no pictures in" in capsys.readouterr().err


def test_the_demo_is_a_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its broken picture is there to show how that is told; one of your own counts."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert command("demo") == 0
        assert "skipped IMG_0436.jpg" in capsys.readouterr().err
    (tmp_path / "zeroshelf-demo" / "pictures" / "mine.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    assert command("demo") == 1
    assert command("demo", "--pictures", "zeroshelf-demo/pictures", "--labels", "red") == 1


def test_review_takes_the_options_of_plan(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    monkeypatch.chdir(place)
    words = ("review", "Q", "-l", "red", "-l", "blue", "--exclude", "a.png", "--no-open")
    assert command(*words) == 0
    newest = registry.find(None)
    assert (newest.destination, newest.pictures) == (str(place / "Q") + "-sorted", 1)
    assert command(*words, "--as", "tag", "--prefix", "auto") == 0
    newest = registry.find(None)
    assert (newest.kind, newest.destination) == ("tag", str(place / "Q"))
    assert command("review", "Q", "--no-open") == 2
    assert "no labels" in capsys.readouterr().err
    for given in (("--as", "copy"), ("-l", "red"), ("--several",), ("--threshold", "0.5")):
        assert command("review", *given) == 2
        assert "needs a folder of pictures" in capsys.readouterr().err


def test_a_device_is_checked_before_any_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where every embedding is cached, and so nothing would ever be opened on it."""
    monkeypatch.undo()
    monkeypatch.setattr(ort, "devices", lambda: ("cpu",))
    starter = select.find("starter")
    for device, says in (
        ("cuda", "has no cuda"),
        ("gpu0", "unknown device 'gpu0'"),
        ("", "unknown"),
    ):
        with pytest.raises(UserError, match=says):
            select.load(starter, device)
    assert select.load(starter, "cpu").device is None
