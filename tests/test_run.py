"""From a folder to a plan, applied and undone, with a model that can be computed by eye."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import zeroshelf
from tests.colours import BLUE, GREY, RED, ColourEncoder, paint
from tests.small_disk import mounted
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError


def classify(folder: Path, labels: list[str], encoder: ColourEncoder) -> zeroshelf.Run:
    return zeroshelf.classify(folder, labels, encoder=encoder)


def tree(root: Path) -> dict[str, tuple[bytes | None, int, int]]:
    """Every path below `root` with its content, time and mode."""
    return {
        str(path.relative_to(root)): (
            path.read_bytes() if path.is_file() else None,
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
        )
        for path in sorted(root.rglob("*"))
    }


def test_every_picture_finds_its_shelf_and_the_unknown_one_goes_to_other(
    folder: Path, encoder: ColourEncoder
) -> None:
    run = classify(folder, ["red", "blue"], encoder)
    assert run.counts == {"red": 2, "blue": 1, "other": 1}
    assert [os.path.basename(d.picture.path) for d in run.shelf("other")] == ["grey.jpg"]
    assert [os.path.basename(s.path) for s in run.skipped] == ["broken.jpg"]


def test_one_label_alone_does_not_take_everything(folder: Path, encoder: ColourEncoder) -> None:
    assert classify(folder, ["blue"], encoder).counts == {"blue": 1, "other": 3}


@pytest.mark.parametrize("threshold", [60, -0.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(
    folder: Path, encoder: ColourEncoder, threshold: float
) -> None:
    """Sixty (percent) would leave every picture in "other" without a word."""
    with pytest.raises(UserError, match="must be a number from 0 to 1"):
        zeroshelf.classify(folder, ["red"], encoder=encoder, threshold=threshold)
    assert encoder.pictures == 0
    with pytest.raises(UserError, match="must be a number from 0 to 1"):
        classify(folder, ["red"], encoder).relabel(["blue"], threshold=threshold)


def test_a_broken_picture_shifts_no_other_answer(tmp_path: Path, encoder: ColourEncoder) -> None:
    colours = [RED, BLUE, GREY]
    for number in range(30):
        path = paint(tmp_path / f"{number:02}.png", colours[number % 3])
        if number % 4 == 1:
            path.write_bytes(path.read_bytes()[:50])
    run = classify(tmp_path, ["red", "blue"], encoder)
    assert len(run.decisions) == 22
    for decision in run.decisions:
        number = int(os.path.basename(decision.picture.path)[:2])
        assert decision.label == ("red", "blue", "other")[number % 3]


def test_a_second_run_embeds_nothing(folder: Path, encoder: ColourEncoder) -> None:
    classify(folder, ["red"], encoder)
    before = encoder.pictures
    again = classify(folder, ["blue", "green"], encoder)
    assert encoder.pictures == before
    assert again.counts == {"blue": 1, "green": 0, "other": 3}


def test_a_renamed_picture_is_not_embedded_again(folder: Path, encoder: ColourEncoder) -> None:
    classify(folder, ["red"], encoder)
    before = encoder.pictures
    (folder / "b.png").rename(folder / "c.png")
    assert classify(folder, ["blue"], encoder).counts["blue"] == 1
    assert encoder.pictures == before


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    for number in range(600):
        paint(tmp_path / f"{number}.png", (number % 256, number // 256, 200), (4, 4))

    class Stopping(ColourEncoder):
        def embed_pictures(self, pixels):
            if self.pictures > 400:
                raise KeyboardInterrupt
            return super().embed_pictures(pixels)

    with pytest.raises(KeyboardInterrupt):
        classify(tmp_path, ["blue"], Stopping())
    encoder = ColourEncoder()
    assert len(classify(tmp_path, ["blue"], encoder).decisions) == 600
    assert encoder.pictures <= 600 - 256


def test_relabel_reads_no_picture(folder: Path, encoder: ColourEncoder) -> None:
    run = classify(folder, ["red"], encoder)
    for path in folder.rglob("*.*"):
        path.unlink()
    assert run.relabel(["blue"]).counts == {"blue": 1, "other": 3}


@pytest.mark.parametrize("action", ["copy", "move", "symlink", "hardlink"])
def test_apply_and_undo_leave_the_tree_as_it_was(
    folder: Path, tmp_path: Path, encoder: ColourEncoder, action: zeroshelf.records.ActionKind
) -> None:
    (folder / "empty").mkdir()
    before = tree(tmp_path)
    run = classify(folder, ["red", "blue"], encoder)
    outcomes = run.apply(run.plan(tmp_path / "sorted", action))
    assert {outcome.status for outcome in outcomes} == {"done"}
    there = sorted(
        str(p.relative_to(tmp_path / "sorted")) for p in (tmp_path / "sorted").rglob("*.*")
    )
    assert there == ["blue/b.png", "other/grey.jpg", "red/a (2).jpg", "red/a.jpg"]
    assert (tree(folder) == {k[9:]: v for k, v in before.items() if k.startswith("pictures/")}) == (
        action != "move"
    )
    run.undo()
    assert tree(tmp_path) == before


def test_another_plan_is_carried_out_as_it_says(
    folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    run = classify(folder, ["red", "blue"], encoder)
    run.apply(run.plan(tmp_path / "first"))
    first = run.id
    run.undo()
    run.apply(run.plan(tmp_path / "second", "move"))
    assert run.id != first
    assert not (tmp_path / "first").exists() and not (folder / "b.png").exists()
    assert (tmp_path / "second" / "blue" / "b.png").exists()
    run.undo()
    assert (folder / "b.png").exists()


def test_a_saved_run_opens_again_after_its_pictures_moved(
    folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    run = classify(folder, ["red", "blue"], encoder)
    run.apply(run.plan(tmp_path / "sorted", "move"))
    again = zeroshelf.reopen(run.id, encoder=encoder)
    assert again.counts == run.counts
    assert again.embeddings.digests == run.embeddings.digests
    assert [d.label for d in again.decisions] == [d.label for d in run.decisions]
    again.undo()
    assert (folder / "b.png").exists()


def test_what_is_written_is_whole(folder: Path, tmp_path: Path, encoder: ColourEncoder) -> None:
    written = classify(folder, ["red", "blue"], encoder).write(tmp_path / "out")
    for path in (written.report, written.results, written.table, written.contact_sheet):
        assert os.path.getsize(path) > 200
    assert len(Path(written.results).read_text().splitlines()) == 5


def test_a_run_shows_itself_in_a_notebook(folder: Path, encoder: ColourEncoder) -> None:
    page = classify(folder, ["red"], encoder)._repr_html_()
    assert page.count("data:image/jpeg;base64,") == 4
    assert "red" in page and "other" in page


def test_mistakes_are_told_in_one_line(tmp_path: Path, encoder: ColourEncoder) -> None:
    with pytest.raises(UserError, match="no pictures"):
        classify(tmp_path, ["red"], encoder)
    with pytest.raises(UserError):
        classify(tmp_path / "nowhere", ["red"], encoder)
    paint(tmp_path / "a.png", RED)
    run = classify(tmp_path, ["red"], encoder)
    with pytest.raises(UserError, match="no label 'blue'"):
        run.shelf("blue")
    with pytest.raises(UserError, match="nothing to undo"):
        run.undo()


def test_a_reopened_run_knows_its_near_duplicates(tmp_path: Path, encoder: ColourEncoder) -> None:
    paint(tmp_path / "F" / "a.png", RED)
    paint(tmp_path / "F" / "b.png", BLUE)
    (tmp_path / "F" / "c.png").write_bytes((tmp_path / "F" / "a.png").read_bytes())
    run = classify(tmp_path / "F", ["red"], encoder)
    run.save(run.plan(tmp_path / "sorted"))
    stages: list[str] = []
    again = zeroshelf.reopen(encoder=encoder, progress=lambda stage, *_: stages.append(stage))
    assert "opening" in stages
    stages.clear()
    found = again.find_near_duplicates(lambda stage, *_: stages.append(stage))
    assert found == run.near_duplicates == ((0, 2),)
    assert not stages  # no second scan


def test_a_long_wait_has_a_sign_of_life(folder: Path, encoder: ColourEncoder) -> None:
    stages: dict[str, None] = {}
    tell = lambda stage, *_: stages.setdefault(stage)  # noqa: E731
    run = zeroshelf.classify(folder, ["red"], encoder=encoder, progress=tell)
    run.save(run.plan(folder / "sorted"), tell)
    assert [stage for stage in stages if stage not in ("texts", "grouping")] == [
        "looking", "embedding", "deciding", "labels", "scoring", "comparing", "writing",
    ]  # fmt: skip


def test_a_reopened_run_plans_what_lay_on_its_shelf(tmp_path: Path, encoder: ColourEncoder) -> None:
    paint(tmp_path / "red" / "a.png", RED)
    (tmp_path / "red" / "a.xmp").write_text("<x/>")
    run = classify(tmp_path, ["red"], encoder)
    run.save(run.plan(tmp_path))  # nothing to do: it is there
    again = zeroshelf.reopen(encoder=encoder)
    outcomes = again.apply(again.plan(tmp_path / "sorted", "move"))
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert (tmp_path / "sorted" / "red" / "a.xmp").exists()


def test_an_unknown_action_is_refused(folder: Path, encoder: ColourEncoder) -> None:
    run = classify(folder, ["red"], encoder)
    with pytest.raises(UserError, match="'link' is none of copy, move"):
        run.plan(folder / "sorted", "link")


def test_dark_pictures_are_told_of_and_named(tmp_path: Path, encoder: ColourEncoder) -> None:
    for number in range(3):
        paint(tmp_path / "pictures" / f"black {number}.png", (number, 0, 0))
    paint(tmp_path / "pictures" / "red.png", RED)
    with EmbeddingCache.open() as store:
        run = zeroshelf.classify(tmp_path / "pictures", ["red"], encoder=encoder, store=store)
        run.save(run.plan(tmp_path / "sorted"))
        again = zeroshelf.reopen(run.id, encoder=encoder, store=store)
    assert "3 pictures are dark or blurred: they must fit a label better than others" in run.notes
    assert not [note for note in run.notes if "cut short" in note]
    for told in (run, again):
        assert told.embeddings.notes == dict.fromkeys(range(3), "dark picture")
        assert [one.looks_like for one in told.decisions] == ["dark picture"] * 3 + [None]


@pytest.mark.parametrize("room", [0, 1, 2, 4, 16])
def test_a_full_disk_under_the_runs_is_one_line(
    folder: Path, tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Found out before anything is moved, wherever in the run's files the room ends."""
    with mounted(tmp_path / "disk", "size=64k") as disk:
        monkeypatch.setenv("ZEROSHELF_RUNS", str(disk / "runs"))
        run = classify(folder, ["red", "blue"], encoder)
        planned = run.plan(tmp_path / "to", "move")
        (disk / "ballast").write_bytes(bytes(65_536 - 4096 * room))
        start = tree(folder)
        with pytest.raises(UserError, match="can't be written: No space left on device"):
            run.apply(planned)
        assert tree(folder) == start and not (tmp_path / "to").exists()
