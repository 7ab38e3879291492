"""Graph time and memory beside torch, and the proof at full size.

    python -m benchmarks.models WORK            ViT-B/32 and ViT-L/14: fp32, int8, torch
    python -m benchmarks.models WORK --prove    every family at its true size against torch

Needs zeroshelf[export]. Weights are random, which changes neither time nor memory. WORK keeps the
checkpoints and exports (12 GB with --prove) for the next call. Each measurement runs in a process
of its own, on one thread, and counts processor time: what else the machine does matters little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ARCHITECTURES = ("ViT-B-32", "ViT-L-14-quickgelu")
BATCH, REPEATS = 8, 3
TEXTS = [f"a photo of a thing number {i}." for i in range(16)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--prove", action="store_true")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        how, _, architecture = given.measure.partition(":")
        print(json.dumps(measure(given.work, architecture, how)))
    elif given.prove:
        prove(given.work)
    else:
        compare(given.work)


def compare(work: Path) -> None:
    from tests import checkpoints
    from zeroshelf.models.export import export

    print(f"{'':26}{'pictures/CPU s':>15}{'texts/CPU s':>13}{'peak MB':>9}{'graphs MB':>11}")
    for architecture in ARCHITECTURES:
        checkpoint = work / f"{architecture}.safetensors"
        if not checkpoint.is_file():
            checkpoints.open_clip_architecture(architecture, work)
        for precision in ("fp32", "int8"):
            folder = work / f"{architecture}-{precision}"
            if not folder.is_dir():
                given = {"checkpoint": str(checkpoint), "precision": precision}
                told = export(architecture, folder, **given)  # type: ignore[arg-type]
                pictures = told.small_pictures or told.pictures
                print(f"{folder.name}: pictures {pictures}; texts {told.small_texts or told.texts}")
        for how in ("torch", "fp32", "int8"):
            show(work, architecture, how)
    show(work, "starter", "shipped")


def show(work: Path, architecture: str, how: str) -> None:
    """A row of figures, measured in a process of its own."""
    call = [sys.executable, "-m", "benchmarks.models", str(work)]
    call += ["--measure", f"{how}:{architecture}"]
    answer = subprocess.run(call, capture_output=True, text=True, check=True)
    row = json.loads(answer.stdout.splitlines()[-1])
    print(
        f"{architecture:19}{how:7}{row['pictures']:15.2f}{row['texts']:13.1f}"
        f"{row['peak']:9.0f}{row['size']:11.0f}"
    )


def measure(work: Path, architecture: str, how: str) -> dict[str, float]:
    """Pictures and texts a processor second, the pictures' peak memory, the graphs' size."""
    import numpy as np

    def pixels(size: int = 224) -> np.ndarray:
        noise = np.random.default_rng(0).normal(size=(BATCH, 3, size, size))
        return noise.astype(np.float32)

    if how == "torch":
        import open_clip
        import torch

        torch.set_num_threads(1)
        model = open_clip.create_model(architecture)
        open_clip.load_checkpoint(model, str(work / f"{architecture}.safetensors"))
        model.eval()
        tokens = open_clip.get_tokenizer(architecture)(TEXTS)
        noise = pixels()
        with torch.inference_mode():
            pictures = _rate(lambda: model.encode_image(torch.from_numpy(noise)), BATCH)
            peak = _peak_mb()
            texts = _rate(lambda: model.encode_text(tokens), len(TEXTS))
        size = (work / f"{architecture}.safetensors").stat().st_size / 1e6
    else:
        from zeroshelf.models import select

        shipped = how == "shipped"
        folder = work / f"{architecture}-{how}"
        model = select.find(architecture) if shipped else select.describe(how, folder)
        encoder = select.load(model, device="cpu", threads=1)
        noise = pixels(model.preprocessing.size)
        pictures = _rate(lambda: encoder.embed_pictures(noise), BATCH)
        peak = _peak_mb()
        texts = _rate(lambda: encoder.embed_texts(TEXTS), len(TEXTS))
        size = sum(file.stat().st_size for file in model.folder.rglob("*.onnx")) / 1e6
    return {"pictures": pictures, "texts": texts, "peak": peak, "size": size}


def prove(work: Path) -> None:
    from tests import checkpoints as make
    from zeroshelf.models.export import export

    families: dict[str, Callable[[Path], object]] = {
        "open_clip SigLIP 2 B/16": lambda f: make.open_clip_folder("ViT-B-16-SigLIP2", f, False),
        "open_clip XLM-R + ViT-B/32": lambda f: make.open_clip_folder(
            "xlm-roberta-base-ViT-B-32", f, False
        ),
        "clip-ViT-L-14": lambda f: make.clip_vit(f, "large"),
        "clip-ViT-B-32": lambda f: make.clip_vit(f, "base"),
        "transformers SigLIP 2 B/16": lambda f: make.transformers_siglip(f, False),
        "clip-ViT-B-32-multilingual-v1": lambda f: make.clip_multilingual(f, False),
    }
    for number, (name, checkpoint) in enumerate(families.items()):
        source, target = work / f"family-{number}", work / f"family-{number}-onnx"
        if not source.is_dir():
            checkpoint(source)
        if not target.is_dir():
            images = str(work / "family-3") if "multilingual" in name else None
            written = export(str(source), target, images=images)
            print(f"{name:32} pictures {written.pictures}; texts {written.texts}", flush=True)


def _rate(call: Callable[[], object], count: int) -> float:
    call()
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
    return count / best


def _peak_mb() -> float:
    """Of this program alone: ru_maxrss would count what the one that started it held."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


if __name__ == "__main__":
    main()
