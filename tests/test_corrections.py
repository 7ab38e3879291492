"""Corrections are never lost: every way to a corrected run gives the same decisions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reviewing import colour_run
from zeroshelf.commands.edits import save_edits
from zeroshelf.corrections import classification
from zeroshelf.corrections.stored import load_for, save
from zeroshelf.output import results
from zeroshelf.records import OTHER
from zeroshelf.review import suggestions
from zeroshelf.review.session import Session
from zeroshelf.run import Run, classify, reopen

FIRST, OTHERS = ["red", "green"], ["green", "blue"]


def again(run: Run, **options: Any) -> Run:
    return reopen(run.id, encoder=run._sources.encoder, store=run._sources.store, **options)


def saved(run: Run) -> Run:
    run.save(run.plan(Path(run.request.folder).parent / "sorted"))
    return again(run)


def picture(run: Run, name: str) -> str:
    return str(Path(run.request.folder) / name)


STEPS: dict[str, Callable[[Run], Run]] = {
    "correct": lambda run: run.correct({"blue-00.png": OTHER, "red-01.png": "green"}),
    "correct more": lambda run: run.correct({"green-02.png": OTHER}),
    "other labels and back": lambda run: run.relabel(OTHERS).relabel(FIRST),
    "save and reopen": saved,
}


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids=" > ".join)
def test_every_order_gives_the_same_decisions(tmp_path: Path, order: tuple[str, ...]) -> None:
    run = straight = colour_run(tmp_path, each=4)
    for step in order:
        run = STEPS[step](run)
    straight = STEPS["correct more"](STEPS["correct"](straight))
    assert run.decisions.labels == straight.decisions.labels
    assert run.decisions.corrected == straight.decisions.corrected
    np.testing.assert_allclose(run.decisions.probabilities, straight.decisions.probabilities)
    assert run.decisions[0].picture.path == picture(run, "blue-00.png")
    assert run.decisions[0].label == OTHER
    assert saved(run).decisions.labels == straight.decisions.labels


def test_a_label_that_comes_later_finds_its_corrections(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4).correct({"blue-00.png": "red", "blue-01.png": "green"})
    fewer = saved(run.relabel(["green"]))
    assert fewer.decisions[1].label == "green" and 1 in fewer.decisions.corrected
    assert 0 not in fewer.decisions.corrected
    assert fewer.relabel(FIRST).decisions.labels == run.decisions.labels


def test_correct_and_relabel_by_other_labels_commute(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4)
    said = {"red-00.png": "green", "blue-03.png": "green"}
    one, two = run.correct(said).relabel(OTHERS), run.relabel(OTHERS).correct(said)
    assert one.decisions.labels == two.decisions.labels
    np.testing.assert_allclose(one.decisions.probabilities, two.decisions.probabilities)


def test_a_reopened_run_says_what_its_results_say(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4).correct({"blue-00.png": "red", "red-00.png": OTHER})
    assert told(saved(run)) == told_by_file(run)


def told(run: Run) -> list[tuple[str, str, float]]:
    return [(d.picture.path, d.label, round(d.probability, 5)) for d in run.decisions]


def told_by_file(run: Run) -> list[tuple[str, str, float]]:
    rows = results.read_jsonl(str(Path(run.record or "") / "results.jsonl"))
    return [(row.path, row.label or "", row.probability or 0) for row in rows]


def test_so_does_one_that_was_reviewed(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=6)
    with Session(run) as session:
        session.place([0], "red")
        session.rename_label("red", "warm")
        session.add_label("blue")
        session.set_offset(1.0)
        session.place([2, 8], OTHER)
        learnt = suggestions.find(session)
        suggestions.accept(session, learnt, range(len(learnt.moves)))
        save_edits(session)
        shelves = [session.names[column] for column in session.shelves.columns]
    reopened = again(run)
    assert reopened.labels.names == ("warm", "green", "blue")
    assert reopened.decisions.labels == shelves
    assert told(reopened) == told_by_file(run)
    assert again(run, edited=False).decisions.labels == run.decisions.labels
    # saved anew, with its edits as a part of it
    assert saved(reopened).decisions.labels == shelves


def test_a_review_goes_on_where_a_corrected_run_was(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4).correct({"blue-00.png": "red"})
    run.save(run.plan(tmp_path / "sorted"))
    with Session(again(run, edited=False)) as session:
        assert session.corrected == {0: 0}
        session.rename_label("red", "warm")
        assert session.names[session.shelves.columns[0]] == "warm"
        save_edits(session)
    reopened = again(run)
    assert reopened.decisions[0].label == "warm" and 0 in reopened.decisions.corrected


def test_files_with_the_same_content_go_to_the_same_shelf(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=3)
    folder = tmp_path / "pictures"
    (folder / "copy.png").write_bytes((folder / "blue-00.png").read_bytes())
    more = classify(folder, FIRST, encoder=run._sources.encoder, store=run._sources.store)
    corrected = more.correct({"copy.png": "green"})
    same = [
        d.label for d in corrected.decisions if d.picture.path.endswith(("y.png", "blue-00.png"))
    ]
    assert same == ["green", "green"]


def test_storing_one_session_keeps_what_another_run_stored(tmp_path: Path) -> None:
    """Renaming a label leads to another label set, which may have corrections of its own."""
    run = colour_run(tmp_path / "one", each=3)
    warm = classify(
        run.request.folder,
        ["warm", "green"],
        encoder=run._sources.encoder,
        store=run._sources.store,
    )
    warm.correct({"blue-00.png": "warm"}).store_corrections()
    with Session(run) as session:
        session.place([1], OTHER)
        session.rename_label("red", "warm")
        save_edits(session)
        stored = load_for(session.edited.labels, run.model)
    assert sorted(one.label for one in stored.values()) == [OTHER, "warm"]


def test_a_run_of_0_1_0_opens_with_what_it_followed(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=3)
    corrected = run.correct({"blue-00.png": "red"})
    assert run.record
    save(str(Path(run.record) / "marks.jsonl"), corrected.corrections.given, run.model)
    (Path(run.record) / "corrections.jsonl").unlink(missing_ok=True)
    assert again(run).decisions.labels == corrected.decisions.labels


def test_every_way_to_a_run_goes_through_one_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = colour_run(tmp_path, each=3)
    made: list[classification.Classification] = []

    def counted(*given: Any, **named: Any) -> classification.Classification:
        made.append(make(*given, **named))
        return made[-1]

    make = classification.make
    monkeypatch.setattr(classification, "make", counted)
    encoder, store = run._sources.encoder, run._sources.store
    ways = {
        "classify": lambda: classify(run.request.folder, FIRST, encoder=encoder, store=store),
        "relabel": lambda: run.relabel(OTHERS),
        "correct": lambda: run.correct({"blue-00.png": "red"}),
        "reopen": lambda: again(run),
    }
    for way, call in ways.items():
        made.clear()
        got = call()
        assert len(made) == 1 and got.decisions is made[0].decisions, way
    made.clear()
    with Session(run) as session:
        session.place([0], "red")
        session.add_label("blue")
        assert session.run.decisions is made[-1].decisions
        assert session.shown().decisions is not None and len(made) == 2
        session.adapted()
        assert len(made) == 3


def test_a_run_can_not_be_changed(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=2)
    public = [name for name in dir(run) if not name.startswith("__")]
    for name in (*public, "another"):
        with pytest.raises(AttributeError):
            setattr(run, name, None)
    before = dict(vars(run))
    run.correct({"blue-00.png": "red"}).relabel(OTHERS).plan(tmp_path / "to")
    assert vars(run) == before


def reviewed(run: Run) -> Session:
    return Session(again(saved(run), edited=False))


def test_a_correction_after_a_review_replaces_what_the_page_said(tmp_path: Path) -> None:
    with reviewed(colour_run(tmp_path, each=4)) as session:
        session.place([0, 1], "green")
        run = again(session.run)
    assert [run.decisions[row].label for row in (0, 1)] == ["green", "green"]
    corrected = run.correct({run.decisions[0].picture.path: "red"})
    assert [corrected.decisions[row].label for row in (0, 1)] == ["red", "green"]
    assert saved(corrected).decisions.labels == corrected.decisions.labels


def test_a_label_that_is_dropped_on_the_page_and_comes_back_has_its_pictures(
    tmp_path: Path,
) -> None:
    with reviewed(colour_run(tmp_path, each=4)) as session:
        session.add_label("blue")
        session.place([4], "blue")  # a green one
        session.drop_label("blue")
        assert session.names[session.shelves.columns[4]] != "blue" and 4 not in session.corrected
        session.store_corrections()
        session.add_label("blue")
        assert session.names[session.shelves.columns[4]] == "blue"
        assert session.corrected == {4: session.names.index("blue")}
        run = again(session.run)
    assert run.decisions[4].label == "blue" and 4 in run.decisions.corrected


def test_a_page_shows_after_a_restart_what_it_showed_before(tmp_path: Path) -> None:
    run = saved(colour_run(tmp_path, each=4).correct({"blue-00.png": "green"}))
    with Session(again(run, edited=False)) as session:
        session.rename_label("green", "leaf")
        session.drop_label("leaf")
        session.add_label("green")
        live = session.shelves
    with Session(again(run, edited=False)) as session:
        assert session.names == live.names
        np.testing.assert_array_equal(session.shelves.columns, live.columns)
        np.testing.assert_array_equal(session.shelves.by, live.by)


def test_a_reviewed_run_that_is_saved_again_is_still_corrected(tmp_path: Path) -> None:
    with reviewed(colour_run(tmp_path, each=4)) as session:
        session.place([0], "green")
        run = again(session.run)
    with Session(again(saved(run), edited=False)) as session:
        assert session.corrected == {0: session.names.index("green")}
        session.accept({"red": [0]})
        assert session.names[session.shelves.columns[0]] == "green"
        known = {one.label for one in session.all_corrections().values()}
        assert known == {"green"}


def test_the_report_of_a_review_names_its_run(tmp_path: Path) -> None:
    with reviewed(colour_run(tmp_path, each=4)) as session:
        session.place([0], "green")
        assert session.shown().id == session.run.id is not None
