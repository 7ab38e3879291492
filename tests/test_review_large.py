"""The review page with more pictures than a browser's element can be high."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import large_run, opened, press, serving, shelf

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")

COUNT = 90_000  # of two columns, as on a telephone, over 8 million pixels
IN_SIGHT = """[...document.querySelectorAll('#grid .card:not([hidden])')].filter((card) => {
  const box = card.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight;
}).map((card) => card.index).sort((a, b) => a - b)"""
FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def in_sight(browser: Chromium) -> list[int]:
    browser.run(FRAME)
    found: list[int] = browser.run(IN_SIGHT)
    return found


def height(browser: Chromium) -> int:
    return int(browser.run("document.getElementById('grid').offsetHeight"))


def test_every_picture_can_be_reached(tmp_path: Path, chromium: Chromium) -> None:
    with serving(large_run(tmp_path, COUNT, shelves=2)) as (_, address):
        chromium.resize(360, 700)
        opened(chromium, address)
        shelf(chromium, "/all")
        assert (
            height(chromium)
            <= 8_000_000
            < chromium.run("document.getElementById('grid').offsetWidth * 1.3 / 2") * COUNT / 2
        ), "all of them would be too high"
        chromium.run("document.getElementById('grid').focus()")

        press(chromium, "End")
        assert in_sight(chromium)[-1] == COUNT - 1
        for _ in range(3):
            press(chromium, "ArrowUp")
        assert chromium.run("document.querySelector('.card.active').index") == COUNT - 7
        press(chromium, "Home")
        assert in_sight(chromium)[0] == 0

        # down by the scroll bar alone: each jump ends where the part that was laid out ends
        ends = []
        for _ in range(6):
            chromium.run("scrollTo(0, document.body.scrollHeight)")
            ends.append(in_sight(chromium)[-1])
        assert ends == sorted(ends) and ends[-1] == COUNT - 1
        starts = []
        for _ in range(6):
            chromium.run("scrollTo(0, document.getElementById('grid').offsetTop)")
            starts.append(in_sight(chromium)[0])
        assert starts == sorted(starts, reverse=True) and starts[-1] == 0
    assert chromium.errors == []


def test_nothing_on_the_screen_moves_when_another_part_is_laid_out(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(large_run(tmp_path, COUNT, shelves=2)) as (_, address):
        chromium.resize(360, 700)
        opened(chromium, address)
        shelf(chromium, "/all")
        before = in_sight(chromium)
        edge = height(chromium) * 7 // 8
        chromium.run(f"scrollTo(0, {edge - 3000})")
        seen = [in_sight(chromium)]
        for _ in range(30):
            chromium.run("scrollBy(0, 200)")
            seen.append(in_sight(chromium))
        top = chromium.run("-document.getElementById('grid').getBoundingClientRect().top")
        assert top < edge - 1_000_000, "another part was laid out"
        assert seen[0][0] > before[-1]
        for one, other in itertools.pairwise(seen):
            assert 0 <= other[0] - one[0] <= 4, "at most two lines at a time"
            assert other == [*range(other[0], other[-1] + 1)], "without a gap"
    assert chromium.errors == []
