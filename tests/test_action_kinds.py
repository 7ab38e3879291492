"""One class per action: what the program does with an action comes from its entry in `KINDS`."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tests.making import planned, statuses, tree
from tests.test_house import SOURCE
from zeroshelf.actions import kinds, plan, plan_file
from zeroshelf.actions.apply import apply
from zeroshelf.actions.kinds.shelved import Shelved
from zeroshelf.actions.tags import tagging
from zeroshelf.actions.undo import undo
from zeroshelf.commands import cli
from zeroshelf.records import Action

JPEG = b"\xff\xd8\xff"


class Pointer(Shelved):
    """A toy: a text file on the shelf that says where the picture is."""

    name = "pointer"
    done = "pointed at"
    choice = "Pointer"
    meaning = "A text file in {to} says where each picture is."

    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        with open(action.target, "x", encoding="utf-8") as file:
            file.write(action.source)
        return ()

    def is_result(self, action: Action, path: str) -> bool:
        try:
            return Path(path).read_text(encoding="utf-8") == action.source
        except (OSError, UnicodeDecodeError):
            return False


@pytest.fixture
def pointer(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(kinds.KINDS, "pointer", Pointer())
    return "pointer"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.jpg").write_bytes(JPEG + bytes([i]))
    (folder / "0.xmp").write_bytes(b"<x/>")
    return folder


def test_one_entry_adds_an_action_to_plan_apply_and_undo(
    tmp_path: Path, photos: Path, pointer: str
) -> None:
    to = tmp_path / "sorted"
    (to / "cat").mkdir(parents=True)
    (to / "cat" / "0.jpg").write_bytes(b"of the user")
    before = tree(tmp_path / "photos", to)
    record = planned(photos, to, pointer, ["cat"])
    actions = plan_file.load(os.path.join(record, "plan.jsonl")).actions
    assert len(actions) == 6 and {action.kind for action in actions} == {pointer}
    assert statuses(apply(record)) == {"done"}
    for action in actions:
        assert Path(action.target).read_text() == action.source
    assert (to / "cat" / "0.jpg").read_bytes() == b"of the user"
    assert statuses(apply(record)) == {"already"}
    Path(actions[-1].target).write_text("edited")
    assert [o.status for o in undo(record)].count("refused") == 1
    assert Path(actions[-1].target).read_text() == "edited"
    Path(actions[-1].target).unlink()
    assert statuses(undo(record)) <= {"done", "already"}
    assert tree(tmp_path / "photos", to) == before


def test_an_interrupted_one_is_recognised(tmp_path: Path, photos: Path, pointer: str) -> None:
    record = planned(photos, tmp_path / "sorted", pointer, ["cat"])
    assert statuses(apply(record)) == {"done"}
    journal = Path(record) / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"done"' not in line[:8]))
    assert statuses(apply(record)) == {"already"}
    assert statuses(undo(record)) == {"done"}
    assert not (tmp_path / "sorted").exists()


def test_it_is_offered_in_its_own_words(
    tmp_path: Path, photos: Path, pointer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = planned(photos, tmp_path / "sorted", pointer, ["cat"])
    made = plan_file.load(os.path.join(record, "plan.jsonl"))
    assert pointer in plan.possible(made)
    assert kinds.of(pointer).report(made) == f"pointed at, in {tmp_path / 'sorted'}"
    assert cli.main(["sort", "--help"]) == 0
    assert "pointer" in capsys.readouterr().out


def test_no_action_is_told_by_its_name_outside_of_its_class() -> None:
    names = {*kinds.KINDS}
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Compare):
                continue
            inside = [one for part in (node.left, *node.comparators) for one in ast.walk(part)]
            said = {one.value for one in inside if isinstance(one, ast.Constant)}
            if said & names:
                found.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert not found


def test_every_action_has_its_words() -> None:
    for name, kind in kinds.KINDS.items():
        assert kind.name == name and kind.done
        if kind.offered:
            assert kind.choice and kind.meaning.count("{to}") == 1
