"""The app's page in a real browser: from an empty home to sorted pictures and back."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.apping import done, labelled, mixed, serving, tree
from tests.chromium import PROGRAM, Chromium
from tests.colours import BLUE, GREEN, RED, paint
from tests.reviewing import hold, kept, let_go, press, still
from tests.waiting import until
from zeroshelf.runs import registry

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the app's page is NOT tested")

READY = "document.body && document.body.dataset.ready === 'true'"


def opened(browser: Chromium, address: str) -> None:
    browser.open(address)
    browser.wait(READY)


def click(browser: Chromium, id: str) -> None:
    browser.run(f"document.getElementById({json.dumps(id)}).click()")


def arrived(browser: Chromium, condition: str) -> None:
    """Until the condition is true on another page, whose loading ends every promise."""

    def there() -> bool:
        try:
            return bool(browser.run(condition))
        except AssertionError:
            return False

    until(there)


def shelves(browser: Chromium) -> list[str]:
    names = "[...document.querySelectorAll('#shelves > li')].map((li) => li.dataset.name)"
    found = browser.run(names)
    assert isinstance(found, list)
    return found


def three_colours(root: Path, each: int = 4) -> Path:
    for index in range(each):
        for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
            r, g, b = (max(0, part - 2 * index) for part in colour)
            paint(root / f"{name}-{index:02}.png", (r, g, b), (40, 30 + index))
    return root


def test_from_an_empty_home_to_moved_pictures_and_back(tmp_path: Path, chromium: Chromium) -> None:
    folder = mixed(tmp_path / "me" / "phone")
    before = tree(tmp_path)
    with serving(tmp_path / "me") as (app, address):
        opened(chromium, address)
        click(chromium, "choose")
        chromium.wait("document.querySelector('#browse-list button')")
        chromium.run("document.querySelector('#browse-list button').click()")
        chromium.wait("document.getElementById('browse-path').value.endsWith('phone')")
        click(chromium, "browse-use")
        chromium.wait("!document.getElementById('read-part').hidden")
        assert chromium.run("document.getElementById('contents-says').textContent").startswith("44")
        click(chromium, "read")
        chromium.wait("document.querySelectorAll('#suggested button').length > 2")
        for count in range(1, 4):
            chromium.run("document.querySelector('#suggested button').click()")
            chromium.wait(f"document.querySelectorAll('#shelves > li').length === {count + 1}")
        chromium.run(
            "document.getElementById('add-word').value = 'rocket';"
            "document.getElementById('add').requestSubmit()"
        )
        chromium.wait("document.querySelectorAll('#shelves > li').length === 5")
        assert shelves(chromium)[3:] == ["rocket", "other"]
        click(chromium, "continue")
        chromium.wait("document.getElementById('planning').open")
        chromium.run("document.querySelector('#plan-actions [value=move]').click()")
        chromium.run("document.getElementById('plan-form').requestSubmit()")
        chromium.wait("document.body.dataset.run?.endsWith(' planned')")
        assert tree(tmp_path) == before  # nothing was done yet
        _correct_five(chromium)
        click(chromium, "run-apply")
        chromium.wait("document.getElementById('confirm').open")
        click(chromium, "confirm-yes")
        chromium.wait("document.body.dataset.run.endsWith(' applied')")
        moved = [
            path for path in tree(folder.parent / "phone-sorted") if path.lower().endswith("g")
        ]
        assert len(moved) >= 40 and (folder.parent / "phone-sorted" / "rocket").is_dir()
        assert sum("rocket" in path for path in moved) >= 5
        click(chromium, "run-undo")
        chromium.wait("document.body.dataset.run.endsWith(' undone')")
        assert tree(tmp_path) == before
        assert not app.jobs.running()
    assert chromium.errors == []
    assert [one for one in chromium.requests if not one.startswith(address)] == []


def _correct_five(browser: Chromium) -> None:
    """Put five pictures on "rocket" on the review page, and come back."""
    click(browser, "run-review")
    arrived(browser, "location.pathname.includes('/review/') && document.body?.dataset.ready")
    browser.run("document.querySelector('#shelves li[data-look=other] .to').click()")
    for number in range(1, 6):
        browser.wait("document.querySelector('#grid .card:not([hidden])')")
        press(browser, "r")
        kept(browser, number)
    click(browser, "back")
    arrived(browser, f"!location.pathname.includes('/review/') && {READY}")
    browser.wait("document.getElementById('run-says').textContent.includes('5 edits')")


@pytest.mark.usefixtures("colours")
def test_labels_words_and_what_other_looks_like(tmp_path: Path, chromium: Chromium) -> None:
    folder = three_colours(tmp_path / "pictures")
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red"])
        opened(chromium, address)
        chromium.wait("document.querySelectorAll('#shelves > li').length === 2")
        count = "document.querySelector('#shelves > li[data-name=red] .count').textContent"
        assert chromium.run(count).startswith("4 pictures")
        chromium.run(
            "document.getElementById('add-word').value = 'green, blue';"
            "document.getElementById('add').requestSubmit()"
        )
        chromium.wait("document.querySelectorAll('#shelves > li').length === 4")
        chromium.run("document.querySelector('#shelves > li[data-name=blue] .away').click()")
        chromium.wait("document.querySelectorAll('#shelves > li').length === 3")
        dropped = (
            "const given = new DataTransfer(); given.setData('text/plain', 'red=blue');"
            "document.getElementById('shelves').dispatchEvent("
            "new DragEvent('drop', {dataTransfer: given, bubbles: true, cancelable: true}))"
        )
        chromium.run(f"{{ {dropped} }}")
        chromium.wait(f"{count}.startsWith('8 pictures')")
        chromium.run("document.querySelector('#shelves .chip.set').click()")
        chromium.wait(f"{count}.startsWith('4 pictures')")
        opened(chromium, address)  # a reload loses nothing
        chromium.wait("document.querySelectorAll('#shelves > li').length === 3")
        assert app.folder is not None and app.folder.labels == {"red": [], "green": []}
    assert chromium.errors == []


@pytest.mark.usefixtures("colours")
def test_the_app_started_again_knows_the_folder_and_its_labels(
    tmp_path: Path, chromium: Chromium
) -> None:
    folder = three_colours(tmp_path / "pictures")
    with serving(tmp_path) as (app, _):
        labelled(app, folder, ["red", "green"])
    with serving(tmp_path) as (app, address):
        opened(chromium, address)
        chromium.run("document.querySelector('#recent .what').click()")
        chromium.wait("!document.getElementById('read-part').hidden")
        click(chromium, "read")
        chromium.wait("document.querySelectorAll('#shelves > li').length === 3")
        assert shelves(chromium) == ["red", "green", "other"]


@pytest.mark.usefixtures("colours")
def test_work_that_ends_before_the_page_looks_is_seen(
    tmp_path: Path, chromium: Chromium, colours: None
) -> None:
    folder = three_colours(tmp_path / "pictures")
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        opened(chromium, address)
        chromium.wait("document.body.dataset.version")
        for _ in range(2):
            hold(chromium, "state")
            click(chromium, "continue")
            chromium.wait("document.getElementById('planning').open")
            click(chromium, "plan-make")
            chromium.wait("!document.getElementById('planning').open")
            done(app, "plan")
            let_go(chromium)
            chromium.wait("document.body.dataset.view === 'run'")
            chromium.run("location.hash = '#/'")
            chromium.wait("document.body.dataset.view === 'folder'")
    assert chromium.errors == []


def test_an_undo_that_is_not_whole_is_not_called_whole(tmp_path: Path, chromium: Chromium) -> None:
    folder = three_colours(tmp_path / "pictures")
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        app.plan({"action": "move", "destination": ""})
        done(app, "plan")
        id = registry.find().id
        app.apply({"id": id, "action": ""})
        done(app, "apply")
        one = next((tmp_path / "pictures-sorted" / "red").iterdir())
        one.write_bytes(one.read_bytes() + b"edited since")
        opened(chromium, f"{address}#/run/{id}")
        chromium.wait("document.body.dataset.run?.endsWith(' applied')")
        click(chromium, "run-undo")
        chromium.wait("document.getElementById('says').textContent.includes('1 file was left')")
        says = chromium.run("document.getElementById('run-says').textContent")
        assert says.startswith("Not everything is back yet: 1 of 12 pictures is still moved.")
        assert chromium.run("document.getElementById('run-undo').className") == "main large"
        chromium.run("location.hash = '#/'")
        chromium.wait("document.querySelector('#lately .badge')?.textContent === 'partly done'")
        assert chromium.run("document.querySelector('#lately a').hash") == f"#/run/{id}"
    assert chromium.errors == []


def test_the_keyboard_alone_is_enough(tmp_path: Path, chromium: Chromium, colours: None) -> None:
    """From the start page to an apply and its undo, with Tab, Enter, Space, arrows and letters."""
    three_colours(tmp_path / "me" / "pictures")
    before = tree(tmp_path)
    with serving(tmp_path / "me") as (_, address):
        opened(chromium, address)
        _tab_to(chromium, "choose")
        press(chromium, "Enter")
        chromium.wait("document.activeElement.closest('#browse-list') !== null")
        press(chromium, "Enter")  # into the folder
        chromium.wait("document.getElementById('browse-path').value.endsWith('pictures')")
        _tab_to(chromium, "browse-use")
        press(chromium, "Enter")
        chromium.wait("!document.getElementById('read-part').hidden")
        _tab_to(chromium, "read")
        press(chromium, "Enter")
        chromium.wait("!document.getElementById('labelling').hidden")
        for word in ("red", "green"):
            _tab_to(chromium, "add-word")
            for letter in word:
                press(chromium, letter)
            press(chromium, "Enter")
            chromium.wait(f"document.querySelector('#shelves > li[data-name={word}]')")
        _tab_to(chromium, "continue")
        press(chromium, "Enter")
        chromium.wait("document.activeElement.value === 'copy'")
        chromium.press("ArrowDown")
        assert chromium.run("document.activeElement.value") == "move"
        press(chromium, "Enter")
        chromium.wait("document.body.dataset.run?.endsWith(' planned')")
        _tab_to(chromium, "run-apply")
        press(chromium, "Enter")
        chromium.wait("document.activeElement.id === 'confirm-yes'")
        chromium.press("Escape")
        chromium.wait("!document.getElementById('confirm').open")
        assert tree(tmp_path) == before
        _tab_to(chromium, "run-apply")
        press(chromium, "Enter")
        chromium.wait("document.activeElement.id === 'confirm-yes'")
        press(chromium, "Enter")
        chromium.wait("document.body.dataset.run.endsWith(' applied')")
        _tab_to(chromium, "run-undo")
        press(chromium, "Enter")
        chromium.wait("document.body.dataset.run.endsWith(' undone')")
        assert tree(tmp_path) == before


def test_a_dialog_that_opens_again_at_once_is_answered(
    tmp_path: Path, chromium: Chromium, colours: None
) -> None:
    """The event that tells of the closing comes when the dialog is open again."""
    three_colours(tmp_path / "me" / "pictures")
    with serving(tmp_path / "me") as (_, address):
        opened(chromium, address)
        chromium.run("location.hash = '#/storage'")
        chromium.wait("document.body.dataset.view === 'storage'")
        chromium.run("""new Promise((later) => {
          const all = document.getElementById('storage-all');
          all.click();
          document.getElementById('confirm').close();
          all.click();
          setTimeout(later, 50);
        })""")
        chromium.run("document.getElementById('confirm-yes').click()")
        until(lambda: any(url.endswith("cache/clear") for url in chromium.requests))


def _tab_to(browser: Chromium, id: str) -> None:
    """Press Tab until the element has the focus."""
    browser.wait("document.body.dataset.view && !document.querySelector('[inert]')")
    for _ in range(80):
        if browser.run("document.activeElement.id") == id:
            return
        for kind in ("keyDown", "keyUp"):
            browser._call(
                "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
            )
    raise AssertionError(f"Tab does not reach {id}")


# --- accessibility and widths ---------------------------------------------------------------------

VIEWS = {
    "start": "location.hash = '#/'",
    "browse": "document.getElementById('another').click()",
    "shelf": "document.querySelector('#shelves .thumbs').click()",
    "planning": "document.getElementById('continue').click()",
    "all choices": "document.getElementById('continue').click();"
    "for (const one of document.querySelectorAll('#planning details')) one.open = true",
    "history": "location.hash = '#/runs'",
    "models": "location.hash = '#/models'",
    "storage": "location.hash = '#/storage'",
    "confirm": "location.hash = '#/storage'; document.getElementById('storage-all').click()",
    "quit": "document.getElementById('quit').click()",
}
AXE = """axe.run(document.querySelector("dialog[open]") ?? document).then((result) => ({
  passed: result.passes.length,
  violations: result.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 200))]),
}))"""


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(tmp_path: Path, dark: bool, width: int) -> None:
    package = find_spec("axe_core_python")
    if package is None or package.origin is None:
        pytest.skip("axe-core, of the dev extra, is missing: accessibility is NOT tested")
    axe = (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    folder = three_colours(tmp_path / "pictures")
    with serving(tmp_path) as (app, address), Chromium(width, 800, dark) as browser:
        opened(browser, address)
        _without_violation(browser, axe, "empty")
        labelled(app, folder, ["red", "green", "crane"])
        run = _planned(app, folder)
        for name, act in {**VIEWS, "run": f"location.hash = '#/run/{run}'"}.items():
            opened(browser, address)
            browser.wait("document.querySelectorAll('#shelves > li').length === 4")
            browser.run(act)
            browser.run("new Promise((done) => setTimeout(done, 500))")
            still(browser)
            _without_violation(browser, axe, name)


def _without_violation(browser: Chromium, axe: str, name: str) -> None:
    browser.run(axe + "; undefined")
    found = browser.run(AXE)
    assert found["passed"] > 5, name
    assert found["violations"] == [], (name, json.dumps(found, indent=1))


def _planned(app: object, folder: Path) -> str:
    from zeroshelf.app.state import App

    assert isinstance(app, App)
    app.plan({"action": "copy", "destination": str(folder.parent / "sorted")})
    done(app, "plan")
    return registry.find().id


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("width", [320, 390, 820, 1280, 2560])
def test_the_pages_fit_every_width(tmp_path: Path, width: int) -> None:
    folder = three_colours(tmp_path / "pictures")
    with serving(tmp_path) as (app, address), Chromium(width, 900) as browser:
        labelled(app, folder, ["red", "a very long label " * 8])
        run = _planned(app, folder)
        for page in ("", "runs", "models", "storage", f"run/{run}"):
            browser.open("about:blank")
            opened(browser, f"{address}#/{page}")
            assert browser.run("document.documentElement.scrollWidth <= innerWidth"), page
