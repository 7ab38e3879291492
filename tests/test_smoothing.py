"""Score smoothing: k-nearest-neighbour and low-rank."""

from __future__ import annotations

import numpy as np
import pytest

from zeroshelf.decisions import smoothing
from zeroshelf.decisions.smoothing import smooth_by_neighbours, smooth_low_rank, smoothing_of

RNG = np.random.default_rng(5)


def heaps(count: int, of: int = 2, dim: int = 16) -> np.ndarray:
    """(count, dim): `of` heaps of pictures, one after the other in turn."""
    centres = RNG.normal(size=(of, dim))
    rows = centres[np.arange(count) % of] + 0.2 * RNG.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def test_neighbours_are_the_pictures_that_look_alike() -> None:
    found = smoothing_of(heaps(20))
    assert (found.neighbours % 2 == np.arange(20)[:, None] % 2).all()
    assert all(at not in row for at, row in enumerate(found.neighbours))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_small_folders(count: int) -> None:
    found = smoothing_of(heaps(count))
    assert len(found.neighbours) == len(found.cosines) == len(found.coordinates) == count
    values = np.ones((count, 2), np.float32)
    assert np.allclose(smooth_by_neighbours(values, found), values)
    assert np.allclose(smooth_low_rank(values, found), values)


def test_equal_pictures_change_nothing() -> None:
    found = smoothing_of(np.tile(heaps(1), (9, 1)))
    values = np.full((9, 1), 3.0, np.float32)
    assert np.allclose(smooth_low_rank(smooth_by_neighbours(values, found), found), values)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = heaps(23, of=4)
    whole = smoothing_of(rows)
    monkeypatch.setattr(smoothing, "BLOCK", 4)
    parts = smoothing_of(rows)
    assert np.allclose(np.sort(whole.cosines), np.sort(parts.cosines), atol=1e-6)
    assert np.allclose(whole.coordinates, parts.coordinates, atol=1e-3)


def test_a_large_folder_is_known_by_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoothing, "MAX_ANCHORS", 8)
    monkeypatch.setattr(smoothing, "MAX_AXIS_SAMPLES", 8)
    found = smoothing_of(heaps(40))
    assert len(np.unique(found.neighbours)) <= 8
    assert (found.neighbours != np.arange(40)[:, None]).all()
    assert found.coordinates.shape[0] == 40


def test_a_noisy_score_follows_its_part_of_the_folder() -> None:
    """Two heaps, one truly at 1 and one at -1, each picture's score in noise of the same size."""
    found = smoothing_of(heaps(200))
    truth = np.where(np.arange(200) % 2, 1.0, -1.0)
    said = (truth + RNG.normal(size=200)).astype(np.float32)[:, None]
    drawn = smooth_low_rank(said, found)[:, 0]
    assert (np.sign(drawn) == truth).mean() > (np.sign(said[:, 0]) == truth).mean() + 0.05


def test_the_two_squares_have_the_same_axes() -> None:
    rows = heaps(24, of=5, dim=24).astype(np.float32)
    rows -= rows.mean(axis=0)
    narrow, wide = smoothing.principal_axes(rows), smoothing.principal_axes(np.vstack((rows, rows)))
    assert np.allclose(np.abs((narrow * wide).sum(axis=0))[-4:], 1, atol=1e-3)
