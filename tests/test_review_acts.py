"""What the review page promises, in a real browser: find, select, apply and undo, the keys."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import (
    colour_run,
    kept,
    look_for,
    opened,
    press,
    selected,
    serving,
    shelf,
    shown,
)
from zeroshelf.actions import kinds
from zeroshelf.actions.tags import sidecars
from zeroshelf.runs import registry

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")

Tree = dict[str, tuple[str, bytes | str]]


def tree(root: Path) -> Tree:
    """Everything below `root`: folders, links with where they lead, files with what they hold."""
    found: Tree = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = "link", os.readlink(path)
        else:
            found[name] = ("folder", "") if path.is_dir() else ("file", path.read_bytes())
    return found


def carry(browser: Chromium, button: str, until: str) -> None:
    """Press Apply or Undo in the dialog, and wait for the end of it."""
    browser.run(f"document.getElementById({json.dumps(button)}).click()")
    browser.wait(f"document.body.dataset.state === {json.dumps(until)}")


def about_to_apply(chromium: Chromium, address: str) -> None:
    """What was on "other" is put on green, and the dialog is open."""
    opened(chromium, address)
    shelf(chromium, "other")
    press(chromium, "A", shift=True)
    press(chromium, "g")
    kept(chromium, 1)
    chromium.run("document.getElementById('apply-open').click()")


@pytest.mark.parametrize("kind", kinds.offered())
def test_each_kind_is_applied_and_undone_from_the_page(
    tmp_path: Path, chromium: Chromium, kind: str
) -> None:
    run = colour_run(tmp_path, each=3, kind=kind)
    before = tree(tmp_path)
    with serving(run) as (_, address):
        about_to_apply(chromium, address)
        carry(chromium, "apply-now", "applied")
        after = tree(tmp_path)
        colours = {"red": "red", "green": "green", "blue": "green"}
        shelves = {f"{c}-{i:02}.png": name for c, name in colours.items() for i in range(3)}
        if kind == "tag":
            made = {f"pictures/{name}.xmp": label for name, label in shelves.items()}
            assert after.keys() - before.keys() == made.keys()
            for name, label in made.items():
                assert sidecars.tags((tmp_path / name).read_bytes()) == {f"zeroshelf/{label}"}
        elif kind == "trash":
            assert {f"pictures/{name}" for name in shelves}.isdisjoint(after)
            says = chromium.run("document.getElementById('apply-says').textContent")
            assert says.startswith("Done, in the system's trash.")
        else:
            stay = {name for name in shelves if f"pictures/{name}" in after}
            assert stay == (set() if kind == "move" else shelves.keys())
            for name, label in shelves.items():
                target = tmp_path / "sorted" / label / name
                assert ("file", target.read_bytes()) == before[f"pictures/{name}"]
                assert target.is_symlink() == (kind in ("symlink", "relative-symlink"))
                assert (target.stat().st_nlink == 2) == (kind == "hardlink")
        carry(chromium, "unapply", "undone")
        assert tree(tmp_path) == before
        assert chromium.run("document.getElementById('apply-says').textContent").startswith(
            "Everything is back as it was."
        )
    assert chromium.errors == []


def test_how_is_chosen_beside_apply_and_kept_with_the_plan(
    tmp_path: Path, chromium: Chromium
) -> None:
    run = colour_run(tmp_path, each=3)
    before = tree(tmp_path)
    ways = "[...document.querySelectorAll('#apply-how input')]"
    with serving(run) as (session, address):
        about_to_apply(chromium, address)
        assert chromium.run(f"{ways}.map((way) => way.value)") == [
            name for name in kinds.offered() if not kinds.of(name).only_clear
        ]
        assert chromium.run(f"{ways}.find((way) => way.checked).value") == "copy"
        chromium.run(f"{ways}.find((way) => way.value === 'move').click()")
        says = "document.getElementById('apply-says').textContent"
        assert "is moved to its shelf" in chromium.run(says)
        carry(chromium, "apply-now", "applied")
        assert chromium.run("document.getElementById('apply-how').hidden")
        assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == []
        assert len(list((tmp_path / "sorted" / "green").iterdir())) == 6  # with the edit
        assert "move to" in chromium.run("document.getElementById('facts').textContent")
        assert chromium.run("fetch('picture/0').then((answer) => answer.status)") == 200
        assert registry.find(run.id).kind == "move"
        carry(chromium, "unapply", "undone")
        assert tree(tmp_path) == before
        chromium.run("document.getElementById('apply').close()")
        chromium.run("document.getElementById('apply-open').click()")
        assert chromium.run(f"{ways}.find((way) => way.checked).value") == "move"
        chromium.run(f"{ways}.find((way) => way.value === 'symlink').click()")
        carry(chromium, "apply-now", "applied")
        assert all(path.is_symlink() for path in (tmp_path / "sorted" / "green").iterdir())
        carry(chromium, "unapply", "undone")
        assert tree(tmp_path) == before and session.planned.kind == "symlink"
    assert chromium.errors == []


def test_tags_are_another_way_and_the_way_back_stays_open(
    tmp_path: Path, chromium: Chromium
) -> None:
    run = colour_run(tmp_path, each=2)
    before = tree(tmp_path)
    way = "[...document.querySelectorAll('#apply-how input')].find((one) => one.value === '{}')"
    says = "document.getElementById('apply-says').textContent"
    needs = "document.getElementById('apply-needs').textContent"
    with serving(run) as (session, address):
        about_to_apply(chromium, address)
        chromium.wait(f"{needs}.startsWith('6 files, ')")
        assert "free there" in chromium.run(needs)
        assert f"in {tmp_path / 'sorted'}" in chromium.run(says)
        chromium.run(way.format("tag") + ".click()")
        assert f"beside it, in {tmp_path / 'pictures'}" in chromium.run(says)
        chromium.wait(f"{needs} === '6 files, no room on the disk.'")
        carry(chromium, "apply-now", "applied")
        assert not (tmp_path / "sorted").exists()
        assert len(list((tmp_path / "pictures").glob("*.xmp"))) == 6
        carry(chromium, "unapply", "undone")
        assert tree(tmp_path) == before
        chromium.run("document.getElementById('apply').close()")
        chromium.run("document.getElementById('apply-open').click()")
        chromium.run(way.format("copy") + ".click()")
        carry(chromium, "apply-now", "applied")
        assert len(list((tmp_path / "sorted" / "green").iterdir())) == 4
        carry(chromium, "unapply", "undone")
        assert tree(tmp_path) == before
        assert session.planned.kind == "copy"
    assert chromium.errors == []


def test_what_is_special_about_a_plan_is_told_before_it_is_applied(
    tmp_path: Path, chromium: Chromium
) -> None:
    run = colour_run(tmp_path, each=2)
    (tmp_path / "sorted" / "red").mkdir(parents=True)
    (tmp_path / "sorted" / "red" / "red-00.png").write_bytes(b"mine")
    with serving(run) as (_, address):
        opened(chromium, address)
        chromium.run("document.getElementById('apply-open').click()")
        notes = "document.getElementById('apply-notes').innerText"
        chromium.wait(f"{notes}.includes('gets a number')")


def test_what_was_left_alone_is_listed_with_its_reason(tmp_path: Path, chromium: Chromium) -> None:
    run = colour_run(tmp_path, each=3, kind="move")
    gone, changed, taken = (tmp_path / "pictures" / f"red-{i:02}.png" for i in range(3))
    gone.unlink()
    changed.write_bytes(changed.read_bytes() + b"more")
    in_the_way = tmp_path / "sorted" / "red" / taken.name
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"mine")
    with serving(run) as (_, address):
        opened(chromium, address)
        chromium.run("document.getElementById('apply-open').click()")
        carry(chromium, "apply-now", "partly")
        rows = "[...document.querySelectorAll('#trouble li')].map((li) => "
        rows += "[li.querySelector('bdi').textContent, li.querySelector('.quiet').textContent])"
        assert dict(chromium.run(rows)) == {
            str(gone): "it no longer exists",
            str(changed): "it has changed since the plan was made",
            str(taken): f"there is already something at {in_the_way}",
        }
        assert in_the_way.read_bytes() == b"mine" and taken.exists() and changed.exists()
        assert "left alone" in chromium.run("document.getElementById('apply-says').textContent")
        carry(chromium, "unapply", "undone")
        assert len(list((tmp_path / "pictures").iterdir())) == 8


def test_what_is_shown_and_all_that_match_are_two_selections(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(colour_run(tmp_path, each=40)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        assert shown(chromium) == 120
        press(chromium, "a")
        in_window = selected(chromium)
        seen = "[...document.querySelectorAll('.card:not([hidden])')].filter((card) => "
        seen += "card.getBoundingClientRect().top < innerHeight).length"
        assert 0 < in_window == chromium.run(seen) < 120
        press(chromium, "A", shift=True)
        assert selected(chromium) == 120
        for button, count in (("select-shown", in_window), ("select-all", 120), ("select-none", 0)):
            chromium.run(f"document.getElementById('{button}').click()")
            assert selected(chromium) == count
        press(chromium, "a")
        press(chromium, "g")
        kept(chromium, 1)
        assert len(session.edited.corrected) == in_window


def test_slash_finds_by_name_and_by_what_is_shown(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        look_for(chromium, "-03 BLUE", "name")
        assert shown(chromium) == 1
        press(chromium, "r")
        kept(chromium, 1)
        assert session.edited.corrected == {"blue-03.png": "red"}
        chromium.run("document.getElementById('text').focus()")
        chromium.press("Escape")
        assert shown(chromium) == 24
        look_for(chromium, "red car", "name")
        assert (
            chromium.run("document.getElementById('nothing').textContent") == "No picture matches."
        )
        look_for(chromium, "red car", "look")
        chromium.wait("document.getElementById('shown').textContent.includes('“red car”')")
        nearest = "[...document.querySelectorAll('.card:not([hidden])')].filter((card) => "
        nearest += "card.index < 8).map((card) => card.querySelector('.file').textContent)"
        assert sorted(chromium.run(nearest)) == [f"red-{i:02}.png" for i in range(8)]


def test_the_list_of_keys_has_every_key(tmp_path: Path, chromium: Chromium) -> None:
    with serving(colour_run(tmp_path)) as (session, address):
        opened(chromium, address)
        press(chromium, "?")
        chromium.wait("document.getElementById('help').open")
        listed = "[...document.querySelectorAll('#keys dt')].map((dt) => "
        listed += "[dt.textContent, dt.nextElementSibling.textContent])"
        keys = dict(chromium.run(listed))
        assert (keys["r"], keys["g"], keys["o"]) == ("put on red", "put on green", "put on other")
        others = {"← ↑ → ↓", "Space", "Enter", "Esc", "a", "Shift A", "e", "z", "+", "/", "?"}
        assert keys.keys() == {"r", "g", "o"} | others
        assert keys["a"] != keys["Shift A"] and "undo" in keys["z"]
        chromium.press("Escape")
        chromium.wait("!document.getElementById('help').open")
        session.add_label("blue")
        chromium.wait("document.body.dataset.edits === '1'")
        press(chromium, "?")
        assert dict(chromium.run(listed))["b"] == "put on blue"
