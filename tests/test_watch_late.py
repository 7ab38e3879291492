"""Files that belong to a picture and arrive after it was sorted."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.colours import BLUE, RED, paint
from tests.making import tree, xmp
from tests.watching import Watched, names, settings
from zeroshelf.actions import undo
from zeroshelf.run import classify, reopen
from zeroshelf.runs import registry
from zeroshelf.watch import late, past_runs

DAY = timedelta(days=1).total_seconds()


@pytest.fixture
def shelves(tmp_path: Path) -> Path:
    return tmp_path / "shelves"


@pytest.fixture
def watched(inbox: Path, shelves: Path) -> Watched:
    return Watched(settings(inbox, shelves))


LATE = [
    "a.xmp", "a.jpg.xmp", "a_01.jpg.xmp", "a.aae", "a.jpg.json", "a.cr2", "a.mov", "a.jpg_original",
    "a_hevc.mov", "A.XMP",
]  # fmt: skip


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("again", [False, True], ids=["the same process", "another process"])
def test_a_late_companion_follows_its_picture_and_is_undone(
    watched: Watched, inbox: Path, shelves: Path, name: str, again: bool
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    assert names(shelves) == ["red/a.jpg"]
    (inbox / name).write_bytes(b"belongs to a.jpg")
    before = tree(inbox)
    if again:
        watched.start()
    lines = watched.go(20)
    assert names(shelves) == sorted(["red/a.jpg", f"red/{name}"])
    assert (shelves / "red" / name).read_bytes() == b"belongs to a.jpg"
    newest, _ = registry.all()
    assert f"1 file follows its picture to the shelf (zeroshelf undo {newest.id})" in lines
    assert len(watched.watcher.told.runs) == (1 if again else 2)
    undo.undo(newest.record)
    assert tree(inbox) == before and names(shelves) == ["red/a.jpg"]
    watched.go(60)
    watched.start()
    watched.go(60)
    assert names(inbox) == [name], "put back by the user"


def test_it_is_given_the_name_that_its_picture_was_given(
    watched: Watched, inbox: Path, shelves: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    paint(inbox / "a.jpg", (190, 10, 10))
    watched.go(20)
    (inbox / "a.xmp").write_bytes(xmp())
    (inbox / "a.jpg.xmp").write_bytes(xmp())
    watched.go(20)
    found = ["red/a (2).jpg", "red/a (2).jpg.xmp", "red/a (2).xmp", "red/a.jpg"]
    assert names(shelves) == found, "with the newest picture of that name"


def test_no_file_is_replaced(watched: Watched, inbox: Path, shelves: Path) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    (shelves / "red" / "a.xmp").write_text("the user's")
    (inbox / "a.xmp").write_bytes(xmp())
    assert any("left alone: a.xmp: a file of that name" in line for line in watched.go(20))
    assert watched.go(600) == []
    assert (shelves / "red" / "a.xmp").read_text() == "the user's"
    assert names(inbox) == ["a.xmp"]
    (shelves / "red" / "a.xmp").unlink()
    (inbox / "a.xmp").write_bytes(xmp() + b"\n")
    watched.go(20)
    assert names(shelves) == ["red/a.jpg", "red/a.xmp"]


@pytest.mark.parametrize("action", ["copy", "hardlink", "symlink"])
def test_a_late_companion_of_an_original_that_stays(
    inbox: Path, shelves: Path, action: str
) -> None:
    watched = Watched(settings(inbox, shelves, action=action))
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    (inbox / "a.xmp").write_bytes(xmp())
    for _ in range(2):
        watched.go(60)
        watched.start()
    assert names(shelves) == ["red/a.jpg", "red/a.xmp"] and names(inbox) == ["a.jpg", "a.xmp"]
    assert len(list(registry.all())) == 2


def test_it_stays_with_a_picture_that_an_undo_put_back(
    watched: Watched, inbox: Path, shelves: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    undo.undo(next(registry.all()).record)
    (inbox / "a.xmp").write_bytes(xmp())
    watched.go(60)
    assert names(inbox) == ["a.jpg", "a.xmp"] and len(list(registry.all())) == 1


def test_it_goes_where_a_later_run_moved_its_picture(
    watched: Watched, inbox: Path, shelves: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    run = classify(shelves / "red", ["red"], encoder=watched.encoder)
    run.apply(run.plan(shelves / "archive", "move"))
    assert names(shelves) == ["archive/red/a.jpg"]
    (inbox / "a.xmp").write_bytes(xmp())
    watched.go(20)
    assert names(shelves) == ["archive/red/a.jpg", "archive/red/a.xmp"]


def test_it_stays_where_its_picture_was_taken_away(
    watched: Watched, inbox: Path, shelves: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    (shelves / "red" / "a.jpg").unlink()
    (inbox / "a.xmp").write_bytes(xmp())
    watched.go(60)
    assert names(inbox) == ["a.xmp"]


def test_one_of_another_folder_or_another_name_is_none(
    watched: Watched, inbox: Path, shelves: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    (inbox / "x").mkdir()
    (inbox / "x" / "a.xmp").write_bytes(xmp())
    (inbox / "ab.xmp").write_bytes(xmp())
    watched.go(60)
    assert names(inbox) == ["ab.xmp", "x/a.xmp"]


def test_a_picture_of_another_day_is_sorted_by_itself(
    watched: Watched, inbox: Path, shelves: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    other = paint(inbox.parent / "b.jpg", BLUE)
    at = other.stat().st_mtime - 3 * DAY
    os.utime(other, (at, at))
    other.rename(inbox / "a.jpg_original")
    watched.go(20)
    assert names(shelves) == ["blue/a.jpg_original", "red/a.jpg"]


def test_a_new_picture_takes_its_own_sidecar_along(
    watched: Watched, inbox: Path, shelves: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    paint(inbox / "a.jpg", BLUE)
    (inbox / "a.xmp").write_bytes(xmp())
    watched.go(20)
    assert names(shelves) == ["blue/a.jpg", "blue/a.xmp", "red/a.jpg"]
    assert len(list(registry.all())) == 2


def test_pictures_are_remembered_for_a_while(
    watched: Watched, inbox: Path, shelves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    monkeypatch.setattr(past_runs, "MEMORY", timedelta(days=-1))
    (inbox / "a.xmp").write_bytes(xmp())
    watched.go(60)
    assert names(inbox) == ["a.xmp"]


def test_the_jpeg_of_a_raw_that_came_first(inbox: Path, tmp_path: Path) -> None:
    taken = past_runs.Placed(str(inbox / "a.cr2"), str(inbox), "red", 5, 0, None)
    raw, jpeg = taken.source, str(inbox / "a.jpg")
    assert list(late.find([], [jpeg], {raw: taken}, {jpeg: (5, 0, 0)})) == [jpeg]


def test_a_kill_before_the_file_is_moved_is_made_good(
    watched: Watched, inbox: Path, shelves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zeroshelf.actions.kinds.move import Move

    paint(inbox / "a.jpg", RED)
    watched.go(20)
    (inbox / "a.xmp").write_bytes(xmp())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Move, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            watched.go(20)
    watched.start()
    watched.go(20)
    assert names(shelves) == ["red/a.jpg", "red/a.xmp"] and not names(inbox)
    assert len(list(registry.all())) == 2


def test_the_newest_run_is_one_with_pictures(watched: Watched, inbox: Path, shelves: Path) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    (inbox / "a.xmp").write_bytes(xmp())
    watched.go(20)
    newest, first = registry.all()
    assert [d.label for d in reopen(encoder=watched.encoder)] == ["red"]
    assert registry.find().id == first.id and registry.newest_applied().id == newest.id
