"""Golden embeddings: a dozen test pictures and texts, and a comparison of two models on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from PIL import Image

from zeroshelf.errors import UserError
from zeroshelf.images.decode import Decoded
from zeroshelf.images.preprocess import to_pixels
from zeroshelf.records import Encoder, Pixels, Preprocessing, Vectors

FILE = "golden.npz"  # in a model's folder: what its makers' own library gives, or a first run's

# No squares among them: those hide a squash that should have been a crop.
SIZES = (
    (640, 427), (427, 640), (225, 1000), (1000, 225), (1, 300), (300, 1),
    (7, 5), (333, 500), (501, 334), (1280, 961), (223, 225), (97, 331),
)  # fmt: skip
TEXTS = (
    "",
    "cat",
    "a photo of a dog",
    "A Photo of TWO red Cars, parked!",
    "the quick brown fox jumps over the lazy dog and " * 12,
    "\N{FROG FACE} frog \N{PARTY POPPER}",
    "caf\xe9 cr\xe8me na\xefve \xfcber \xc5ngstr\xf6m",
    "\u4e00\u53ea\u732b\u7684\u7167\u7247",
    "  white \t space\n everywhere  ",
    "don't stop: 3.14, 1,000 & more?",
    "\u0444\u043e\u0442\u043e \u043a\u043e\u0448\u043a\u0438",
    "x",
)
LARGEST_DIFFERENCE, LEAST_COSINE = 1e-3, 0.9999


@dataclass(frozen=True, slots=True)
class Comparison:
    """How near two sets of unit vectors are, row by row."""

    difference: float  # the largest between two numbers
    cosine: float  # the least between two rows

    @property
    def within_tolerance(self) -> bool:
        return self.difference <= LARGEST_DIFFERENCE and self.cosine >= LEAST_COSINE

    def __str__(self) -> str:
        return f"cosine >= {self.cosine:.6f}, numbers within {self.difference:.1e}"


def compare(ours: Vectors, theirs: Vectors) -> Comparison:
    return Comparison(
        difference=float(np.abs(ours - theirs).max()),
        cosine=float((ours.astype(np.float64) * theirs).sum(1).min()),
    )


def pictures() -> list[Image.Image]:
    """A dozen of odd shapes, with edges and slopes in them; the same ones every time."""
    noise = np.random.default_rng(5)
    return [Image.fromarray(_picture(width, height, noise)) for width, height in SIZES]


def embed(encoder: Encoder) -> tuple[Vectors, Vectors]:
    """The embeddings of `pictures()` and of `TEXTS`."""
    made = encoder.embed_pictures(pixels(encoder.model.preprocessing))
    return made, encoder.embed_texts(TEXTS)


def save(folder: Path, pictures: Vectors, texts: Vectors) -> None:
    np.savez_compressed(folder / FILE, pictures=pictures, texts=texts)


def compare_to_saved(encoder: Encoder, folder: Path) -> tuple[Comparison, Comparison]:
    """Pictures and texts now, against those kept in `folder`."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as kept:
            theirs = kept["pictures"], kept["texts"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:  # as numpy has it
        raise UserError(f"{folder / FILE} is damaged; remove the model and get it again") from error
    now = embed(encoder)
    return compare(now[0], theirs[0]), compare(now[1], theirs[1])


def pixels(preprocessing: Preprocessing) -> Pixels:
    """Those of `pictures()`: (12, 3, size, size)."""
    every = pictures()
    return np.stack([to_pixels(Decoded(p, p.width, p.height), preprocessing) for p in every])


def _picture(width: int, height: int, noise: np.random.Generator) -> npt.NDArray[np.uint8]:
    down, across = np.mgrid[0:height, 0:width].astype(np.float64)
    channels = []
    for _ in range(3):
        slopes, phase = noise.uniform(-0.06, 0.06, 2), noise.uniform(0, 6)
        channels.append(127 + 90 * np.sin(slopes[0] * down + slopes[1] * across + phase))
    picture = np.stack(channels, axis=-1)
    picture[: height // 3, : width // 2] = noise.uniform(0, 255, 3)  # a hard edge
    return np.clip(picture + noise.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
