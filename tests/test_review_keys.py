"""Keys on the review page, in a real browser: fast ones, late answers, lists that lie over it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import agree, colour_run, hold, kept, let_go, opened, press, serving, shelf
from zeroshelf import edits

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")

HEARD = "answered.filter((address) => address.startsWith('state?')).length"


def test_keys_pressed_fast_are_kept_in_their_order_by_one_request(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "all")
        hold(chromium, "edit")
        for key in "rgo" * 7:
            press(chromium, key)
        assert chromium.run("[document.body.dataset.pending, document.body.dataset.edits]") == [
            "21",
            "0",
        ]
        assert chromium.run("document.getElementById('saved').textContent") == "Saving …"
        assert not edits.read(session.record)
        let_go(chromium)
        kept(chromium, 21)
        on_disk = edits.read(session.record)
        assert [event["shelf"] for event in on_disk] == ["red", "green", "other"] * 7
        assert len({path for event in on_disk for path in event["pictures"]}) == 21
        assert sum(asked.endswith("/edit") for asked in chromium.requests) == 2  # the first at once
        agree(chromium, session)
        press(chromium, "z")
        kept(chromium, 22)
        assert len(session.edited.placed) == 20  # each key is an edit of its own
    assert chromium.errors == []


def test_a_key_that_is_refused_takes_no_other_with_it(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "all")
        hold(chromium, "edit")
        for key in "rrgr":
            press(chromium, key)
        session.drop_label("green")
        let_go(chromium)
        kept(chromium, 4)
        assert [event["shelf"] for event in edits.read(session.record)[1:]] == ["red"] * 3
        says = chromium.run("document.getElementById('says').textContent")
        assert says == "there is no shelf 'green' any more"
        agree(chromium, session)


def test_of_two_tabs_the_later_key_counts_in_both(tmp_path: Path, chromium: Chromium) -> None:
    """The other tab's edit is heard of while this one's, which is the later, is on its way."""
    with serving(colour_run(tmp_path, each=1)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "all")
        active = "document.getElementById('grid').getAttribute('aria-activedescendant')"
        row = int(chromium.run(active).removeprefix("picture-"))
        hold(chromium, "edit")
        press(chromium, "g")
        session.place([row], "red")
        chromium.wait(f"{HEARD} === 1", 4)
        let_go(chromium)
        kept(chromium, 2)
        assert session.names[session.shelves.columns[row]] == "green"
        agree(chromium, session)


def test_a_tab_hears_of_what_came_after_its_own_edit(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path, each=1)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "all")
        hold(chromium, "edit", answers=True)
        press(chromium, "g")
        chromium.wait("answered.includes('edit')", 4)
        chromium.wait(f"{HEARD} === 1", 4)
        session.place([0, 1, 2], "red")
        chromium.wait(f"{HEARD} === 2", 4)
        chromium.run("new Promise((done) => setTimeout(done, 200))")  # until it has read the answer
        let_go(chromium)
        agree(chromium, session)
        kept(chromium, 2)
