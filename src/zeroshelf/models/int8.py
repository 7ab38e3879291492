"""An int8 image tower in place of float32's: where a repository has both, and they agree here.

On a CPU an int8 graph takes a quarter to a half of the time (docs/models.md). Whether it may stand
for the float32 graph is measured when the model is installed: both embed the golden pictures. The
text tower stays in float32: its vectors are kept, and int8 costs texts more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from zeroshelf.models import golden, ort
from zeroshelf.models.visual_tower import VisualTower
from zeroshelf.records import Model

Precision = Literal["fp32", "fp16", "int8"]

# Two labels that a picture fits about as well differ by some hundredths of cosine, in what is left
# of an error of 1 - cosine after the part that all labels share: at .98 a picture is as far from
# itself as from another photo of a burst (near_duplicates.BURST: .95).
LEAST_MEAN, LEAST = 0.99, 0.98
SUFFIXES = {
    "fp32": ("",),
    "fp16": ("_fp16",),
    "int8": ("_int8", "_quantized", "_uint8"),
}  # of transformers.js's graphs


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cosines of the golden pictures' vectors in int8 to those in float32."""

    mean: float
    least: float

    @property
    def enough(self) -> bool:
        return self.mean >= LEAST_MEAN and self.least >= LEAST

    def __str__(self) -> str:
        return f"cosine to float32 {self.mean:.4f} in the mean, at least {self.least:.4f}"


def beside(visual: str, paths: Collection[str]) -> str | None:
    """The int8 graph among `paths` of the same image tower as `visual`; None where there is none,
    or where this machine's ONNX Runtime computes on a GPU, which gains nothing by it."""
    stem = visual.removesuffix(".onnx")
    if not stem.endswith("vision_model") or set(ort.GPUS) & set(ort.devices()):
        return None
    names = (f"{stem}{suffix}.onnx" for suffix in SUFFIXES["int8"])
    return next((name for name in names if name in paths), None)


def takes_its_place(model: Model, visual: Path, small: Path, say: Callable[[str], None]) -> bool:
    """Whether the graph `small` agrees with `visual`, which is told to `say` in one line."""
    try:
        found = _agreement(model, visual, small)
    except Exception as error:  # onnxruntime raises classes of its own: no graph that runs here
        say(f"image tower: float32, as {small.name} can't be used: {str(error).splitlines()[0]}")
        return False
    limits = f"limits {LEAST_MEAN} and {LEAST}"
    if found.enough:
        say(f"image tower: int8, {found} ({limits}); --precision fp32 keeps float32")
    else:
        say(f"image tower: float32, as int8 is too far from it: {found} ({limits})")
    return found.enough


def _agreement(model: Model, visual: Path, small: Path) -> Agreement:
    pixels = golden.pixels(model.preprocessing)
    both = [
        VisualTower(ort.open_graph(path, "cpu", 1, lambda line: None), model)(pixels)
        for path in (visual, small)
    ]
    cosines = np.einsum("nd,nd->n", *(one.astype(np.float64) for one in both))
    return Agreement(float(cosines.mean()), float(cosines.min()))
