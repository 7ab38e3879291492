"""The review page with 100,000 pictures in headless Chromium: how fast, how smooth, how large.

    python -m benchmarks.review [--pictures 100000] [--seconds 8]

Scrolling: the page is scrolled by a few hundred pixels on every frame that the browser gives, and
the time between frames is what is reported. Needs Chromium; run it on a machine that is quiet.
"""

from __future__ import annotations

import argparse
import os
import subprocess
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


def resident(pids: list[int]) -> float:
    """MB of memory that the processes hold for themselves (proportional set size)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def renderers(profile: str) -> list[int]:
    """The processes that draw pages, of the browser with this profile."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
    return [
        int(line.split()[0])
        for line in listed.stdout.splitlines()
        if "--type=renderer" in line and profile in line
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
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
            print(f"first picture: {time.perf_counter() - start:.2f} s")
            browser.run("document.querySelector('#shelves li[data-look=all] .to').click()")
            time.sleep(1)
            for pixels in (40, 400, 4000):
                times = np.array(browser.run(SCROLL % (pixels, given.seconds * 1000)))
                print(
                    f"scrolling {pixels:,} pixels a frame: {1000 / np.median(times):.1f} frames "
                    f"a second in the median, {100 * np.mean(times > 50):.2f} % over 50 ms, "
                    f"worst {times.max():.0f} ms ({len(times)} frames)"
                )
            browser.run("scrollTo(0, 0)")
            time.sleep(0.5)
            print(f"20 pictures by keys, all kept: {browser.run(PRESS):.0f} ms")
            used = browser.metrics()["JSHeapUsedSize"] / 1e6
            held = resident(renderers(browser._home.name))
            print(f"the page: {used:.0f} MB of JavaScript heap, {held:.0f} MB in its process")
            print(f"requests elsewhere: {sum(address[:16] not in r for r in browser.requests)}")
        print(f"1-minute load of the machine at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
