"""zeroshelf beside rclip 4, in one run: python -m benchmarks.beside_rclip RCLIP [--count 60]

Both get the same folder of camera-sized JPEGs and the same two ONNX graphs, ViT-B/32 at 256 pixels
with random weights (random_clip.py), each in a process of its own and in turns:

    first       the first search, which embeds the pictures
    second      another word, with every picture known
    probability the same with zeroshelf's probabilities, once its negative labels are embedded

RCLIP is the path of the program, installed in an environment of its own: `pip install 'rclip>=4'`.
Printed are wall seconds, CPU seconds and the most memory of each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from PIL import Image, ImageFile

SIZE = (4000, 3000)


def pictures(to: Path, count: int) -> None:
    """JPEGs of 12 megapixels, each another crop of one of the demo's."""
    to.mkdir()
    shipped = resources.files("zeroshelf") / "data" / "demo" / "pictures"
    sources = sorted(Path(str(one)) for one in shipped.iterdir() if one.name.endswith(".jpg"))
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # one of them is cut short, on purpose
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as whole:
            at = number // len(sources)
            crop = whole.crop((at, at, whole.width - at, whole.height - at)).convert("RGB")
            crop.resize(SIZE).save(to / f"{number:05}.jpg", quality=88)


def run(words: Sequence[str], folder: Path, settings: dict[str, str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and MB of one command."""
    start = time.perf_counter()
    with subprocess.Popen(
        words,
        cwd=folder,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    assert len(out.splitlines()) >= 10, out.decode()
    seconds = time.perf_counter() - start
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("rclip", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--no-probability", action="store_true", help="leave the last row out")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        from benchmarks import random_clip

        random_clip.make(given.make / "rclip")
        pictures(given.make / "pictures", given.count)
        return
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        model = work / "rclip"
        # in a process of its own: Linux counts this one's memory to that of what it starts
        words = [sys.executable, "-m", "benchmarks.beside_rclip", "--make", place]
        subprocess.run([*words, "--count", str(given.count), "."], check=True)
        theirs = {"RCLIP_DATADIR": str(model), "HF_HUB_OFFLINE": "1"}
        ours = {"ZEROSHELF_CACHE": str(work / "cache"), "ZEROSHELF_MODELS": str(work / "models")}

        def rclip(word: str) -> tuple[float, float, float]:
            return run([str(given.rclip), "-f", "-t", "10", word], work / "pictures", theirs)

        def zeroshelf(word: str, *how: str) -> tuple[float, float, float]:
            words = [sys.executable, "-m", "zeroshelf", "search", word, ".", "--top", "10", "--all"]
            return run([*words, "--model", str(model), *how], work / "pictures", ours)

        print(f"{given.count} pictures of {SIZE[0]} x {SIZE[1]}")
        print(f"{'':24}{'wall s':>8}{'CPU s':>8}{'MB':>8}")
        rows = [
            ("first, rclip", rclip("a red car")),
            ("first, zeroshelf", zeroshelf("a red car", "--paths")),
            ("second, rclip", rclip("a dog")),
            ("second, zeroshelf", zeroshelf("a dog", "--paths")),
        ]
        if not given.no_probability:
            zeroshelf("a cat")
            rows.append(("probability, zeroshelf", zeroshelf("a horse")))
        for name, figures in rows:
            print(f"{name:24}" + "".join(f"{figure:>8.1f}" for figure in figures))


if __name__ == "__main__":
    main()
