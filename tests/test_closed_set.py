"""--no-other: a closed set of labels, in which no picture goes to "other" by itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import zeroshelf
from tests.colours import BLUE, GREY, RED, ColourEncoder, paint
from tests.program import command
from zeroshelf.errors import UserError
from zeroshelf.output import results
from zeroshelf.records import OTHER, Corrections, Label, LabelSet
from zeroshelf.review import suggestions
from zeroshelf.review.session import Session
from zeroshelf.runs import edit_log


def classify(folder: Path, encoder: ColourEncoder) -> zeroshelf.Run:
    return zeroshelf.classify(folder, ["red", "blue"], encoder=encoder, other=False)


def test_every_picture_is_on_the_shelf_of_its_best_label(
    folder: Path, encoder: ColourEncoder
) -> None:
    """The grey one too, that fits none."""
    run, usual = classify(folder, encoder), zeroshelf.classify(folder, ["red", "blue"])
    assert usual.counts[OTHER] == 1 and list(run.counts) == ["red", "blue"]
    assert sum(run.counts.values()) == 4 == len(run.decisions)
    probabilities = run.decisions.probabilities
    assert (probabilities[:, -1] == 0).all() and np.allclose(probabilities.sum(axis=1), 1)
    among = usual.decisions.probabilities[:, :-1]
    np.testing.assert_allclose(
        probabilities[:, :-1], among / among.sum(axis=1, keepdims=True), atol=1e-5
    )
    assert all("of these labels, most like" in one.reason for one in run.decisions)
    assert not any(one.looks_like for one in run.decisions)
    assert any("closed set (--no-other)" in note for note in run.notes)
    assert not any("closed set" in note for note in usual.notes)


@pytest.fixture(autouse=True)
def _program(colours: None) -> None:
    """`classify` without an encoder, too, takes the one of the tests."""


def test_the_record_keeps_it(tmp_path: Path, folder: Path, encoder: ColourEncoder) -> None:
    run = classify(folder, encoder)
    run.save(run.plan(tmp_path / "sorted"))
    assert run.record is not None
    again = zeroshelf.reopen(run.id, encoder=encoder)
    assert again.request == run.request and not again.request.other
    assert again.decisions.labels == run.decisions.labels
    assert OTHER not in run.relabel(["green", "blue"]).decisions.labels
    with Session(zeroshelf.reopen(run.id, encoder=encoder, edited=False)) as session:
        session.add_label("green")
        assert session.closed and not (session.shelves.columns == len(session.names) - 1).any()
    assert OTHER not in zeroshelf.reopen(run.id, encoder=encoder).decisions.labels


def test_a_record_without_the_key_has_the_shelf_other(
    tmp_path: Path, folder: Path, encoder: ColourEncoder
) -> None:
    run = zeroshelf.classify(folder, ["red", "blue"], encoder=encoder)
    run.save(run.plan(tmp_path / "sorted"))
    assert run.record is not None
    file = Path(run.record) / "request.json"
    written = json.loads(file.read_text())
    assert written.pop("other") is True
    file.write_text(json.dumps(written))
    assert zeroshelf.reopen(run.id, encoder=encoder).counts == run.counts


def test_what_sends_pictures_to_other_is_refused_before_any_is_read(
    folder: Path, encoder: ColourEncoder
) -> None:
    own = LabelSet((Label("red", threshold=0.4), Label("blue")))
    for labels, threshold, what in (
        (["red", "blue"], 0.5, "--threshold"),
        (own, None, "the threshold of the label 'red'"),
        (["red", "blue", "!grey"], None, "the negative label !grey"),
        (["red"], None, "--no-other needs two labels"),
    ):
        with pytest.raises(UserError, match=what):
            zeroshelf.classify(folder, labels, encoder=encoder, other=False, threshold=threshold)
    assert encoder.pictures == 0
    run = classify(folder, encoder)
    with pytest.raises(UserError, match="--threshold"):
        run.relabel(["red", "green"], threshold=0.3)
    with pytest.raises(UserError, match="needs two labels"):
        run.relabel(["red"])
    with pytest.raises(UserError, match="other must be True or False"):
        zeroshelf.classify(folder, ["red", "blue"], encoder=encoder, other=1)  # type: ignore[arg-type]


def test_the_page_refuses_it_too_and_saves_no_such_edit(
    tmp_path: Path, folder: Path, encoder: ColourEncoder
) -> None:
    run = classify(folder, encoder)
    run.save(run.plan(tmp_path / "sorted"))
    with Session(run) as session:
        for edit in (lambda: session.drop_label("red"), lambda: session.set_offset(2.0)):
            with pytest.raises(UserError, match="--no-other"):
                edit()
        assert session.edit_count == 0
    assert run.record is not None and edit_log.read(run.record) == []


def test_only_the_user_puts_a_picture_on_other(
    tmp_path: Path, folder: Path, encoder: ColourEncoder
) -> None:
    run = classify(folder, encoder)
    run.save(run.plan(tmp_path / "sorted"))
    with Session(run) as session:
        grey = next(row for path, row in session.row_of.items() if "grey" in path)
        session.place([grey], OTHER)
        assert session.shown().counts[OTHER] == 1
        assert not suggestions.find(session).moves  # nothing else follows it there
        targets = {a.label for a in session.plan().actions if "grey" in a.source}
        assert targets == {OTHER}
        session.undo()
        assert OTHER not in session.shown().counts
    given = run.correct({"grey.jpg": OTHER})
    assert given.counts[OTHER] == 1
    given.store_corrections()
    later = classify(folder, encoder)
    assert later.corrections.stored and OTHER not in later.counts  # of an earlier run: a closed set
    assert zeroshelf.classify(folder, ["red", "blue"], encoder=encoder).counts[OTHER] == 1


def test_other_labels_are_learnt_within_the_set(folder: Path, encoder: ColourEncoder) -> None:
    run = classify(folder, encoder).correct({"grey.jpg": "blue", "a.jpg": "red"})
    assert [one.label for one in run.decisions if "grey" in one.picture.path] == ["blue"]
    free = [row for row in range(len(run.decisions)) if row not in run.decisions.corrected]
    assert free and (run.decisions.probabilities[:, -1] == 0).all()
    assert np.allclose(run.decisions.probabilities.sum(axis=1), 1)
    back = run.derive(run.request, Corrections())
    np.testing.assert_array_equal(back.decisions.probabilities, run.uncorrected.probabilities)


def test_nothing_goes_to_the_trash(folder: Path, encoder: ColourEncoder) -> None:
    run = classify(folder, encoder)
    with pytest.raises(UserError, match="leave --no-other out"):
        run.plan(action="trash")


def test_the_command_line(
    tmp_path: Path, folder: Path, encoder: ColourEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.jpg").unlink()
    words = ("sort", folder, "-l", "red", "-l", "blue", "--no-other")
    assert command(*words, "--to", tmp_path / "s", "--yes", "--json") == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["counts"].keys() == {"skipped", "red", "blue"}
    assert "closed set (--no-other)" in said.err and "other   " not in said.err
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"red", "blue"}
    rows = list(results.read_jsonl(told["results"]))
    assert {row.label for row in rows} == {"red", "blue"}
    assert all("of these labels" in row.reason for row in rows)
    report = Path(told["report"]).read_text()
    assert "closed set (--no-other)" in report
    assert command(*words, "--threshold", "0.5", "--to", tmp_path / "t", "--yes") == 2
    assert "--threshold sends pictures to" in capsys.readouterr().err
    looked = encoder.pictures
    paint(folder / "new.png", GREY)
    assert command(*words, "--as", "trash", "--yes") == 2
    assert "leave --no-other out" in capsys.readouterr().err and encoder.pictures == looked


def test_ambiguous_means_two_labels_that_fit_about_equally(
    tmp_path: Path, encoder: ColourEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "F" / "red.png", RED)  # for this model "red" and "red car" are the same
    paint(tmp_path / "F" / "blue.png", BLUE)
    labels = ("-l", "red", "-l", "red car", "-l", "blue", "--no-other")
    words = ("sort", tmp_path / "F", *labels, "--to", tmp_path / "s", "--yes", "--json")
    assert command(*words, "--ambiguous", "look again") == 0
    told = json.loads(capsys.readouterr().out)
    counts = {"skipped": 0, "red": 0, "red car": 0, "blue": 1, "look again": 1}
    assert told["counts"] == counts
