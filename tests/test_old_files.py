"""What 0.1.0 wrote still opens: records of runs, plans, journals, edits and the embedding cache.

`fixtures/written-by-0.1.0.zip` was written by that version: nine pictures that were copied, tagged,
sorted for a review with edits, and at last moved. @ROOT@ stands for the folder that it lay in.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

import pytest

from tests.colours import ColourEncoder
from tests.making import statuses
from zeroshelf.actions import plan_file
from zeroshelf.actions.apply import apply
from zeroshelf.actions.undo import undo
from zeroshelf.corrections.stored import load_for
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.output import results
from zeroshelf.review.session import Session
from zeroshelf.run import classify, reopen
from zeroshelf.runs import registry

FIXTURE = Path(__file__).parent / "fixtures" / "written-by-0.1.0.zip"
COPIED, TAGGED, REVIEWED, MOVED = (
    f"20261127-010723-{end}" for end in ("47cb", "7342", "81a9", "9a11")
)
TIME = 1_700_000_000_000_000_000  # of the pictures, in nanoseconds
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its records hold POSIX paths")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with zipfile.ZipFile(FIXTURE) as file:
        file.extractall(tmp_path)
    monkeypatch.setenv("ZEROSHELF_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("ZEROSHELF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "P").mkdir(exist_ok=True)
    for picture in (*tmp_path.glob("*/*/*.png"), *tmp_path.glob("copied/*/*.xmp")):
        os.utime(picture, ns=(TIME, TIME))
    for path in tmp_path.glob("runs/**/*.json*"):
        path.write_text(path.read_text("ascii").replace("@ROOT@", str(tmp_path)), "ascii")
    for path in tmp_path.glob("runs/*/journal.jsonl"):  # the times that the journals know
        for event in map(json.loads, path.read_text("ascii").splitlines()):
            if event.get("stamp") and os.path.exists(event["done"]):
                os.utime(event["done"], ns=(event["stamp"][1],) * 2)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


PICTURES = {f"{colour}-{i}.png" for colour in ("red", "green", "blue") for i in range(3)}


def test_its_runs_are_listed(root: Path) -> None:
    assert {run.id: run.state for run in registry.all()} == {
        MOVED: "applied",
        REVIEWED: "planned",
        TAGGED: "applied",
        COPIED: "applied",
    }
    assert registry.find(REVIEWED[:-2]).id == REVIEWED
    assert registry.find().id == MOVED


def test_its_runs_are_undone(root: Path) -> None:
    for run in (MOVED, TAGGED, COPIED):
        assert statuses(undo(registry.find(run).record)) <= {"done"}, run
    assert names(root / "P") == PICTURES | {"red-0.png.xmp"}
    assert b"zeroshelf" not in (root / "P" / "red-0.png.xmp").read_bytes()
    assert not (root / "copied").exists() and not (root / "moved").exists()


def test_its_plan_is_carried_out(root: Path) -> None:
    undo(registry.find(MOVED).record)
    record = registry.find(REVIEWED).record
    planned = plan_file.load(os.path.join(record, "plan.jsonl"))
    assert planned.kind == "copy" and len(planned.actions) >= 9
    assert statuses(apply(record)) <= {"done"}
    rows = list(results.read_jsonl(os.path.join(record, "results.jsonl")))
    for row in rows:
        assert (root / "reviewed" / str(row.label) / os.path.basename(row.path)).exists()
    assert names(root / "reviewed") == {row.label for row in rows}


def test_its_run_opens_with_its_edits_and_from_its_cache(root: Path) -> None:
    encoder = ColourEncoder()
    run = reopen(REVIEWED, encoder=encoder, store=EmbeddingCache.open())
    assert run.device is None, "no picture was embedded"
    assert run.labels.names == ("warm", "green")
    rows = list(results.read_jsonl(os.path.join(str(run.record), "results.jsonl")))
    before = {os.path.basename(row.path): row.label for row in rows}
    after = dict(zip(before, run.decisions.labels, strict=True))
    changed = {name: after[name] for name in before if after[name] != before[name]}
    # 0.2.0 decides by other rules; what was corrected stays
    assert all(label == "green" and "green" in name for name, label in changed.items()), changed
    assert after["blue-0.png"] == "warm" and after["blue-1.png"] == "other"
    with Session(
        reopen(REVIEWED, edited=False, encoder=encoder, store=EmbeddingCache.open())
    ) as session:
        assert session.edit_count == 4 and session.edited.offset == 0.5
        assert session.edited.corrected == {"blue-0.png": "warm", "blue-1.png": "other"}


def test_its_stored_corrections_are_followed(root: Path) -> None:
    run = reopen(REVIEWED, encoder=ColourEncoder(), store=EmbeddingCache.open())
    stored = load_for(run.labels, run.model)
    assert sorted(one.label for one in stored.values()) == ["other", "warm"]


def test_its_cache_spares_the_embedding(root: Path) -> None:
    undo(registry.find(MOVED).record)
    encoder = ColourEncoder()
    with EmbeddingCache.open() as cache:
        run = classify(root / "P", ["warm", "green"], encoder=encoder, store=cache)
        assert cache.trouble is None
        thumbnails = cache.thumbnails(run.embeddings.digests)
    assert len(run.embeddings) == len(PICTURES) and encoder.pictures == 0
    assert thumbnails.keys() == set(run.embeddings.digests)
