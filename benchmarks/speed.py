"""How near the pipeline comes to the processor's limit, and what it keeps in memory.

    python -m benchmarks.speed                      12-megapixel JPEGs, against 1 / (1/d + 1/i)
    python -m benchmarks.speed --memory --count N   peak memory at N and N / 20 pictures
    python -m benchmarks.speed --again              a second run, other labels, against the first

d: pictures per second, from file to pixels alone, one thread a core; i: the image tower alone, on
the same threads. A core that does both in turn reaches 1 / (1/d + 1/i) at best. The three are taken
in turn, several times, and the medians compared: these are ratios, the machine may be noisy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import decode as pictures
from zeroshelf.images import scan
from zeroshelf.images.preprocess import to_pixels
from zeroshelf.models import select
from zeroshelf.system import machine

CORES = machine.processors()


def make(root: Path, count: int, size: tuple[int, int]) -> None:
    """`count` JPEGs of `size`: the demo's photographs enlarged, with a sensor's grain; the bytes
    of each differ, so that none is known from another."""
    shipped = resources.files("zeroshelf") / "data" / "demo" / "pictures"
    sources = [Path(str(p)) for p in shipped.iterdir() if p.name.endswith(".jpg")][:8]
    grain = np.random.default_rng(0).normal(0, 6, (size[1], size[0], 1))
    bodies = []
    for source in sources:
        try:
            picture = Image.open(source).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        except OSError:
            continue  # the demo has a broken one on purpose
        noisy = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
        path = root / "seed.jpg"
        Image.fromarray(noisy).save(path, quality=88)
        bodies.append(path.read_bytes())
        path.unlink()
    for number in range(count):
        body = bodies[number % len(bodies)]
        (root / f"{number:06}.jpg").write_bytes(body + number.to_bytes(8, "little"))


def limit(root: Path, rounds: int) -> None:
    encoder = select.load(select.find("starter"))
    preprocessing = encoder.model.preprocessing
    found = scan.scan(str(root))
    paths = [picture.path for picture in found.pictures]
    batch = np.random.default_rng(0).normal(size=(8, 3, preprocessing.size, preprocessing.size))
    pixels = batch.astype(np.float32)

    def decode(path: str) -> None:
        to_pixels(pictures.decode(pictures.read(path), preprocessing.size), preprocessing)

    def rate(work, items, each: int = 1) -> float:  # type: ignore[no-untyped-def]
        start = time.perf_counter()
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(work, items))
        return len(items) * each / (time.perf_counter() - start)

    def whole() -> float:
        with tempfile.TemporaryDirectory() as cache, EmbeddingCache.open(f"{cache}/cache") as store:
            start = time.perf_counter()
            compute.embed(scan.scan(str(root)), encoder, store)
            return len(paths) / (time.perf_counter() - start)

    encoder.embed_pictures(pixels)
    figures = []
    for _ in range(rounds):
        d = rate(decode, paths)
        i = rate(encoder.embed_pictures, [pixels] * (len(paths) // 8), 8)
        e = whole()
        best = 1 / (1 / d + 1 / i)
        figures.append((d, i, best, e, e / best))
        print(
            f"d {d:6.1f}  i {i:6.1f}  limit {best:6.1f}  whole {e:6.1f}  = {e / best:.3f}",
            flush=True,
        )
    print(f"median of the ratios, {len(paths)} pictures, {CORES} cores: "
          f"{statistics.median(f[-1] for f in figures):.3f}")  # fmt: skip


def memory(root: Path, counts: tuple[int, ...]) -> None:
    """Peak resident memory of the whole command, dry run, in a cache of its own."""
    paths = sorted(root.iterdir())
    for count in counts:
        with tempfile.TemporaryDirectory(dir=root.parent) as part:
            pictures_folder = Path(part) / "pictures"
            pictures_folder.mkdir()
            for path in paths[:count]:
                os.link(path, pictures_folder / path.name)
            peak, seconds = _command(pictures_folder, Path(part), "-l", "cat", "--dry-run")
            print(f"{count:6} pictures: peak {peak:4.0f} MB, {seconds:6.1f} s", flush=True)


def again(root: Path) -> None:
    """The whole command, three times with other labels. It links: a copy takes what the disk takes,
    the same in each run."""
    with tempfile.TemporaryDirectory(dir=root.parent) as part:
        for name, label in (("first", "cat"), ("second", "rocket"), ("third", "cup of coffee")):
            to = str(Path(part) / name)
            _, seconds = _command(
                root, Path(part), "-l", label, "-l", "dog", "--as", "symlink", "--yes", to=to
            )
            print(f"{name:7} {seconds:7.2f} s", flush=True)


# The program, and then the most memory that it ever held, in KB, as its last line. Its own: a
# child's ru_maxrss counts what the program that started it held.
_WATCHED = """
import pathlib, runpy
try:
    runpy.run_module("zeroshelf", run_name="__main__")
finally:
    print(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def _command(pictures: Path, home: Path, *words: str, to: str = "nowhere") -> tuple[float, float]:
    """-> the peak memory in MB, and the seconds."""
    environment = os.environ | {
        f"ZEROSHELF_{name}": str(home / name.lower()) for name in ("CACHE", "RUNS")
    }
    command = [sys.executable, "-c", _WATCHED, "sort", str(pictures), "--to", to, "-q", *words]
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    return int(done.stdout.split()[-1]) / 1e3, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="4000x3000")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory() as base:
        root = Path(base) / "pictures"
        root.mkdir()
        make(root, given.count, (width, height))
        if given.memory:
            memory(root, (given.count // 20, given.count))
        elif given.again:
            again(root)
        else:
            limit(root, given.rounds)


if __name__ == "__main__":
    main()
