"""The shipped starter's image tower in int8 beside itself: python -m benchmarks.int8 PICTURES

ONNX Runtime's dynamic quantisation, and its static one with a quarter of the pictures. Printed are
CPU milliseconds a picture, one thread, the graphs in turns; the cosines to float32 of the golden
pictures, by which `models get` decides (models/int8.py), and of the pictures in the folder
PICTURES; and how many of these get the same nearest of 40 evenly drawn negative labels.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from zeroshelf.embeddings.compute import shipped_texts
from zeroshelf.errors import Unreadable
from zeroshelf.images import decode
from zeroshelf.images.preprocess import to_pixels
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.models import golden, ort, select
from zeroshelf.models.visual_tower import VisualTower
from zeroshelf.records import Pixels
from zeroshelf.system.telemetry import onnxruntime

ROUNDS, MOST, LABELS = 5, 120, 40


class _Reader:
    """Gives pictures to the static quantisation, one by one."""

    def __init__(self, name: str, pixels: Pixels) -> None:
        self._left = iter([{name: one[None]} for one in pixels])

    def get_next(self) -> Any:
        return next(self._left, None)


def _folded(path: Path, to: Path) -> Path:
    """The graph with its weights in float32, where the starter has numbers to multiply."""
    ort_ = onnxruntime()
    options = ort_.SessionOptions()
    options.graph_optimization_level = ort_.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.optimized_model_filepath = str(to)
    ort_.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return to


def pixels_of(folder: Path, preprocessing: Any) -> Pixels:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    files = files[:: max(1, len(files) // MOST)][:MOST]
    made = []
    for file in files:
        with contextlib.suppress(Unreadable):
            content = decode.read(str(file))
            frame = next(iter(decode.frames(content, preprocessing.size, suffix=file.suffix)))
            made.append(to_pixels(frame, preprocessing))
    return np.stack(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pictures", type=Path)
    given = parser.parse_args()
    quantization = onnxruntime("quantization")
    model = select.find("starter")
    path = model.folder / "visual" / "model.onnx"
    pictures = pixels_of(given.pictures, model.preprocessing)
    test = golden.pixels(model.preprocessing)
    known = shipped_texts(model)
    every = negative_labels()
    labels = np.stack([known[one.prompt] for one in every[:: len(every) // LABELS]])
    with tempfile.TemporaryDirectory() as place:
        graphs = {"float32": path, "dynamic": Path(place, "dynamic"), "static": Path(place, "s")}
        whole = _folded(path, Path(place, "float32"))
        quantization.quantize_dynamic(whole, graphs["dynamic"], reduce_range=True)
        name = ort.open_graph(path, "cpu", 1, print).inputs[0].name
        reader = _Reader(name, pictures[::4])
        quantization.quantize_static(whole, graphs["static"], reader, per_channel=True)
        towers = {
            which: VisualTower(ort.open_graph(graph, "cpu", 1, print), model)
            for which, graph in graphs.items()
        }
    spent = dict.fromkeys(towers, 0.0)
    for _ in range(ROUNDS):
        for which, tower in towers.items():
            start = time.thread_time()
            for one in pictures[:12]:
                tower(one[None])
            spent[which] += time.thread_time() - start
    made_by = {which: (tower(test), tower(pictures)) for which, tower in towers.items()}
    for which, (own, theirs) in made_by.items():
        shown = [f"{which:8} {1000 * spent[which] / (12 * ROUNDS):6.1f} ms"]
        for made, wanted in zip((own, theirs), made_by["float32"], strict=True):
            cosines = (made * wanted).sum(axis=1)
            shown.append(f"mean {cosines.mean():.4f} least {cosines.min():.4f}")
        nearest = (theirs @ labels.T).argmax(axis=1) == (made_by["float32"][1] @ labels.T).argmax(1)
        print("  ".join(shown), f" same label {100 * nearest.mean():.1f} %", flush=True)


if __name__ == "__main__":
    main()
