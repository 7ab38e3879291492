"""A folder of JPEGs for programs that are compared: python -m benchmarks.peers.pictures TO COUNT
WIDTH HEIGHT. Each is another crop of one of the demo's pictures."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from PIL import Image, ImageFile


def make(to: Path, count: int, size: tuple[int, int]) -> None:
    to.mkdir()
    shipped = resources.files("zeroshelf") / "data" / "demo" / "pictures"
    sources = sorted(Path(str(one)) for one in shipped.iterdir() if one.name.endswith(".jpg"))
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # one of them is cut short, on purpose
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as whole:
            at = number // len(sources)
            crop = whole.crop((at, at, whole.width - at, whole.height - at)).convert("RGB")
            crop.resize(size).save(to / f"{number:05}.jpg", quality=88)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), (int(sys.argv[3]), int(sys.argv[4])))
