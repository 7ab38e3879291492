"""On the review page: words to count as a label, in one key; and a closed set without "other"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

import zeroshelf
from tests.chromium import PROGRAM, Chromium
from tests.colours import GREY, ColourEncoder, paint
from tests.reviewing import colour_run, kept, opened, press, serving, shelf, shown
from tests.test_review_app import Client
from zeroshelf.decisions import diagnose
from zeroshelf.decisions.decide import Decisions
from zeroshelf.decisions.diagnose import WordsToAdd
from zeroshelf.records import OTHER
from zeroshelf.run import reopen

browser = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the review page is NOT tested")


@pytest.fixture
def advised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on "other" looks like something blue, as long as the label green isn't that too."""

    def advise(decided: Decisions, among: np.ndarray | None = None) -> tuple[WordsToAdd, ...]:
        labels = {label.name: label.words for label in decided.scores.labels}
        rows = np.flatnonzero((decided.chosen == len(labels)) & (True if among is None else among))
        known = "blue" in labels.get("green", ())
        return (
            (WordsToAdd("green", ("blue",), tuple(rows.tolist())),)
            if len(rows) and not known
            else ()
        )

    monkeypatch.setattr(diagnose, "words_to_add", advise)


def test_words_are_offered_counted_and_undone(tmp_path: Path, advised: None) -> None:
    run = colour_run(tmp_path, each=4)
    with serving(run) as (session, address):
        client = Client(address)
        (offer,) = client.get("words")
        assert (offer["label"], offer["words"], len(offer["rows"])) == ("green", ["blue"], 4)
        session.place(offer["rows"][:1], "red")
        assert len(client.get("words")[0]["rows"]) == 3  # not what the user placed
        status, told = client.edit(do="widen", label="green", words=["blue"])
        assert status == 200 and told["moved"] == 3
        assert client.get("words") == [] and client.get("state")["words"] == [[], ["blue"]]
        assert session.shown().counts == {"red": 5, "green": 7, OTHER: 0}
        assert client.edit(do="undo")[1]["moved"] == 1
        assert session.shown().counts == {"red": 5, "green": 4, OTHER: 3}
        client.edit(do="widen", label="green", words=["blue"])
    again = reopen(run.id, encoder=ColourEncoder())
    assert again.counts == {"red": 5, "green": 7, OTHER: 0}


def test_what_is_no_such_edit_is_refused_and_not_saved(tmp_path: Path, advised: None) -> None:
    with serving(colour_run(tmp_path, each=2)) as (session, address):
        client = Client(address)
        for wrong in ([], [1], ["x", None], "blue", [["x"]]):
            assert client.edit(do="widen", label="green", words=wrong)[0] == 400
        for label, words in (("nosuch", ["blue"]), ("green", [""]), ("other", ["blue"])):
            assert client.edit(do="widen", label=label, words=words)[0] == 409
        assert session.edit_count == 0


@browser
def test_one_key_counts_them(tmp_path: Path, chromium: Chromium, advised: None) -> None:
    with serving(colour_run(tmp_path, each=4)) as (session, address):
        opened(chromium, address)
        chromium.wait("!document.getElementById('widen').hidden")
        says = "document.getElementById('widen-says').textContent"
        assert chromium.run(says) == "4 pictures on other look like blue: count them as green?"
        chromium.run("document.getElementById('widen-look').click()")
        chromium.wait("document.getElementById('shown').textContent.includes('look like blue')")
        assert shown(chromium) == 4
        press(chromium, "+")
        kept(chromium, 1)
        chromium.wait("document.getElementById('widen').hidden")
        assert session.shown().counts[OTHER] == 0
        press(chromium, "z")
        kept(chromium, 2)
        chromium.wait("!document.getElementById('widen').hidden")
        chromium.run("document.getElementById('widen-no').click()")
        chromium.wait("document.getElementById('widen').hidden")
        press(chromium, "+")
        press(chromium, "?")
        chromium.wait("document.getElementById('help').open")
        assert session.edit_count == 2
    assert chromium.errors == []


@browser
def test_the_page_of_a_closed_set(
    tmp_path: Path, chromium: Chromium, encoder: ColourEncoder
) -> None:
    paint(tmp_path / "P" / "grey.png", GREY)
    paint(tmp_path / "P" / "other grey.png", (120, 121, 120))
    run = zeroshelf.classify(tmp_path / "P", ["red", "green"], encoder=encoder, other=False)
    run.save(run.plan(tmp_path / "S"))
    with serving(run) as (session, address):
        opened(chromium, address)
        names = (
            "[...document.querySelectorAll('#shelves li')].map(li => li.dataset.look)"
            ".filter(look => !look.startsWith('/'))"  # the shelves, without the views of all
        )
        assert chromium.run(names) == ["red", "green"]
        assert chromium.run("document.getElementById('offset-tool').hidden")
        shelf(chromium, "/all")
        press(chromium, "o")
        kept(chromium, 1)
        assert set(session.edited.corrected.values()) == {OTHER}  # both: they look alike
        assert chromium.run(names) == ["red", "green", OTHER]
        press(chromium, "z")
        kept(chromium, 2)
        assert chromium.run(names) == ["red", "green"]
    assert chromium.errors == []
