"""When, with what and where a picture was taken, by its file; and shelves made of that."""

from __future__ import annotations

import json
import os
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.colours import GREEN, RED, ColourEncoder, paint
from zeroshelf import classify
from zeroshelf.actions import plan_file, shelf_paths
from zeroshelf.commands.cli import cli
from zeroshelf.errors import UserError
from zeroshelf.images import photo_facts
from zeroshelf.images.photo_facts import NOTHING, PhotoFacts, read

PARIS = (48.8583, 2.2945)


def exif(
    taken: object = "2024:05:01 12:33:07",
    make: object = "Canon",
    model: object = "Canon EOS R6",
    place: tuple[float, float] | None = PARIS,
) -> Image.Exif:
    found = Image.Exif()
    for tag, value in ((0x010F, make), (0x0110, model)):
        if value is not None:
            found[tag] = value
    if taken is not None:
        found.get_ifd(0x8769)[0x9003] = taken
    if place is not None:
        gps = found.get_ifd(0x8825)
        for number, degrees, sides in ((1, place[0], "NS"), (3, place[1], "EW")):
            gps[number] = sides[degrees < 0]
            seconds = Fraction(abs(degrees)).limit_denominator(10_000) * 3600
            gps[number + 1] = (
                float(seconds // 3600),
                float(seconds % 3600 // 60),
                float(seconds % 60),
            )
    return found


def photo(path: Path, colour: tuple[int, int, int] = RED, **facts: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), colour).save(path, exif=exif(**facts))
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
def test_what_a_file_says(tmp_path: Path, suffix: str) -> None:
    found = read(str(photo(tmp_path / f"a.{suffix}")))
    assert found.taken == datetime(2024, 5, 1, 12, 33, 7)
    assert found.camera == "Canon EOS R6"
    assert found.place == pytest.approx(PARIS, abs=1e-4)


def test_what_a_tiff_says(tmp_path: Path) -> None:
    """Pillow writes no blocks of EXIF into a TIFF. When it was changed is not when it was taken."""
    found = exif()
    found[0x0132] = "2020:02:29 01:02:03"
    Image.new("RGB", (64, 48)).save(tmp_path / "a.tif", exif=found)
    assert read(str(tmp_path / "a.tif")) == PhotoFacts(None, "Canon EOS R6", None)


def test_south_and_west_are_below_zero(tmp_path: Path) -> None:
    found = read(str(photo(tmp_path / "a.jpg", place=(-22.9519, -43.2105))))
    assert found.place == pytest.approx((-22.9519, -43.2105), abs=1e-4)


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("2024:05:01 12:33:07", datetime(2024, 5, 1, 12, 33, 7)),
        ("2024-05-01T12:33", datetime(2024, 5, 1, 12, 33)),
        ("2024:05:01", datetime(2024, 5, 1)),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2024:13:01 00:00:00", None),
        ("2024:02:30 00:00:00", None),
        ("0001:01:01 00:00:00", None),
        ("", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_dates(tmp_path: Path, written: str | None, taken: datetime | None) -> None:
    assert read(str(photo(tmp_path / "a.jpg", taken=written))).taken == taken


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS R6", "Canon EOS R6"),
        ("NIKON CORPORATION", "NIKON D750", "NIKON D750"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        (None, "X100V", "X100V"),
        ("Apple", None, "Apple"),
        (" \0", "", None),
        ("a\u202eb", "c\nd", "a b c d"),
    ],
)
def test_cameras(tmp_path: Path, make: str | None, model: str | None, camera: str | None) -> None:
    assert photo_facts._camera(make, model) == camera
    assert "\n" not in (read(str(photo(tmp_path / "a.jpg", make=make, model=model))).camera or "")


@pytest.mark.parametrize("place", [(0.0, 0.0), (91.0, 0.0), (10.0, 181.0)])
def test_places_that_are_none(tmp_path: Path, place: tuple[float, float]) -> None:
    assert read(str(photo(tmp_path / "a.jpg", place=place))).place is None


def test_a_file_without_facts_says_nothing(tmp_path: Path) -> None:
    paint(tmp_path / "a.jpg", RED)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:60])
    (tmp_path / "c.txt").write_text("no picture")
    if hasattr(os, "mkfifo"):  # a named pipe, which must not be waited for
        os.mkfifo(tmp_path / "d.jpg")
    (tmp_path / "e.jpg").mkdir()
    for name in "abdef":
        assert read(str(tmp_path / f"{name}.jpg")) == NOTHING
    assert read(str(tmp_path / "c.txt")) == NOTHING


