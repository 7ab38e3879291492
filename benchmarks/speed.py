"""How near the pipeline comes to the processor's limit, and what it keeps in memory.

    python -m benchmarks.speed                      12-megapixel JPEGs, against 1 / (1/d + 1/i)
    python -m benchmarks.speed --memory --count N   peak memory at N and N / 20 pictures
    python -m benchmarks.speed --again              a second run, other labels, against the first

d: pictures per second, from file to pixels alone, one thread a core; i: the image tower alone, on
the same threads. A core that does both in turn reaches 1 / (1/d + 1/i) at best. It is taken once
more with all that decoding makes: pixels, digest, thumbnail, quality and hash. All are taken in
turn, several times, and the medians compared, as wall and as CPU time: these are ratios, the
machine may be noisy, and CPU time counts less of what others do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.embeddings.decoded import decode_file
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
    paths = [picture.path for picture in scan.scan(str(root)).pictures]
    batch = np.random.default_rng(0).normal(size=(8, 3, preprocessing.size, preprocessing.size))
    pixels = batch.astype(np.float32)

    def decode(path: str) -> None:
        to_pixels(pictures.decode(pictures.read(path), preprocessing.size), preprocessing)

    def decode_all(path: str) -> None:
        content = pictures.read(path)
        pictures.digest(content)
        decode_file(".jpg", content, preprocessing)

    def whole() -> None:
        with tempfile.TemporaryDirectory() as cache, EmbeddingCache.open(f"{cache}/cache") as store:
            compute.embed(scan.scan(str(root)), encoder, store)

    encoder.embed_pictures(pixels)
    count = len(paths)
    batches = [pixels] * (count // 8)
    ratios = []
    for _ in range(rounds):
        d = _time(lambda: _on_all_cores(decode, paths)) / count
        a = _time(lambda: _on_all_cores(decode_all, paths)) / count
        i = _time(lambda: _on_all_cores(encoder.embed_pictures, batches)) / 8 / len(batches)
        e = _time(whole) / count
        ratios.append(np.concatenate(((d + i) / e, (a + i) / e)))
        for at, name in enumerate(("wall", "CPU")):
            figures = [1e3 * one[at] for one in (d, a, i, e)]
            print(
                f"{name:4} ms: pixels {figures[0]:5.1f}, with all that the cache keeps "
                f"{figures[1]:5.1f}, inference {figures[2]:5.1f}, whole {figures[3]:5.1f}; "
                f"{ratios[-1][at]:.3f} and {ratios[-1][2 + at]:.3f} of the limit",
                flush=True,
            )
    middle = np.median(ratios, axis=0)
    print(f"medians, {count} pictures, {CORES} cores: of the limit with pixels alone "
          f"{middle[0]:.3f} wall, {middle[1]:.3f} CPU; with all of decoding {middle[2]:.3f} wall, "
          f"{middle[3]:.3f} CPU")  # fmt: skip


def _on_all_cores(work: Callable[[Any], object], items: Sequence[object]) -> None:
    with ThreadPoolExecutor(CORES) as pool:
        deque(pool.map(work, items), maxlen=0)


def _time(work: Callable[[], object]) -> npt.NDArray[np.float64]:
    """Wall and CPU seconds."""
    start = time.perf_counter(), time.process_time()
    work()
    return np.array([time.perf_counter() - start[0], time.process_time() - start[1]])


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
