"""What looks alike: near by and far and wide."""

from __future__ import annotations

import numpy as np
import pytest

from zeroshelf.decisions import smoothing
from zeroshelf.decisions.smoothing import far_and_wide, likeness, near_by

RNG = np.random.default_rng(5)


def heaps(count: int, of: int = 2, dim: int = 16) -> np.ndarray:
    """(count, dim): `of` heaps of pictures, one after the other in turn."""
    centres = RNG.normal(size=(of, dim))
    rows = centres[np.arange(count) % of] + 0.2 * RNG.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def test_neighbours_are_the_pictures_that_look_alike() -> None:
    found = likeness(heaps(20))
    assert (found.neighbours % 2 == np.arange(20)[:, None] % 2).all()
    assert all(at not in row for at, row in enumerate(found.neighbours))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_small_folders(count: int) -> None:
    found = likeness(heaps(count))
    assert len(found.neighbours) == len(found.cosines) == len(found.along) == count
    values = np.ones((count, 2), np.float32)
    assert np.allclose(near_by(values, found), values)
    assert np.allclose(far_and_wide(values, found), values)


def test_equal_pictures_change_nothing() -> None:
    found = likeness(np.tile(heaps(1), (9, 1)))
    values = np.full((9, 1), 3.0, np.float32)
    assert np.allclose(far_and_wide(near_by(values, found), found), values)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = heaps(23, of=4)
    whole = likeness(rows)
    monkeypatch.setattr(smoothing, "BLOCK", 4)
    parts = likeness(rows)
    assert np.allclose(np.sort(whole.cosines), np.sort(parts.cosines), atol=1e-6)
    assert np.allclose(whole.along, parts.along, atol=1e-3)


def test_a_large_folder_is_known_by_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoothing, "ANCHORS", 8)
    monkeypatch.setattr(smoothing, "SEEN", 8)
    found = likeness(heaps(40))
    assert len(np.unique(found.neighbours)) <= 8
    assert (found.neighbours != np.arange(40)[:, None]).all()
    assert found.along.shape[0] == 40


def test_a_noisy_score_follows_its_part_of_the_folder() -> None:
    """Two heaps, one truly at 1 and one at -1, each picture's score in noise of the same size."""
    found = likeness(heaps(200))
    truth = np.where(np.arange(200) % 2, 1.0, -1.0)
    said = (truth + RNG.normal(size=200)).astype(np.float32)[:, None]
    drawn = far_and_wide(said, found)[:, 0]
    assert (np.sign(drawn) == truth).mean() > (np.sign(said[:, 0]) == truth).mean() + 0.05


def test_the_two_squares_have_the_same_axes() -> None:
    rows = heaps(24, of=5, dim=24).astype(np.float32)
    rows -= rows.mean(axis=0)
    narrow, wide = smoothing._axes(rows), smoothing._axes(np.vstack((rows, rows)))
    assert np.allclose(np.abs((narrow * wide).sum(axis=0))[-4:], 1, atol=1e-3)
