"""Sorting again after a correction: no picture in two places by our doing, and each run undone."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.colours import BLUE, GREEN, RED, ColourEncoder, paint
from tests.making import statuses, tree, xmp
from tests.test_shares import refusing
from zeroshelf.actions import plan_file, transfer
from zeroshelf.actions.apply import apply
from zeroshelf.actions.tags.sidecars import add, tags
from zeroshelf.actions.undo import undo
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.records import OTHER, ActionKind, Plan
from zeroshelf.run import Run, classify
from zeroshelf.runs import registry

LABELS = ["red", "green"]
KINDS: tuple[ActionKind, ...] = ("copy", "symlink", "relative-symlink", "hardlink")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures a colour, one with a sidecar and one of an equal name in a folder of its own."""
    for index in range(2):
        for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
            r, g, b = (max(0, part - 2 * index) for part in colour)
            paint(tmp_path / "P" / f"{name}-{index}.png", (r, g, b), (40, 30 + index))
    (tmp_path / "P" / "red-0.png.xmp").write_bytes(xmp())
    paint(tmp_path / "P" / "more" / "red-0.png", (250, 1, 1), (44, 30))
    return tmp_path / "P"


def answers(folder: Path, labels: list[str] | None = None) -> Run:
    return classify(folder, labels or LABELS, encoder=ColourEncoder(), store=EmbeddingCache.open())


def carried_out(run: Run, to: Path | None, kind: ActionKind = "copy", **options: bool) -> str:
    """The run's record."""
    planned = run.plan(to, kind, **options)  # type: ignore[arg-type]
    assert statuses(run.apply(planned)) <= {"done"}
    assert run.record
    return run.record


def places(shelves: Path) -> dict[str, str]:
    """Of every file below the shelves, its shelf; each may be there once."""
    found = [path for path in shelves.rglob("*") if path.is_file() or path.is_symlink()]
    keyed = {f"{path.stat().st_size}-{path.name[:5]}": path.parent.name for path in found}
    assert len(keyed) == len(found), "a picture lies in two places"
    return keyed


@pytest.mark.parametrize("kind", KINDS)
def test_it_leaves_the_shelf_where_it_was(folder: Path, tmp_path: Path, kind: ActionKind) -> None:
    before = tree(tmp_path / "P")
    run, to = answers(folder), tmp_path / "S"
    first = carried_out(run, to, kind)
    after_first = tree(to)
    corrected = run.correct({"red-0.png": "green", "blue-0.png": "red"})
    second = carried_out(corrected, to, kind)
    assert corrected.decisions.labels != run.decisions.labels
    assert places(to)  # each once
    at = {Path(d.picture.path).relative_to(folder): d.label for d in corrected.decisions}
    assert (to / at[Path("red-0.png")] / "red-0.png").exists()
    assert (to / "green" / "red-0.png.xmp").exists(), "its sidecar went with it"
    assert not list((to / "red").glob("red-0.png.xmp"))
    assert statuses(undo(second)) <= {"done"}
    assert contents_of(tree(to)) == contents_of(after_first)
    assert statuses(undo(first)) <= {"done"}
    assert not to.exists()
    assert contents_of(tree(tmp_path / "P")) == contents_of(before)


def contents_of(found: Mapping[bytes, object]) -> dict[bytes, object]:
    """Without times of folders."""
    return {path: getattr(node, "content", None) for path, node in found.items()}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_runs_are_undone_in_any_order(
    folder: Path, tmp_path: Path, order: tuple[int, int, int]
) -> None:
    before = contents_of(tree(tmp_path / "P"))
    run, to = answers(folder), tmp_path / "S"
    records = [carried_out(run, to)]
    once = run.correct({"red-0.png": "green"})
    records.append(carried_out(once, to))
    records.append(carried_out(once.correct({"red-0.png": OTHER, "green-1.png": "red"}), to))
    for number in order:
        outcomes = undo(records[number])
        assert statuses(outcomes) <= {"done", "already"}, outcomes
    assert [path for path in to.rglob("*") if not path.is_dir()] == []
    assert contents_of(tree(tmp_path / "P")) == before


