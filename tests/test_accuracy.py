"""The yardstick itself: episodes hold what they say, and the figures can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy.__main__ import Result
from benchmarks.accuracy.episodes import SHARES, Episode, draw, shows
from benchmarks.accuracy.sets import Pool
from tests.colours import COLOURS, ColourEncoder

NAMES = ("dog", "horse", "guitar", "house", "elephant", "giraffe", "banana", "teapot")


def pool() -> Pool:
    """Two sets of eight names with 30 pictures each, and 60 pictures of junk."""
    names = [*np.repeat(NAMES, 30), *np.repeat([f"red {name}" for name in NAMES], 30)]
    sets = ["a"] * 240 + ["b"] * 240 + ["junk"] * 60
    return Pool(
        COLOURS,
        np.zeros((540, 4), np.float32),
        np.array(sets),
        np.array([*names, *["receipt"] * 60]),
        ("",) * 540,
        ColourEncoder().embed_texts,
    )


def test_episodes_hold_what_they_say() -> None:
    drawn = draw(pool(), 30, seed=1)
    assert {(one.kind, one.share) for one in drawn} == {
        (kind, share) for kind in ("near", "far", "junk") for share in SHARES
    }
    names, sets = pool().names, pool().sets
    for one in drawn:
        inside = one.truth >= 0
        assert [one.labels[at] for at in one.truth[inside]] == names[one.rows[inside]].tolist()
        assert not set(names[one.rows[~inside]]) & set(one.labels)
        assert (~inside).mean() == pytest.approx(one.share, abs=0.12)
        told = {"near": sets == one.set, "far": sets != one.set, "junk": sets == "junk"}[one.kind]
        assert told[one.rows[~inside]].all()


def test_the_same_seed_draws_the_same() -> None:
    one, other = draw(pool(), 5, seed=3), draw(pool(), 5, seed=3)
    assert all((a.rows == b.rows).all() for a, b in zip(one, other, strict=True))


def test_what_shows_a_label_is_not_out_of_distribution() -> None:
    assert shows("suburb", "house")
    assert shows("polar bear", "bear")
    assert not shows("dog", "cat")


def test_figures_by_hand() -> None:
    truth = np.array([0, 0, 0, 0, -1, -1])
    episode = Episode("a", "near", 1 / 3, ("dog",), np.arange(6), truth)
    result = Result(
        episode,
        keep_by=np.array([4.0, 3.0, 2.0, 0.0, 2.5, -1.0]),
        right=np.array([True, True, False, True, False, False]),
    )
    assert result.auroc == pytest.approx(6 / 8)  # of 8 pairs, the OOD image at 2.5 beats two
    assert result.at(1.0) == (0.5, 0.5)
    assert result.harmonic(1.0) == 0.5
    assert result.kept(1.0) == 0.75
    assert result.fpr95 == 0.5
