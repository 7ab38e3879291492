"""The pictures in docs/app.md, made anew from the demo: python -m benchmarks.app_screenshots

Needs Chromium, and pngquant for small files. The paths in them are those of /home/anna, so run it
where that folder may be made; it is removed again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.apping import labelled, serving
from tests.chromium import Chromium
from zeroshelf.images.demo import demo_pictures

HOME = Path("/home/anna")
DOCS = Path(__file__).parent.parent / "docs"
LABELS = ["fish", "coffee", "cat", "crane", "tower"]
SHOTS = (  # name, width, height, dark, what is done first
    ("app-light", 1200, 1000, False, "0"),
    ("app-dark", 820, 1100, True, "scrollTo(0, 150)"),
    ("app-phone", 390, 844, False, "0"),
)


def shots(address: str) -> None:
    for name, width, height, dark, act in SHOTS:
        path = DOCS / f"{name}.png"
        with Chromium(width, height, dark) as browser:
            browser.open(address)
            browser.wait("document.body && document.body.dataset.ready === 'true'")
            browser.wait(f"document.querySelectorAll('#shelves > li').length > {len(LABELS)}")
            browser.wait("[...document.querySelectorAll('#shelves img')].every((i) => i.complete)")
            browser.run(act)
            time.sleep(0.5)
            browser.screenshot(str(path))
        with Image.open(path) as picture:
            picture.convert("RGB").save(path)
        subprocess.run(["pngquant", "--force", "--output", path, "120", path], check=True)


def main() -> None:
    HOME.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory() as own:
            for name in ("CACHE", "RUNS", "MODELS"):
                os.environ[f"ZEROSHELF_{name}"] = os.path.join(own, name.lower())
            demo_pictures(HOME / "Pictures")
            with serving(HOME) as (app, address):
                labelled(app, HOME / "Pictures", LABELS)
                shots(address)
    finally:
        shutil.rmtree(HOME)


if __name__ == "__main__":
    main()