def test_what_was_changed_since_stays_and_is_named(folder: Path, tmp_path: Path) -> None:
    run, to = answers(folder), tmp_path / "S"
    carried_out(run, to)
    copy = to / "red" / "red-1.png"
    copy.write_bytes(copy.read_bytes() + b"edited")
    planned = run.correct({"red-1.png": "green"}).plan(to)
    assert "remove" not in {action.kind for action in planned.actions}
    assert any("changed since" in note for note in planned.notes)


def test_a_copy_is_not_removed_once_its_original_is_gone(folder: Path, tmp_path: Path) -> None:
    run, to = answers(folder), tmp_path / "S"
    carried_out(run, to)
    corrected = run.correct({"red-1.png": "green"})
    planned = corrected.plan(to)
    corrected.save(planned)
    assert corrected.record and "remove" in {action.kind for action in planned.actions}
    (folder / "red-1.png").unlink()
    apply(corrected.record)
    assert (to / "red" / "red-1.png").exists()
    assert not (to / "green" / "red-1.png").exists()


def test_nor_one_that_changes_between_plan_and_apply(folder: Path, tmp_path: Path) -> None:
    run, to = answers(folder), tmp_path / "S"
    carried_out(run, to)
    corrected = run.correct({"red-1.png": "green"})
    corrected.save(corrected.plan(to))
    copy = to / "red" / "red-1.png"
    copy.write_bytes(b"somebody's work")
    assert corrected.record
    outcomes = apply(corrected.record)
    assert copy.read_bytes() == b"somebody's work"
    assert {o.status for o in outcomes if "red-1" in o.action.source} == {"refused"}
    assert statuses(undo(corrected.record)) <= {"done", "already"}
    assert copy.read_bytes() == b"somebody's work"


def test_it_can_be_kept(folder: Path, tmp_path: Path) -> None:
    run, to = answers(folder), tmp_path / "S"
    carried_out(run, to)
    carried_out(run.correct({"red-1.png": "green"}), to, replace_earlier=False)
    assert (to / "red" / "red-1.png").exists() and (to / "green" / "red-1.png").exists()


def test_a_request_with_other_labels_takes_nothing_out_of_the_same_folder(
    folder: Path, tmp_path: Path
) -> None:
    to = tmp_path / "S"
    carried_out(answers(folder, ["red"]), to)
    planned = answers(folder, ["blue"]).plan(to)
    assert "remove" not in {action.kind for action in planned.actions}


