"""On the review page: pictures come before tools, nothing jumps, notes go away, work is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import (
    colour_run,
    hold,
    kept,
    let_go,
    look_for,
    opened,
    press,
    serving,
    shelf,
    shown,
)
from tests.test_review_app import Client
from zeroshelf.records import Skipped
from zeroshelf.review import notes, suggestions
from zeroshelf.review.session import Session
from zeroshelf.review.shelves import MODEL
from zeroshelf.run import Run

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")

TOP = "document.getElementById('grid').getBoundingClientRect().top"


def slide(by: float, name: str) -> str:
    return (
        f"{{ const offset = document.getElementById('offset'); offset.value = {by};"
        f"offset.dispatchEvent(new Event('{name}')); }}"
    )


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run has three notes, two of which are the same."""
    said = ("first note", "second note", "first note")
    monkeypatch.setattr(Run, "notes", property(lambda _: said))


@pytest.mark.parametrize("size", [(390, 844, 200), (820, 1180, 160)], ids=["phone", "tablet"])
@pytest.mark.parametrize("many", [2, 40], ids=["few shelves", "many shelves"])
def test_pictures_come_before_tools(
    tmp_path: Path, size: tuple[int, int, int], many: int, told: None
) -> None:
    """With notes, an offer, an edit and a selection."""
    width, height, most = size
    with serving(colour_run(tmp_path)) as (session, address), Chromium(width, height) as browser:
        for number in range(many - 2):
            session.add_label(f"a shelf of number {number}")
        session.place([0, 1, 2], "red")
        opened(browser, address)
        shelf(browser, "/all")
        browser.wait("!document.getElementById('offer').hidden")
        browser.run("document.getElementById('select-all').click()")
        assert browser.run(TOP) <= most
        for folded in ("tools", "add", "facts"):
            seen = f"document.getElementById('{folded}').checkVisibility()"
            assert not browser.run(seen)
            browser.run("document.getElementById('tools-open').click()")
            assert browser.run(seen)
            browser.run("document.getElementById('tools-open').click()")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        press(browser, "/")  # opens what it is in
        assert browser.run("document.activeElement.id") == "text"


def test_the_slider_leaves_the_picture_that_is_looked_at_in_its_place(tmp_path: Path) -> None:
    with (
        serving(colour_run(tmp_path, each=40)) as (session, address),
        Chromium(900, 700) as browser,
    ):
        opened(browser, address)
        shelf(browser, "/all")
        browser.run("scrollTo(0, 900); new Promise((done) => setTimeout(done, 300))")
        first = "[...document.querySelectorAll('.card:not([hidden])')]"
        first += ".find((card) => card.getBoundingClientRect().top > 60)"
        name = browser.run(f"(window.mine = {first}.image.row)")
        place = (
            "(() => { const card = [...document.querySelectorAll('.card:not([hidden])')]"
            ".find((card) => card.image.row === mine);"
            "return card && card.getBoundingClientRect().top })()"
        )
        before = browser.run(place)
        order = session.paths[name]
        browser.run(slide(3, "input"))
        browser.wait("document.getElementById('offset-says').textContent")
        assert browser.run(place) == before  # what it says moves nothing
        browser.run(slide(3, "change"))
        kept(browser, 1)
        browser.wait("document.getElementById('offset-says').textContent === ''")
        assert session.paths[name] == order
        assert abs(browser.run(place) - before) < 2


def test_offers_lie_at_the_bottom_and_nothing_slides_under_them(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path, each=20)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        before = chromium.run(TOP)
        for count in (1, 2, 3):
            press(chromium, "r")
            kept(chromium, count)
        chromium.wait("!document.getElementById('offer').hidden")
        assert chromium.run(TOP) == before
        box = "document.getElementById('offer').getBoundingClientRect()"
        for where in ("0", "document.body.scrollHeight"):
            chromium.run(f"scrollTo(0, {where}); new Promise((done) => setTimeout(done, 100))")
            under = f"document.elementFromPoint({box}.left + 20, {box}.top + {box}.height / 2)"
            assert chromium.run(f"document.getElementById('offer').contains({under})")
        press(chromium, "End")  # the last picture lies above what is offered
        last = "document.querySelector('.card.active').getBoundingClientRect().bottom"
        assert chromium.run(f"{last} <= {box}.top")
        chromium.run("document.getElementById('offer-no').click()")
        chromium.run("new Promise((done) => setTimeout(done, 1200))")
        assert chromium.run("document.getElementById('offer').hidden")
        assert len(session.edited.corrected) == 3


