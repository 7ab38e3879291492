"""`zeroshelf export`: each format is read back by the program or library that it is for."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import zeroshelf as zs
from tests import waiting
from tests.colours import RED, ColourEncoder, paint
from tests.making import tree
from tests.program import command
from zeroshelf.commands import export as export_command
from zeroshelf.errors import ArgumentError, MissingPackage, UserError
from zeroshelf.output import export, tables


@pytest.fixture
def run(folder: Path, encoder: ColourEncoder) -> zs.Run:
    made = zs.classify(folder, ["red", "blue"], encoder=encoder)
    made.save(made.plan(folder.parent / "sorted"))
    return made


@pytest.fixture
def to(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def decided(run: zs.Run) -> dict[str, str]:
    return {one.picture.path: one.label for one in run}


def test_the_command_offers_every_format() -> None:
    assert tuple(export.FORMATS) == export_command.FORMATS


def test_parquet_is_read_by_duckdb_and_pandas(run: zs.Run, to: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="pip install -e '.[dev]'")
    pandas = pytest.importorskip("pandas", reason="pip install -e '.[dev]'")
    file = to / "run.parquet"
    run.export("parquet", file)
    rows = duckdb.execute(
        "SELECT path, label, probability, also, embedding, probabilities FROM read_parquet(?)",
        [str(file)],
    ).fetchall()
    assert {row[0]: row[1] for row in rows} == decided(run)
    assert [row[2] for row in rows] == pytest.approx([one.probability for one in run], abs=1e-6)
    assert np.allclose([row[4] for row in rows], run.embeddings.vectors)
    assert np.allclose([row[5] for row in rows], run.probabilities)
    count = "SELECT label, count(*) FROM read_parquet(?) GROUP BY label"
    tally = {name: number for name, number in run.counts.items() if number}
    assert dict(duckdb.execute(count, [str(file)]).fetchall()) == tally
    frame = pandas.read_parquet(file)
    assert frame["label"].tolist() == run.decisions.labels
    assert np.allclose(np.stack(frame["embedding"].to_list()), run.embeddings.vectors)


def test_csv_is_a_table(run: zs.Run, to: Path) -> None:
    run.export("csv", to / "run.csv")
    with open(to / "run.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"]: row["label"] for row in rows if row["label"]} == decided(run)
    assert [row["reason"] for row in rows if not row["label"]] == [run.skipped[0].reason]


def test_fiftyone_labels(run: zs.Run, to: Path) -> None:
    """The format of FiftyOneImageClassificationDataset, as FiftyOne's user guide has it: "classes"
    is null or a list, and "labels" has a label with a confidence for each picture's path."""
    said = run.export("fiftyone", to / "labels.json")
    found = json.loads((to / "labels.json").read_text())
    assert found.keys() == {"classes", "labels"} and found["classes"] is None
    assert {path: one["label"] for path, one in found["labels"].items()} == decided(run)
    for one in run:
        stated = found["labels"][one.picture.path]
        assert stated.keys() == {"label", "confidence"}
        assert stated["confidence"] == pytest.approx(one.probability, abs=1e-5)
    assert "FiftyOneImageClassificationDataset" in said


# Runs in a process of its own: FiftyOne takes a minute to import, and changes settings of others.
FIFTYONE = """
import json, sys
import fiftyone
data = fiftyone.Dataset.from_dir(
    dataset_type=fiftyone.types.FiftyOneImageClassificationDataset,
    data_path=sys.argv[1],
    labels_path=sys.argv[2],
)
data.compute_metadata(num_workers=1)
found = {
    one.filepath: [one.ground_truth.label, one.ground_truth.confidence, one.metadata.width]
    for one in data
}
print("read", json.dumps(found))
"""


@pytest.fixture
def mongodb(tmp_path: Path) -> Iterator[str]:
    """The address of a MongoDB: the one that `make test-peers` installs with FiftyOne."""
    installed = importlib.util.find_spec("fiftyone")
    if installed is None or not installed.submodule_search_locations:
        pytest.skip("fiftyone is not installed: make test-peers")
    given = os.environ.get("FIFTYONE_DATABASE_URI")
    if given:
        yield given
        return
    program = Path(installed.submodule_search_locations[0]) / "db" / "bin" / "mongod"
    if not program.exists():
        pytest.skip(
            f"{program} is not there, and FIFTYONE_DATABASE_URI is not set: make test-peers"
        )
    program.chmod(0o755)
    data = tmp_path / "mongodb"
    data.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(program), "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen([*words, "--nounixsocket", "--logpath", str(data / "log")]) as process:
        try:
            waiting.until(lambda: process.poll() is not None or listens(port))
            assert process.poll() is None, (data / "log").read_text()
            yield f"mongodb://127.0.0.1:{port}"
        finally:
            process.terminate()


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def read_by_fiftyone(uri: str, folder: str, labels: Path) -> dict[str, tuple[str, float, int]]:
    """Path -> label, confidence and the width of the picture that FiftyOne opened there."""
    settings = {
        "FIFTYONE_DATABASE_URI": uri,
        "FIFTYONE_DATABASE_VALIDATION": "false",  # the package's MongoDB is an old one
        "FIFTYONE_DO_NOT_TRACK": "true",
        "HOME": str(labels.parent),
    }
    words = [sys.executable, "-c", FIFTYONE, folder, str(labels)]
    done = subprocess.run(
        words, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("read ")]
    return {path: (one[0], one[1], one[2]) for path, one in json.loads(line[5:]).items()}


