"""An int8 image tower in place of float32's: where a repository has both, and they agree here.

An int8 graph may take a quarter of the time on a CPU, or more than float32 (docs/models.md), and
what it costs in accuracy depends on its weights. So both are measured when the model is installed,
on the golden pictures. The text tower stays in float32: its vectors are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from time import thread_time as thread_seconds
from typing import Literal

import numpy as np

from zeroshelf.models import golden, ort
from zeroshelf.models.visual_tower import VisualTower
from zeroshelf.records import Model

Precision = Literal["fp32", "fp16", "int8"]

# The starter in static int8, at .984 and .971, puts 9 % of the pictures nearest to another of 40
# labels (benchmarks/int8.py).
LEAST_MEAN, LEAST = 0.99, 0.98
MOST_TIME = 0.75  # of float32's; by hand
SUFFIXES = {
    "fp32": ("",),
    "fp16": ("_fp16",),
    "int8": ("_int8", "_quantized", "_uint8"),
}  # of transformers.js's graphs


@dataclass(frozen=True, slots=True)
class Agreement:
    """The golden pictures in int8 against float32."""

    mean: float  # cosine of the two vectors of a picture
    least: float
    time: float  # int8's processor time, in shares of float32's

    @property
    def near(self) -> bool:
        return self.mean >= LEAST_MEAN and self.least >= LEAST

    def __str__(self) -> str:
        return (
            f"cosine to float32 {self.mean:.4f} in the mean, at least {self.least:.4f}, "
            f"{self.time:.2f} of its time"
        )


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
    if found.near and found.time <= MOST_TIME:
        say(f"image tower: int8, {found}; --precision fp32 keeps float32")
        return True
    why = "no faster" if found.near else f"too far (limits {LEAST_MEAN} and {LEAST})"
    say(f"image tower: float32, as int8 is {why}: {found}")
    return False


def _agreement(model: Model, visual: Path, small: Path) -> Agreement:
    pixels = golden.pixels(model.preprocessing)
    made, times = [], []
    for path in (visual, small):
        tower = VisualTower(ort.open_graph(path, "cpu", 1, lambda line: None), model)
        tower(pixels[:1])  # the first call makes room
        start = thread_seconds()
        made.append(tower(pixels).astype(np.float64))
        times.append(thread_seconds() - start)
    cosines = np.einsum("nd,nd->n", *made)
    return Agreement(float(cosines.mean()), float(cosines.min()), times[1] / max(times[0], 1e-9))
