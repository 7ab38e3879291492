"""`zeroshelf runs` lists every run; `runs prune` removes only what undo can do without."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.colours import RED, ColourEncoder, paint
from tests.program import command
from zeroshelf.actions import lock
from zeroshelf.review.session import Session
from zeroshelf.run import reopen
from zeroshelf.runs import registry, removal

pytestmark = pytest.mark.usefixtures("colours")


@pytest.fixture
def three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The ids of three runs by their state: undone, the oldest, then applied, then planned."""
    paint(tmp_path / "P" / "a.png", RED)
    made = {}
    for state, to in (("undone", "U"), ("applied", "A"), ("planned", "L")):
        name = "plan" if state == "planned" else "sort"
        words = [name, tmp_path / "P", "-l", "red", "--to", tmp_path / to, "--as", "copy", "--json"]
        assert command(*words, *(["-y"] if name == "sort" else [])) == 0
        made[state] = json.loads(capsys.readouterr().out.splitlines()[-1])["run"]
        if state == "undone":
            assert command("undo", "-y") == 0
    capsys.readouterr()
    return made


def listed() -> list[str]:
    return [run.id for run in registry.all()]


def aged(id: str, days: int) -> str:
    """Make a run as old as that."""
    old = (datetime.now() - timedelta(days=days)).strftime("%Y%m%d-%H%M%S") + id[15:]
    os.rename(os.path.join(registry.root(), id), os.path.join(registry.root(), old))
    return old


def test_json_says_what_the_table_says(
    three: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("runs", "--json") == 0
    found = json.loads(capsys.readouterr().out)["runs"]
    assert [run["run"] for run in found] == [three[k] for k in ("planned", "applied", "undone")]
    assert [run["state"] for run in found] == ["planned", "applied", "undone"]
    for run in found:
        assert (run["kind"], run["pictures"], run["folder"]) == ("copy", 1, str(tmp_path / "P"))
        assert (
            abs(datetime.fromisoformat(run["when"]).timestamp() - os.stat(tmp_path).st_mtime) < 3e4
        )
    assert command("runs") == 0
    said = capsys.readouterr().out
    for run in found:
        for key in ("run", "state", "kind", "folder", "destination"):
            assert run[key] in said


def test_without_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("runs") == 0
    assert "No runs yet" in capsys.readouterr().out
    assert command("runs", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"runs": []}
    assert command("runs", "prune", "--all", "-y") == 0
    assert "No record to remove" in capsys.readouterr().out


def test_only_old_records_that_undo_does_without_are_removed(
    three: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("runs", "prune", "-y") == 0  # all are young
    assert len(listed()) == 3
    undone, applied = aged(three["undone"], 100), aged(three["applied"], 120)
    planned = aged(three["planned"], 80)
    assert command("runs", "prune", "-y", "--older-than", "101") == 0
    assert len(listed()) == 3
    assert command("runs", "prune", "-y", "--json") == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert ([run["run"] for run in said["runs"]], said["removed"]) == ([undone], 1)
    assert listed() == [planned, applied]
    assert command("undo", "-y") == 0


def test_all_spares_what_can_be_undone(three: dict[str, str], tmp_path: Path) -> None:
    assert command("runs", "prune", "--all", "-y") == 0
    assert listed() == [three["applied"]]
    left = sorted(path.name for path in Path(registry.root()).iterdir())
    assert left == [three["applied"], "locks", "reviews"]
    assert command("undo", "-y") == 0
    assert not (tmp_path / "A").exists()


def test_the_newest_are_kept(three: dict[str, str]) -> None:
    assert command("runs", "prune", "--all", "--keep", "2", "-y") == 0
    assert listed() == [three["planned"], three["applied"]]


def test_an_applied_run_goes_only_when_it_is_asked_for(
    three: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("runs", "prune", "--all", "--applied", "-y", "-q") == 0
    assert "1 run can't be undone afterwards" in capsys.readouterr().err  # told to the quiet too
    assert listed() == []
    assert (tmp_path / "A" / "red" / "a.png").exists() and (tmp_path / "P" / "a.png").exists()


def test_a_look_and_a_no_remove_nothing(
    three: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("runs", "prune", "--all", "-n") == 0
    assert "Would remove 2 records" in capsys.readouterr().out
    assert command("runs", "prune", "--all") == 2
    assert "pass --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert command("runs", "prune", "--all") == 0
    assert "Nothing was changed." in capsys.readouterr().out
    assert len(listed()) == 3


def test_edits_of_a_review_are_told_of(
    three: dict[str, str], encoder: ColourEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    with Session(reopen(three["planned"], encoder=encoder)) as session:
        session.place([0], "other")
    assert command("runs", "prune", "--all", "-n") == 0
    assert "1 record has edits of a review" in capsys.readouterr().err


def test_nothing_is_removed_while_somebody_works_on_it(
    three: dict[str, str],
    tmp_path: Path,
    encoder: ColourEncoder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prune = ("runs", "prune", "--all", "-y")
    with lock.hold(os.path.join(registry.root(), "locks"), "other", str(tmp_path / "P" / "deep")):
        assert command(*prune) == 2
    assert "another run is working in" in capsys.readouterr().err
    with Session(reopen(three["planned"], encoder=encoder)):
        assert command(*prune) == 2
    assert "under review" in capsys.readouterr().err
    assert len(listed()) == 3
    assert command(*prune) == 0


def test_a_run_that_was_carried_out_meanwhile_stays(three: dict[str, str]) -> None:
    found = removal.removable(0)
    assert command("apply", three["planned"], "-y") == 0
    left = removal.remove(found)
    assert [run.id for run, _ in left] == [three["planned"]]
    assert listed() == [three["planned"], three["applied"]]


def test_what_an_interrupted_removal_left_goes_with_the_next(
    three: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(shutil, "rmtree", stop)
        assert command("runs", "prune", "--all", "-y") == 130
    assert listed() == [three["applied"]]  # none is half there
    command("sort", "--help")
    assert [p for p in os.listdir(registry.root()) if p.startswith(".removed-")]
    assert command("undo", "-y") == 0
    assert command("runs", "prune", "--all", "-y") == 0
    assert not [p for p in os.listdir(registry.root()) if p.startswith(".removed-")]


def test_a_record_that_can_not_be_removed_is_named(
    three: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    assert command("runs", "prune", "--all", "-y") == 1
    assert "Permission denied" in capsys.readouterr().err
    assert len(listed()) == 3