def test_fiftyone_reads_them(mongodb: str, folder: Path, encoder: ColourEncoder, to: Path) -> None:
    odd = 'l\'été "1" & <b>, 猫 %20.jpg'
    paint(folder / "ein Ordner" / odd, RED)
    run = zs.classify(folder, ["red", "blue"], encoder=encoder)
    run.export("fiftyone", to / "labels.json")
    found = read_by_fiftyone(mongodb, run.request.folder, to / "labels.json")
    assert str(folder / "ein Ordner" / odd) in found
    assert {path: one[0] for path, one in found.items()} == decided(run)
    for one in run:
        _, confidence, width = found[one.picture.path]
        assert confidence == pytest.approx(one.probability, abs=1e-5)
        with Image.open(one.picture.path) as image:
            assert width == image.width


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are Unicode there")
def test_a_path_that_is_not_utf8_spoils_no_export(
    folder: Path, encoder: ColourEncoder, to: Path
) -> None:
    """FiftyOne's database and the parser of datasets refuse the whole file for one such path."""
    odd = os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")
    shutil.copy(folder / "a.jpg", odd)
    run = zs.classify(folder, ["red", "blue"], encoder=encoder)
    for kind, file in (("fiftyone", to / "labels.json"), ("imagefolder", folder)):
        said = run.export(kind, file)
        assert "left out: 1 picture whose path is not UTF-8" in said
    labels = json.loads((to / "labels.json").read_text())["labels"]
    assert labels.keys() == decided(run).keys() - {odd}
    assert sorted(metadata(folder)) == ["a.jpg", "b.png", "deep/a.jpg", "grey.jpg"]
    run.export("imagefolder", to / "copies")
    assert len(metadata(to / "copies")) == 5
    assert all((to / "copies" / name).is_file() for name in metadata(to / "copies"))


def test_fiftyone_reads_pictures_that_were_moved(mongodb: str, run: zs.Run, to: Path) -> None:
    run.apply(run.plan(to / "sorted", "move"))
    run.export("fiftyone", to / "labels.json")
    found = read_by_fiftyone(mongodb, run.request.folder, to / "labels.json")
    assert sorted(label for label, _, _ in found.values()) == ["blue", "other", "red", "red"]
    assert all(str(to / "sorted") in path for path in found)


def tasks(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found


def test_label_studio_tasks(run: zs.Run, to: Path) -> None:
    """The format of "Import pre-annotated data into Label Studio" in its guide."""
    said = run.export("label-studio", to / "tasks.json")
    root = said.partition("DOCUMENT_ROOT=")[2].partition("; ")[0]
    interface = ElementTree.fromstring(said.partition("labelling interface: ")[2])
    choices = interface.find("Choices")
    assert choices is not None and interface.find("Image") is not None
    assert [one.get("value") for one in choices] == ["red", "blue", "other"]
    found = {}
    for task in tasks(to / "tasks.json"):
        address, _, path = task["data"]["image"].partition("?d=")
        assert address == "/data/local-files/"
        (prediction,) = task["predictions"]
        (result,) = prediction["result"]
        assert (result["from_name"], result["to_name"], result["type"]) == (
            choices.get("name"), choices.get("toName"), "choices",
        )  # fmt: skip
        assert 0 <= prediction["score"] <= 1 and prediction["model_version"] == "zeroshelf/colours"
        (label,) = result["value"]["choices"]
        found[os.path.join(root, os.fsdecode(unquote_to_bytes(path)))] = label
    assert found == decided(run)


def test_label_studio_validates_them(run: zs.Run, to: Path) -> None:
    sdk = pytest.importorskip("label_studio_sdk.label_interface", reason="make test-peers")
    said = run.export("label-studio", to / "tasks.json")
    interface = sdk.LabelInterface(said.partition("labelling interface: ")[2])
    for task in tasks(to / "tasks.json"):
        assert interface.validate_task({"data": task["data"]})
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction, return_errors=True) == []
            prediction["result"][0]["value"]["choices"] = ["no label of the run"]
            assert not interface.validate_prediction(prediction)


