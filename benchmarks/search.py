"""What a search costs over many synthetic vectors: python -m benchmarks.search [--count 1000000]

    cache       a new process compares one query with every vector below a folder, read from the
                cache's file: CPU seconds, and the most memory that it held
    search      the same with everything around it: the words' texts, whether anything fits, and
                near-duplicates; `zeroshelf search --no-scan` does this
    memory      the vectors are in memory, as in a notebook and on the review page: seconds for one
                query, the middle of five

The cache is made first, in a temporary folder (1 GB for a million vectors of 512 numbers), by the
program itself. Its pictures don't exist and are taken for unchanged.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zeroshelf.embeddings import cache_vectors
from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.records import Calibration, Model, Picture, Pixels, Preprocessing, Vectors
from zeroshelf.search import exact, query, sources
from zeroshelf.search.find import Searcher

ROOT = "/synthetic"
BATCH = 256  # pictures of a chunk, as a run writes them
CLUSTERS = 1000  # a folder has many pictures of few things


class Invented:
    """An encoder whose texts are random, and always the same."""

    def __init__(self, dim: int) -> None:
        preprocessing = Preprocessing(8, "shortest", "bicubic", (0, 0, 0), (1, 1, 1))
        self.model = Model(
            "invented", Path("invented"), "invented", dim, preprocessing, 8, 100.0, ("en",), "MIT"
        )
        self.device: str | None = None
        self.batch_size = 8

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        raise NotImplementedError

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        seeds = [int.from_bytes(hashlib.blake2b(t.encode(), digest_size=8).digest()) for t in texts]
        return unit(np.stack([normal(np.random.default_rng(s), self.model.dim) for s in seeds]))


def normal(rng: np.random.Generator, *shape: int) -> Vectors:
    return rng.standard_normal(shape, dtype=np.float32)


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def make(path: Path, count: int, dim: int) -> None:
    """A cache with `count` vectors: the first through the program, which makes the tables, the
    others straight into these, in the order of their keys, since that takes a minute and not an
    hour."""
    rng = np.random.default_rng(0)
    centres = normal(rng, CLUSTERS, dim)
    places: list[tuple[int, bytes, int, int]] = []  # rows of the table `embedding`
    with EmbeddingCache.open(str(path)) as store:
        first = unit(normal(rng, 1, dim)).astype(np.float16)[0]
        store.add("invented", [(picture(0), digest(0), Embedded(first))])

        def act(db: sqlite3.Connection) -> None:
            for start in range(1, count, BATCH):
                size = min(BATCH, count - start)
                which = rng.integers(CLUSTERS, size=size)
                vectors = unit(centres[which] + normal(rng, size, dim)).astype(np.float16)
                chunk = cache_vectors.insert_chunk(db, 1, vectors)
                places.extend((1, digest(start + row), chunk, row) for row in range(size))
            places.sort()
            db.executemany("INSERT INTO embedding VALUES (?,?,?,?)", places)
            files = sorted(
                (os.fsencode(one.path), one.size, one.mtime_ns, one.ctime_ns, digest(at))
                for at in range(1, count)
                for one in (picture(at),)
            )
            db.executemany("INSERT INTO file VALUES (?,?,?,?,?)", files)

        store._file.write(act)
        assert store.trouble is None


def picture(at: int) -> Picture:
    return Picture(f"{ROOT}/{at % 100:02}/{at:08}.jpg", "JPEG", at, 1, 1)


def digest(at: int) -> bytes:
    return hashlib.blake2b(str(at).encode(), digest_size=32).digest()


def child(what: str, path: Path, dim: int) -> None:
    encoder = Invented(dim)
    sources._unchanged = lambda path, size, changed: True
    asked = query.parse(["red car"])
    with EmbeddingCache.open(str(path)) as store:
        source = sources.InCache(store, encoder.model, ROOT)
        searcher = Searcher(source, encoder, store, Calibration)
        if what == "search":
            searcher.search(asked, top=20)  # the texts are embedded once, as with any model
        start = time.process_time()
        if what == "search":
            hits = searcher.search(asked, top=20)
            assert len(hits) == 20
        else:
            found = source.cosines(encoder.embed_texts(["red car"]))
            exact.best(found[:, 0], 20)
        print(f"{time.process_time() - start:.2f} {len(source)} {peak():.0f}")


def memory(count: int, dim: int) -> float:
    rng = np.random.default_rng(0)
    vectors = np.concatenate(
        [
            unit(normal(rng, min(10_000, count - start), dim)).astype(np.float16)
            for start in range(0, count, 10_000)
        ]
    )
    asked = unit(normal(rng, 1, dim))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        exact.best(exact.cosines(vectors, asked)[:, 0], 20)
        times.append(time.perf_counter() - start)
    return sorted(times)[2]


def peak() -> float:
    """The most memory that this process held, in MB. Linux counts what the process that started
    this one held to `ru_maxrss`, and has its own under another name."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        assert found
        return int(found[1]) / 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "CACHE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]), given.dim)
        return
    print(f"{given.count:,} vectors of {given.dim} numbers")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embeddings.sqlite"
        make(path, given.count, given.dim)
        for what in ("cache", "search"):
            words = [sys.executable, "-m", "benchmarks.search", "--dim", str(given.dim)]
            out = subprocess.run(
                [*words, "--child", what, str(path)],
                check=True, capture_output=True, text=True, env=dict(os.environ),
            ).stdout  # fmt: skip
            seconds, rows, megabytes = out.split()
            assert int(rows) == given.count
            print(f"{what}: {seconds} CPU seconds, {megabytes} MB at most")
    print(f"memory: {memory(given.count, given.dim):.2f} s a query")


if __name__ == "__main__":
    main()
