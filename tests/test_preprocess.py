"""Pixels as the models' makers get them: torchvision's and transformers' way, written out here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from zeroshelf.images.decode import Decoded
from zeroshelf.images.preprocess import crop_box, to_pixels
from zeroshelf.models import golden
from zeroshelf.records import Preprocessing

MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


def settings(**changes: object) -> Preprocessing:
    given: dict[str, object] = {
        "size": 64, "resize_mode": "shortest", "interpolation": "bicubic", "mean": MEAN, "std": STD,
    }  # fmt: skip
    return Preprocessing(**(given | changes))  # type: ignore[arg-type]


def in_two_steps(picture: Image.Image, how: Preprocessing) -> np.ndarray:
    """Resize the whole picture, then cut out the middle, then normalise: in float64."""
    size = how.size
    filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
    if how.resize_mode == "squash":
        picture = picture.resize((size, size), filters[how.interpolation])
    else:
        short, long = sorted(picture.size)
        resized = int(size * long / short)
        wide = picture.width > picture.height
        picture = picture.resize(
            (resized, size) if wide else (size, resized), filters[how.interpolation]
        )
        spare = resized - size
        start = round(spare / 2.0) if how.crop == "round" else int(spare / 2.0)
        left, top = (start, 0) if wide else (0, start)
        picture = picture.crop((left, top, left + size, top + size))
    values = np.asarray(picture, np.float64) / 255
    return ((values - how.mean) / how.std).transpose(2, 0, 1)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(
    ("mode", "crop"), [("shortest", "round"), ("shortest", "floor"), ("squash", "round")]
)
def test_one_pass_gives_the_pixels_of_two(mode: str, crop: str, interpolation: str) -> None:
    how = settings(resize_mode=mode, crop=crop, interpolation=interpolation)
    level = 1 / 255 / min(STD)
    for picture in golden.pictures():
        ours = to_pixels(Decoded(picture, *picture.size), how)
        theirs = in_two_steps(picture, how)
        assert ours.shape == (3, 64, 64) and ours.dtype == np.float32
        difference = np.abs(ours - theirs)
        assert difference.max() < 6 * level, picture.size
        assert difference.mean() < 0.1 * level, picture.size


def test_the_rounding_of_the_crop_is_the_makers() -> None:
    """64 x 67: three spare columns; torchvision starts at round(1.5) = 2, transformers at 1."""
    assert crop_box(67, 64, settings())[0] == 2
    assert crop_box(67, 64, settings(crop="floor"))[0] == 1
    assert crop_box(69, 64, settings())[0] == 2  # round(2.5): half to even
    assert crop_box(64, 67, settings()) == (0, 2, 64, 66)


def test_a_picture_at_reduced_scale_is_cut_at_the_same_place() -> None:
    """The draft of 1001 x 333 at 1/2 is 501 x 167: the box is 1/2 of the full one, not 167 wide."""
    noise = np.random.default_rng(0).uniform(0, 255, (21, 63, 3)).astype(np.uint8)
    full = Image.fromarray(noise).resize((1002, 334), Image.Resampling.BICUBIC)
    draft = full.reduce(2)
    how = settings(size=16)
    ours = to_pixels(Decoded(draft, 1001, 333, 2), how)
    exact = to_pixels(Decoded(full, 1001, 333, 1), how)
    careless = to_pixels(Decoded(draft, *draft.size), how)
    assert np.abs(ours - exact).mean() < 0.5 * np.abs(careless - exact).mean()


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (1, 1), (3, 2)])
def test_extreme_shapes_cost_nothing(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long and thin picture is resized to the square at once, never to its whole length first."""
    made: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def noting(self: Image.Image, to: tuple[int, int], *given: Any, **more: Any) -> Image.Image:
        made.append(to)
        return resize(self, to, *given, **more)

    monkeypatch.setattr(Image.Image, "resize", noting)
    picture = Image.new("RGB", size, (255, 128, 0))
    pixels = to_pixels(Decoded(picture, *size), settings())
    assert made == [(settings().size, settings().size)]
    expected = (np.array([1, 128 / 255, 0]) - MEAN) / STD
    np.testing.assert_allclose(pixels.mean((1, 2)), expected, atol=1e-5)
