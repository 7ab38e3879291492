"""The app with many pictures in headless Chromium: how fast shelves fill, how smooth a run is.

    python -m benchmarks.page [--pictures 20000] [--steps labels,run] [--in FOLDER] [--seconds 5]

Makes `pictures` small JPEGs and a cache of its own with a vector and a thumbnail for each: the
vectors are random ones around the starter's texts for some words, so that shelves get pictures as
those of a real folder do. Then the app is served in this process and its page opened:

    labels  one word after another is typed; from the Enter to the moment at which all pictures on
            the new shelf's card are decoded
    run     the plan is made and its review page opened: first picture, scrolling, memory; then the
            same run in an app that was just started

Processor seconds of this process (server and engine) and of the browser stand beside the wall time:
where other programs keep the machine busy, the wall time says little. `--in` keeps what was made,
and uses it again.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.review import SCROLL, measured, per_frame
from tests.apping import done, serving
from tests.chromium import Chromium
from zeroshelf.app.state import App
from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.embeddings.derived import Derived
from zeroshelf.images import scan
from zeroshelf.models import select
from zeroshelf.system import content_hash

SHOWN = ("dog", "cat", "car", "beach", "mountain", "flower", "food", "bicycle", "boat", "horse")
UNNAMED = ("guitar", "keyboard", "carpet", "brick wall", "circuit board")  # stay on "other"
DRAWN = 400  # different pictures; the others differ in a comment
NEARNESS = 0.35  # of a vector to its word's text
FOLDERS = 100
READY = "document.body && document.body.dataset.ready === 'true'"
FILLED = """(() => {
  const card = [...document.querySelectorAll('#shelves > li')].find((li) => li.dataset.name === %r);
  const images = card ? [...card.querySelectorAll('img')] : [];
  return images.length && images.every((one) => one.complete && one.naturalWidth);
})()"""
TYPE = """(() => {
  document.getElementById('add-word').value = %r;
  document.getElementById('add').requestSubmit();
})()"""
FIRST = "document.querySelector('#grid img.ready')"


def jpegs() -> list[bytes]:
    """Small pictures, no two alike."""
    random, made = np.random.default_rng(1), []
    for _ in range(DRAWN):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        out = io.BytesIO()
        coarse.resize((160, 120), Image.Resampling.BICUBIC).save(out, "JPEG", quality=80)
        made.append(out.getvalue())
    return made


def content(drawn: list[bytes], number: int) -> bytes:
    """A picture with a comment segment of its own, so that no two contents are equal."""
    jpeg, comment = drawn[number % len(drawn)], number.to_bytes(8, "big")
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def make_folder(root: Path, count: int) -> None:
    """The pictures, and what the cache would know of them."""
    drawn, random = jpegs(), np.random.default_rng(0)
    for number in range(FOLDERS):
        (root / f"{number:03}").mkdir(parents=True)
    for number in range(count):
        path = root / f"{number % FOLDERS:03}" / f"IMG_{number:06}.jpg"
        path.write_bytes(content(drawn, number))
    encoder = select.load(select.find(None))
    texts = encoder.embed_texts([f"a photo of a {word}" for word in (*SHOWN, *UNNAMED)])
    pictures = scan.scan(str(root)).pictures
    time.sleep(2.5)  # a file that was written just now is not taken for unchanged
    with EmbeddingCache.open() as store:
        for start in range(0, count, 2000):
            part = pictures[start : start + 2000]
            noise = random.standard_normal((len(part), encoder.model.dim), np.float32)
            noise /= np.linalg.norm(noise, axis=1, keepdims=True)
            vectors = NEARNESS * texts[random.integers(0, len(texts), len(part))] + noise
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            rows: list[tuple[Any, bytes, Any]] = []
            for picture, vector in zip(part, vectors.astype(np.float16), strict=True):
                data = Path(picture.path).read_bytes()
                seen = Derived(data, hash=int(random.integers(0, 1 << 62)))
                digest = content_hash.of_bytes(data)
                rows.append((picture, digest, Embedded(vector, seen, size=(160, 120))))
            store.add(encoder.model.digest, rows)


def opened(browser: Chromium, address: str) -> None:
    browser.open(address)
    browser.wait(READY)


def read(app: App, folder: Path) -> None:
    app.open({"path": str(folder)})
    done(app, "look")
    app.read({})
    done(app, "read")


def typed(browser: Chromium) -> None:
    """Type one word after another, until there are as many shelves as words."""
    took = []
    for word in SHOWN:
        with measured(browser, f"typed {word!r}, its shelf filled") as found:
            browser.run(TYPE % word)
            browser.wait(FILLED % word)
        took.append(found)
    for name, column in (("wall", 0), ("app's processor", 1), ("browser's processor", 2)):
        each = [one[column] for one in took]
        print(f"  {name}: median {np.median(each):.2f}, most {max(each):.2f} s")


def looked_through(browser: Chromium, seconds: float) -> None:
    """Scroll through all pictures of the run whose review page is open, and say what it took."""
    browser.run("document.querySelector('#shelves li[data-look=\"/all\"] .to').click()")
    time.sleep(1)
    for pixels in (40, 400, 4000):
        with (
            measured(browser, f"scrolling {pixels:,} pixels a frame for {seconds:g} s"),
            per_frame(browser) as frames,
        ):
            times = np.array(browser.run(SCROLL % (pixels, seconds * 1000)))
            frames.append(len(times))
        rate, slow = 1000 / np.median(times), 100 * np.mean(times > 50)
        print(f"  {rate:.0f} frames a second in the median, {slow:.1f} % over 50 ms")
    heap = browser.metrics()["JSHeapUsedSize"] / 1e6
    print(f"memory of the page's process: {browser.memory():.0f} MB; JavaScript heap {heap:.0f} MB")


def run(app: App, address: str, browser: Chromium, seconds: float) -> str:
    """Plan the open folder's run, open its page and look through it. The run's id."""
    with measured(browser, "the plan and its record, made"):
        app.plan({"action": "copy", "destination": ""})
        done(app, "plan")
    id = app.jobs.now["plan"].result
    with measured(browser, "the run's review page: first picture"):
        browser.open(f"{address}review/{id}/")
        browser.wait(FIRST)
    browser.wait(READY)
    looked_through(browser, seconds)
    return id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--steps", default="labels,run")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--in", dest="folder")
    given = parser.parse_args()
    steps = given.steps.split(",")
    with tempfile.TemporaryDirectory() as own:
        home = Path(given.folder or own)
        for name in ("CACHE", "RUNS", "MODELS"):
            os.environ[f"ZEROSHELF_{name}"] = str(home / name.lower())
        folder = home / f"{given.pictures} pictures"
        if not folder.exists():
            make_folder(folder, given.pictures)
        id = ""
        with serving(home) as (app, address), Chromium() as browser:
            with measured(browser, f"{given.pictures:,} cached pictures, opened and read"):
                read(app, folder)
            opened(browser, address)
            browser.wait("!document.getElementById('labelling').hidden")
            app.set_labels({"labels": {}})
            app.store._file.write(lambda db: db.execute("DELETE FROM text"))  # of an earlier time
            opened(browser, address)
            if "labels" in steps:
                typed(browser)
            if "run" in steps:
                app.set_labels({"labels": {word: [] for word in SHOWN}})
                id = run(app, address, browser, given.seconds)
        if id:
            what = "the same in an app that was just started: first picture"
            with serving(home) as (_, address), Chromium() as browser, measured(browser, what):
                browser.open(f"{address}review/{id}/")
                browser.wait(FIRST)
        print(f"1-minute load of the machine at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
