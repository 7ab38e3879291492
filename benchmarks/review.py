"""The review page with 100,000 pictures in headless Chromium: how fast, how smooth, how large.

    python -m benchmarks.review [--pictures 100000] [--seconds 8]

Scrolling: the page is scrolled by a few hundred pixels on every frame that the browser gives, and
the time between frames is what is reported. Needs Chromium; run it on a machine that is quiet.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.chromium import Chromium, _below
from tests.reviewing import large_run, serving

READY = "document.querySelector('#grid img.ready')"
SCROLL = """new Promise((done) => {
  const start = performance.now(), times = [];
  let last = start;
  (function step(now) {
    times.push(now - last);
    last = now;
    scrollBy(0, %d);
    if (now - start < %d) requestAnimationFrame(step); else done(times.slice(2));
  })(start);
})"""
PRESS = """new Promise((done) => {
  document.getElementById('grid').focus();
  const caps = [...document.querySelectorAll('#shelves kbd')].slice(0, 20);
  const keys = caps.map((cap) => cap.textContent);
  const start = performance.now(), want = String(Number(document.body.dataset.edits) + 20);
  for (const key of keys) document.getElementById('grid').dispatchEvent(
    new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  (function look() {
    if (document.body.dataset.edits === want) done(performance.now() - start);
    else setTimeout(look, 5);
  })();
})"""


def report(what: str, value: float, unit: str, passed: bool) -> None:
    print(f"{'passed' if passed else 'FAILED'}  {what}: {value:,.2f} {unit}")


def cpu(browser: Chromium | None = None) -> float:
    """Processor seconds of this process, or of a browser and its children, so far."""
    if browser is None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return float(used.ru_utime + used.ru_stime)
    ticks = 0
    for process in (Path(f"/proc/{browser.process}"), *_below(browser.process)):
        with contextlib.suppress(OSError):  # it has ended
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return float(ticks / os.sysconf("SC_CLK_TCK"))


@contextlib.contextmanager
def measured(browser: Chromium, what: str) -> Iterator[list[float]]:
    """Print what the block takes; the list gets wall and processor seconds of app and browser."""
    start, own, drawn = time.perf_counter(), cpu(), cpu(browser)
    found: list[float] = []
    yield found
    found += time.perf_counter() - start, cpu() - own, cpu(browser) - drawn
    print(f"{what}: {found[0]:.2f} s; processor: app {found[1]:.2f} s, browser {found[2]:.2f} s")


@contextlib.contextmanager
def per_frame(browser: Chromium) -> Iterator[list[int]]:
    """Print the browser's processor time for each frame; the block appends their number. A frame
    has 16.7 ms at 60 frames a second, on one core: drawing uses several."""
    start = cpu(browser)
    frames: list[int] = []
    yield frames
    each = 1000 * (cpu(browser) - start) / sum(frames)
    print(f"  {sum(frames)} frames, {each:.1f} ms of the browser's processors for each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for name in ("CACHE", "RUNS", "MODELS"):
            os.environ[f"ZEROSHELF_{name}"] = os.path.join(home, name.lower())
        run = large_run(Path(home) / "pictures", given.pictures)
        with serving(run) as (_, address), Chromium() as browser:
            start = time.perf_counter()
            with measured(browser, "first picture"):
                browser.open(address)
                browser.wait(READY)
            first = time.perf_counter() - start
            report("first picture after the server is up, below 2", first, "s", first < 2)
            browser.run("document.querySelector('#shelves li[data-look=\"/all\"] .to').click()")
            time.sleep(1)
            for pixels in (40, 400, 4000):
                with (
                    measured(browser, f"scrolling {pixels:,} pixels a frame"),
                    per_frame(browser) as frames,
                ):
                    times = np.array(browser.run(SCROLL % (pixels, given.seconds * 1000)))
                    frames.append(len(times))
                rate = float(1000 / np.median(times))
                slow = float(100 * np.mean(times > 50))
                where = f"scrolling {pixels:,} pixels a frame"
                report(f"{where}, median, 55 or more", rate, "frames a second", rate >= 55)
                report(f"{where}, frames over 50 ms, below 1", slow, "%", slow < 1)
            browser.run("scrollTo(0, 0)")
            time.sleep(0.5)
            pressed = browser.run(PRESS) / 1000
            report("20 pictures placed by keys and kept, below 1", pressed, "s", pressed < 1)
            held = browser.memory()
            report("memory of the page's process, below 300", held, "MB", held < 300)
            elsewhere = sum(address[:16] not in r for r in browser.requests)
            report("requests to anywhere else, none", elsewhere, "", not elsewhere)
        print(f"1-minute load of the machine at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
