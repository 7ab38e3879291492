"""The pictures in docs/report.md, made anew from the demo: python benchmarks/screenshots.py

Needs Chromium, and pngquant for small files. The paths in them are those of /home/anna, so run it
where that folder may be made; it is removed again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time

from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import zeroshelf  # noqa: E402
from tests.chromium import Chromium  # noqa: E402
from zeroshelf.images.demo import demo_labels, demo_pictures  # noqa: E402

HOME = "/home/anna"


def shots(report: str, folder: str) -> None:
    for name, width, height, dark, script in (
        ("report-light", 1640, 1100, False, "0"),
        (
            "report-dark",
            1200,
            840,
            True,
            "showDetail(pictures.findIndex((row) => row.path.endsWith('IMG_0433.jpg')))",
        ),
    ):
        path = os.path.join(folder, name + ".png")
        with Chromium(width, height, dark) as browser:
            browser.open("file://" + report)
            browser.wait("document.querySelectorAll('.card img.ready').length > 4")
            browser.run(script)
            time.sleep(1)
            browser.screenshot(path)
        with Image.open(path) as picture:
            narrow = min(width, 1312)
            size = (narrow, height * narrow // width)
            picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(path)
        target = os.path.join(ROOT, "docs", name + ".png")
        subprocess.run(["pngquant", "--force", "--output", target, "160", path], check=True)


if __name__ == "__main__":
    os.mkdir(HOME)  # fails where someone lives there
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ZEROSHELF_CACHE"] = os.environ["ZEROSHELF_RUNS"] = folder
            zeroshelf.classify(demo_pictures(f"{HOME}/Pictures"), demo_labels())  # fills the cache
            run = zeroshelf.classify(f"{HOME}/Pictures", demo_labels())
            shots(run.save(run.plan(f"{HOME}/Sorted")).report, folder)
    finally:
        shutil.rmtree(HOME)
