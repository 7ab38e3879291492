"""The review page with 100,000 pictures in headless Chromium: how fast, how smooth, how large.

    python -m benchmarks.review [--pictures 100000] [--seconds 8]

Scrolling: the page is scrolled by a few hundred pixels on every frame that the browser gives, and
the time between frames is what is reported. Needs Chromium; run it on a machine that is quiet.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.chromium import Chromium
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
            browser.open(address)
            browser.wait(READY)
            first = time.perf_counter() - start
            report("first picture after the server is up, below 2", first, "s", first < 2)
            browser.run("document.querySelector('#shelves li[data-look=\"/all\"] .to').click()")
            time.sleep(1)
            for pixels in (40, 400, 4000):
                times = np.array(browser.run(SCROLL % (pixels, given.seconds * 1000)))
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
