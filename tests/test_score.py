"""`zeroshelf score`: labels over a dataset, with the answers of a sort of the same pictures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import zeroshelf
from tests import known, systems, tiny
from tests.colours import BLUE, GREY, RED, ColourEncoder, paint
from tests.datasets_made import of_embeddings, results, uri_of, written
from tests.making import tree, xmp
from tests.program import command
from tests.test_by_blocks import LABELS, images
from zeroshelf.corrections import classification
from zeroshelf.corrections.classification import Classification
from zeroshelf.datasets import prepare, sample
from zeroshelf.datasets import results as results_files
from zeroshelf.datasets.parts import Row
from zeroshelf.datasets.places import place
from zeroshelf.datasets.score import score
from zeroshelf.decisions import by_blocks, constants, smoothing
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.labels.parse import parse
from zeroshelf.models import calibrations, select
from zeroshelf.records import Corrections, Embeddings, Picture, Request, Skipped


def assert_the_same(found: list[dict[str, object]], run: Classification) -> None:
    """Row for row, number for number."""
    assert [row["uri"] for row in found] == [
        *(uri_of(one.path) for one in run.embeddings.pictures),
        *(uri_of(one.path) for one in run.skipped),
    ]
    for row, decision, also in zip(found[: len(run)], run, run.also, strict=True):
        assert row["label"] == decision.label
        assert row["probability"] == decision.probability
        assert row["confidence"] == decision.confidence
        assert row["reason"] == decision.reason
        assert row["also"] == [*also]
        top = [(one["label"], one["probability"]) for one in row["top"]]  # type: ignore[attr-defined]
        assert top == [*decision.top]
    for row, skipped in zip(found[len(run) :], run.skipped, strict=True):
        assert row == dict.fromkeys(row, None) | {"uri": row["uri"], "reason": skipped.reason}


@pytest.fixture
def album(known_demo: None, tmp_path: Path) -> zeroshelf.Run:
    """A sort of the demo's pictures under odd names, one of them broken."""
    folder = tmp_path / "Photos"
    shutil.copytree(known.DEMO, folder)
    for number, file in enumerate(sorted(folder.rglob("*.jpg"))):
        names = [b"a b.jpg", "\u00e9t\u00e9.jpg".encode(), b"100%.jpg", b"a#b.jpg", b"\xff.jpg"]
        if number < len(names):
            os.rename(file, os.path.join(os.fsencode(folder), systems.name(names[number])))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    return zeroshelf.classify(folder, ["cat", "dog", "people", "fish"])


def test_score_gives_the_rows_of_sort(album: zeroshelf.Run, tmp_path: Path) -> None:
    dataset = of_embeddings(tmp_path / "Embeddings", album.embeddings)
    scored = score(dataset, album.labels, place(str(tmp_path / "Results")))
    assert_the_same(results(tmp_path / "Results"), album)
    assert scored.counts == album.counts and scored.unread == len(album.skipped) == 2
    assert scored.confidences == album.confidences


def test_a_folder_of_several_blocks_gives_the_rows_of_sort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoothing, "MAX_ANCHORS", 300)
    for module, name, size in (
        (by_blocks, "CHUNK", 1024),
        (results_files, "FILE_ROWS", 1500),
        (prepare, "BATCH", 700),
    ):
        monkeypatch.setattr(module, name, size)
    model, vectors = known.shipped().model, images(2100)
    pictures = [
        Picture(f"{tmp_path}/{at * 7919 % 2100}.jpg", "JPEG", 1, 0, 0) for at in range(2100)
    ]
    pictures.sort(key=lambda one: os.fsencode(one.path))
    found = Embeddings(
        tuple(pictures),
        tuple(bytes([at % 256]) * 32 for at in range(2100)),
        vectors,
        (Skipped(f"{tmp_path}/x.jpg", "broken JPEG file"),),
        model,
        {4: "dark picture", 1300: "blurred picture"},
    )
    request = Request("/", parse(LABELS), model.id)
    texts = compute.text_embedder(known.shipped(), EmbeddingCache.open())
    run = classification.make(request, found, select.calibration(model), Corrections(), texts)
    dataset = of_embeddings(tmp_path / "Embeddings", found, 5)
    scored = score(dataset, request.labels, place(str(tmp_path / "Results")))
    assert_the_same(results(tmp_path / "Results"), run)
    assert scored.files == 2
    score(dataset, request.labels, place(str(tmp_path / "Again")))  # from what is prepared
    assert results(tmp_path / "Again") == results(tmp_path / "Results")