@settings(max_examples=60)
@given(st.data())
def test_broken_exif_never_raises(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = photo(tmp_path_factory.mktemp("p") / "a.jpg")
    content = bytearray(path.read_bytes())
    for _ in range(8):
        at = data.draw(st.integers(0, min(600, len(content) - 1)))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    found = read(str(path))
    assert found.place is None or (abs(found.place[0]) <= 90 and abs(found.place[1]) <= 180)


def test_no_pixel_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [photo(tmp_path / f"a.{suffix}") for suffix in ("jpg", "png")]

    def load(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    assert all(read(str(path)).taken for path in paths)


def test_each_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(path: str) -> PhotoFacts:
        asked.append(path)
        return NOTHING

    monkeypatch.setattr(photo_facts, "read", counted)
    path = str(tmp_path / "a.jpg")
    photo_facts.of_file(path, 1, 7)  # it is not there yet: nothing is known
    paint(tmp_path / "a.jpg", RED)
    asked.clear()
    for size in (1, 1, 2):
        photo_facts.of_file(path, size, 7)
    assert len(asked) == 2


# --- shelves within shelves -----------------------------------------------------------------------


@pytest.fixture
def album(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    photo(root / "a.jpg", RED)
    photo(root / "b.jpg", RED, taken="2023:12:31 23:59:59", place=(-22.95, -43.2))
    photo(root / "c.jpg", GREEN, model="A/B ../x", make=None)
    paint(root / "d.jpg", GREEN)
    return root


def targets(plan: Any, to: Path) -> dict[str, str]:
    return {
        os.path.basename(action.source): os.path.relpath(action.target, to).replace(os.sep, "/")
        for action in plan.actions
    }


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{label}", {"a": "red", "b": "red", "c": "green", "d": "green"}),
        (
            "{label}/{year}",
            {"a": "red/2024", "b": "red/2023", "c": "green/2024", "d": "green/undated"},
        ),
        (
            "{year}/{year}-{month}-{day}/{label}",
            {
                "a": "2024/2024-05-01/red",
                "b": "2023/2023-12-31/red",
                "c": "2024/2024-05-01/green",
                "d": "undated/undated-undated-undated/green",
            },
        ),
        (
            "{camera}/{label}",
            {
                "a": "Canon EOS R6/red",
                "b": "Canon EOS R6/red",
                "c": "A-B ..-x/green",
                "d": "unknown camera/green",
            },
        ),
        (
            "{label}/{place}",
            {
                "a": "red/48.9N 2.3E",
                "b": "red/22.9S 43.2W",
                "c": "green/48.9N 2.3E",
                "d": "green/unknown place",
            },
        ),
    ],
)
def test_shelves_by_what_the_files_say(
    album: Path, encoder: ColourEncoder, tmp_path: Path, template: str, expected: dict[str, str]
) -> None:
    run = classify(album, ["red", "green"], encoder=encoder)
    planned = run.plan(tmp_path / "to", shelf_path=template)
    found = targets(planned, tmp_path / "to")
    assert found == {f"{name}.jpg": f"{shelf}/{name}.jpg" for name, shelf in expected.items()}
    assert {a.label for a in planned.actions} == {"red", "green"}
    assert planned.request.shelf_path == template
    lacking = [note for note in planned.notes if " in the file" in note]
    assert len(lacking) == (template != "{label}")
    plan_file.save(planned, str(tmp_path / "plan.jsonl"))
    assert plan_file.load(str(tmp_path / "plan.jsonl")) == planned


@pytest.mark.parametrize(
    "wrong",
    ["", "{year}", "{label}/{city}", "{label}/..", "../{label}", "/{label}", "{label}//{year}",
     "{label}/{year", "{label}}", "./{label}"],
)  # fmt: skip
def test_what_is_no_shelf_path_is_refused(
    album: Path, encoder: ColourEncoder, tmp_path: Path, wrong: str
) -> None:
    run = classify(album, ["red", "green"], encoder=encoder)
    with pytest.raises(UserError, match="--shelf-path"):
        run.plan(tmp_path / "to", shelf_path=wrong)
    with pytest.raises(UserError, match="--shelf-path"):
        shelf_paths.checked(wrong)


def test_two_labels_never_share_a_folder(
    album: Path, encoder: ColourEncoder, tmp_path: Path
) -> None:
    """The label "red/2024" beside "red" of the year 2024."""
    run = classify(album, ["red", "red/2024", "green"], encoder=encoder)
    run = run.correct({"a.jpg": "red", "b.jpg": "red/2024", "c.jpg": "green", "d.jpg": "green"})
    one = targets(run.plan(tmp_path / "to", shelf_path="{label}/{year}"), tmp_path / "to")
    assert (one["a.jpg"], one["b.jpg"]) == ("red/2024/a.jpg", "red/2024/2023/b.jpg")


def test_sort_apply_and_undo_with_a_shelf_path(album: Path, tmp_path: Path, colours: None) -> None:
    before = {path.name: path.read_bytes() for path in album.iterdir()}
    options = ["-l", "red", "-l", "green", "--to", str(tmp_path / "to"), "--yes", "--json"]
    options += ["--as", "move", "--shelf-path", "{label}/{year}"]
    done = CliRunner().invoke(cli, ["sort", str(album), *options])
    assert done.exit_code == 0, done.output
    there = {str(p.relative_to(tmp_path / "to")) for p in (tmp_path / "to").rglob("*.jpg")}
    assert there == {
        os.path.join("red", "2024", "a.jpg"),
        os.path.join("red", "2023", "b.jpg"),
        os.path.join("green", "2024", "c.jpg"),
        os.path.join("green", "undated", "d.jpg"),
    }
    run = json.loads(done.stdout)["run"]
    assert CliRunner().invoke(cli, ["undo", run, "--yes"]).exit_code == 0
    assert {path.name: path.read_bytes() for path in album.iterdir()} == before
    assert not (tmp_path / "to").exists()


def test_a_shelf_path_needs_shelves(album: Path, tmp_path: Path, colours: None) -> None:
    options = ["-l", "red", "-l", "green", "--as", "tag", "--yes", "--shelf-path", "{label}/{year}"]
    done = CliRunner().invoke(cli, ["sort", str(album), *options])
    assert isinstance(done.exception, UserError)
    assert "--shelf-path needs shelves" in str(done.exception)


def test_a_second_sort_finds_its_own_work(
    album: Path, encoder: ColourEncoder, tmp_path: Path
) -> None:
    run = classify(album, ["red", "green"], encoder=encoder)
    planned = run.plan(tmp_path / "to", shelf_path="{label}/{year}")
    run.apply(planned)
    assert run.plan(tmp_path / "to", shelf_path="{label}/{year}").actions == ()
