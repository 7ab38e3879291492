"""Index -> cached features of the frozen trunk, one .npz for each view. Hours become minutes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from training.backbone import Trunk
from training.graph import write_graph
from training.index import Picture
from training.pixels import SIZE, load, to_array, view_of
from zeroshelf.system.telemetry import onnxruntime

BATCH = 32

Run = Callable[..., list[np.ndarray]]  # arrays in, arrays out


def features(
    pictures: Sequence[Picture], folders: Mapping[str, Path], cache: Path, view: str, device: str
) -> None:
    """Writes `cache`/<view>.npz: features (N, 1280) and logits (N, 1000) float16, files (N,).

    `folders`: picture file -> the folder below which it lies.
    """
    cache.mkdir(parents=True, exist_ok=True)
    example = (torch.zeros(2, 3, SIZE, SIZE),)
    names = ["features", "logits"]
    run = runner(Trunk().eval(), example, cache / "trunk.onnx", ["image"], names, device)
    rows = []
    for batch in _batches(_pixels(pictures, folders, view)):
        rows.append([out.astype(np.float16) for out in run(np.stack(batch))])
        if len(rows) % 50 == 0:
            print(f"{view}: {len(rows) * BATCH} of {len(pictures)} pictures", flush=True)
    pooled, logits = (np.concatenate(part) for part in zip(*rows, strict=True))
    files = np.array([picture.file for picture in pictures])
    np.savez(cache / f"{view}.npz", features=pooled, logits=logits, files=files)


def runner(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    device: str,
    dynamic: dict[int, str] | None = None,
) -> Run:
    """A module as a function of arrays: torch on a GPU, ONNX Runtime on a CPU (three times as fast
    as torch there). `path` is where its graph may be written."""
    if device != "cpu":
        module = module.to(device)

        @torch.inference_mode()
        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            made = module(*(torch.from_numpy(array).to(device) for array in arrays))
            return [out.cpu().numpy() for out in (made if isinstance(made, tuple) else (made,))]

        return run
    write_graph(module, example, path, inputs, outputs, dynamic)
    session = open_session(path)
    return lambda *arrays: session.run(None, dict(zip(inputs, arrays, strict=True)))


def open_session(path: Path) -> Any:
    """On the CPU, with torch's number of threads."""
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _pixels(
    pictures: Sequence[Picture], folders: Mapping[str, Path], view: str
) -> Iterator[np.ndarray]:
    for picture in pictures:
        rng = random.Random(f"{view} {picture.file}")  # the same view in every run
        image = load(folders[picture.file] / picture.file)
        yield to_array(view_of(image, view, rng))


def _batches(rows: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
