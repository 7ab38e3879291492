"""The review page in a real browser. Skipped, and said so, where there is no Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import (
    add_shelf,
    colour_run,
    kept,
    large_run,
    opened,
    press,
    serving,
    shelf,
    shown,
)
from zeroshelf.actions import plan_file
from zeroshelf.review.session import Session
from zeroshelf.runs import edit_log as edits

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")


def test_keys_place_pictures_and_z_takes_back(tmp_path: Path, chromium: Chromium) -> None:
    run = colour_run(tmp_path)
    with serving(run) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        before = shown(chromium)
        press(chromium, "r")
        kept(chromium, 1)
        assert list(session.edited.corrected.values()) == ["red"]
        assert shown(chromium) == before - 1
        press(chromium, "z")
        kept(chromium, 2)
        assert not session.edited.corrected and shown(chromium) == before
    assert chromium.errors == []


def test_all_that_match_go_with_one_key(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        count = shown(chromium)
        press(chromium, "A", shift=True)
        press(chromium, "g")
        kept(chromium, 1)
        assert list(session.edited.corrected.values()) == ["green"] * count and count == 8
        assert chromium.run("document.getElementById('tray').hidden")


def test_pictures_that_look_the_same_lie_in_a_stack(tmp_path: Path, chromium: Chromium) -> None:
    run = colour_run(tmp_path, each=4)
    blue = [i for i, p in enumerate(run.embeddings.pictures) if "blue" in p.path]
    run._sources.near_duplicates._found = (tuple(blue[:3]),)
    with serving(run) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        assert shown(chromium) == 2
        press(chromium, "e")
        assert shown(chromium) == 4
        press(chromium, "e")
        chromium.run("document.querySelector('.card:has(.pile:not([hidden]))').click()")
        press(chromium, "r")
        kept(chromium, 1)
        assert len(session.edited.corrected) == 3 and shown(chromium) == 1


def test_two_tabs_agree_and_a_reload_loses_nothing(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (_, address), Chromium() as other:
        opened(chromium, address)
        opened(other, address)
        for browser in (chromium, other):
            shelf(browser, "other")
        press(chromium, "r")
        kept(chromium, 1)
        other.wait("document.body.dataset.edits === '1'")
        other.wait("document.querySelector('#grid .card:not([hidden])').ariaSetSize === '7'")
        press(other, "g")
        kept(other, 2)
        chromium.wait("document.querySelector('#grid .card:not([hidden])').ariaSetSize === '6'")
        opened(chromium, address)
        assert chromium.run("document.body.dataset.edits") == "2"


def test_shelves_are_added_renamed_merged_and_dropped(tmp_path: Path, chromium: Chromium) -> None:
    run = colour_run(tmp_path)
    looked = run._sources.encoder.pictures  # type: ignore[attr-defined]
    with serving(run) as (session, address):
        opened(chromium, address)
        add_shelf(chromium, "blue")
        kept(chromium, 1)
        names = "[...document.querySelectorAll('#shelves li')].map(li => li.dataset.look)"
        assert chromium.run(names)[2:] == ["red", "green", "blue", "other"]
        assert session.names == ("red", "green", "blue", "other")
        assert (session.shelves.columns == 2).sum() == 8
        more = "document.querySelector('#shelves li[data-look=blue] .more').click();"
        chromium.run(
            more + "document.getElementById('rename-to').value = 'blue sky';"
            "document.getElementById('rename').requestSubmit()"
        )
        kept(chromium, 2)
        assert session.names == ("red", "green", "blue sky", "other")
        more = more.replace("[data-look=blue]", '[data-look="blue sky"]')
        chromium.run(
            more + "document.getElementById('merge-into').value = 'green';"
            "document.getElementById('merge').requestSubmit()"
        )
        kept(chromium, 3)
        assert (session.shelves.columns == session.names.index("green")).sum() == 16
        chromium.run(
            "document.querySelector('#shelves li[data-look=green] .more').click();"
            "document.getElementById('drop').click()"
        )
        kept(chromium, 4)
        assert session.names == ("red", "other")
    assert run._sources.encoder.pictures == looked  # type: ignore[attr-defined]  # none was read again
    assert chromium.errors == []


def test_a_shelf_that_goes_away_is_not_looked_at_any_more(
    tmp_path: Path, chromium: Chromium
) -> None:
    """Else all pictures were shown under its name, and one key would have placed them all."""
    run = colour_run(tmp_path)
    heading = "document.getElementById('shown').textContent"
    with serving(run) as (session, address):
        opened(chromium, address)
        add_shelf(chromium, "blue")
        kept(chromium, 1)
        shelf(chromium, "blue")
        assert chromium.run(heading) == "8 pictures: on blue"
        press(chromium, "z")
        kept(chromium, 2)
        chromium.wait(f"{heading}.endsWith(': unsure')")
        assert shown(chromium) < len(session)
        shelf(chromium, "green")
        session.drop_label("green")  # another tab
        chromium.wait(f"!{heading}.endsWith('on green')")
        shelf(chromium, "red")
        chromium.run(
            "document.querySelector('#shelves li[data-look=red] .more').click();"
            "document.getElementById('rename-to').value = 'ruby  stone=red';"
            "document.getElementById('rename').requestSubmit()"
        )
        chromium.wait(f"{heading}.endsWith('on ruby stone')")


def test_shelves_may_have_the_names_of_what_the_page_shows_beside_them(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        for name in ("all", "unsure"):
            session.add_label(name)
        session.place([0, 1], "all")
        session.place([2], "unsure")
        opened(chromium, address)
        for name, column in (("all", 2), ("unsure", 3)):
            shelf(chromium, name)
            says = chromium.run("document.getElementById('shown').textContent")
            assert says.endswith(f"on {name}")
            assert shown(chromium) == (session.shelves.columns == column).sum()


def test_what_was_learnt_is_a_preview_until_it_is_accepted(
    tmp_path: Path, chromium: Chromium
) -> None:
    """Blue pictures lie in "other"; three corrections to "red" suggest "red" for the others."""
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        for count in (1, 2, 3):
            press(chromium, "r")
            kept(chromium, count)
        chromium.wait("!document.getElementById('offer').hidden")
        assert len(session.edited.corrected) == 3 and not session.edited.accepted
        chromium.run("document.getElementById('offer-look').click()")
        chromium.wait("document.getElementById('suggestions').open")
        assert chromium.run("document.querySelector('#moves label').textContent") == "other → red 5"
        chromium.run("document.getElementById('accept').click()")
        kept(chromium, 4)
        assert list(session.edited.accepted.values()) == ["red"] * 5


def test_a_hundred_thousand_pictures(tmp_path: Path, chromium: Chromium) -> None:
    """A page that stays small, asks for little and asks no other server. How long it takes is
    measured by benchmarks/review.py."""
    with serving(large_run(tmp_path)) as (session, address):
        opened(chromium, address)
        chromium.wait("document.querySelector('#grid img.ready')")
        first = len(chromium.requests)
        assert first < 120  # the page, its parts, and thumbnails of what is shown
        assert chromium.run("document.querySelectorAll('#grid .card').length") < 120
        chromium.run("scrollTo(0, document.body.scrollHeight / 2)")
        chromium.wait(
            "[...document.querySelectorAll('#grid .card:not([hidden]) img')]"
            ".every((image) => image.complete && image.src)"
        )
        assert chromium.memory() < 300
        shelf(chromium, "/all")
        chromium.run("document.getElementById('grid').focus()")
        keys = chromium.run(
            "[...document.querySelectorAll('#shelves kbd')].map(k => k.textContent)"
        )
        assert len(set(keys)) == 21
        for key in keys[:20]:
            press(chromium, key)
        kept(chromium, 20)
        assert len(session.edited.corrected) == 20
        edits = [request for request in chromium.requests if request.endswith("/edit")]
        assert 1 <= len(edits) <= 20  # fast keys share a request
        assert len(chromium.requests) < 4 * first
        host = address.split("/")[2]
        assert all(request.split("/")[2] == host for request in chromium.requests)
    assert chromium.errors == []


def test_apply_does_what_the_page_showed_and_undo_restores_the_tree(
    tmp_path: Path, chromium: Chromium
) -> None:
    def tree() -> dict[str, bytes]:
        return {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*.png")}

    run = colour_run(tmp_path, kind="move")
    before = tree()
    with serving(run) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        press(chromium, "r")
        kept(chromium, 1)
        (placed,) = session.edited.corrected
        chromium.run("document.getElementById('apply-open').click()")
        chromium.run("document.getElementById('apply-now').click()")
        chromium.wait("document.body.dataset.state === 'applied'")
        assert (tmp_path / "sorted" / "red" / placed).exists()
        assert len(list((tmp_path / "sorted" / "other").iterdir())) == 7
        chromium.run("document.getElementById('unapply').click()")
        chromium.wait("document.body.dataset.state === 'undone'")
        assert tree() == before
        assert session.update_plan()
    planned = plan_file.load(str(Path(session.record) / "plan.jsonl"))
    assert {a.label for a in planned.actions if a.source.endswith(placed)} == {"red"}
    assert not edits.plan_is_outdated(session.record)


def test_one_review_at_a_time(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=1)
    with Session(run), pytest.raises(Exception, match="already open for review"):
        Session(run)


def test_pictures_are_dragged_to_a_shelf(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "other")
        chromium.run(
            "{ const dataTransfer = new DataTransfer();"
            "const act = (element, name) => element.dispatchEvent("
            "  new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }));"
            "act(document.querySelector('.card'), 'dragstart');"
            "act(document.querySelector('#shelves li[data-look=green] .to'), 'drop'); }"
        )
        kept(chromium, 1)
        assert list(session.edited.corrected.values()) == ["green"]


def test_the_slider_says_what_would_change(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        session.set_offset(-20)  # all is in "other" now
        opened(chromium, address)
        slide = "{{ const offset = document.getElementById('offset'); offset.value = 8;"
        slide += "offset.dispatchEvent(new Event('{}')); }}"
        chromium.run(slide.format("input"))
        chromium.wait("document.getElementById('offset-says').textContent.includes('would change')")
        assert session.edit_count == 1
        chromium.run(slide.format("change"))
        kept(chromium, 2)
        assert (session.shelves.columns < 2).sum() >= 16


def test_pictures_are_found_by_name_and_by_what_they_show(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path)) as (_, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        search = "document.getElementById('text').value = {!r};"
        search += "document.getElementById('find-by').value = {!r};"
        search += "document.getElementById('find').requestSubmit()"
        chromium.run(search.format("blue-0", "name"))
        assert shown(chromium) == 8
        chromium.run(search.format("green", "look"))
        chromium.wait("document.getElementById('shown').textContent.includes('most like')")
        first = "[...document.querySelectorAll('.card:not([hidden])')]"
        first += ".find((card) => card.index === 0).ariaLabel"
        assert chromium.run(first).startswith("green")