def test_a_note_is_told_once_and_put_away_for_good(
    tmp_path: Path, chromium: Chromium, told: None
) -> None:
    texts = "[...document.querySelectorAll('#notes li span')].map((one) => one.textContent)"
    with serving(colour_run(tmp_path, each=2)) as (session, address):
        opened(chromium, address)
        assert chromium.run(texts) == ["first note", "second note"]
        away = "document.querySelector('#notes .away')"
        chromium.run(f"{away}.focus(); {away}.click()")
        assert chromium.run(texts) == ["second note"]
        assert chromium.run("document.activeElement.ariaLabel") == "Put this note away: second note"
        chromium.wait("document.body.dataset.pending === '0'")
        opened(chromium, address)
        assert chromium.run(texts) == ["second note"]
        assert session.edit_count == 0 and notes.PutAway(session.record).notes == ["first note"]
        chromium.run("document.querySelector('#notes .away').click()")
        chromium.wait("document.body.dataset.pending === '0'")
        opened(chromium, address)
        assert chromium.run(texts) == []
        chromium.run("[...document.querySelectorAll('#facts button')].at(-1).click()")
        listed = "[...document.querySelectorAll('#all-notes li')].map((one) => one.textContent)"
        assert chromium.run(listed) == ["first note", "second note"]
    assert chromium.errors == []


def test_a_broken_file_of_notes_shows_them_again(tmp_path: Path) -> None:
    (tmp_path / notes.NAME).write_text('{"a": [')
    away = notes.PutAway(str(tmp_path))
    assert away.notes == []
    away.add(["one", "one", "two"])
    assert notes.PutAway(str(tmp_path)).notes == ["one", "two"]
    (tmp_path / notes.NAME).write_text('["one", 7, null]')
    assert notes.PutAway(str(tmp_path)).notes == ["one"]


def test_what_was_skipped_is_a_click_away(tmp_path: Path, chromium: Chromium) -> None:
    run = colour_run(tmp_path, each=2)
    skipped = tuple(Skipped(f"/photos/<b>{i}.jpg", f"reason {i}") for i in range(3))
    run = replace(run, embeddings=replace(run.embeddings, skipped=skipped), _records=run._records)
    with serving(run) as (_, address):
        opened(chromium, address)
        link = "[...document.querySelectorAll('#facts button')].find((one) => "
        link += "one.textContent === '3 skipped')"
        chromium.run(f"{link}.focus(); {link}.click()")
        chromium.wait("document.getElementById('about-run').open")
        listed = "[...document.querySelectorAll('#skipped li')].map((one) => one.innerText)"
        assert chromium.run(listed) == [f"/photos/<b>{i}.jpg\nreason {i}" for i in range(3)]
        chromium.press("Escape")
        chromium.wait("!document.getElementById('about-run').open")
        assert chromium.run("document.activeElement.textContent") == "3 skipped"
    assert chromium.errors == []


@pytest.mark.parametrize(
    ("address_of", "act", "said"),
    [
        ("most-informative", "document.getElementById('informative').click()", "Learning from"),
        ("suggestions", "document.getElementById('suggestions-open').click()", "Learning from"),
        ("offset", slide(3, "input"), "Counting what would change"),
    ],
)
def test_the_page_says_that_it_is_at_work(
    tmp_path: Path, chromium: Chromium, address_of: str, act: str, said: str
) -> None:
    working = "document.getElementById('working').textContent"
    with serving(colour_run(tmp_path, each=4)) as (session, address):
        session.place([0, 1], "red")
        opened(chromium, address)
        assert chromium.run("document.getElementById('working').ariaLive") == "polite"
        hold(chromium, address_of, answers=True)
        chromium.run(act)
        chromium.wait(f"{working}.startsWith({json.dumps(said)})")
        let_go(chromium)
        chromium.wait(f"{working} === ''")
    assert chromium.errors == []


def test_an_edit_of_all_pictures_says_so(tmp_path: Path, chromium: Chromium) -> None:
    working = "document.getElementById('working').textContent"
    with serving(colour_run(tmp_path, each=4)) as (_, address):
        opened(chromium, address)
        hold(chromium, "edit")
        chromium.run("document.getElementById('add-name').value = 'blue';")
        chromium.run("document.getElementById('add').requestSubmit()")
        chromium.wait(f"{working}.includes('new shelf')")
        let_go(chromium)
        kept(chromium, 1)
        chromium.wait(f"{working} === ''")


def test_the_apply_dialog_covers_nothing_of_its_table(tmp_path: Path) -> None:
    """On a small phone with many shelves, every row can be scrolled to and the buttons stay."""
    with serving(colour_run(tmp_path)) as (session, address), Chromium(360, 640) as browser:
        for number in range(30):
            session.add_label(f"a shelf of number {number}")
        opened(browser, address)
        browser.run("document.getElementById('apply-open').click()")
        for row in (0, 12, 31):
            found = browser.run(
                f"(() => {{ const row = document.querySelectorAll('#apply-table tbody tr')[{row}];"
                "row.scrollIntoView({block: 'nearest'}); const box = row.getBoundingClientRect();"
                "return [0.1, 0.5, 0.9].every((part) => row.contains("
                "document.elementFromPoint(box.left + 30, box.top + part * box.height))); })()"
            )
            assert found, row
            button = "document.getElementById('apply-now').getBoundingClientRect()"
            assert browser.run(f"{button}.bottom <= innerHeight && {button}.height > 30")


