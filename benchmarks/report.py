"""The report with many pictures: how large, how long until one sees something, how it scrolls.

    python benchmarks/report.py --pictures 50000

Prints one line for the writing (seconds, megabytes, peak memory) and one for the page in headless
Chromium. The thumbnails are noise that compresses about as well as photographs do, each its own.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tests.chromium import Chromium
from zeroshelf.output import report
from zeroshelf.output.results import Row

LABELS = (
    *("cat", "frog", "bicycle", "harbour", "receipt"),
    *("birthday", "mountain", "garden", "kitchen", "snow"),
)


def rows(count: int) -> Iterator[Row]:
    dice = random.Random(1)
    for i in range(count):
        label = dice.choice((*LABELS, "other"))
        probability = dice.random() ** 0.5
        confidence = "sure" if probability > 0.9 else "likely" if probability > 0.6 else "unsure"
        top = tuple((name, round(probability * 0.5**k, 5)) for k, name in enumerate(LABELS[:5]))
        yield Row(
            path=f"/home/someone/Pictures/2024/holiday by the sea/IMG_{i:06d}.jpg",
            label=label,
            top_label=label if label != "other" else "cat",
            probability=probability,
            margin=probability / 2,
            confidence=confidence,  # type: ignore[arg-type]
            reason=f"looks like {label}, or {dice.choice(LABELS)}",
            top=top,
            target=f"/home/someone/Sorted/{label}/IMG_{i:06d}.jpg",
            size=dice.randrange(10**6, 10**7),
            digest=f"{i:064x}",
        )


def thumbnails(side: int, different: int = 400) -> dict[int, bytes]:
    dice = np.random.default_rng(1)
    made = {}
    for i in range(different):
        soft = Image.fromarray(dice.integers(0, 255, (9, 12, 3), np.uint8)).resize((side, side), 3)
        pixels = np.asarray(soft, np.int16) + dice.normal(0, 7, (side, side, 1)).astype(np.int16)
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=75)
        made[i] = file.getvalue()
    return made


def written(count: int, side: int, path: str) -> None:
    small = thumbnails(side)

    def some(digests: Sequence[str]) -> Mapping[str, bytes]:  # a comment makes each its own
        return {d: _own(small[int(d, 16) % len(small)], d) for d in digests}

    counts = dict.fromkeys((*LABELS, "other"), 0)
    shelves, probabilities = np.empty(count, np.int32), np.empty(count, np.float32)
    for at, row in enumerate(rows(count)):
        counts[row.label or ""] += 1
        shelves[at] = [*counts].index(row.label or "")
        probabilities[at] = row.probability or 0
    pages = report.pages_of(shelves, probabilities)
    facts = report.Facts(
        "benchmark", "/home/someone/Pictures", "starter", datetime.now(UTC), 60, LABELS, counts
    )
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    report.write(rows(count), some, path, facts, pages)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count} pictures, thumbnails of {side} px and "
        f"{sum(map(len, small.values())) / len(small) / 1024:.1f} KiB: written in {seconds:.1f} s, "
        f"{os.path.getsize(path) / 1e6:.0f} MB, memory {peak:.0f} MiB ({base:.0f} before)"
    )


def _own(jpeg: bytes, text: str) -> bytes:
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


SCROLL = """new Promise((done) => {
  const speed = %d, frames = [];
  let last = 0, blank = 0, seen = 0, stopped = 0;
  const look = () => {  // what the frame before this one showed
    const shown = [...document.querySelectorAll('.card')]
      .map((card) => [card, card.getBoundingClientRect()])
      .filter(([, box]) => box.bottom > 0 && box.top < innerHeight);
    return [shown.length, shown.filter(([card]) => !card.querySelector('img.ready')).length];
  };
  (function step(now) {
    const [all, without] = look();
    if (stopped) {
      if (all && !without) {
        const [median, p95, worst] = [frames[120], frames[228], frames[239]];
        return done({ median, p95, worst, blank: blank / seen, rest: now - stopped });
      }
    } else {
      if (last) frames.push(now - last);
      last = now;
      seen += all;
      blank += without;
      scrollBy(0, speed);
      if (frames.length === 240) { frames.sort((a, b) => a - b); stopped = now; }
    }
    requestAnimationFrame(step);
  })(0);
})"""


def browsed(path: str, screenshots: str | None) -> None:
    with Chromium(1360, 900) as browser:
        start = time.perf_counter()
        browser.open("file://" + path)
        browser.wait("document.querySelectorAll('.frame img.ready').length > 0")
        first = time.perf_counter() - start
        browser.wait("complete")
        whole = time.perf_counter() - start
        time.sleep(1)
        heap = browser.run("performance.memory.usedJSHeapSize") / 1e6
        memory = largest(browser.process)
        print(
            f"first picture after {first:.2f} s, all read after {whole:.1f} s; "
            f"JavaScript heap {heap:.0f} MB, the page's process {memory:.0f} MB"
        )
        for what, speed in (("reading", 12), ("fast", 120), ("dragging", 3000)):
            browser.run("scrollTo(0, 2000)")
            time.sleep(0.5)
            told = browser.run(SCROLL % speed)
            print(
                f"scrolling, {what} ({speed} px a frame): frames of {told['median']:.1f} ms "
                f"median, {told['p95']:.1f} ms p95, {told['worst']:.1f} ms worst; "
                f"{100 * told['blank']:.0f} % of the cards in view without their picture, "
                f"none {told['rest']:.0f} ms after the stop"
            )
        for what, script in (
            ("text", "state.words = ['frog', '77']; refresh()"),
            ("unsure first", "state.words = []; state.order = 'unsure'; refresh()"),
            ("one label", "state.shelf = 'snow'; refresh()"),
        ):
            spent = browser.run(
                f"(() => {{ const t = performance.now(); {script};"
                " return performance.now() - t })()"
            )
            print(f"filter, {what}: {spent:.0f} ms")
        if screenshots:
            browser.screenshot(screenshots)


def largest(process: int) -> float:
    """The resident megabytes of the largest process below `process`: the page's own."""
    parents, sizes = {}, {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/status") as file:
                told = dict(line.split(":", 1) for line in file)
        except OSError:
            continue
        parents[int(name)] = int(told["PPid"])
        sizes[int(name)] = int(told.get("VmRSS", "0 kB").split()[0]) / 1000
    below, more = set[int](), {process}
    while more:
        below |= more
        more = {child for child, parent in parents.items() if parent in more} - below
    return max(sizes[child] for child in below - {process})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=160, help="a thumbnail's side in pixels")
    parser.add_argument("--screenshot", help="write a PNG of the page here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report_path = os.path.join(folder, "report.html")
        written(given.pictures, given.side, report_path)
        browsed(report_path, given.screenshot)
