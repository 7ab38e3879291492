"""The pictures in docs/review.md, made anew from the demo: python -m benchmarks.review_screenshots

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

from tests.chromium import Chromium
from tests.reviewing import serving
from zeroshelf import classify
from zeroshelf.images.demo import demo_labels, demo_pictures

HOME = "/home/anna"
DOCS = Path(__file__).parent.parent / "docs"
SHOTS = (  # name, width, height, dark, what is done first, and what is true once it is done
    (
        "review-light",
        1312,
        880,
        False,
        "[...document.querySelectorAll('.card .tick')].slice(2, 5).forEach((tick) => tick.click())",
        "!document.getElementById('offer').hidden",
    ),
    (
        "review-dark",
        1200,
        800,
        True,
        "[...document.querySelectorAll('.card')].find((card) => card.index === 3)"
        ".dispatchEvent(new MouseEvent('dblclick', {bubbles: true}))",
        "document.querySelector('#detail-top li')"
        " && document.getElementById('detail-picture').naturalWidth > 0",
    ),
    (
        "review-suggestions",
        1200,
        760,
        False,
        "document.getElementById('suggestions-open').click()",
        "document.getElementById('suggestions').open",
    ),
    ("review-phone", 390, 844, True, "0", "!document.getElementById('offer').hidden"),
)
CORRECTIONS = {  # by the pictures' names in the demo
    "IMG_0413.jpg": "other",
    "IMG_0433.jpg": "fish",
    "DSC01029.JPG": "other",
    "IMG_0463.jpg": "other",
}


def shots(address: str, folder: str) -> None:
    for name, width, height, dark, act, done in SHOTS:
        path = os.path.join(folder, name + ".png")
        with Chromium(width, height, dark) as browser:
            browser.open(address)
            browser.wait("document.body && document.body.dataset.ready === 'true'")
            browser.run("document.querySelector('#shelves li[data-look=\"/all\"] .to').click()")
            browser.wait("document.querySelectorAll('#grid img.ready').length > 2")
            browser.run(act)
            browser.wait(done)
            browser.wait("[...document.images].every((image) => image.complete)")
            time.sleep(2)  # for what fades in or out
            browser.screenshot(path)
        with Image.open(path) as picture:
            picture.convert("RGB").save(path)
        target = str(DOCS / f"{name}.png")
        subprocess.run(["pngquant", "--force", "--output", target, "160", path], check=True)


def main() -> None:
    os.mkdir(HOME)  # fails where someone lives there
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ZEROSHELF_CACHE"] = os.environ["ZEROSHELF_RUNS"] = folder
            run = classify(demo_pictures(f"{HOME}/Pictures"), demo_labels())
            run.save(run.plan(f"{HOME}/Sorted"))
            with serving(run) as (session, address):
                session.set_offset(3)  # so that there is something to learn in so small a folder
                for name, label in CORRECTIONS.items():
                    rows = [row for row, path in enumerate(session.paths) if path.endswith(name)]
                    session.place(rows, label)
                shots(address, folder)
    finally:
        shutil.rmtree(HOME)


if __name__ == "__main__":
    main()
