"""zeroshelf beside rclip, clip-retrieval and FiftyOne, in one run on one machine.

    python -m benchmarks.peers WORK [--only rclip] [--count 1000] [--size 1280x960]

WORK is a folder for the programs' environments and models (5 GB, kept for the next run). All
get the same folder of JPEGs and a ViT-B/32 at 256 pixels with random weights: zeroshelf and rclip
the same two ONNX graphs (benchmarks/random_clip.py), the others open_clip's in PyTorch on the CPU.
Each does with its own defaults, but for clip-retrieval's batch, which is 8, and its decoders, one:

    start    show its help
    first    from nothing to the ten pictures that are nearest to a word
    second   another word, in a new process, with every picture known

Printed are wall seconds, CPU seconds of all its processes and the most memory that they had
together, FiftyOne's MongoDB included; and the pictures a second that lie between second and first.
A program that fails is named with its last line of error.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import environments, watched
from benchmarks.peers.programs import IN_CLIP_RETRIEVAL, PROGRAMS, Program, Setting

FIRST, SECOND = "a red car", "a dog"


def main() -> None:
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", action="append", choices=[*PROGRAMS])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", default="1280x960")
    parser.add_argument("--python", default="python3", help="for rclip, which needs 3.12 or later")
    given = parser.parse_args()
    names = [name for name in PROGRAMS if given.only is None or name in given.only]
    work: Path = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(("rclip", *names)):
        if name in environments.PACKAGES:
            base = given.python if name == "rclip" else sys.executable
            environments.make(work, name, base)
    width, height = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory(dir=work) as place:
        setting = Setting(work, Path(place))
        _make(setting, names, (given.count, width, height))
        print(f"{given.count} pictures of {width} x {height}", flush=True)
        heads = ("start", "first", "second")
        print(f"{'':30}" + "".join(f"{head + ': s':>11}{'CPU s':>8}{'MB':>7}" for head in heads))
        for name in names:
            with PROGRAMS[name](setting) as program:
                _row(program, given.count)


def _make(setting: Setting, names: Sequence[str], pictures: tuple[int, int, int]) -> None:
    """The pictures and the models. Each in a process of its own: Linux counts this one's memory to
    that of what it starts."""
    made = ["benchmarks.peers.pictures", setting.pictures, *pictures]
    subprocess.run([sys.executable, "-m", *map(str, made)], check=True)
    if not setting.graphs.exists():
        words = ["benchmarks.random_clip", str(setting.graphs)]
        subprocess.run([sys.executable, "-m", *words], check=True)
    (made_up,) = (setting.graphs / "tokenizer").iterdir()
    shutil.copyfile(environments.vocabulary(setting.work), made_up)
    torch = [name for name in names if name in environments.NEEDS_TORCH]
    if torch and not setting.weights.exists():
        words = [str(IN_CLIP_RETRIEVAL), "weights", str(setting.weights)]
        subprocess.run([str(environments.python(setting.work, torch[0])), *words], check=True)


def _row(program: Program, count: int) -> None:
    print(f"{program.title:30}", end="", flush=True)
    try:
        used = []
        for step in (program.start, lambda: program.first(FIRST), lambda: program.second(SECOND)):
            used.append(step())
            one = used[-1]
            print(f"{one.wall:>11.1f}{one.cpu:>8.1f}{one.memory:>7.0f}", end="", flush=True)
        _, first, second = used
        wall, cpu = first.wall - second.wall, first.cpu - second.cpu
        print(f"   {count / wall:6.1f} pictures/s, {count / cpu:6.1f} a CPU second", flush=True)
    except watched.Failed as trouble:
        print(f"  {trouble}", flush=True)


if __name__ == "__main__":
    main()