def test_independent_answers_do_not_depend_on_the_other_pictures(
    album: zeroshelf.Run, tmp_path: Path
) -> None:
    whole = of_embeddings(tmp_path / "whole", album.embeddings)
    few = of_embeddings(tmp_path / "few", replace(album.embeddings.some([2, 5]), skipped=()), 1)
    for name, dataset in (("all", whole), ("two", few)):
        score(dataset, album.labels, place(str(tmp_path / name)), independent=True)
    answers = {row["uri"]: row for row in results(tmp_path / "all")}
    for row in results(tmp_path / "two"):
        other = answers[row["uri"]]
        assert row["label"] == other["label"]
        assert row["probability"] == pytest.approx(other["probability"], abs=1e-4)
    assert len(results(tmp_path / "two")) == 2
    joint = of_embeddings(tmp_path / "joint", album.embeddings)
    score(joint, album.labels, place(str(tmp_path / "together")))
    assert [row["probability"] for row in results(tmp_path / "together")] != [
        row["probability"] for row in results(tmp_path / "all")
    ]


def colours(to: Path, *each: tuple[str, tuple[int, int, int]]) -> None:
    rows = []
    for name, colour in each:
        wanted = np.array([*colour, 30], np.float32)
        wanted[:3] -= wanted[:3].min()
        vector = (wanted / np.linalg.norm(wanted)).astype(np.float16)
        rows.append(Row(f"s3://pictures/{name}", "1", embedding=vector))
    written(to, rows, "colours", 4, 1)


def scored_colours(folder: Path, out: Path, encoder: ColourEncoder) -> dict[str, str]:
    score(place(str(folder)), parse(["red", "blue"]), place(str(out)), encoder=encoder)
    return {row["uri"].rpartition("/")[2]: row["label"] for row in results(out)}


