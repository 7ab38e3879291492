"""How long other labels for a large folder take: python -m benchmarks.relabelling [--pictures N]

Random vectors of the model's length stand for the pictures: the work does not depend on what they
show. The time is that of `Run.relabel`'s scores and decisions, after the first.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from zeroshelf.decisions import decide, scores
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.labels import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select
from zeroshelf.records import Embeddings, Picture

FIRST = ["cat", "dog", "car", "beach", "mountain", "birthday party", "food", "flower", "bicycle"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    given = parser.parse_args()
    encoder = select.load(select.find(None))
    vectors = np.random.default_rng(0).standard_normal(
        (given.pictures, encoder.model.dim), np.float32
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    picture = Picture("", "", 0, 0, 0)
    pictures = Embeddings(
        (picture,) * given.pictures,
        (b"",) * given.pictures,
        vectors.astype(np.float16),
        (),
        encoder.model,
    )
    with EmbeddingCache.open() as store:
        texts = compute.text_embedder(encoder, store)
        made = None
        for name, words in (("first", FIRST), ("one more", [*FIRST, "frog"]), ("one less", FIRST)):
            start = time.perf_counter()
            made = scores.score(pictures, resolve(parse.parse(words), texts), texts, made)
            decide.decide(made, select.calibration(encoder.model))
            print(f"{name}: {time.perf_counter() - start:.1f} s")
    print(f"1-minute load of the machine at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
