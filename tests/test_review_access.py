"""The review page for everybody: axe-core finds nothing, and the keyboard alone is enough."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import colour_run, kept, opened, press, serving, shelf, still
from zeroshelf.records import Skipped

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
    "tools": "document.getElementById('tools-open').click();"
    "document.getElementById('filter-open').click()",
    "slider": "document.getElementById('offset').value = 3;"
    "document.getElementById('offset').dispatchEvent(new Event('input'))",
    "about": "document.querySelector('#facts button').click()",
    "compare": "document.querySelector('#shelves li[data-look=\"/alike\"] .to').click();"
    "document.getElementById('compare-open').click()",
    "suggested picture": "document.getElementById('suggestions-open').click();"
    "setTimeout(() => { document.querySelector('#moves .no').click();"
    "document.querySelector('#moves .large').click() }, 400)",
    "working": "document.getElementById('working').textContent = 'Learning \u2026'",
    "nothing": "document.getElementById('text').value = 'no such name';"
    "document.getElementById('find').requestSubmit()",
}
# what lies behind an open dialog is inert and is left out: axe would measure its colours
AXE = """axe.run(
  document.querySelector("#detail[open]") ?? document.querySelector("dialog[open]") ?? document
).then((result) => ({
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
    run = colour_run(tmp_path, each=12)
    skipped = (Skipped("/photos/broken.jpg", "cut short"),)
    run = replace(run, embeddings=replace(run.embeddings, skipped=skipped), _records=run._records)
    run._sources.near_duplicates._found = ((20, 21, 22),)
    with serving(run) as (session, address):
        session.place([0, 1, 2], "red")
        with Chromium(width, 800, dark) as browser:
            for name, act in OPEN.items():
                opened(browser, address)
                shelf(browser, "/all")
                browser.wait("document.querySelector('#grid img.ready')")
                browser.run(axe + "; undefined")
                browser.run(act or "undefined")
                browser.run("new Promise((done) => setTimeout(done, 600))")
                still(browser)
                found = browser.run(AXE)
                page = ("page", "selected", "nothing", "tools", "slider", "working")
                assert found["passed"] > (15 if name in page else 5), name
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


DIALOGS = (  # what opens it, its id, which of its elements are reached by Tab
    ("help-open", "help", {"close"}),
    ("apply-open", "apply", {"close", "scroll", "apply-now"}),
    ("suggestions-open", "suggestions", {"close", "scroll", "accept", "large", "no"}),
    ("compare-open", "compare", {"close", "scroll", "compare-shelf", "compare-keep", "large"}),
)


def test_every_dialog_is_opened_used_and_closed_by_keys(tmp_path: Path) -> None:
    """Enter on its button opens it, Tab reaches all that is in it and nothing behind it, Escape
    closes it and leads back to the button."""
    run = colour_run(tmp_path, each=8)
    run._sources.near_duplicates._found = ((20, 21, 22),)
    where = "document.activeElement"
    with serving(run) as (session, address), Chromium() as browser:
        session.place([0, 1, 2], "red")
        opened(browser, address)
        shelf(browser, "/alike")
        for button, dialog, parts in DIALOGS:
            browser.run(f"document.getElementById('{button}').focus()")
            press(browser, "Enter")
            browser.wait(f"document.getElementById('{dialog}').open")
            reached = set()
            for _ in range(40):
                inside = f"document.getElementById('{dialog}').contains({where})"
                assert browser.run(f"{inside} || {where} === document.body"), dialog
                reached.add(focus(browser))
                browser._call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab",
                              windowsVirtualKeyCode=9)  # fmt: skip
            assert parts <= reached, (dialog, parts - reached)
            browser.press("Escape")
            browser.wait(f"!document.getElementById('{dialog}').open")
            assert focus(browser) == button


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