def test_a_label_more_takes_pictures_out_of_other(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "S"
    carried_out(answers(folder), to)
    carried_out(answers(folder, [*LABELS, "blue"]), to)
    assert {path.name for path in (to / "blue").iterdir()} == {"blue-0.png", "blue-1.png"}
    assert list((to / OTHER).iterdir()) == []
    assert places(to)


def test_two_files_of_one_content_keep_their_two_copies(folder: Path, tmp_path: Path) -> None:
    (folder / "more" / "green-0.png").write_bytes((folder / "green-0.png").read_bytes())
    run, to = answers(folder), tmp_path / "S"
    carried_out(run, to)
    planned = run.plan(to)
    assert planned.actions == ()


@pytest.mark.parametrize("killed", range(6))
def test_killed_in_between_it_is_finished_or_undone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    run, to = answers(folder), tmp_path / "S"
    first = carried_out(run, to)
    after_first = contents_of(tree(to))
    corrected = run.correct({"red-0.png": "green", "red-1.png": OTHER})
    corrected.save(corrected.plan(to))
    assert corrected.record
    unlink, calls = os.unlink, []

    def dies(path: str, **options: object) -> None:
        if not os.path.basename(path).startswith(".zeroshelf"):
            calls.append(path)
            if len(calls) > killed // 2 and killed % 2 == 0:
                raise KeyboardInterrupt
        unlink(path)
        if len(calls) > killed // 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "unlink", dies)
    with pytest.raises(KeyboardInterrupt):
        apply(corrected.record)
    monkeypatch.undo()
    if killed < 3:
        assert statuses(apply(corrected.record)) <= {"done", "already"}
        assert places(to)
    assert statuses(undo(corrected.record)) <= {"done", "already"}
    assert contents_of(tree(to)) == after_first
    assert statuses(undo(first)) <= {"done"}


def test_a_tag_is_replaced_in_one_step(folder: Path, tmp_path: Path) -> None:
    before = contents_of(tree(folder))
    run = answers(folder)
    first = carried_out(run, None, "tag")
    after_first = contents_of(tree(folder))
    corrected = run.correct({"red-0.png": "green", "red-1.png": OTHER})
    second = carried_out(corrected, None, "tag")
    assert tags((folder / "red-0.png.xmp").read_bytes()) == {"zeroshelf/green"}
    assert not (folder / "red-1.png.xmp").exists(), "nothing but the tag was in it"
    assert statuses(undo(second)) <= {"done"}
    assert contents_of(tree(folder)) == after_first
    assert statuses(undo(first)) <= {"done"}
    assert contents_of(tree(folder)) == before


def test_a_tag_of_the_user_under_the_same_prefix_stays(folder: Path) -> None:
    path = folder / "red-0.png.xmp"
    path.write_bytes(add(path.read_bytes(), "zeroshelf/mine"))
    run = answers(folder)
    carried_out(run, None, "tag")
    carried_out(run.correct({"red-0.png": "green"}), None, "tag")
    assert tags(path.read_bytes()) == {"zeroshelf/green", "zeroshelf/mine"}


def test_a_plan_with_removals_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    run, to = answers(folder), tmp_path / "S"
    carried_out(run, to)
    planned = run.correct({"red-1.png": "green"}).plan(to)
    path = str(tmp_path / "plan.jsonl")
    plan_file.save(planned, path)
    assert plan_file.load(path) == planned
    assert isinstance(planned, Plan) and len(list(registry.all())) == 1


def test_nothing_is_removed_where_the_new_copy_fails(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, to = answers(folder), tmp_path / "S"
    carried_out(run, to)
    corrected = run.correct({"red-1.png": "green"})
    corrected.save(corrected.plan(to))
    publish = transfer.publish

    def fails(part: str, target: str, source: str | None = None) -> None:
        if target.endswith("red-1.png"):
            raise OSError(5, "Input/output error")
        publish(part, target, source)

    monkeypatch.setattr(transfer, "publish", fails)
    assert corrected.record
    outcomes = apply(corrected.record)
    monkeypatch.undo()
    assert {o.status for o in outcomes if "red-1" in o.action.source} <= {"failed", "refused"}
    assert (to / "red" / "red-1.png").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("undo_first", [False, True])
def test_the_same_folders_by_another_path(
    folder: Path, tmp_path: Path, kind: ActionKind, undo_first: bool
) -> None:
    """Named through a link the second time: what lies on the right shelf stays, and what was
    corrected leaves the wrong one."""
    before = tree(folder)
    (tmp_path / "link").symlink_to(tmp_path)
    to, by_link = tmp_path / "S", tmp_path / "link"
    first = carried_out(answers(folder), to, kind)
    same = answers(by_link / "P").plan(by_link / "S", kind)
    assert not same.actions
    corrected = answers(by_link / "P").correct({"red-0.png": "green"})
    second = carried_out(corrected, by_link / "S", kind)
    assert (to / "green" / "red-0.png").exists()
    assert places(to)
    order = [first, second] if undo_first else [second, first]
    for record in order:
        assert statuses(undo(record)) <= {"done", "already"}
    assert not to.exists()
    assert contents_of(tree(folder)) == contents_of(before)


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_shelf_refuses_the_names(
    folder: Path, tmp_path: Path, kind: ActionKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes and what takes its place, both under names that the file system takes."""
    for path in [path for path in folder.rglob("*.*") if path.is_file()]:
        path.rename(path.with_name(path.name.replace("-", ":")))
    to = tmp_path / "S"
    refusing(monkeypatch, to, [])
    before = tree(folder)
    first = carried_out(answers(folder), to, kind)
    corrected = answers(folder).correct({"red:0.png": "green"})
    second = carried_out(corrected, to, kind)
    assert not answers(folder).correct({"red:0.png": "green"}).plan(to, kind).actions
    assert (to / "green" / "red_0.png").exists() and (to / "green" / "red_0.png.xmp").exists()
    assert len(list(to.rglob("*.png"))) == 7
    assert statuses(undo(second)) <= {"done"}
    assert statuses(undo(first)) <= {"done"}
    assert not to.exists() and contents_of(tree(folder)) == contents_of(before)
