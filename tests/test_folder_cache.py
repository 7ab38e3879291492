"""What is computed before any label is kept, and changes no answer."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests import known
from tests.test_by_blocks import images
from zeroshelf.decisions import constants, negative_scores, scores, smoothing
from zeroshelf.embeddings import compute, folder_cache
from zeroshelf.embeddings.cache import EmbeddingCache, default_path
from zeroshelf.labels.parse import parse
from zeroshelf.models import select
from zeroshelf.records import Corrections, Embeddings, Picture, Request
from zeroshelf.run import remembered

COUNT = 300


def folder() -> Embeddings:
    pictures = tuple(Picture(f"/{at:04d}.jpg", "JPEG", 1, 0, 0) for at in range(COUNT))
    digests = tuple(at.to_bytes(32, "big") for at in range(COUNT))
    return Embeddings(pictures, digests, images(COUNT), (), known.shipped().model)


def decided(found: Embeddings, *labels: str) -> list[object]:
    model = known.shipped().model
    with EmbeddingCache.open() as store:
        made = remembered.make(
            Request("/", parse([*labels]), model.id),
            found,
            select.calibration(model),
            Corrections(),
            compute.text_embedder(known.shipped(), store),
            store,
        )
        return [*made]


def kept() -> list[str]:
    place = Path(default_path()).parent / folder_cache.FOLDER
    return sorted(os.listdir(place)) if place.exists() else []


def never(*_: object) -> None:
    raise AssertionError("computed again")


def test_other_labels_are_decided_without_comparing_the_pictures_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = folder()
    decided(found, "cat", "dog")
    assert len(kept()) == 1
    monkeypatch.setattr(scores, "smoothing_of", never)
    monkeypatch.setattr(scores, "nearest_candidates", never)
    again = decided(found, "beach", "dog")
    monkeypatch.undo()
    for name in kept():
        os.remove(Path(default_path()).parent / folder_cache.FOLDER / name)
    assert decided(found, "beach", "dog") == again


@pytest.mark.parametrize("change", ["order", "picture", "constant", "model"])
def test_another_folder_is_computed_anew(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    found = folder()
    decided(found, "cat")
    if change == "order":
        found = found.some(range(COUNT - 1, -1, -1))
    elif change == "picture":
        found = replace(found, digests=(b"\xff" * 32, *found.digests[1:]))
    elif change == "model":
        found = replace(found, model=replace(found.model, digest="another"))
    else:
        monkeypatch.setattr(constants, "CENTRING", 0.31)
    decided(found, "cat")
    assert len(kept()) == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", None])
def test_a_damaged_file_is_as_good_as_none(damage: bytes | None) -> None:
    found = folder()
    wanted = decided(found, "cat", "dog")
    (name,) = kept()
    path = Path(default_path()).parent / folder_cache.FOLDER / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert decided(found, "cat", "dog") == wanted
    assert path.read_bytes() == whole


def test_a_cache_that_can_not_be_written_stops_nothing(tmp_path: Path) -> None:
    Path(default_path()).parent.mkdir(parents=True, exist_ok=True)
    (Path(default_path()).parent / folder_cache.FOLDER).write_text("a file in the way")
    assert len(decided(folder(), "cat")) == COUNT


def test_small_folders_leave_no_file() -> None:
    decided(folder().some(range(20)), "cat")
    assert not kept()


def test_prune_removes_what_no_run_used() -> None:
    decided(folder(), "cat")
    with EmbeddingCache.open() as store:
        used = store.size().bytes
        store.prune(90)
        assert len(kept()) == 1
        place = Path(default_path()).parent / folder_cache.FOLDER / kept()[0]
        file = place.stat().st_size
        os.utime(place, (1, 1))
        store.prune(90)
        assert not kept() and store.size().bytes <= used - file


def test_the_functions_are_those_that_the_scores_call() -> None:
    assert scores.smoothing_of is smoothing.smoothing_of
    assert scores.nearest_candidates is negative_scores.nearest_candidates
