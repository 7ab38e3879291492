"""What many labels cost, in CPU seconds of the whole command: python -m benchmarks.many_labels

Labels are nouns of WordNet, drawn by `--seed`; texts are embedded afresh, with the starter.

    1,000 labels, two pictures        `zeroshelf sort` the first time, and again
    100 labels, 1,000 known pictures  the same; the pictures are crops of the demo's

`--common` takes the nouns that SemCor uses most: shorter, and of more senses each.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from PIL import Image, ImageFile

from zeroshelf.labels.labels_file import write
from zeroshelf.labels.parse import MEANS_OTHER, parse
from zeroshelf.labels.wordnet import wordnet


def nouns(count: int, seed: int, common: bool) -> list[str]:
    net = wordnet()
    often = {word: sum(net.count(word, one.row) for one in net.senses(word)) for word in net.words}
    fit = [word for word in often if word.isascii() and len(word) > 2 and word not in MEANS_OTHER]
    if common:
        return sorted(fit, key=lambda word: -often[word])[:count]
    return random.Random(seed).sample(sorted(fit), count)


def pictures(to: Path, count: int) -> Path:
    """`count` JPEGs, each another crop of one of the demo's."""
    to.mkdir()
    shipped = resources.files("zeroshelf") / "data" / "demo" / "pictures"
    sources = sorted(Path(str(one)) for one in shipped.iterdir() if one.name.endswith(".jpg"))[:16]
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # one of them is cut short, on purpose
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as whole:
            at = number // len(sources)
            whole.crop((at, at, whole.width, whole.height)).save(to / f"{number:05}.jpg")
    return to


def sort(folder: Path, names: Sequence[str], work: Path, *options: str) -> float:
    """CPU seconds of one `zeroshelf sort`, its children's among them."""
    file = work / "labels.toml"
    file.write_text(write(parse(names)), encoding="utf-8")
    before = os.times()
    command = [sys.executable, "-m", "zeroshelf", "sort", str(folder), "--labels", str(file)]
    done = subprocess.run(
        [*command, "--model", "starter", "--to", str(work / "shelves"), "--quiet", *options],
        env=os.environ | {f"ZEROSHELF_{name}": str(work / name) for name in ("CACHE", "RUNS")},
        check=False,
        capture_output=True,
    )
    if done.returncode:
        sys.exit(done.stderr.decode())
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--common", action="store_true")
    given = parser.parse_args()
    names = nouns(1100, given.seed, given.common)
    for labels, count in ((names[:1000], 2), (names[1000:], 1000)):
        with tempfile.TemporaryDirectory() as place:
            work = Path(place)
            folder = pictures(work / "pictures", count)
            if count > 2:
                sort(folder, ["zzyzx"], work, "--dry-run")  # the pictures are known from here on
            first = sort(folder, labels, work, "--dry-run")
            again = sort(folder, labels, work, "--yes")
        print(
            f"{len(labels):,} labels, {count:,} pictures: {first:.1f} CPU seconds the first time, "
            f"{again:.1f} again and applied"
        )
    print(f"1-minute load of the machine at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
