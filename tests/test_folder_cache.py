"""What is computed before any label is kept, and changes no answer."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import known
from tests.test_by_blocks import images
from zeroshelf.decisions import before_labels, constants
from zeroshelf.embeddings import folder_cache
from zeroshelf.embeddings.cache import EmbeddingCache, default_path
from zeroshelf.images.near_duplicates import NearDuplicates
from zeroshelf.labels.parse import parse
from zeroshelf.models import select
from zeroshelf.records import Corrections, Embeddings, Picture, Request
from zeroshelf.run import Sources
from zeroshelf.run.run import make_run

COUNT = 300


def folder() -> Embeddings:
    pictures = tuple(Picture(f"/{at:04d}.jpg", "JPEG", 1, 0, 0) for at in range(COUNT))
    digests = tuple(at.to_bytes(32, "big") for at in range(COUNT))
    return Embeddings(pictures, digests, images(COUNT), (), known.shipped().model)


def decided(found: Embeddings, *labels: str) -> list[object]:
    model = known.shipped().model
    with EmbeddingCache.open() as store:
        nothing = NearDuplicates(found, store.hashes, ())
        made = make_run(
            Request("/", parse([*labels]), model.id),
            found,
            select.calibration(model),
            Corrections(),
            Sources(known.shipped(), store, nothing),
        )
        return [made[row] for row in range(len(made))]


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
    with monkeypatch.context() as patched:
        patched.setattr(before_labels, "smoothing_of", never)
        patched.setattr(before_labels, "nearest_candidates", never)
        again = decided(found, "beach", "dog")
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


def test_a_cache_that_may_only_be_read_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder()
    wanted = decided(found, "cat", "dog")
    (name,) = kept()
    path = Path(default_path()).parent / folder_cache.FOLDER / name
    os.utime(path, (1, 1))  # so that its use would be noted

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    for function in ("utime", "replace", "remove"):
        monkeypatch.setattr(os, function, refused)
    monkeypatch.setattr(before_labels, "smoothing_of", never)
    assert decided(found, "cat", "dog") == wanted
    assert kept() == [name]


def test_two_processes_at_once_leave_one_whole_file() -> None:
    cache, key = default_path(), b"one folder"
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    arrays = {"rows": np.arange(100_000)}
    start = multiprocessing.get_context("spawn")
    writers = [start.Process(target=save_often, args=(cache, key, arrays)) for _ in range(2)]
    for one in writers:
        one.start()
    while any(one.is_alive() for one in writers):
        found = folder_cache.load(cache, key)
        assert found is None or np.array_equal(found["rows"], arrays["rows"])
    assert [one.exitcode for one in writers] == [0, 0]
    assert len(kept()) == 1


def save_often(cache: str, key: bytes, arrays: folder_cache.Arrays) -> None:
    for _ in range(20):
        folder_cache.save(cache, key, arrays)


def test_what_was_not_used_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = default_path()
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    monkeypatch.setattr(folder_cache, "MOST_BYTES", 40_000)
    for number in range(8):
        folder_cache.save(cache, bytes([number]), {"rows": np.zeros(8_000, np.uint8)})
        path = Path(cache).parent / folder_cache.FOLDER
        for one in path.iterdir():
            if one.stat().st_mtime > 1e6:
                os.utime(one, (number + 1, number + 1))
    there = [number for number in range(8) if folder_cache.load(cache, bytes([number]))]
    assert there == [4, 5, 6, 7]
    folder_cache.save(cache, b"large", {"rows": np.zeros(10_001, np.uint8)})
    assert folder_cache.load(cache, b"large") is None
