"""Keys on the review page, in a real browser: fast ones, late answers, lists that lie over it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import (
    agree,
    colour_run,
    hold,
    kept,
    let_go,
    look_for,
    opened,
    press,
    selected,
    serving,
    shelf,
    shown,
)
from zeroshelf.runs import edit_log

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")

HEARD = "answered.filter((address) => address.startsWith('state?')).length"


def test_keys_pressed_fast_are_kept_in_their_order_by_one_request(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        hold(chromium, "edit")
        for key in "rgo" * 7:
            press(chromium, key)
        assert chromium.run("[document.body.dataset.pending, document.body.dataset.edits]") == [
            "21",
            "0",
        ]
        assert chromium.run("document.getElementById('saved').textContent") == "Saving …"
        assert not edit_log.read(session.record)
        let_go(chromium)
        kept(chromium, 21)
        on_disk = edit_log.read(session.record)
        assert [event["shelf"] for event in on_disk] == ["red", "green", "other"] * 7
        assert len({path for event in on_disk for path in event["pictures"]}) == 21
        assert sum(asked.endswith("/edit") for asked in chromium.requests) == 2  # the first at once
        agree(chromium, session)
        press(chromium, "z")
        kept(chromium, 22)
        assert len(session.edited.corrected) == 20  # each key is an edit of its own
    assert chromium.errors == []


def test_a_key_that_is_refused_takes_no_other_with_it(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        hold(chromium, "edit")
        for key in "rrgr":
            press(chromium, key)
        session.drop_label("green")
        let_go(chromium)
        kept(chromium, 4)
        assert [event["shelf"] for event in edit_log.read(session.record)[1:]] == ["red"] * 3
        says = chromium.run("document.getElementById('says').textContent")
        assert says == "there is no shelf 'green'; there are red, other"
        agree(chromium, session)


def test_of_two_tabs_the_later_key_counts_in_both(tmp_path: Path, chromium: Chromium) -> None:
    """The other tab's edit is heard of while this one's, which is the later, is on its way."""
    with serving(colour_run(tmp_path, each=1)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        active = "document.getElementById('grid').getAttribute('aria-activedescendant')"
        row = int(chromium.run(active).removeprefix("picture-"))
        hold(chromium, "edit")
        press(chromium, "g")
        session.place([row], "red")
        chromium.wait(f"{HEARD} === 1")
        let_go(chromium)
        kept(chromium, 2)
        assert session.names[session.shelves.columns[row]] == "green"
        agree(chromium, session)


def test_a_tab_hears_of_what_came_after_its_own_edit(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path, each=1)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        hold(chromium, "edit", answers=True)
        press(chromium, "g")
        chromium.wait("answered.includes('edit')")
        chromium.wait(f"{HEARD} === 1")
        session.place([0, 1, 2], "red")
        chromium.wait(f"{HEARD} === 2")
        chromium.run("new Promise((done) => setTimeout(done, 200))")  # until it has read the answer
        let_go(chromium)
        agree(chromium, session)
        kept(chromium, 2)


def active(browser: Chromium) -> str:
    """The picture that a key is about."""
    return str(
        browser.run(
            "document.getElementById(document.getElementById('grid')"
            ".getAttribute('aria-activedescendant')).querySelector('.file').textContent"
        )
    )


def test_a_late_answer_to_an_older_search_is_not_shown(tmp_path: Path, chromium: Chromium) -> None:
    found = "document.getElementById('shown').textContent"
    with serving(colour_run(tmp_path)) as (_, address):
        opened(chromium, address)
        hold(chromium, "search?words=red", answers=True)
        look_for(chromium, "red", "look")
        look_for(chromium, "green", "look")
        chromium.wait(f"{found}.includes('green') && answered.includes('search?words=red')")
        let_go(chromium)
        chromium.run("new Promise((done) => setTimeout(done, 200))")
        assert "“green”" in chromium.run(found) and active(chromium).startswith("green")

        hold(chromium, "search?words=blue", answers=True)
        look_for(chromium, "blue", "look")
        chromium.wait("answered.includes('search?words=blue')")
        shelf(chromium, "red")  # a shelf was asked for since
        let_go(chromium)
        chromium.run("new Promise((done) => setTimeout(done, 200))")
        assert chromium.run(found) == "8 pictures: on red"


def test_keys_do_nothing_under_an_open_list(tmp_path: Path, chromium: Chromium) -> None:
    opens = "document.getElementById({}).open"
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        for over in ("", "Enter"):  # the page, or a picture shown large
            if over:
                press(chromium, over)
                chromium.wait(opens.format("'detail'"))
            press(chromium, "?")
            chromium.wait(opens.format("'help'"))
            for key in "rgaAz":
                press(chromium, key)
            chromium.press("Escape")
            chromium.wait(f"!{opens.format(repr('help'))}")
        assert chromium.run(opens.format("'detail'"))
        chromium.press("Escape")
        chromium.wait(f"!{opens.format(repr('detail'))}")
        assert session.edit_count == 0 and selected(chromium) == 0
        press(chromium, "r")  # and now they do something
        kept(chromium, 1)


def test_escape_in_a_list_that_lies_over_the_page_leaves_the_page_as_it_was(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path)) as (_, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        look_for(chromium, "blue", "name")
        assert shown(chromium) == 8
        chromium.run("document.querySelector('#shelves li[data-look=red] .more').click()")
        chromium.run("document.getElementById('rename-to').focus()")
        chromium.press("Escape")
        chromium.wait("!document.getElementById('shelf').open")
        assert shown(chromium) == 8


def test_what_a_filter_hides_is_not_selected(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        press(chromium, "A", shift=True)
        assert selected(chromium) == 24
        look_for(chromium, "blue-0", "name")
        assert selected(chromium) == 8
        press(chromium, "r")
        kept(chromium, 1)
        assert {path[:4] for path in session.edited.corrected} == {"blue"}


def test_what_another_tab_took_away_is_not_selected(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        press(chromium, "A", shift=True)
        blue = [row for row, path in enumerate(session.paths) if path.startswith("blue")]
        session.place(blue[:3], "green")
        chromium.wait("document.body.dataset.edits === '1'")
        assert selected(chromium) == 5
        press(chromium, "r")
        kept(chromium, 2)
        assert sorted(session.edited.corrected.values()) == ["green"] * 3 + ["red"] * 5


def test_another_tabs_edit_does_not_move_the_picture_that_a_key_is_about(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        first = active(chromium)
        chromium.press("ArrowRight")
        mine = active(chromium)
        assert mine != first
        session.place([session.paths.index(first)], "green")
        chromium.wait("document.body.dataset.edits === '1'")
        assert active(chromium) == mine
        press(chromium, "r")
        kept(chromium, 2)
        assert session.edited.corrected == {first: "green", mine: "red"}


def test_a_key_over_a_large_picture_is_about_that_picture(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        press(chromium, "A", shift=True)
        mine = active(chromium)
        press(chromium, "Enter")
        chromium.wait("document.getElementById('detail').open")
        press(chromium, "r")
        kept(chromium, 1)
        assert session.edited.corrected == {mine: "red"}


def test_what_could_not_be_sent_is_said(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        hold(chromium, "edit")
        for key in "rgr":
            press(chromium, key)
    let_go(chromium)  # the server has ended
    says = "document.getElementById('says').textContent"
    chromium.wait(f"{says}.includes('start `zeroshelf review` again. 2 edits not saved.')")
    kept(chromium, 0)
    stays = "document.getElementById('saved').textContent.startsWith('The server has stopped.')"
    assert chromium.run(stays)
    assert not edit_log.read(session.record)
