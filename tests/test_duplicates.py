"""Near-duplicates: equal files, copies in another quality, bursts; never chains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import zeroshelf
from tests.colours import COLOURS, ColourEncoder
from zeroshelf.images import near_duplicates
from zeroshelf.records import Embeddings, Picture


def scene(path: Path, seed: int, quality: int = 90, noise: float = 0) -> None:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (9, 12, 3), np.uint8))
    pixels = np.asarray(small.resize((240, 180), Image.Resampling.BICUBIC), np.float32)
    noisy = pixels + np.random.default_rng(99).normal(0, noise, pixels.shape)
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=quality)


def test_copies_are_grouped_and_other_pictures_are_not(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    scene(tmp_path / "a.jpg", 1)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    scene(tmp_path / "c.jpg", 1, quality=40, noise=4)
    scene(tmp_path / "d.jpg", 2)  # for this model any two greyish pictures look alike
    run = zeroshelf.classify(tmp_path, ["red"], encoder=encoder)
    names = [Path(picture.path).name for picture in run.embeddings.pictures]
    assert [[names[row] for row in group] for group in run.near_duplicates] == [
        ["a.jpg", "b.jpg", "c.jpg"]
    ]


def test_a_chain_of_small_steps_joins_only_what_is_near_to_all() -> None:
    angles = np.arccos(0.96) * np.arange(4)
    vectors = np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], axis=1)
    digests = tuple(bytes([i]) * 32 for i in range(4))
    embeddings = Embeddings(
        tuple(Picture(f"/{i}.jpg", "JPEG", 1, 1, 1) for i in range(4)),
        digests,
        vectors.astype(np.float16),
        (),
        COLOURS,
    )
    white = near_duplicates.dhash(_jpeg())
    groups = near_duplicates.groups(embeddings, lambda wanted: dict.fromkeys(wanted, white))
    assert groups == ((0, 1), (2, 3))


def test_a_large_folder_is_compared_within_a_window(monkeypatch) -> None:
    monkeypatch.setattr(near_duplicates, "ALL_PAIRS", 5)
    monkeypatch.setattr(near_duplicates, "WINDOW", 2)
    monkeypatch.setattr(near_duplicates, "BLOCK", 3)
    turns = np.array([0, 1, 2, 0, 1, 3, 3, 3]) * np.pi / 4  # 0 and 3 are alike, but too far apart
    vectors = np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float16)
    pictures = tuple(Picture(f"/{i}.jpg", "JPEG", 1, 1, 1) for i in range(8))
    digests = tuple(bytes([i]) * 32 for i in range(8))
    white = near_duplicates.dhash(_jpeg())
    found = near_duplicates.groups(
        Embeddings(pictures, digests, vectors, (), COLOURS),
        lambda wanted: dict.fromkeys(wanted, white),
    )
    assert found == ((5, 6, 7),)


def test_many_copies_of_one_picture_are_one_group() -> None:
    vectors = np.tile(np.array([[1, 0, 0, 0]], np.float16), (3000, 1))
    pictures = tuple(Picture(f"/{i}.jpg", "JPEG", 1, 1, 1) for i in range(3000))
    embeddings = Embeddings(pictures, (b"x" * 32,) * 3000, vectors, (), COLOURS)
    (group,) = near_duplicates.groups(embeddings, lambda wanted: {})
    assert group == tuple(range(3000))


def _jpeg() -> bytes:
    import io

    out = io.BytesIO()
    Image.new("L", (9, 8), 255).save(out, "JPEG")
    return out.getvalue()
