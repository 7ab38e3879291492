"""Near-duplicates on the review page: a view of their own, side by side; the sharpest is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.chromium import PROGRAM, Chromium
from tests.reviewing import colour_run, kept, opened, press, serving, shelf, shown
from tests.test_review_app import Client
from zeroshelf.images.sharpness import sharpness
from zeroshelf.records import OTHER
from zeroshelf.run import Run

browser = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")


def detailed(size: tuple[int, int] = (1200, 800)) -> Image.Image:
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    fine = Image.fromarray(random.integers(0, 256, (400, 600, 3), dtype=np.uint8))
    return Image.blend(coarse.resize(size), fine.resize(size), 0.4)


def test_blurred_and_small_copies_are_less_sharp() -> None:
    sharp = detailed()
    others = [
        sharp.filter(ImageFilter.GaussianBlur(1)),
        sharp.filter(ImageFilter.GaussianBlur(4)),
        sharp.resize((300, 200)),
        sharp.rotate(3).filter(ImageFilter.BoxBlur(2)),
    ]
    assert all(sharpness(other) < 0.8 * sharpness(sharp) for other in others)
    assert sharpness(Image.new("RGB", (900, 600), "red")) == 0
    assert sharpness(Image.new("RGB", (1, 1))) == sharpness(Image.new("RGB", (5000, 1))) == 0


def alike_run(root: Path, kind: str = "copy") -> Run:
    """Two groups: three green pictures, of which the second is sharp, and two blue ones."""
    run = colour_run(root, each=4, kind=kind)
    rows = {name: at for at, name in enumerate(Path(p.path).name for p in run.embeddings.pictures)}
    for name, blur in (("green-00.png", 3), ("green-01.png", 0), ("green-02.png", 1)):
        image = detailed((300, 200)).filter(ImageFilter.GaussianBlur(blur))
        image.save(root / "pictures" / name)
    green = [rows[f"green-0{at}.png"] for at in range(3)]
    blue = [rows[f"blue-0{at}.png"] for at in range(2)]
    run._sources.near_duplicates._found = (tuple(blue), tuple(green))
    return run


def test_the_sharpest_is_kept_and_the_others_go(tmp_path: Path) -> None:
    with serving(alike_run(tmp_path)) as (session, address):
        client = Client(address)
        rows = [session.row_of[f"green-0{at}.png"] for at in range(3)]
        found = client.get(f"alike/{rows[0]}")
        assert [one["row"] for one in found["pictures"]] == rows
        assert found["sharpest"] == rows[1] and found["more"] == 0
        status, told = client.edit(do="keep", row=rows[1], others=[rows[0], rows[2]], shelf="other")
        assert (status, told["moved"], told["stay"]) == (200, 2, 0)
        assert session.shown().counts == {"red": 4, "green": 2, OTHER: 6}
        assert not session.all_corrections()  # they are no examples of what fits no label
        assert client.edit(do="undo")[1]["moved"] == 1
        assert session.shown().counts == {"red": 4, "green": 4, OTHER: 4}


def test_what_the_user_placed_stays(tmp_path: Path) -> None:
    with serving(alike_run(tmp_path)) as (session, address):
        client = Client(address)
        rows = [session.row_of[f"green-0{at}.png"] for at in range(3)]
        session.place(rows[:1], "green")
        _, told = client.edit(do="keep", row=rows[1], others=[rows[0], rows[2]], shelf="other")
        assert (told["moved"], told["stay"]) == (1, 1)
        assert session.shown().counts == {"red": 4, "green": 3, OTHER: 5}


def test_a_file_that_is_gone_is_never_the_sharpest(tmp_path: Path) -> None:
    with serving(alike_run(tmp_path)) as (session, address):
        (tmp_path / "pictures" / "green-01.png").unlink()
        found = Client(address).get(f"alike/{session.row_of['green-00.png']}")
        assert found["sharpest"] == session.row_of["green-02.png"]
        assert [one["pixels"] > 0 for one in found["pictures"]] == [True, False, True]


def test_only_near_duplicates_are_moved(tmp_path: Path) -> None:
    with serving(alike_run(tmp_path)) as (session, address):
        client = Client(address)
        green, red = session.row_of["green-00.png"], session.row_of["red-00.png"]
        other = session.row_of["green-01.png"]
        assert client.raw(f"/a-token-of-the-tests/alike/{red}")[0] == 409
        assert client.raw("/a-token-of-the-tests/alike/99999")[0] == 409
        for row, others, shelf_name, expected in (
            (red, [green], "other", 409),
            (green, [red], "other", 409),
            (green, [green], "other", 409),
            (green, [other], "nowhere", 409),
            (99999, [green], "other", 409),
            (green, ["x"], "other", 400),
            (green, [True], "other", 400),
            (True, [green], "other", 400),
            (green, [other], 7, 400),
        ):
            status, _ = client.edit(do="keep", row=row, others=others, shelf=shelf_name)
            assert status == expected, (row, others, shelf_name)
        assert session.edit_count == 0


@browser
def test_groups_are_compared_one_after_the_other(tmp_path: Path, chromium: Chromium) -> None:
    with serving(alike_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/alike")
        assert shown(chromium) == 5
        ordered = "[...document.querySelectorAll('.card:not([hidden])')].sort((a, b) => "
        ordered += "a.index - b.index).map((card) => card.querySelector('.file').textContent)"
        assert chromium.run(ordered) == [
            *("blue-00.png", "blue-01.png"),
            *("green-00.png", "green-01.png", "green-02.png"),
        ]
        chromium.run("document.getElementById('compare-open').click()")
        chromium.wait("document.getElementById('compare').open")
        place = "document.getElementById('compare-place').textContent"
        assert chromium.run(place) == "Group 1 of 2"
        chromium.run("document.getElementById('compare-next').click()")
        chromium.wait(f"{place} === 'Group 2 of 2'")
        pictures = "[...document.querySelectorAll('#compare-pictures li')]"
        best = f"{pictures}.filter((li) => li.querySelector('strong'))"
        best += ".map((li) => li.querySelector('.file').textContent)"
        chromium.wait(f"{pictures}.length === 3")
        assert chromium.run(best) == ["green-01.png"]
        button = "document.getElementById('compare-keep')"
        assert chromium.run(f"{button}.textContent") == "Keep one, move 2 others"
        chromium.run(f"{pictures}[2].querySelector('input[type=checkbox]').click()")
        assert chromium.run(f"{button}.textContent") == "Keep one, move 1 other"
        chromium.run(f"{button}.click()")
        kept(chromium, 1)
        assert session.edited.accepted == {"green-00.png": "other"}
        chromium.wait("!document.getElementById('compare').open")  # it was the last group
        press(chromium, "z")
        kept(chromium, 2)
        assert not session.edited.accepted
    assert chromium.errors == []


@browser
def test_a_large_picture_leads_to_what_is_nearly_the_same(
    tmp_path: Path, chromium: Chromium
) -> None:
    with serving(alike_run(tmp_path)) as (_, address):
        opened(chromium, address)
        shelf(chromium, "red")
        press(chromium, "Enter")
        chromium.wait("document.getElementById('detail').open")
        assert chromium.run("document.getElementById('detail-alike').hidden")
        chromium.run("document.getElementById('detail').close()")
        shelf(chromium, "green")
        chromium.run("document.querySelector('.card:has(.pile:not([hidden]))').click()")
        press(chromium, "Enter")
        chromium.wait("document.getElementById('detail').open")
        chromium.run("document.getElementById('detail-alike').click()")
        chromium.wait("document.getElementById('compare').open")
        assert chromium.run("document.querySelectorAll('#compare-pictures li').length") == 3
        chromium.run("document.querySelector('#compare-pictures .large').click()")
        chromium.wait("document.getElementById('detail').open")
        chromium.run("document.getElementById('detail-tool').click()")
        kept_row = "document.querySelector('#compare-pictures .kept .file').textContent"
        assert chromium.run(kept_row) == "green-00.png"
    assert chromium.errors == []