def test_pictures_of_a_suggestion_open_and_are_refused_one_by_one(
    tmp_path: Path, chromium: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(session: Session) -> suggestions.Suggestions:
        rows = np.flatnonzero((session.shelves.columns == 2) & (session.shelves.by == MODEL))
        move = suggestions.Move("other", "red", tuple(rows.tolist()))
        return suggestions.Suggestions(session.version, 3, (move,))

    monkeypatch.setattr(suggestions, "find", find)
    with serving(colour_run(tmp_path, each=26)) as (session, address):
        blue = [row for row, path in enumerate(session.paths) if path.startswith("blue")]
        session.place(blue[:3], "red")
        opened(chromium, address)
        chromium.run("document.getElementById('suggestions-open').click()")
        chromium.wait("document.getElementById('suggestions').open")
        ones = "[...document.querySelectorAll('#moves .one')]"
        count = session.shelves.columns.tolist().count(2)
        assert chromium.run(f"{ones}.length") == 12 < count  # the others on demand
        assert chromium.run(f"{ones}[0].getBoundingClientRect().width") >= 100
        chromium.run("document.querySelector('#moves li > .plain').click()")
        assert chromium.run(f"{ones}.length") == count
        rows = chromium.run(f"{ones}.map((one) => Number(one.dataset.row))")
        chromium.run(f"{ones}[0].querySelector('.no').click()")
        says = "document.getElementById('accept').textContent"
        assert chromium.run(says) == f"Accept: move {count - 1} pictures"
        chromium.run(f"{ones}[1].querySelector('.large').click()")
        place = "document.getElementById('detail-place').textContent"
        chromium.wait("document.getElementById('detail').open")
        chromium.wait(
            "document.getElementById('detail-picture').complete && "
            "document.getElementById('detail-picture').naturalWidth > 0"
        )
        assert chromium.run(place) == f"2 of {count}"
        chromium.run("document.getElementById('detail-tool').click()")
        assert chromium.run(says) == f"Accept: move {count - 2} pictures"
        chromium.press("ArrowRight")
        assert chromium.run(place) == f"3 of {count}"
        chromium.press("Escape")
        chromium.wait("!document.getElementById('detail').open")
        assert chromium.run("document.getElementById('suggestions').open")
        chromium.run("document.getElementById('accept').click()")
        kept(chromium, 2)
        moved = {session.row_of[path] for path in session.edited.accepted}
        assert moved == set(rows[2:])
    assert chromium.errors == []


def test_a_correction_over_a_suggestion_asks_for_the_suggestions_anew(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path, each=8)) as (session, address):
        blue = [row for row, path in enumerate(session.paths) if path.startswith("blue")]
        session.place(blue[:3], "red")
        opened(chromium, address)
        chromium.run("document.getElementById('suggestions-open').click()")
        chromium.wait("document.getElementById('suggestions').open")
        chromium.run("document.querySelector('#moves .large').click()")
        chromium.wait("document.getElementById('detail').open")
        row = chromium.run("Number(document.querySelector('#moves .one').dataset.row)")
        press(chromium, "g")
        kept(chromium, 2)
        assert session.edited.corrected[session.paths[row]] == "green"
        chromium.press("Escape")
        chromium.wait(
            "![...document.querySelectorAll('#moves .one')].some((one) => "
            f"Number(one.dataset.row) === {row})"
        )
        count = chromium.run("document.querySelectorAll('#moves .one').length")
        chromium.run("document.getElementById('accept').click()")
        kept(chromium, 3)
        assert len(session.edited.accepted) == count > 0
    assert chromium.errors == []


def test_rows_that_stay_are_checked(tmp_path: Path) -> None:
    with serving(colour_run(tmp_path, each=6)) as (session, address):
        client = Client(address)
        client.edit(do="place", rows=[0, 1, 2], shelf="red")
        learnt = client.get("suggestions")
        for wrong in ("x", ["x"], [True], 7):
            status, _ = client.edit(
                do="accept", version=learnt["version"], moves=[0], without=wrong
            )
            assert status == 400
        status, told = client.edit(
            do="accept", version=learnt["version"], moves=[0], without=learnt["moves"][0]["rows"]
        )
        assert (status, told["moved"], session.edit_count) == (200, 0, 1)


def test_keys_of_nested_shelves_come_from_the_last_part(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path, each=1)) as (session, address):
        for name in ("animals/cat", "animals/bird", "animals/cow"):
            session.add_label(name)
        opened(chromium, address)
        keys = chromium.run(
            "Object.fromEntries([...document.querySelectorAll('#shelves li')].map((li) => "
            "[li.dataset.look, li.querySelector('kbd')?.textContent]))"
        )
        assert (keys["animals/cat"], keys["animals/bird"], keys["animals/cow"]) == ("c", "b", "w")


def test_a_search_shows_all_that_fit(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path, each=260)) as (_, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        look_for(chromium, "red green blue", "look")
        chromium.wait("document.getElementById('shown').textContent.includes('most like')")
        count = shown(chromium)
        press(chromium, "End")
        chromium.wait(
            "[...document.querySelectorAll('.card:not([hidden])')].some((card) => "
            f"card.index === {count - 1} && card.image.src)"
        )
        assert count == len(Client(address).get("search?words=red%20green%20blue")["rows"]) > 200
