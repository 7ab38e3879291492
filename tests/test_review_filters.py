"""On the review page: when, with what and where a picture was taken; shown, and as filters."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests import known
from tests.chromium import PROGRAM, Chromium
from tests.colours import GREEN, RED, ColourEncoder, paint
from tests.reviewing import TOKEN, opened, press, serving, shelf, shown
from tests.test_photo_facts import photo
from tests.test_review_app import Client
from tests.waiting import until
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import photo_facts
from zeroshelf.run import Run, classify

browser = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")


def album_run(root: Path, kind: str = "copy", shelf_path: str = "{label}") -> Run:
    """Four pictures of two years, two cameras and two places, and two that say nothing."""
    known.negative_texts()
    pictures = root / "pictures"
    photo(pictures / "a.jpg", RED)
    photo(pictures / "b.jpg", RED, taken="2024:06:02 08:00:00", place=(-22.95, -43.2))
    photo(pictures / "c.jpg", GREEN, taken="2023:12:31 23:59:59", model="<b>X100</b>", make=None)
    photo(pictures / "d.jpg", GREEN, taken=None, place=None)
    paint(pictures / "e.jpg", GREEN)
    paint(pictures / "f.png", RED)
    run = classify(pictures, ["red", "green"], encoder=ColourEncoder(), store=EmbeddingCache.open())
    run._sources.near_duplicates._found = ()
    run.save(run.plan(root / "sorted", kind, shelf_path=shelf_path))
    return run


def test_what_a_file_says_is_told_about_it(tmp_path: Path) -> None:
    with serving(album_run(tmp_path)) as (session, address):
        client = Client(address)
        about = client.get(f"about/{session.row_of['a.jpg']}")
        assert (about["taken"], about["camera"]) == ("2024-05-01 12:33", "Canon EOS R6")
        assert about["place"] == pytest.approx([48.8583, 2.2945], abs=1e-4)
        about = client.get(f"about/{session.row_of['e.jpg']}")
        assert (about["taken"], about["camera"], about["place"]) == (None, None, None)


def test_no_file_is_read_before_the_filters_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = photo_facts.read
    monkeypatch.setattr(photo_facts, "read", lambda path: asked.append(path) or read(path))
    with serving(album_run(tmp_path)) as (session, address):
        client = Client(address)
        for path in ("pictures", "columns", "state", "thumbnail/0"):
            client.raw(f"/{TOKEN}/{path}")
        assert asked == []
        until(lambda: "taken" in client.get("photo-facts"))
        assert len(asked) == len(session) == 6
        table = client.get("photo-facts")
        assert table["taken"]["values"] == ["2023-12", "2024-05", "2024-06"]
        rows = {path: table["taken"]["rows"][row] for path, row in session.row_of.items()}
        assert rows == {"a.jpg": 1, "b.jpg": 2, "c.jpg": 0, "d.jpg": -1, "e.jpg": -1, "f.png": -1}
        assert len(asked) == 6


def test_files_that_were_moved_are_found(tmp_path: Path) -> None:
    with serving(album_run(tmp_path, "move", "{label}/{year}")) as (_, address):
        client = Client(address)
        client.edit(do="apply")
        until(lambda: client.get("state")["progress"]["state"] == "applied")
        assert (tmp_path / "sorted" / "red" / "2024" / "a.jpg").exists()
        photo_facts._known.clear()
        until(lambda: "taken" in client.get("photo-facts"))
        assert len(client.get("photo-facts")["camera"]["values"]) == 2
        client.edit(do="unapply")
        until(lambda: client.get("state")["progress"]["state"] == "undone")
        assert (tmp_path / "pictures" / "a.jpg").exists()


def choose(browser: Chromium, field: str, value: str) -> None:
    browser.run(
        f"{{ const field = document.getElementById('filter-{field}'); field.value = {value!r};"
        "field.dispatchEvent(new Event('change')); }"
    )


@browser
def test_filters_narrow_what_is_shown(tmp_path: Path, chromium: Chromium) -> None:
    says = "document.getElementById('shown').textContent"
    with serving(album_run(tmp_path)) as (session, address):
        opened(chromium, address)
        shelf(chromium, "/all")
        assert shown(chromium) == 6
        chromium.run("document.getElementById('filter-open').click()")
        chromium.wait("!document.getElementById('filter-taken').disabled")
        options = "[...document.getElementById('filter-taken').options].map((one) => one.text)"
        assert chromium.run(options) == [
            "any", "2024 (2)", "\u20032024-06 (1)", "\u20032024-05 (1)", "2023 (1)",
            "\u20032023-12 (1)", "without a date (3)",
        ] or chromium.run(options)[1] == "2024 (2)"  # fmt: skip
        choose(chromium, "taken", "2024")
        assert shown(chromium) == 2 and chromium.run(says) == "2 pictures: all pictures, 2024"
        shelf(chromium, "red")
        assert shown(chromium) == 2
        choose(chromium, "place", "22.9S 43.2W")
        assert shown(chromium) == 1
        press(chromium, "A", shift=True)
        press(chromium, "g")
        chromium.wait("document.body.dataset.edits === '1'")
        assert list(session.edited.corrected) == ["b.jpg"]  # not what a filter hides
        chromium.run("document.getElementById('filter-clear').click()")
        shelf(chromium, "/all")
        for value, count in (("none", 3), ("2023-12", 1), ("", 6)):
            choose(chromium, "taken", value)
            assert shown(chromium) == count
        choose(chromium, "camera", "<b>X100</b>")
        assert shown(chromium) == 1
        press(chromium, "Enter")
        chromium.wait("document.getElementById('detail-facts').textContent.includes('X100')")
        facts = chromium.run("document.getElementById('detail-facts').innerText")
        assert "2023-12-31 23:59" in facts and "48.85830\u00b0 N, 2.29450\u00b0 E" in facts
    assert chromium.errors == []