def test_a_changed_dataset_is_prepared_anew_and_the_old_files_go(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    here = tmp_path / "dataset"
    colours(here, ("a", RED), ("b", BLUE))
    assert scored_colours(here, tmp_path / "1", encoder) == {"a": "red", "b": "blue"}
    (first,) = (here / ".zeroshelf").iterdir()
    colours(here, ("c", RED))
    found = scored_colours(here, tmp_path / "2", encoder)
    assert found == {"a": "red", "b": "blue", "c": "red"}
    (second,) = (here / ".zeroshelf").iterdir()
    assert first != second


def test_results_that_are_there_are_never_overwritten(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    here = tmp_path / "dataset"
    colours(here, ("a", RED))
    (tmp_path / "out").mkdir()
    assert scored_colours(here, tmp_path / "out", encoder) == {"a": "red"}
    before = [(one.name, one.read_bytes()) for one in (tmp_path / "out").iterdir()]
    with pytest.raises(UserError, match="is there already"):
        scored_colours(here, tmp_path / "out", encoder)
    assert [(one.name, one.read_bytes()) for one in (tmp_path / "out").iterdir()] == before


def test_a_score_that_fails_leaves_no_results(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "dataset"
    colours(here, ("a", RED))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results_files.Writer, "add_errors", full)
    with pytest.raises(OSError, match="No space"):
        scored_colours(here, tmp_path / "out", encoder)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["dataset"]


def test_what_can_not_be_scored_is_one_line(tmp_path: Path, encoder: ColourEncoder) -> None:
    out = place(str(tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no embeddings in"):
        score(place(str(tmp_path / "empty")), parse(["red"]), out)
    here = tmp_path / "dataset"
    colours(here, ("a", RED))
    with pytest.raises(UserError, match="is not on this machine"):
        score(place(str(here)), parse(["red"]), out)
    with pytest.raises(UserError, match="not made by the model starter"):
        score(place(str(here)), parse(["red"]), out, model="starter")
    written(here, [Row("z", "1", embedding=np.ones(4, np.float16))], "another", 4, 1)
    with pytest.raises(UserError, match="2 models made the embeddings"):
        score(place(str(here)), parse(["red"]), out)
    assert not (tmp_path / "out").exists()


def test_constants_are_part_of_what_is_prepared(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "dataset"
    colours(here, ("a", RED), ("b", GREY))
    scored_colours(here, tmp_path / "1", encoder)
    (first,) = (here / ".zeroshelf").iterdir()
    monkeypatch.setattr(constants, "CENTRING", 0.31)
    scored_colours(here, tmp_path / "2", encoder)
    assert not first.exists()


def test_the_command(
    album: zeroshelf.Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    of_embeddings(tmp_path / "Embeddings", album.embeddings)
    labels = [word for name in album.labels.names for word in ("-l", name)]
    given = ("score", tmp_path / "Embeddings", *labels, "--out", tmp_path / "Results")
    assert command(*given, "--json") == 1  # two have no embedding
    told = json.loads(capfd.readouterr().out)
    assert told["counts"] == album.counts and told["without_embedding"] == 2
    assert_the_same(results(tmp_path / "Results"), album)
    assert command(*given) == 2
    assert "is there already: name a new folder with --out" in capfd.readouterr().err


def files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


def embedded(folder: Path, encoder: ColourEncoder, to: Path) -> None:
    """The dataset of a folder, with the versions of its files that `embed` writes."""
    run = zeroshelf.classify(folder, ["red"], encoder=encoder)
    found = run.embeddings
    rows = [
        Row(
            uri_of(one.path),
            f"{one.size}-{one.mtime_ns}",
            found.digests[at].hex(),
            embedding=found.vectors[at],
        )
        for at, one in enumerate(found.pictures)
    ]
    written(to, rows, found.model.digest, found.model.dim, 2)


@pytest.fixture
def scored_folder(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """A command that scores the embeddings of a folder of seven files by their colours."""
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    photos = tmp_path / "Photos"
    for name, colour in (("a", RED), ("b", BLUE), ("one/a", RED), ("one/c", GREY), ("d", BLUE)):
        paint(photos / f"{name}.jpg", colour)
    paint(photos / "one" / "a.jpg", RED, (80, 30))
    (photos / "a.xmp").write_bytes(xmp())
    (photos / "notes.txt").write_text("no picture")
    embedded(photos, encoder, tmp_path / "Embeddings")
    numbers = iter(range(99))

    def run(*more: object) -> int:
        out = tmp_path / f"Results{next(numbers)}"
        given = ("score", tmp_path / "Embeddings", "-l", "red", "-l", "blue", "--out", out)
        return command(*given, "--to", tmp_path / "Sorted", *more)

    return run


def test_a_plan_of_the_results_is_applied_and_undone(
    tmp_path: Path, scored_folder: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    before = tree(tmp_path / "Photos")
    assert scored_folder("--as", "move", "--json") == 0
    run = json.loads(capfd.readouterr().out)["run"]
    assert tree(tmp_path / "Photos") == before and not (tmp_path / "Sorted").exists()
    assert command("apply", run, "--yes") == 0
    there = sorted(str(one.relative_to(tmp_path / "Sorted")) for one in files(tmp_path / "Sorted"))
    assert there == [
        "blue/b.jpg", "blue/d.jpg", "other/c.jpg", "red/a (2).jpg", "red/a.jpg", "red/a.xmp",
    ]  # fmt: skip
    assert command("undo", run, "--yes") == 0
    assert tree(tmp_path / "Photos") == before and not (tmp_path / "Sorted").exists()


def test_a_second_plan_finds_what_the_first_put_there(
    tmp_path: Path, scored_folder: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert scored_folder() == 0 and command("apply", "--yes") == 0
    before = tree(tmp_path / "Sorted")
    assert scored_folder() == 0 and command("apply", "--yes") == 0
    assert tree(tmp_path / "Sorted") == before
    assert "already on their shelf" in capfd.readouterr().err


def test_what_changed_since_the_embedding_is_left_out(
    tmp_path: Path, scored_folder: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "Photos"
    paint(photos / "a.jpg", BLUE, (50, 50))
    (photos / "one" / "a.jpg").unlink()
    os.utime(photos / "b.jpg", (5, 5))  # another time, the same content
    assert scored_folder() == 0 and command("apply", "--yes") == 0
    assert "2 pictures are left out: gone or changed" in capfd.readouterr().err
    there = [str(one.relative_to(tmp_path / "Sorted")) for one in files(tmp_path / "Sorted")]
    assert sorted(there) == ["blue/b.jpg", "blue/d.jpg", "other/c.jpg"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--as", "tag"], "needs a sort"),
        (["--as", "move", "--several"], "can't be moved onto several shelves"),
    ],
)
def test_a_plan_that_can_not_be_is_refused_before_anything_is_scored(
    tmp_path: Path,
    scored_folder: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    more: list[str],
    why: str,
) -> None:
    assert scored_folder(*more) == 2
    assert why in capfd.readouterr().err
    assert not (tmp_path / "Results0").exists()


def test_options_of_a_plan_need_a_destination(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command("score", tmp_path, "-l", "a", "--out", tmp_path / "b", "--several") == 2
    assert "need --to: add it" in capfd.readouterr().err


def test_pictures_of_an_object_store_are_no_files(
    tmp_path: Path, encoder: ColourEncoder, capfd: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    colours(tmp_path / "E", ("a", RED))
    given = ("score", tmp_path / "E", "-l", "red", "--out", tmp_path / "R", "--to", tmp_path / "S")
    assert command(*given) == 2
    assert "is no file of its own on this machine" in capfd.readouterr().err
    assert not (tmp_path / "R").exists()


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """70 pictures of different colours: enough to transfer a calibration."""
    rng = np.random.default_rng(1)
    for number in range(70):
        red, green, blue = rng.integers(0, 256, 3).tolist()
        paint(tmp_path / "Photos" / f"{number % 3}" / f"{number:02}.png", (red, green, blue))
    return tmp_path / "Photos"


def test_a_large_model_is_scored_as_it_is_sorted(many: Path, tmp_path: Path) -> None:
    """With the negative labels that these pictures can need, and a calibration of the starter's."""
    model = str(tiny.immich(tmp_path / "model", logit_scale=20))
    zeroshelf.embed_dataset(many, tmp_path / "Embeddings", model=model)
    dataset, labels = place(str(tmp_path / "Embeddings")), parse(["red", "blue", "cat"])
    scored = score(dataset, labels, place(str(tmp_path / "Results")), model=model)
    calibrations.store(select.find(model), None)  # the sort transfers one of its own
    run = zeroshelf.classify(many, labels, model=model)
    candidates = run.decisions.scores.candidates
    assert candidates is not None and candidates.searched is not None
    assert run.decisions.calibration.origin in ("transferred", "provisional")
    assert_the_same(results(tmp_path / "Results"), run)
    assert scored.confidences == run.confidences
    score(dataset, labels, place(str(tmp_path / "Again")), model=model)  # from what is prepared
    assert results(tmp_path / "Again") == results(tmp_path / "Results")
    score(dataset, labels, place(str(tmp_path / "alone")), model=model, independent=True)
    assert len(list((tmp_path / "Embeddings" / ".zeroshelf").iterdir())) == 2


def test_a_sample_is_fetched_from_where_the_pictures_lie(tmp_path: Path) -> None:
    """But not out of tars, of which each would be fetched as a whole; nor what is gone."""
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.pipe("/sampled/a.jpg", b"one")
    (tmp_path / "b c.jpg").write_bytes(b"two")
    uris = ["memory://sampled/a.jpg", uri_of(str(tmp_path / "b c.jpg")), "memory://sampled/x.jpg"]
    vectors = np.eye(3, 4, dtype=np.float16)
    model = ColourEncoder().model
    digests: list[str | None] = [f"{number:064x}" for number in (7, 5, 6)]

    def opened(uris: list[str]) -> AbstractContextManager[Embeddings | None]:
        names, hashes = (pa.chunked_array([pa.array(one)]) for one in (uris, digests))
        return sample.opened(names, hashes, vectors, model, {1: "dark picture"}, None)

    with opened(uris) as found:
        assert found is not None
        paths = [Path(picture.path) for picture in found.pictures]
        assert [path.read_bytes() for path in paths[:2]] == [b"one", b"two"]
        assert not paths[2].exists() and found.pictures[1].size == 3
        assert [digest.hex() for digest in found.digests] == digests
        np.testing.assert_array_equal(found.vectors, vectors)
        assert found.notes == {1: "dark picture"}
    assert not paths[0].exists()
    with opened([*uris[:2], "s3://bucket/00000.tar#1.jpg"]) as found:
        assert found is None
    digests[1] = None
    with opened(uris) as found:
        assert found is None
