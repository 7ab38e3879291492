"""Constants from labelled pictures: the bar lies between what fits and what doesn't."""

from __future__ import annotations

import numpy as np
import pytest

from tests.colours import COLOURS, ColourEncoder
from zeroshelf.decisions.calibrate import KEPT, Folder, calibrate, from_labelled, harmonic, outcome
from zeroshelf.errors import UserError
from zeroshelf.records import Embeddings, Picture


def made(seed: int, good: int, bad: int) -> Folder:
    """Pictures that fit at d about 3, garbage at about -3; every best label is the true one."""
    rng = np.random.default_rng(seed)
    d = np.concatenate((rng.normal(3, 1, good), rng.normal(-3, 1, bad))).astype(np.float32)
    logits = np.tile(np.array([2.0, 0.0], np.float32), (good + bad, 1))
    return Folder(d, logits, np.array([0] * good + [-1] * bad), 0.0)


def test_the_bar_lies_between() -> None:
    folders = [made(seed, 40, 40) for seed in range(5)] + [made(9, 60, 0)]
    constants = calibrate(folders, "test")
    assert -2 < constants.delta < 2
    assert constants.source == "test"
    right, garbage = outcome(folders[0], constants.delta)
    assert min(right, garbage) > 0.95


def test_a_folder_without_garbage_keeps_nearly_all() -> None:
    """Where both overlap, the bar goes down until a clean folder keeps its pictures."""
    hard = Folder(
        made(0, 50, 50).d / np.float32(4), made(0, 50, 50).logits, made(0, 50, 50).truth, 0.0
    )
    clean = Folder(
        made(1, 200, 0).d / np.float32(4) - np.float32(1),
        made(1, 200, 0).logits,
        made(1, 200, 0).truth,
        0.0,
    )
    constants = calibrate([hard, clean], "test")
    assert (clean.d >= constants.delta).mean() >= KEPT


def test_too_little_is_said() -> None:
    with pytest.raises(UserError, match="here are 20 and 0"):
        calibrate([made(0, 20, 0)], "test")


def test_what_stands_for_both() -> None:
    assert harmonic(0.5, 1.0) == pytest.approx(2 / 3)
    assert harmonic(0.0, 0.0) == 0.0


def test_a_folder_of_folders() -> None:
    colours = np.eye(4, dtype=np.float32)
    vectors = np.repeat(colours, 40, axis=0)
    names = ["red"] * 40 + ["green"] * 40 + ["blue"] * 40 + ["grey"] * 40
    pictures = tuple(Picture(f"/{at}", "PNG", 1, 0, 0) for at in range(160))
    embeddings = Embeddings(pictures, (b"",) * 160, vectors.astype(np.float16), (), COLOURS)
    constants = from_labelled(embeddings, names, ColourEncoder().embed_texts, episodes=6)
    assert "160 pictures under 4 names" in constants.source
    with pytest.raises(UserError, match="4 names or more"):
        from_labelled(embeddings, ["red"] * 160, ColourEncoder().embed_texts)
