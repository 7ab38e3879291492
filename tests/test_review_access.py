"""The review page for everybody: axe-core finds nothing, and the keyboard alone is enough."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import colour_run, kept, opened, press, serving, shelf

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")

OPEN = {
    "page": "",
    "selected": "document.getElementById('select-all').click()",
    "picture": "document.getElementById('grid').dispatchEvent("
    "new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))",
    "shelf": "document.querySelector('#shelves .more').click()",
    "suggestions": "document.getElementById('suggestions-open').click()",
    "apply": "document.getElementById('apply-open').click()",
    "keys": "document.getElementById('help-open').click()",
    "nothing": "document.getElementById('text').value = 'no such name';"
    "document.getElementById('find').requestSubmit()",
}
# what lies behind an open dialog is inert and is left out: axe would measure its colours
AXE = """axe.run(document.querySelector("dialog[open]") ?? document).then((result) => ({
  passed: result.passes.length,
  violations: result.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 200))]),
}))"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(tmp_path: Path, dark: bool, width: int) -> None:
    package = find_spec("axe_core_python")
    if package is None or package.origin is None:
        pytest.skip("axe-core, of the dev extra, is missing: accessibility is NOT tested")
    axe = (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    with serving(colour_run(tmp_path, each=12)) as (session, address):
        session.place([0, 1, 2], "red")
        with Chromium(width, 800, dark) as browser:
            for name, act in OPEN.items():
                opened(browser, address)
                shelf(browser, "/all")
                browser.wait("document.querySelector('#grid img.ready')")
                browser.run(axe + "; undefined")
                browser.run(act or "undefined")
                browser.run("new Promise((done) => setTimeout(done, 600))")
                found = browser.run(AXE)
                assert found["passed"] > (15 if name in ("page", "selected", "nothing") else 5), (
                    name
                )
                assert found["violations"] == [], (name, json.dumps(found, indent=1))


def focus(browser: Chromium) -> str:
    return str(browser.run("document.activeElement.id || document.activeElement.className"))


def test_the_keyboard_alone_is_enough(tmp_path: Path) -> None:
    with serving(colour_run(tmp_path)) as (session, address), Chromium() as browser:
        opened(browser, address)
        shelf(browser, "/all")
        browser.run("document.getElementById('grid').focus()")
        active = "document.getElementById('grid').getAttribute('aria-activedescendant')"
        first = browser.run(active)
        browser.press("ArrowRight")
        assert browser.run(active) != first
        press(browser, " ")
        selected = "document.querySelectorAll('.card[aria-selected=true]').length"
        assert browser.run(selected) == 1
        for _ in range(2):
            browser._call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", modifiers=8)
        assert browser.run(selected) == 3
        browser.press("Escape")
        assert browser.run(selected) == 0
        press(browser, "Enter")
        browser.wait("document.getElementById('detail').open")
        press(browser, "g")
        kept(browser, 1)
        assert list(session.edited.corrected.values()) == ["green"]
        browser.run("document.getElementById('detail').close()")
        browser.wait("document.activeElement.id === 'grid'")
        press(browser, "/")
        assert focus(browser) == "text"


def test_nothing_moves_where_motion_is_unwanted(tmp_path: Path) -> None:
    with serving(colour_run(tmp_path, each=2)) as (_, address), Chromium() as browser:
        browser._call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-reduced-motion", "value": "reduce"}],
        )
        opened(browser, address)
        browser.run("document.getElementById('help-open').click()")
        image = "getComputedStyle(document.querySelector('.card img'))"
        assert browser.run(f"{image}.transitionDuration") == "0s"
        assert browser.run("document.getAnimations().length") == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 2560])
def test_the_page_fits_every_width(tmp_path: Path, width: int) -> None:
    with serving(colour_run(tmp_path)) as (_, address), Chromium(width, 900) as browser:
        opened(browser, address)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
