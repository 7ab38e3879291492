"""A run whose record a newer version made is listed, and blocks only what could go wrong for it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.colours import GREEN, RED, ColourEncoder, paint
from tests.making import statuses, tree
from tests.program import command
from zeroshelf.actions import journal
from zeroshelf.actions.undo import undo
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import NothingToSort, UserError
from zeroshelf.run import Run, classify, reopen
from zeroshelf.runs import earlier, registry, removal
from zeroshelf.runs.registry import NewerRun

pytestmark = pytest.mark.usefixtures("colours")
Made = Callable[[str], str]


def sorted_run(folder: Path, to: Path, kind: str = "copy") -> Run:
    run = classify(folder, ["red", "green"], encoder=ColourEncoder(), store=EmbeddingCache.open())
    assert statuses(run.apply(run.plan(to, kind))) == {"done"}
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("red", RED), ("green", GREEN)):
        paint(tmp_path / "P" / f"{name}.png", colour)
    return tmp_path / "P"


def of_newer(record: str | None, *names: str) -> None:
    """Make these files of the record look as a newer version's do."""
    for name in names or ("run.json",):
        path = Path(record or "", name)
        text = path.read_text("ascii")
        first, rest = text.split("\n", 1) if name.endswith(".jsonl") else (text, "")
        head = json.loads(first)
        key = next(key for key in head if key.startswith("zeroshelf_"))
        path.write_text(json.dumps(head | {key: 99}) + "\n" + rest, "ascii")


RUN_JSON, JOURNAL = ("run.json",), ("journal.jsonl",)
BOTH = (*RUN_JSON, *JOURNAL)


