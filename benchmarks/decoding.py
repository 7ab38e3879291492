"""CPU milliseconds a picture for all that is not inference, step by step, on one thread.

    python -m benchmarks.decoding [--count 100] [--size 1280x960] [--rounds 3]
    python -m benchmarks.decoding --beside OTHER/src    another checkout too, in turn
    python -m benchmarks.decoding --together            threads of one process beside processes

Reading, the digest, decoding, the model's pixels, the picture of 160 pixels and what is made of it:
quality, thumbnail and dHash. "all" is the whole as the pipeline does it; the date, camera and place
are read apart, where a shelf or a filter needs them. With --beside both run by turns, and it is
checked that they make the same bytes of every picture. Other programs on the machine make CPU time
longer too: only figures of one run can be compared. --together decodes on all cores, by threads
and by as many processes: what threads lose, they lose to the interpreter's lock.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from benchmarks.speed import make
from zeroshelf.embeddings.decoded import DecodedFile, decode_file
from zeroshelf.images import decode, near_duplicates, photo_facts, preprocess, quality, thumbnails
from zeroshelf.models import select
from zeroshelf.system import machine

Made = TypeVar("Made")


def measure(folder: Path) -> dict[str, object]:
    """Step -> CPU milliseconds a picture; "made" -> a hash of all that was made."""
    preprocessing = select.find("starter").preprocessing
    seconds: dict[str, float] = defaultdict(float)
    made = hashlib.sha256()

    def timed(step: str, work: Callable[[], Made]) -> Made:
        start = time.thread_time()
        found = work()
        seconds[step] += time.thread_time() - start
        return found

    def whole(path: str) -> DecodedFile:
        content = decode.read(path)
        decode.digest(content)
        return decode_file(".jpg", content, preprocessing)

    def steps(path: str) -> None:
        content = timed("read", lambda: decode.read(path))
        timed("digest", lambda: decode.digest(content))
        frame = timed("decode", lambda: next(decode.frames(content, preprocessing.size)))
        timed("pixels", lambda: preprocess.to_pixels(frame, preprocessing))
        small = timed("shrink", lambda: thumbnails.shrink(frame.image, quality.SIDE))
        timed("quality", lambda: quality.problem(small))
        jpeg = timed("thumbnail", lambda: thumbnails.jpeg(small))
        timed("dhash", lambda: near_duplicates.dhash(jpeg))
        file = timed("all", lambda: whole(path))
        timed("date, camera, place", lambda: photo_facts.read(path))
        made.update(file.pixels[0].tobytes())
        made.update(repr(file.derived).encode())

    paths = sorted(map(str, folder.iterdir()))
    steps(paths[0])
    seconds.clear()
    for path in paths:
        steps(path)
    each = {step: 1000 * one / len(paths) for step, one in seconds.items()}
    return each | {"made": made.hexdigest()}


def child(source: str, folder: Path) -> dict[str, object]:
    """`measure` with the package in the folder `source`."""
    command = [sys.executable, "-m", "benchmarks.decoding", "--measure", str(folder)]
    here = os.environ | {"PYTHONPATH": source}
    told = subprocess.run(command, env=here, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, object] = json.loads(told)
    return found


def decode_all(paths: list[str]) -> None:
    preprocessing = select.find("starter").preprocessing
    for path in paths:
        content = decode.read(path)
        decode.digest(content)
        decode_file(".jpg", content, preprocessing)


def together(folder: Path, rounds: int) -> None:
    """Pictures a second of threads and of processes, by turns, and their ratio."""
    paths, cores = sorted(map(str, folder.iterdir())), machine.processors()
    shares = [paths[start::cores] for start in range(cores)]
    ratios = []
    with ThreadPoolExecutor(cores) as threads, ProcessPoolExecutor(cores) as processes:
        list(processes.map(decode_all, [paths[:1]] * cores))  # they have started
        for _ in range(rounds):
            rates = []
            for pool in (threads, processes):
                start = time.perf_counter()
                list(pool.map(decode_all, shares))
                rates.append(len(paths) / (time.perf_counter() - start))
            ratios.append(rates[0] / rates[1])
            print(f"threads {rates[0]:7.0f}, processes {rates[1]:7.0f}", flush=True)
    print(f"{cores} threads beside {cores} processes: {statistics.median(ratios):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", default="1280x960")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside")
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(Path(given.measure))))
        return
    sources = [str(Path(preprocess.__file__).parents[2])]
    sources = [os.path.abspath(given.beside), *sources] if given.beside else sources
    with tempfile.TemporaryDirectory() as base:
        width, height = map(int, given.size.split("x"))
        make(Path(base), given.count, (width, height))
        if given.together:
            together(Path(base), given.rounds)
            return
        runs = [[child(one, Path(base)) for one in sources] for _ in range(given.rounds)]
    if len({run["made"] for turn in runs for run in turn}) > 1:
        raise SystemExit("the two do not make the same bytes")
    print(f"CPU ms a picture, medians of {given.rounds}, {given.count} JPEGs of {given.size}")
    for step in runs[0][0]:
        if step != "made":
            each = [statistics.median(float(str(turn[at][step])) for turn in runs)
                    for at in range(len(sources))]  # fmt: skip
            print(f"{step:20}" + "".join(f"{one:8.2f}" for one in each))
    if given.beside:
        ratios = [float(str(turn[1]["all"])) / float(str(turn[0]["all"])) for turn in runs]
        print(f"the same bytes; all, beside the other: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
