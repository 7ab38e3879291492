"""`zeroshelf score --to` on an object store: copies within it, their journal and their undo."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import zeroshelf
from tests.buckets import STORES, Bucket, serving
from tests.colours import BLUE, GREY, RED, ColourEncoder
from tests.datasets_made import results
from tests.program import command
from zeroshelf.actions import journal
from zeroshelf.actions.on_store import copy_within, opened
from zeroshelf.datasets import places
from zeroshelf.datasets.store_plan import shelf_folders
from zeroshelf.runs import registry
from zeroshelf.system import uris


def picture(colour: tuple[int, int, int], width: int = 40) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 30), colour).save(file, "PNG")
    return file.getvalue()


PICTURES = {
    "photos/a.png": picture(RED),
    "photos/b.png": picture(BLUE),
    "photos/one/a.png": picture(RED, 60),
    "photos/one/c d+é#1.png": picture(GREY),
    "photos/one/A.png": picture(RED, 80),
}


@pytest.fixture(params=STORES)
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    with serving(request.param, tmp_path) as bucket:
        bucket.put(PICTURES)
        yield bucket


@pytest.fixture
def scored(
    bucket: Bucket, tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Embeds what is below photos/, and plans it into sorted/."""
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    numbers = iter(range(99))

    def run(*more: object, source: str = "photos", to: str = "sorted", embed: bool = True) -> int:
        vectors = tmp_path / f"Vectors-{source}"
        if embed:
            zeroshelf.embed_dataset(f"{bucket.uri}/{source}", vectors, encoder=encoder)
        given = ("score", vectors, "-l", "red", "-l", "blue")
        out = tmp_path / f"Results{next(numbers)}"
        return command(*given, "--out", out, "--to", f"{bucket.uri}/{to}", *more)

    return run


SORTED = {
    "sorted/red/a.png": picture(RED),
    "sorted/red/A (2).png": picture(RED, 80),
    "sorted/red/a (3).png": picture(RED, 60),
    "sorted/blue/b.png": picture(BLUE),
    "sorted/other/c d+é#1.png": picture(GREY),
}