@pytest.mark.parametrize("files", [RUN_JSON, JOURNAL, BOTH], ids=str)
def test_it_is_listed_with_what_is_known(
    folder: Path, tmp_path: Path, files: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = (sorted_run(folder, tmp_path / to) for to in "AB")
    of_newer(new.record, *files)
    listed = list(registry.all())
    assert [run.id for run in listed] == [new.id, old.id]
    found = listed[0]
    assert isinstance(found, NewerRun) and "newer zeroshelf" in found.why
    assert (found.folder, found.destination) == (str(folder), str(tmp_path / "B"))
    assert found.state == ("applied" if files == RUN_JSON else None) and found.may_be_in_place
    capsys.readouterr()
    assert command("runs") == 0
    out, err = capsys.readouterr()
    assert f"{new.id}: made by a newer version of zeroshelf: update to open it" in out + err
    assert str(old.id) in out and "newer" in out
    assert command("runs", "--json") == 0
    first, second = json.loads(capsys.readouterr().out)["runs"]
    assert (first["run"], first["state"], first["kind"]) == (new.id, "newer", None)
    assert (second["run"], second["state"], second["kind"]) == (old.id, "applied", "copy")


def test_what_would_open_it_is_refused_and_other_runs_open(folder: Path, tmp_path: Path) -> None:
    old, new = (sorted_run(folder, tmp_path / to) for to in "AB")
    of_newer(new.record)
    before = tree(Path(new.record or ""))
    for words in (["undo", new.id, "-y"], ["apply", new.id, "-y"], ["report", new.id]):
        assert command(*words) == 2
    with pytest.raises(UserError, match="newer zeroshelf"):
        reopen(new.id, encoder=ColourEncoder())
    for by_default in (registry.find, registry.newest_applied):  # it may be the one that is meant
        with pytest.raises(UserError, match=f"{new.id}, was made by a newer version.*name another"):
            by_default()
    assert command("undo", "-y") == 2
    assert (tmp_path / "A").is_dir() and (tmp_path / "B").is_dir()
    assert tree(Path(new.record or "")) == before
    assert len(reopen(old.id, encoder=ColourEncoder()).decisions) == 2
    assert command("undo", old.id, "-y") == 0
    assert not (tmp_path / "A").exists() and (tmp_path / "B" / "red" / "red.png").is_file()


def test_one_that_is_undone_is_in_nobodys_way(folder: Path, tmp_path: Path) -> None:
    old, new = (sorted_run(folder, tmp_path / to) for to in "AB")
    undo(new.record or "")
    of_newer(new.record)
    found = next(registry.all())
    assert isinstance(found, NewerRun) and found.state == "undone" and not found.may_be_in_place
    assert registry.newest_applied().id == old.id
    assert sorted_run(folder, tmp_path / "B").id


def test_a_record_without_a_journal_tells_no_state(folder: Path, tmp_path: Path) -> None:
    run = sorted_run(folder, tmp_path / "A")
    of_newer(run.record)
    os.unlink(os.path.join(run.record or "", journal.NAME))
    found = next(registry.all())
    assert found.state is None and found.may_be_in_place
    assert found.destination == str(tmp_path / "A")


def test_its_shelves_are_not_sorted_again(folder: Path, tmp_path: Path) -> None:
    run = sorted_run(folder, folder / "S", "move")
    of_newer(run.record)
    assert earlier.destinations(str(folder)) == {str(folder / "S")}
    with pytest.raises(NothingToSort):
        classify(folder, ["red"], encoder=ColourEncoder(), store=EmbeddingCache.open())
    paint(folder / "more.png", RED, (50, 50))
    more = classify(folder, ["red"], encoder=ColourEncoder(), store=EmbeddingCache.open())
    assert [d.picture.path for d in more.decisions] == [str(folder / "more.png")]


@pytest.mark.parametrize("said", [None, 3, "relative"], ids=str)
def test_where_its_shelves_are_unknown_nothing_is_sorted(
    folder: Path, tmp_path: Path, said: object
) -> None:
    run = sorted_run(folder, tmp_path / "A")
    facts = Path(run.record or "", "run.json")
    facts.write_text(json.dumps({"zeroshelf_run": 2, "folder": said, "destination": said}), "ascii")
    of_newer(run.record, *JOURNAL)
    assert next(registry.all()).destination is None
    before = tree(tmp_path / "A")
    with pytest.raises(UserError, match=rf"{run.id} was made by a newer version.*update"):
        classify(folder, ["red"], encoder=ColourEncoder(), store=EmbeddingCache.open())
    assert tree(tmp_path / "A") == before


def test_a_plan_for_the_same_shelves_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    of_newer(sorted_run(folder, tmp_path / "A").record)
    again = classify(folder, ["red", "green"], encoder=ColourEncoder(), store=EmbeddingCache.open())
    for to in ("A", "A/inside"):
        with pytest.raises(UserError, match=r"newer version.*--keep-earlier.*replace_earlier"):
            again.plan(tmp_path / to, "copy")
    assert again.plan(tmp_path / "A", "copy", replace_earlier=False)
    assert statuses(again.apply(again.plan(tmp_path / "elsewhere", "copy"))) == {"done"}


def test_tags_of_a_newer_run_on_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    run = classify(folder, ["red", "green"], encoder=ColourEncoder(), store=EmbeddingCache.open())
    run.apply(run.plan(None, "tag"))
    of_newer(run.record)
    with pytest.raises(UserError, match=r"newer version of zeroshelf.*--keep-earlier"):
        run.plan(None, "tag")
    shutil.copytree(folder, tmp_path / "other")
    other = classify(
        tmp_path / "other", ["red"], encoder=ColourEncoder(), store=EmbeddingCache.open()
    )
    other.plan(None, "tag")


def test_labels_of_a_newer_version_are_not_taken_for_others(folder: Path, tmp_path: Path) -> None:
    run = sorted_run(folder, tmp_path / "A")
    of_newer(run.record, "request.json")
    assert not isinstance(next(registry.all()), NewerRun)
    with pytest.raises(UserError, match=r"newer version of zeroshelf.*--keep-earlier"):
        run.plan(tmp_path / "A", "copy")


def test_undo_leaves_what_a_newer_version_may_have_undone(folder: Path, tmp_path: Path) -> None:
    """The second run removed a copy of the first, whose journal is a newer version's since."""
    first = sorted_run(folder, tmp_path / "A")
    again = classify(folder, ["red", "green"], encoder=ColourEncoder(), store=EmbeddingCache.open())
    second = again.correct({"red.png": "green"})
    second.apply(second.plan(tmp_path / "A", "copy"))
    of_newer(first.record, *JOURNAL)
    outcomes = undo(second.record or "")
    refused = [outcome for outcome in outcomes if outcome.status == "refused"]
    assert [outcome.action.kind for outcome in refused] == ["remove"]
    assert "newer zeroshelf" in refused[0].reason
    assert {o.status for o in outcomes if o not in refused} == {"done"}
    assert registry.find(second.id).state == "partly", "it can go on after an update"


def test_its_record_is_never_pruned(folder: Path, tmp_path: Path) -> None:
    old, new = (sorted_run(folder, tmp_path / to) for to in "AB")
    undo(new.record or "")
    of_newer(new.record, *BOTH)
    assert [run.id for run in removal.removable(0, applied=True)] == [old.id]
    assert command("runs", "prune", "--all", "--applied", "-y") == 0
    assert os.path.isdir(new.record or "") and not os.path.isdir(old.record or "")
    assert command("originals") == 0
