"""A folder that stays sorted: what is taken, when, and what is left alone."""

from __future__ import annotations

import builtins
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.watch_storm import storm
from tests.colours import BLUE, GREY, RED, ColourEncoder, paint
from tests.making import tree, xmp
from tests.watching import Clock, Watched, names, settings
from zeroshelf.actions import apply, kinds, undo
from zeroshelf.actions.kinds.move import Move
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.models import select
from zeroshelf.run import classify, reopen
from zeroshelf.runs import registry
from zeroshelf.system import mounts
from zeroshelf.watch.sort import Sorter


@pytest.fixture
def watched(inbox: Path, tmp_path: Path) -> Watched:
    return Watched(settings(inbox, tmp_path / "shelves"))


def test_what_arrives_is_sorted_as_one_run_that_can_be_undone(
    watched: Watched, inbox: Path, tmp_path: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    paint(inbox / "new" / "b.jpg", BLUE)
    (inbox / "new" / "b.xmp").write_bytes(xmp())
    paint(inbox / "c.png", GREY)
    (inbox / "notes.txt").write_text("no picture")
    before = tree(inbox)
    assert not names(tmp_path / "shelves")
    watched.go(20)
    assert names(tmp_path / "shelves") == ["blue/b.jpg", "blue/b.xmp", "other/c.png", "red/a.jpg"]
    assert names(inbox) == ["notes.txt"]
    (run,) = registry.all()
    assert f"(zeroshelf undo {run.id})" in watched.lines[-1]
    undo.undo(run.record)
    assert tree(inbox) == before
    assert not (tmp_path / "shelves").exists()


def test_what_an_undo_put_back_is_not_taken_again_until_it_changes(
    watched: Watched, inbox: Path, tmp_path: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(20)
    undo.undo(next(registry.all()).record)
    watched.go(60)
    watched.start()  # nor by the next process
    watched.go(60)
    assert names(inbox) == ["a.jpg"]
    paint(inbox / "a.jpg", BLUE, (50, 30))
    watched.go(60)
    assert names(tmp_path / "shelves") == ["blue/a.jpg"]


def test_a_file_that_grows_is_not_taken(watched: Watched, inbox: Path, tmp_path: Path) -> None:
    whole = paint(tmp_path / "a.png", RED, (300, 200)).read_bytes()
    parts = [whole[at : at + 100] for at in range(0, len(whole), 100)]
    slow = inbox / "a.png"

    def more() -> None:
        with slow.open("ab") as file:
            file.write(parts.pop(0))

    for index in range(len(parts)):
        watched.clock.at(3.0 * index, more)
    writing = 3.0 * (len(parts) - 1)
    watched.go(writing)
    assert names(inbox) == ["a.png"]
    watched.go(30)
    assert (tmp_path / "shelves" / "red" / "a.png").read_bytes() == whole


def test_a_picture_whose_writer_pauses_for_long_stays_until_it_is_whole(
    watched: Watched, inbox: Path, tmp_path: Path
) -> None:
    whole = paint(tmp_path / "a.jpg", RED, (300, 200)).read_bytes()
    for part in (40, len(whole) // 2, len(whole) - 20):
        (inbox / "a.jpg").write_bytes(whole[:part])
        assert any("left alone: a.jpg" in line for line in watched.go(60)), part
        assert names(inbox) == ["a.jpg"]
    (inbox / "a.jpg").write_bytes(whole)
    watched.go(60)
    assert (tmp_path / "shelves" / "red" / "a.jpg").read_bytes() == whole


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg.part", "a.jpg.crdownload", "a.jpg.download", "a.jpg.!sync", "a.jpg.tmp", "~a.jpg",
        ".a.jpg", ".syncthing.a.jpg.tmp", "~syncthing~a.jpg.tmp", ".a.jpg.Xy12Zw", "a.jpg.filepart",
        "a.jpg.partial", "~$a.jpg",
    ],
)  # fmt: skip
def test_a_half_download_is_taken_once_it_has_its_name(
    watched: Watched, inbox: Path, tmp_path: Path, name: str
) -> None:
    paint(tmp_path / "a.jpg", RED)
    (tmp_path / "a.jpg").rename(inbox / name)
    watched.go(60)
    assert names(inbox) == [name]
    (inbox / name).rename(inbox / "a.jpg")
    watched.go(60)
    assert names(tmp_path / "shelves") == ["red/a.jpg"]


def test_a_name_that_is_reserved_while_its_download_runs_is_left(
    watched: Watched, inbox: Path, tmp_path: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    (inbox / "a.jpg.part").write_bytes(b"...")
    (inbox / "empty.jpg").touch()
    watched.go(60)
    assert names(inbox) == ["a.jpg", "a.jpg.part", "empty.jpg"]
    (inbox / "a.jpg.part").replace(paint(inbox / "a.jpg", RED))
    (inbox / "a.jpg").write_bytes(paint(tmp_path / "x.jpg", RED).read_bytes())
    watched.go(60)
    assert names(inbox) == ["empty.jpg"]


def test_companions_are_waited_for_and_go_along(
    watched: Watched, inbox: Path, tmp_path: Path
) -> None:
    paint(inbox / "a.jpg", RED)
    sidecar = inbox / "a.xmp"
    for second in range(0, 30, 3):
        watched.clock.at(second, lambda: sidecar.open("ab").write(xmp()[:20]))
    watched.go(29)
    assert names(inbox) == ["a.jpg", "a.xmp"]
    watched.go(20)
    assert names(tmp_path / "shelves") == ["red/a.jpg", "red/a.xmp"]


def test_nothing_to_do_opens_no_file_and_loads_no_model(
    watched: Watched, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.given = settings(inbox, tmp_path / "shelves", action="copy")
    for index in range(5):
        paint(inbox / f"{index}.jpg", RED)
    (inbox / "notes.txt").write_text("no picture")
    (inbox / "broken.jpg").write_bytes(b"no picture at all")
    watched.start()
    watched.go(60)
    assert len(names(tmp_path / "shelves")) == 5
    opened: list[object] = []
    for place, name in ((builtins, "open"), (os, "open")):
        real = getattr(place, name)
        monkeypatch.setattr(
            place,
            name,
            lambda path, *a, _real=real, **k: opened.append(path) or _real(path, *a, **k),
        )
    monkeypatch.setattr(select, "load", lambda *_, **__: pytest.fail("a model is loaded"))
    monkeypatch.setattr(EmbeddingCache, "open", lambda *_: pytest.fail("the cache is opened"))
    watched.go(600)
    assert opened == []


def test_each_copy_is_made_once_by_whatever_process(inbox: Path, tmp_path: Path) -> None:
    watched = Watched(settings(inbox, tmp_path / "shelves", action="copy"))
    paint(inbox / "a.jpg", RED)
    watched.go(60)
    watched.start()
    paint(inbox / "b.jpg", BLUE)
    watched.go(60)
    (tmp_path / "shelves" / "red" / "a.jpg").rename(tmp_path / "shelves" / "blue" / "a.jpg")
    watched.start()
    watched.go(60)
    assert names(tmp_path / "shelves") == ["blue/a.jpg", "blue/b.jpg"], "moved by the user"
    assert len(list(registry.all())) == 2


def test_shelves_inside_the_folder_are_never_taken_in(inbox: Path) -> None:
    watched = Watched(settings(inbox, inbox / "sorted"))
    paint(inbox / "a.jpg", RED)
    watched.go(60)
    watched.start()
    watched.go(60)
    assert names(inbox) == ["sorted/red/a.jpg"]
    assert len(list(registry.all())) == 1


def test_the_shelves_of_another_sort_are_not_taken_in(
    watched: Watched, inbox: Path, tmp_path: Path
) -> None:
    paint(inbox / "mine" / "a.jpg", RED)
    run = classify(inbox / "mine", ["red"], encoder=watched.encoder)
    run.apply(run.plan(inbox / "by hand", "move"))
    watched.go(60)
    assert names(inbox) == ["by hand/red/a.jpg"]


def test_a_folder_that_is_away_is_waited_for(watched: Watched, inbox: Path, tmp_path: Path) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(3)
    inbox.rename(tmp_path / "away")
    lines = watched.go(600)
    assert [line for line in lines if "waiting" in line] == [f"waiting: {inbox} doesn't exist"], (
        "told once"
    )
    (tmp_path / "away").rename(inbox)
    assert "going on" in watched.go(60)
    assert names(tmp_path / "shelves") == ["red/a.jpg"]


def test_it_may_be_started_before_the_folder_is_there(
    watched: Watched, inbox: Path, tmp_path: Path
) -> None:
    inbox.rmdir()
    watched.go(60)
    paint(inbox / "a.jpg", RED)
    watched.go(60)
    assert names(tmp_path / "shelves") == ["red/a.jpg"]


@pytest.mark.parametrize("again", [False, True], ids=["the same process", "another process"])
def test_shelves_that_are_away_are_not_made_anew(
    watched: Watched, inbox: Path, tmp_path: Path, again: bool
) -> None:
    paint(inbox / "a.jpg", RED)
    watched.go(60)
    (tmp_path / "shelves").rename(tmp_path / "unplugged")
    paint(inbox / "b.jpg", RED)
    if again:
        watched.start()
    assert any("shelves is not there" in line for line in watched.go(120))
    assert names(inbox) == ["b.jpg"] and not (tmp_path / "shelves").exists()
    (tmp_path / "unplugged").rename(tmp_path / "shelves")
    watched.go(60)
    assert names(tmp_path / "shelves") == ["red/a.jpg", "red/b.jpg"]


def test_shelves_whose_drive_is_not_mounted_are_not_written(
    watched: Watched, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ["/media/stick"]
    monkeypatch.setattr(mounts, "point", lambda _: place[0])
    paint(inbox / "a.jpg", RED)
    watched.go(60)
    paint(inbox / "b.jpg", RED)
    watched.go(60)
    place[0] = "/"
    paint(inbox / "c.jpg", RED)
    assert any("not mounted" in line for line in watched.go(60))
    assert names(inbox) == ["c.jpg"]


def test_unsure_pictures_wait_on_a_shelf_of_their_own(inbox: Path, tmp_path: Path) -> None:
    watched = Watched(settings(inbox, tmp_path / "shelves"))
    for index, colour in enumerate([RED, BLUE, (150, 110, 110), (140, 120, 120), (160, 100, 100)]):
        paint(inbox / f"{index}.png", colour)
    run = classify(inbox, ["red", "blue"], encoder=watched.encoder)
    unsure = {
        os.path.basename(d.picture.path)
        for d in run
        if d.confidence == "unsure" and d.label != "other"
    }
    assert unsure
    watched.go(60)
    assert set(os.listdir(tmp_path / "shelves" / "unsure")) == unsure
    opened = reopen(encoder=watched.encoder)
    assert len(opened) == 5


def test_one_picture_alone_is_judged_as_in_its_folder(inbox: Path, tmp_path: Path) -> None:
    everything = tmp_path / "everything"
    for index in range(24):
        shade = 5 * (index // 2)
        colour = (200 - shade, 60 + shade, 90) if index % 2 else (90, 60 + shade, 200 - shade)
        paint(everything / f"{index:02}.png", colour)
    encoder = ColourEncoder()
    whole = classify(everything, ["red", "blue"], encoder=encoder)
    expected = {os.path.basename(d.picture.path): d for d in whole}
    apart = [d.picture.path for d in whole]
    alone = {}
    watched = Watched(settings(inbox, tmp_path / "shelves", unsure=None), encoder=encoder)
    for path in apart[:-6]:
        shutil.copy2(path, inbox)
    watched.go(60)
    for path in apart[-6:]:
        only = tmp_path / "only"
        shutil.rmtree(only, ignore_errors=True)
        only.mkdir()
        shutil.copy2(path, only)
        (single,) = classify(only, ["red", "blue"], encoder=encoder)
        alone[os.path.basename(path)] = single.probability
    for path in apart[-6:]:
        shutil.copy2(path, inbox)
    watched.go(60)
    latest = reopen(encoder=encoder)  # the last six, among the first eighteen
    assert len(latest) == 6
    for decision in latest:
        name = os.path.basename(decision.picture.path)
        assert decision.label == expected[name].label
        assert decision.probability == pytest.approx(expected[name].probability, abs=2e-3)
    assert any(abs(alone[n] - expected[n].probability) > 0.02 for n in alone), "the folder counts"
    rows = {os.path.basename(d.picture.path): row for row, d in enumerate(whole)}
    for decision, also in zip(latest, latest.also, strict=True):
        assert also == whole.also[rows[os.path.basename(decision.picture.path)]]


def test_a_run_in_context_can_be_relabelled_and_corrected(inbox: Path, tmp_path: Path) -> None:
    watched = Watched(settings(inbox, tmp_path / "shelves"))
    paint(inbox / "a.jpg", RED)
    watched.go(60)
    paint(inbox / "b.jpg", BLUE)
    watched.go(60)
    run = reopen(encoder=watched.encoder)
    assert [d.label for d in run.relabel(["green", "blue"])] == ["blue"]
    assert [d.label for d in run.correct({"b.jpg": "red"})] == ["red"]


def test_a_run_that_was_killed_is_finished_by_the_next_process(
    watched: Watched, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(6):
        paint(inbox / f"{index}.jpg", RED)
    before = tree(inbox)
    done: list[object] = []

    class Killed(BaseException):
        pass

    real = Move.finish

    def finish(self: Move, action: object, *rest: object) -> object:
        if len(done) == 3:
            raise Killed
        done.append(action)
        return real(self, action, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Move, "finish", finish)
        with pytest.raises(Killed):
            watched.go(60)
    assert len(names(tmp_path / "shelves" / "red")) > len(done) == 3, "some are under way"
    watched.start()
    assert any("finished run" in line for line in watched.go(60))
    assert len(names(tmp_path / "shelves")) == 6 and not names(inbox)
    (run,) = registry.all()
    undo.undo(run.record)
    assert tree(inbox) == before


def test_an_undo_that_was_killed_is_the_users_to_finish(
    watched: Watched, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(4):
        paint(inbox / f"{index}.jpg", RED)
    watched.go(60)
    (run,) = registry.all()

    class Killed(BaseException):
        pass

    real = undo.revert
    count: list[int] = []

    def revert(*given: object) -> object:
        if len(count) == 2:
            raise Killed
        count.append(1)
        return real(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(undo, "revert", revert)
        with pytest.raises(Killed):
            undo.undo(run.record)
    watched.start()
    watched.go(60)
    assert len(names(inbox)) == 2, "neither sorted again nor finished"
    undo.undo(run.record)
    assert len(names(inbox)) == 4


def test_a_plan_that_was_never_begun_is_no_trouble(
    watched: Watched, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(inbox / "a.jpg", RED)

    class Killed(BaseException):
        pass

    with monkeypatch.context() as patch:
        patch.setattr(apply, "apply", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            watched.go(60)
    watched.start()
    watched.go(60)
    assert names(tmp_path / "shelves") == ["red/a.jpg"]


def test_what_fails_is_told_and_tried_again_later(
    watched: Watched, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(inbox / "a.jpg", RED)

    def fails(*_: object) -> object:
        raise OSError(5, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Move, "finish", fails)
        lines = watched.go(300)
    assert [line for line in lines if "left alone: a.jpg" in line]
    assert len(list(registry.all())) == 1, "not every ten seconds"
    watched.go(700)
    assert names(tmp_path / "shelves") == ["red/a.jpg"]


def test_what_went_away_during_a_run_is_taken_as_soon_as_it_is_back(
    watched: Watched, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(inbox / "a.jpg", RED)
    real = Move.stage

    def unplugged(self: Move, *given: object) -> object:
        inbox.rename(tmp_path / "away")
        return real(self, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Move, "stage", unplugged)
        assert any("left alone: a.jpg" in line for line in watched.go(30))
    assert not inbox.exists() and not names(tmp_path / "shelves")
    (tmp_path / "away").rename(inbox)
    watched.go(30)
    assert names(tmp_path / "shelves") == ["red/a.jpg"], watched.lines


def test_what_was_refused_since_it_changed_is_taken_as_soon_as_it_is_whole(
    watched: Watched, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(inbox / "a.jpg", RED)
    real = Sorter.plan

    def changes(*given: object) -> object:
        planned = real(*given)  # type: ignore[arg-type]
        paint(inbox / "a.jpg", RED, (50, 30))
        return planned

    with monkeypatch.context() as patch:
        patch.setattr(Sorter, "plan", changes)
        assert any("left alone: a.jpg" in line for line in watched.go(9))
    watched.go(30)
    assert names(tmp_path / "shelves") == ["red/a.jpg"], watched.lines


def test_another_run_at_work_is_waited_for_without_a_record(
    watched: Watched, inbox: Path, tmp_path: Path
) -> None:
    from zeroshelf.actions import lock

    paint(inbox / "a.jpg", RED)
    with lock.hold(os.path.join(registry.root(), "locks"), "x", str(inbox)):
        assert any("another run is working" in line for line in watched.go(60))
    assert not list(registry.all())
    watched.go(60)
    assert names(tmp_path / "shelves") == ["red/a.jpg"]


def test_one_process_watches_a_folder(watched: Watched, inbox: Path, tmp_path: Path) -> None:
    other = Watched(settings(inbox, tmp_path / "elsewhere"))

    def second() -> None:
        with pytest.raises(UserError, match="watched by another process"):
            other.watcher.run(once=True)
        told.append(True)

    told: list[bool] = []
    paint(inbox / "a.jpg", RED)
    watched.clock.at(1, second)
    watched.watcher.run(once=True)
    assert told


def test_once_takes_what_is_there_and_ends(watched: Watched, inbox: Path, tmp_path: Path) -> None:
    paint(inbox / "a.jpg", RED)
    watched.watcher.run(once=True)
    assert names(tmp_path / "shelves") == ["red/a.jpg"]
    assert watched.watcher.told.pictures == 1


def test_what_cannot_work_is_refused_at_once(inbox: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--to is the watched folder"):
        settings(inbox, inbox)
    for action in kinds.offered():
        if not kinds.of(action).needs_destination:
            with pytest.raises(UserError):
                settings(inbox, tmp_path / "to", action=action)
    with pytest.raises(UserError, match="is the shelf of"):
        settings(inbox, tmp_path / "to", unsure="Red")


def test_a_month(inbox: Path, tmp_path: Path) -> None:
    """Thirty days of a clock of its own: two pictures a day, a restart and an outage each week."""
    watched = Watched(settings(inbox, tmp_path / "shelves", every=3600.0), clock=Clock())
    day = 24 * 3600.0

    def arrives(number: int) -> Callable[[], object]:
        colour = RED if number % 3 else BLUE
        return lambda: paint(inbox / f"{number:02}.png", colour, (40, 30 + number))

    for number in range(60):
        watched.clock.at(number // 2 * day + (9 + number % 2) * 3600, arrives(number))
    for week in range(4):
        start = (7 * week + 3) * day + 2 * 3600
        watched.clock.at(start, lambda: inbox.rename(tmp_path / "away"))
        watched.clock.at(start + 5 * 3600, lambda: (tmp_path / "away").rename(inbox))
        watched.clock.at(start + 12 * 3600, watched.start)
    watched.go(30 * day)
    assert not names(inbox)
    assert len(names(tmp_path / "shelves")) == 60
    runs = list(registry.all())
    assert len(runs) == 60
    assert sum("waiting" in line for line in watched.lines) == 4
    for run in runs:
        undo.undo(run.record)
    assert len(names(inbox)) == 60 and not (tmp_path / "shelves").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes by a signal")
def test_a_storm_of_files_while_the_process_is_killed(tmp_path: Path) -> None:
    """The same with 1,000 files and ten kills: benchmarks/watch_storm.py."""
    outcome = storm(tmp_path, files=80, kills=3, seed=1)
    assert outcome.files == 80 and outcome.runs >= 1