def test_a_plan_is_applied_by_the_store_and_undone(
    bucket: Bucket, scored: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert scored("--json") == 0
    run = json.loads(capfd.readouterr().out)["run"]
    assert bucket.objects() == PICTURES  # nothing yet
    (listed,) = registry.all()
    assert isinstance(listed, registry.RunRecord)
    assert (listed.state, listed.pictures, listed.kind) == ("planned", 5, "copy")
    assert uris.is_uri(listed.folder) and listed.folder.endswith("bucket/photos")
    assert command("apply", run, "--yes") == 0
    there = bucket.objects()
    assert there == PICTURES | SORTED
    assert command("runs") == 0 and "applied" in capfd.readouterr().out
    assert command("apply", run, "--yes") == 0  # again, without effect
    assert "5 were there already" in capfd.readouterr().out
    assert bucket.objects() == there
    assert command("undo", "--yes") == 0
    assert bucket.objects() == PICTURES
    assert command("undo", run, "--yes") == 0 and bucket.objects() == PICTURES
    assert command("apply", run, "--yes") == 0 and bucket.objects() == there


def test_a_second_plan_copies_nothing_twice_nor_its_own_output(
    bucket: Bucket, scored: Callable[..., int], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert scored(to="photos/by colour") == 0 and command("apply", "--yes") == 0
    before = bucket.objects()
    assert len(before) == 10
    assert scored(to="photos/by colour", embed=False) == 0 and command("apply", "--yes") == 0
    assert "5 are already on their shelf" in capfd.readouterr().err
    assert command("embed", f"{bucket.uri}/photos", "--out", tmp_path / "again") == 0
    assert "5 copies of earlier runs left out" in capfd.readouterr().err
    manifest = tmp_path / "manifest.parquet"  # which names them all the same
    pq.write_table(pa.table({"uri": [f"{bucket.uri}/{key}" for key in before]}), manifest)
    zeroshelf.embed_dataset(manifest, tmp_path / "Vectors-photos", encoder=ColourEncoder())
    assert scored(to="photos/by colour", embed=False) == 0 and command("apply", "--yes") == 0
    assert "5 are left out: an earlier run copied them there" in capfd.readouterr().err
    assert bucket.objects() == before
    assert scored(to="elsewhere", embed=False) == 0 and command("apply", "--yes") == 0
    assert len(bucket.objects()) == 15
    for run in list(registry.all()):
        assert command("undo", run.id, "--yes") == 0
    assert bucket.objects() == PICTURES


def test_what_is_on_the_shelf_is_never_overwritten(
    bucket: Bucket, scored: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    mine = {"sorted/red/a.png": b"mine", "sorted/red/a (2).png": b"mine too"}
    bucket.put(mine)
    assert scored() == 0  # numbers 3 to 5
    later = {"sorted/red/a (3).png": b"of somebody else"}
    bucket.put(later)
    assert command("apply", "--yes") == 1
    assert "left alone" in capfd.readouterr().err
    there = bucket.objects()
    assert there | mine | later == there and len(there) == 5 + 3 + 4
    assert command("undo", "--yes") == 0
    assert bucket.objects() == PICTURES | mine | later


@pytest.mark.parametrize("bucket", ["memory", "disk"], indirect=True)  # S3: test_on_s3.py
def test_a_key_that_appears_between_the_look_and_the_copy(
    bucket: Bucket, scored: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scored() == 0
    events = copy_within._Copies._folder_events
    mine = {"sorted/red/a.png": b"mine"}

    def late(self, todo):  # after the look, before the copies
        bucket.put(mine)
        return events(self, todo)

    with monkeypatch.context() as patched:
        patched.setattr(copy_within._Copies, "_folder_events", late)
        assert command("apply", "--yes") == 1
    assert bucket.objects()["sorted/red/a.png"] == b"mine"
    assert command("undo", "--yes") == 0
    assert bucket.objects() == PICTURES | mine


def test_a_source_that_has_changed_or_is_gone_is_left_out(
    bucket: Bucket, scored: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert scored("--json") == 0
    run = json.loads(capfd.readouterr().out)["run"]
    bucket.put({"photos/a.png": picture(BLUE, 50)})
    bucket.delete("photos/one/a.png")
    assert command("apply", run, "--yes") == 1  # planned before
    told = capfd.readouterr().err
    assert "it has changed since the plan was made" in told and "it no longer exists" in told
    assert command("undo", run, "--yes") == 0
    capfd.readouterr()
    assert scored("--json", embed=False) == 0
    out, err = capfd.readouterr()
    assert "2 pictures are left out: gone or changed" in err
    assert command("apply", json.loads(out)["run"], "--yes") == 0
    left = bucket.objects()
    assert sorted(key for key in left if key.startswith("sorted/")) == [
        "sorted/blue/b.png", "sorted/other/c d+é#1.png", "sorted/red/A.png",
    ]  # fmt: skip


def test_undo_leaves_what_has_changed_and_the_last_copy_of_a_picture(
    bucket: Bucket, scored: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert scored() == 0 and command("apply", "--yes") == 0
    bucket.put({"sorted/blue/b.png": b"edited"})
    (kept,) = (k for k, v in bucket.objects().items() if v == picture(RED, 60) and "sorted" in k)
    bucket.delete("photos/one/a.png")
    capfd.readouterr()
    assert command("undo", "--yes") == 1
    told = capfd.readouterr().err
    assert "the copy has changed since" in told
    assert "the original no longer exists or has changed: its copy stays" in told
    wanted = PICTURES | {"sorted/blue/b.png": b"edited", kept: picture(RED, 60)}
    wanted.pop("photos/one/a.png")
    assert bucket.objects() == wanted
    bucket.put({"photos/one/a.png": picture(RED, 60)})
    bucket.delete("sorted/blue/b.png")
    assert command("undo", "--yes") == 0
    assert bucket.objects() == PICTURES


def test_labels_never_lead_out_of_the_prefix() -> None:
    labels = ["../red", "things/blue. ", "Things/blue", "/", "a//b", ".", "con", "...", "\u202ex"]
    found = shelf_folders(labels)
    assert found["../red"] == "_/red" and found["Things/blue"] == "Things/blue (2)"
    assert found["things/blue. "] == "things/blue" and found["a//b"] == "a/b"
    parts = {part for folder in found.values() for part in folder.split("/")}
    assert parts.isdisjoint({"", ".", ".."})
    assert len({folder.casefold() for folder in found.values()}) == len(labels)


def test_nested_shelves(
    bucket: Bucket, tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    zeroshelf.embed_dataset(f"{bucket.uri}/photos", tmp_path / "V", encoder=encoder)
    (tmp_path / "labels.toml").write_text('[labels]\n"things/red." = ["red"]\n')
    given = ("score", tmp_path / "V", "--labels", tmp_path / "labels.toml", "--out", tmp_path / "R")
    assert command(*given, "--to", f"{bucket.uri}/sorted") == 0
    assert command("apply", "--yes") == 0
    found = {key.rpartition("/")[0] for key in bucket.objects()} - {"photos", "photos/one"}
    assert found == {"sorted/things/red", "sorted/other"}
    assert command("undo", "--yes") == 0 and bucket.objects() == PICTURES


def test_only_copies_are_made_on_a_store(
    bucket: Bucket, scored: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert scored("--as", "move") == 2
    assert "on an object store pictures can only be copied" in capfd.readouterr().err
    assert not list(registry.all()) and bucket.objects() == PICTURES


def test_pictures_of_another_place_are_refused(
    bucket: Bucket,
    tmp_path: Path,
    encoder: ColourEncoder,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    (tmp_path / "Photos").mkdir()
    (tmp_path / "Photos" / "a.png").write_bytes(picture(RED))
    zeroshelf.embed_dataset(tmp_path / "Photos", tmp_path / "V", encoder=encoder)
    given = ("score", tmp_path / "V", "-l", "red", "--out", tmp_path / "R")
    assert command(*given, "--to", f"{bucket.uri}/sorted") == 2
    assert "a store copies only what lies on it" in capfd.readouterr().err
    assert not (tmp_path / "R").exists() and bucket.objects() == PICTURES


def test_data_set_and_results_on_the_store_give_the_rows_of_local_ones(
    bucket: Bucket, tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    bucket.put({"photos/broken.png": b"\x89PNG\r\n"})
    labels = ("-l", "red", "-l", "blue")
    rows = []
    for vectors, out in ((tmp_path / "V", tmp_path / "R"), (f"{bucket.uri}/v", f"{bucket.uri}/r")):
        zeroshelf.embed_dataset(f"{bucket.uri}/photos", vectors, encoder=encoder)
        assert command("score", vectors, *labels, "--out", out) == 1  # one is broken
        assert command("score", vectors, *labels, "--out", out) == 2  # they are there
    (tmp_path / "copy").mkdir()
    for key, content in bucket.objects().items():
        if key.startswith("r/") and key.endswith(".parquet"):
            (tmp_path / "copy" / key.removeprefix("r/")).write_bytes(content)
    rows = [results(tmp_path / "R"), results(tmp_path / "copy")]
    assert rows[0] == rows[1] and len(rows[0]) == 6


def test_results_that_a_kill_left_on_a_store_are_named(
    bucket: Bucket,
    tmp_path: Path,
    encoder: ColourEncoder,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    zeroshelf.embed_dataset(f"{bucket.uri}/photos", tmp_path / "V", encoder=encoder)
    bucket.put({"r/results-00000.parquet": b"PAR1"})
    assert command("score", tmp_path / "V", "-l", "red", "--out", f"{bucket.uri}/r") == 2
    assert "results of a score that did not end" in capfd.readouterr().err
    assert bucket.objects()["r/results-00000.parquet"] == b"PAR1"


def test_a_uri_of_a_file_is_a_folder_of_this_machine(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    (tmp_path / "Photos").mkdir()
    (tmp_path / "Photos" / "a.png").write_bytes(picture(RED))
    zeroshelf.embed_dataset(tmp_path / "Photos", tmp_path / "V", encoder=encoder)
    given = ("score", tmp_path / "V", "-l", "red", "--out", tmp_path / "R")
    assert command(*given, "--to", (tmp_path / "My Shelves").as_uri()) == 0
    assert command("apply", "--yes") == 0
    assert (tmp_path / "My Shelves" / "red" / "a.png").exists()


def test_a_lock_of_a_store_is_no_lock_of_a_folder(
    bucket: Bucket, scored: Callable[..., int], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert scored() == 0
    (run,) = registry.all()
    assert isinstance(run, registry.RunRecord)
    with journal.working(run.record, f"{run.destination}/red", f"{run.destination}/red"):
        assert command("apply", "--yes") == 2
        assert "another run is working in" in capfd.readouterr().err
    with journal.working(run.record, str(tmp_path), "/"):
        assert command("apply", "--yes") == 0


def test_the_store_says_which_version_a_data_set_has(bucket: Bucket) -> None:
    store = opened.store_of(bucket.uri)
    place = places.place(f"{bucket.uri}/photos")
    found = store.look(store.uri_of(f"{bucket.uri}/photos/a.png"))
    assert found is not None and found.size == len(PICTURES["photos/a.png"])
    assert found.etag and place.uri.endswith("photos")
    assert store.look(f"{bucket.uri}/photos/none.png") is None
    assert store.look(f"{bucket.uri}/photos") is None
