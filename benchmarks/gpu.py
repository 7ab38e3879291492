"""What a GPU does, and whether the pipeline keeps it busy. To be run where a CUDA machine is.

    python -m benchmarks.gpu [--model starter] [--count 512] [--size 1280x960] [--device cuda]
    python -m benchmarks.gpu --simulate 20      no GPU: one that takes 20 ms for a batch of 64
    python -m benchmarks.gpu --simulate 0 --as-slow --batch 8     one that is as fast as decoding

Pictures a second, and their ratios:

    decode     read, hash, decode, shrink: all that the decoding threads do, and nothing else
    device     the image tower on batches that are ready, by as many threads as there are GPUs
    pipeline   the whole: files in, vectors in a cache of its own
    embed      the same by `zeroshelf embed`: files in, a dataset of its own
    busy       share of the pipeline's time in which a thread was in `embed_pictures`

CPU milliseconds, which other programs on the machine change little, and the rates of both over the
lower of the first two; all by turns, and the medians at the end. --simulate N --as-slow makes the
simulated device as slow as decoding is on this machine, where waiting costs most. Of a model that
was exported with --precision fp16 the cosine of what is computed in half precision to float32 is
printed too.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search import Invented
from benchmarks.speed import make
from zeroshelf import embed_dataset
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.embeddings.decoded import decode_file
from zeroshelf.images import decode, scan
from zeroshelf.models import select
from zeroshelf.records import Model, Pixels, Vectors
from zeroshelf.system import machine


class Simulated(Invented):
    """A device that takes some time for a batch, without the interpreter's lock."""

    def __init__(self, model: Model, seconds: float, batch: int) -> None:
        super().__init__(8)
        self.model, self.batch_size, self.feeders = model, batch, 1
        self.device = "simulated"
        self.seconds = seconds  # for a batch of 64

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        time.sleep(self.seconds * len(pixels) / 64)
        vectors = np.zeros((len(pixels), self.model.dim), np.float32)
        vectors[:, 0] = 1
        return vectors


class Watched:
    """Another encoder, and how long somebody was in it."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._inside, self._since, self.busy = 0, 0.0, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = time.perf_counter()
        try:
            vectors: Vectors = self._encoder.embed_pictures(pixels)
            return vectors
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self.busy += time.perf_counter() - self._since


def rate(work: Callable[[Any], object], items: Sequence[Any], threads: int, each: int = 1) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, items))
    return len(items) * each / (time.perf_counter() - start)


def measure(root: Path, encoder: Any, rounds: int, as_slow: bool) -> None:
    found = scan.scan(str(root))
    paths = [picture.path for picture in found.pictures]
    preprocessing, dtype = encoder.model.preprocessing, getattr(encoder, "pixel_type", np.float32)
    side, size = preprocessing.size, encoder.batch_size
    batch = np.random.default_rng(0).normal(size=(size, 3, side, side)).astype(dtype)

    def one(path: str) -> None:
        content = decode.read(path)
        decode.digest(content)
        decode_file(".jpg", content, preprocessing, dtype)

    feeders, ratios = max(1, encoder.feeders), []
    encoder.embed_pictures(batch)  # the first batch chooses the kernels
    with tempfile.TemporaryDirectory() as out:  # and pyarrow is imported
        embed_dataset(paths[0], out, encoder=encoder)
    for _ in range(rounds):
        cpu = time.process_time()
        decoding = rate(one, paths, machine.processors())
        decoding_cpu = time.process_time() - cpu
        if as_slow:
            encoder.seconds = 64 / decoding
        device = rate(encoder.embed_pictures, [batch] * max(8, len(paths) // size), feeders, size)
        watched = Watched(encoder)
        with tempfile.TemporaryDirectory() as cache, EmbeddingCache.open(f"{cache}/cache") as store:
            start, cpu = time.perf_counter(), time.process_time()
            compute.embed(found, watched, store)
            seconds, whole_cpu = time.perf_counter() - start, time.process_time() - cpu
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            embed_dataset(root, out, encoder=encoder)
            embedding = len(paths) / (time.perf_counter() - start)
        decoding = (decoding + rate(one, paths, machine.processors())) / 2  # before and after
        whole, slower = len(paths) / seconds, min(decoding, device)
        ratios.append((whole / slower, embedding / slower))
        print(
            f"decode {decoding:7.0f}  device {device:7.0f}  pipeline {whole:7.0f}  "
            f"embed {embedding:7.0f}  busy {watched.busy / seconds:5.2f}  "
            f"pipeline / slower {ratios[-1][0]:.2f}  embed / slower {ratios[-1][1]:.2f}  "
            f"CPU ms a picture: decoding {1000 * decoding_cpu / len(paths):.1f}, "
            f"pipeline {1000 * whole_cpu / len(paths):.1f}",
            flush=True,
        )
    middle = np.median(ratios, axis=0)
    print(f"medians: pipeline / slower {middle[0]:.2f}, embed / slower {middle[1]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="starter")
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--size", default="1280x960")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--simulate", type=float, help="milliseconds for a batch of 64")
    parser.add_argument("--batch", type=int, default=64, help="of the simulated device")
    parser.add_argument("--as-slow", action="store_true")
    given = parser.parse_args()
    model = select.find(given.model)
    encoder: Any
    if given.simulate is None:
        encoder = select.load(model, given.device)
        print(
            f"{model.id} on {encoder.open()}, {encoder.feeders} feeders, "
            f"{encoder.pixel_type.__name__}, cosine to float32 {encoder.half_cosine}"
        )
    else:
        encoder = Simulated(model, given.simulate / 1000, given.batch)
        print(f"{model.id} on a simulated device, {given.simulate} ms for a batch of 64")
    width, height = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory() as base:
        root = Path(base) / "pictures"
        root.mkdir()
        make(root, given.count, (width, height))
        print(f"{given.count} JPEGs of {given.size}, {machine.processors()} processors")
        measure(root, encoder, given.rounds, given.as_slow)


if __name__ == "__main__":
    main()
