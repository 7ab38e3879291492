"""A model that can be computed by eye: a red picture is "red", a grey one is no colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from zeroshelf.records import Model, Pixels, Preprocessing, Vectors

RED, GREEN, BLUE, GREY = (230, 20, 20), (20, 230, 20), (20, 20, 230), (128, 128, 128)
AXES = {"red": 0, "green": 1, "blue": 2}

COLOURS = Model(
    id="colours",
    folder=Path("colours"),
    digest="colours",
    dim=4,
    preprocessing=Preprocessing(8, "shortest", "bicubic", (0, 0, 0), (1, 1, 1)),
    context_length=8,
    logit_scale=10.0,
    languages=("en",),
    licence="MIT",
)


@dataclass
class ColourEncoder:
    model: Model = COLOURS
    batch_size: int = 2
    device: str | None = None  # until a picture is embedded
    texts: list[str] = field(default_factory=list)  # every text that was ever asked for
    pictures: int = 0  # how many pictures were ever embedded

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        self.pictures += len(pixels)
        self.device = "cpu"
        colours = pixels.mean(axis=(2, 3))
        vectors = np.zeros((len(pixels), 4), np.float32)
        vectors[:, :3] = colours - colours.min(axis=1, keepdims=True)
        vectors[:, 3] = 0.1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        vectors = np.zeros((len(texts), 4), np.float32)
        for row, text in enumerate(texts):
            words = text.replace(".", " ").replace(",", " ").split()
            for word in words:
                if word in AXES:
                    vectors[row, AXES[word]] = 1
            if not vectors[row].any():
                vectors[row, 3] = 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> Path:
    """A picture of one colour, its format told by the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path
