"""Labels over a large dataset: python -m benchmarks.scoring [--pictures N] [--labels K]

Makes N clustered vectors of 512 numbers as a dataset, and scores it under two label sets in one
process. Random texts stand for the model's: the work does not depend on them. Prints processor
seconds and the peak of the process's memory after each step.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from blake3 import blake3

from zeroshelf.datasets import parts, places
from zeroshelf.datasets.score import score
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.labels.parse import parse
from zeroshelf.records import Model, Pixels, Preprocessing, Vectors

PART = 8192  # rows
MODEL = Model(
    "random", Path("random"), "random", 512,
    Preprocessing(8, "shortest", "bicubic", (0, 0, 0), (1, 1, 1)), 8, 100.0, ("en",), "MIT",
)  # fmt: skip
WORDS = [
    "cat", "dog", "car", "beach", "mountain", "party", "food", "flower", "bicycle", "frog", "horse",
    "boat", "bridge", "church", "tree", "train", "bird", "baby", "snow", "sunset",
]  # fmt: skip


@dataclass
class RandomTexts:
    """An encoder whose vector of a text is random, and always the same."""

    model: Model = MODEL
    batch_size: int = 64
    device: str | None = None

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        raise NotImplementedError

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        seeds = (int.from_bytes(blake3(text.encode()).digest()[:8], "big") for text in texts)
        made = np.stack([np.random.default_rng(seed).standard_normal(512) for seed in seeds])
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def make(folder: str, count: int) -> places.Place:
    """The dataset, as parts whose rows lie in no order. One that is there is used."""
    dataset = places.place(folder)
    if parts.part_names(dataset):
        return dataset
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1000, 512), np.float32)
    names = rng.permutation(count)
    schema = parts.schema(512)
    for start in range(0, count, PART):
        some = names[start : start + PART]
        rows = centres[rng.integers(0, 1000, len(some))]
        rows = rows + rng.standard_normal(rows.shape, np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        nothing = pa.nulls(len(some), pa.string())
        columns = {
            "uri": pa.array([f"file:///pictures/{at % 977:03d}/{at:08d}.jpg" for at in some]),
            "digest": pa.array([f"{at:064x}" for at in some]),
            "width": pa.array(np.full(len(some), 640, np.int32)),
            "height": pa.array(np.full(len(some), 480, np.int32)),
            "model": pa.array(["random"] * len(some)),
            "embedding": pa.FixedSizeListArray.from_arrays(
                pa.array(rows.astype(np.float16).reshape(-1)), type=schema.field("embedding").type
            ),
            "error": nothing,
            "note": nothing,
            "etag": pa.array(["1"] * len(some)),
            "generation": pa.array(np.ones(len(some), np.int32)),
        }
        table = pa.table([columns[name] for name in schema.names], schema=schema)
        parts.write_part(dataset, table)
    return dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--keep", help="a folder for the dataset, which stays")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = given.keep or os.path.join(folder, "dataset")
        os.makedirs(home, exist_ok=True)
        dataset = make(home, given.pictures)
        store = EmbeddingCache.open(os.path.join(folder, "cache.sqlite"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{given.pictures:,} pictures; peak before: {peak:.0f} MB")
        rounds = (("first labels", 0), ("other labels", 3), ("the same again", 3))
        for number, (name, first) in enumerate(rounds):
            words = (WORDS * (1 + given.labels // len(WORDS)))[first : first + given.labels]
            labels = parse([f"{word} {at}" if at >= 20 else word for at, word in enumerate(words)])
            out = places.place(os.path.join(folder, f"results-{number}"))
            cpu, wall = time.process_time(), time.perf_counter()
            score(dataset, labels, out, encoder=RandomTexts(), store=store)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{name}: {cpu:.1f} processor s ({wall:.1f} s), peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
