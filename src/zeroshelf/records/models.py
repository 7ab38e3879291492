"""A model, its constants, and what embeds with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]  # (N, D), each row of length 1
Pixels: TypeAlias = npt.NDArray[np.float32]  # (N, 3, H, W), normalised as the model wants it


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes pixels: read from the model's own files, nothing guessed."""

    size: int  # the square's side, in pixels
    resize_mode: Literal["shortest", "squash"]  # shortest side to `size` and centre crop, or both
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: Literal["round", "floor"] = "round"  # where the middle begins: torchvision, transformers


@dataclass(frozen=True, slots=True)
class Calibration:
    """The constants of the open-set decision for one model. Logits differ in level and spread
    between models, so that one model's values do not suit another.

    The OOD score and both temperatures are in logits (decisions/decide.py has the formulas). The
    default values are a compromise for a model that was never calibrated.
    """

    ood_threshold: float = -1.6  # OOD score at which an image fits with a probability of one half
    ood_temperature: float = 1.5  # of the sigmoid over the OOD score
    label_temperature: float = 1.0  # of the softmax over the labels
    typical_logit: float | None = None  # median image's mean negative logit; None: the folder's own
    # provisional: transferred on pictures that are much alike; the next folder replaces it
    origin: Literal["default", "provisional", "transferred", "measured"] = "default"
    source: str = ""  # how the values were obtained: "starter on 300 pictures"


@dataclass(frozen=True, slots=True)
class Model:
    """A two-tower model as a row of data."""

    id: str  # "starter", or a catalogue id, or a folder's path
    folder: Path
    digest: str  # of the weights and all that shapes an embedding: the cache's key
    dim: int
    preprocessing: Preprocessing
    context_length: int
    logit_scale: float  # a logit is this times a cosine; a bias would cancel out of every score
    languages: tuple[str, ...]  # ISO 639-1
    licence: str


class Encoder(Protocol):
    """Both towers together, so that they can't come from two models.

    An encoder that computes beside the processors, on accelerators, has two more attributes:
    `feeders`, the number of threads that shall call `embed_pictures` at once and do nothing else
    (one a device), and `pixel_type`, the numpy type in which it takes pixels without a cast.
    """

    @property
    def model(self) -> Model:
        """What is known about the model."""
        ...

    @property
    def device(self) -> str | None:
        """Where pictures were embedded: "cpu", "cuda", ...; None as long as none were."""
        ...

    @property
    def batch_size(self) -> int:
        """How many pictures a worker gives at once: few on a CPU, many on an accelerator."""
        ...

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        """(N, 3, size, size) -> (N, dim), rows of length 1. Called from several threads at once."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """N texts -> (N, dim), rows of length 1."""
        ...