def metadata(folder: Path) -> dict[str, str]:
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    return {row["file_name"]: row["label"] for row in map(json.loads, lines)}


def test_imagefolder_copies_pictures_into_a_new_folder(run: zs.Run, to: Path) -> None:
    before = tree(Path(run.request.folder))
    run.export("imagefolder", to / "dataset")
    assert metadata(to / "dataset") == {
        "red/a.jpg": "red", "red/a (2).jpg": "red", "blue/b.png": "blue", "other/grey.jpg": "other",
    }  # fmt: skip
    for name in metadata(to / "dataset"):
        assert (to / "dataset" / name).stat().st_size > 0
    assert tree(Path(run.request.folder)) == before
    assert [path.name for path in to.iterdir()] == ["dataset"]


@pytest.mark.usefixtures("colours")
def test_imagefolder_of_a_sorted_folder_is_one_more_file(run: zs.Run, tmp_path: Path) -> None:
    sorted_to = tmp_path / "sorted"
    run.apply(run.plan(sorted_to, "move"))
    before = tree(sorted_to)
    assert command("export", run.id, "--format", "imagefolder", "--to", sorted_to) == 0
    found = metadata(sorted_to)
    assert sorted(found.values()) == ["blue", "other", "red", "red"]
    assert all((sorted_to / name).is_file() for name in found)
    (sorted_to / "metadata.jsonl").unlink()
    after = tree(sorted_to)
    assert {key: node.content for key, node in after.items()} == {
        key: node.content for key, node in before.items()
    }


def test_hugging_face_reads_the_imagefolder(
    run: zs.Run, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets", reason="make test-peers")
    run.export("imagefolder", to / "dataset")
    data = datasets.load_dataset(
        "imagefolder", data_dir=str(to / "dataset"), split="train", cache_dir=str(to / "cache")
    )
    assert sorted(data["label"]) == ["blue", "other", "red", "red"]
    assert data[0]["image"].size == (40, 30)


def test_pictures_that_were_moved_are_found_where_they_are(run: zs.Run, to: Path) -> None:
    run.apply(run.plan(to / "sorted", "move"))
    run.export("fiftyone", to / "labels.json")
    labels = json.loads((to / "labels.json").read_text())["labels"]
    assert len(labels) == 4 and all(os.path.isfile(path) for path in labels)
    run.export("imagefolder", to / "dataset")
    assert len(metadata(to / "dataset")) == 4
    shutil.rmtree(to / "sorted")
    with pytest.raises(UserError, match="is not there any more"):
        run.export("imagefolder", to / "again")
    assert sorted(path.name for path in to.iterdir()) == ["dataset", "labels.json"]


@pytest.mark.parametrize("kind", [*export.FORMATS])
def test_nothing_is_overwritten(kind: str, run: zs.Run, to: Path) -> None:
    (to / "there").write_text("mine")
    (to / "half.part").write_text("mine")
    (to / "folder").mkdir()
    before = tree(to)
    for name, says in (("there", "there already"), ("half", "in the way"), ("folder", "there")):
        with pytest.raises(UserError, match=says):
            run.export(kind, to / name)
    with pytest.raises(UserError, match="can't be written"):
        run.export(kind, to / "no" / "such" / "folder")
    assert tree(to) == before


def test_a_file_that_fails_half_way_is_removed(
    run: zs.Run, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(found: object, path: str) -> str:
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(export.FORMATS, "csv", export.Format(full))
    with pytest.raises(UserError, match="can't be written: No space left"):
        run.export("csv", to / "run.csv")
    assert list(to.iterdir()) == []


def test_what_is_refused(run: zs.Run, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="'xml' is none of parquet, csv, fiftyone"):
        run.export("xml", to / "run.xml")

    def missing(library: str) -> None:
        raise MissingPackage(f"this needs {library}")

    monkeypatch.setattr(tables, "required", missing)
    with pytest.raises(MissingPackage, match="this needs pyarrow"):
        run.export("parquet", to / "run.parquet")
    assert list(to.iterdir()) == []


@pytest.mark.usefixtures("colours")
def test_the_command(run: zs.Run, to: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("export", "--format", "csv", "--to", to / "a.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["run"], found["pictures"], found["file"]) == (run.id, 4, str(to / "a.csv"))
    assert command("export", run.id, "--format", "csv", "--to", to / "a.csv") == 2
    assert "is there already" in capsys.readouterr().err
    assert command("export", run.id, "--format", "xml", "--to", to / "a.xml") == 2
    assert command("export", "2099", "--format", "csv", "--to", to / "b.csv") == 2
