"""Words that the user may want to count as a label, by what the pictures on "other" look like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import zeroshelf
from tests.colours import COLOURS, ColourEncoder
from tests.program import command
from zeroshelf.commands.sort import show
from zeroshelf.commands.terminal import Screen
from zeroshelf.decisions import diagnose
from zeroshelf.decisions.decide import Decisions, decide
from zeroshelf.decisions.diagnose import words_to_add
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.parse import parse
from zeroshelf.labels.related_words import related_words
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Calibration, NegativeCandidates, Picture, Scores
from zeroshelf.review import label_edits

CALIBRATION = Calibration(-1.0, 1.0, 1.0)
texts = ColourEncoder().embed_texts
ROW = {one.name: row for row, one in enumerate(negative_labels())}


def scores(labels: list[str], seen: list[tuple[str, str]]) -> Scores:
    """A picture for each (best label, nearest negative), all of them likelier "other"."""
    resolved = resolve(parse(labels), texts)
    names = resolved.labels.names
    logits = np.full((len(seen), len(names)), -4.0, np.float32)
    for row, (best, _) in enumerate(seen):
        logits[row, names.index(best)] = 0
    nearest = tuple(dict.fromkeys(name for _, name in seen))
    places = np.array([[nearest.index(name)] * 3 for _, name in seen], np.int32)
    return Scores(
        pictures=tuple(Picture(f"/{at}", "PNG", 1, 0, 0) for at in range(len(seen))),
        resolved=resolved,
        logits=logits,
        negative_score=np.full(len(seen), 9.0, np.float32),
        nearest_negatives=places,
        negative_names=nearest,
        model=COLOURS,
    )


def made(labels: list[str], seen: list[tuple[str, str]]) -> Decisions:
    return decide(scores(labels, seen), CALIBRATION)


def related(word: str, *others: str) -> set[str]:
    one = resolve(parse([word, *others]), texts).each[0]
    return {negative_labels()[row].name for row in related_words(one)}


def test_what_pictures_of_a_label_may_well_show() -> None:
    people = related("people")
    assert {"girl", "child", "baby", "gown", "necktie", "team"} <= people
    assert people.isdisjoint({"person", "people", "dog", "receipt"})
    around = {"camera", "flag", "home appliance", "railroad car", "sailing vessel", "desk"}
    assert people.isdisjoint(around)  # they may be beside people, and alone are none
    assert "hound" in related("dog") and {"cat", "lion"}.isdisjoint(related("dog"))
    assert {"saddle", "pony"} <= related("horse")  # a seat for the rider of a horse; a kind of it
    assert {"woman", "boy", "girl", "adult"}.isdisjoint(related("man"))
    assert "girl" in related("woman")  # "a young woman"
    assert "comedian" not in related("dog")  # any label's picture may be a comic
    assert related("xyzzy") == set()


def test_words_by_the_label_that_fits_best() -> None:
    seen = [("people", "child")] * 7 + [("people", "girl")] * 4 + [("dog", "child")] * 9
    found = words_to_add(made(["people", "dog"], seen + [("people", "lion")] * 20))
    assert [(one.label, one.words, one.rows) for one in found] == [
        ("people", ("child", "girl"), tuple(range(11)))
    ]
    assert words_to_add(made(["people", "dog"], [("people", "child")] * 4)) == ()
    both = [("people", "child")] * 6 + [("dog", "hound")] * 8
    assert [one.label for one in words_to_add(made(["people", "dog"], both))] == ["dog", "people"]


def test_what_is_no_advice() -> None:
    seen = [("people", "child")] * 8
    plain = made(["people", "dog"], seen)
    assert len(words_to_add(plain)) == 1
    assert words_to_add(plain, np.zeros(8, bool)) == ()
    assert words_to_add(replace(plain, corrected=frozenset(range(8)))) == ()
    assert words_to_add(made(["people", "dog", "!child"], seen)) == ()  # the user's own negative
    assert words_to_add(made(["people", "child"], seen)) == ()  # there is such a shelf
    closed = decide(scores(["people", "dog"], seen), CALIBRATION, closed=True)
    assert words_to_add(closed) == ()
    near = replace(plain.scores, negative_score=np.full(8, 0.5, np.float32))
    strict = decide(near, CALIBRATION, threshold=1.0)  # on other because of the threshold alone
    assert strict.labels == ["other"] * 8 and words_to_add(strict) == ()


def test_the_nearest_of_all_counts_even_if_the_filter_removed_it() -> None:
    plain = made(["people", "dog"], [("people", "lion")] * 8)
    assert words_to_add(plain) == ()
    rows = np.tile(np.array([ROW["girl"], ROW["lion"]], np.int32), (8, 1))
    candidates = NegativeCandidates(rows, np.ones((8, 2), np.float32))
    known = replace(plain, scores=replace(plain.scores, candidates=candidates))
    assert words_to_add(known)[0].words == ("girl",)


def test_candidates_come_nearest_first(folder: Path, encoder: ColourEncoder) -> None:
    found = zeroshelf.classify(folder, ["red", "blue"], encoder=encoder).decisions.scores
    assert found.candidates is not None
    from zeroshelf.decisions.negative_scores import normalise

    vectors = encoder.embed_texts([one.prompt for one in negative_labels()])
    every = normalise(vectors, vectors, encoder.model.logit_scale)
    rows = found.candidates.rows
    logits = found.candidates.cosines * every.factors[rows] - every.offsets[rows]
    assert (np.diff(logits, axis=1) <= 1e-5).all()


def test_the_line_in_the_terminal(
    folder: Path,
    encoder: ColourEncoder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = zeroshelf.classify(folder, {"red": ["rose"], "blue": []}, encoder=encoder)
    advice = diagnose.WordsToAdd("red", ("child", "harbour"), (0, 1, 2))
    monkeypatch.setattr(diagnose, "words_to_add", lambda *_: (advice,))
    monkeypatch.setattr(diagnose, "shelves_to_add", lambda *_: (("harbour", 12), ("lake", 11)))
    planned = run.plan(folder / "to")
    show(Screen(), run, planned)
    said = capsys.readouterr().out
    asked = "3 pictures on other look like child, harbour: count them as red?"
    assert f'{asked} (zeroshelf sort ... -l "red=rose, child, harbour")' in said
    assert '"lake"' in said and 'like "harbour"' not in said  # asked once
    show(Screen(), run, planned, "labels.toml")
    said = capsys.readouterr().out
    assert f'{asked} (add to the words of "red" in labels.toml: child, harbour)' in said


def test_the_command_asks(tmp_path: Path, folder: Path, colours: None) -> None:
    """With labels from a file, too: nothing fails where there is no advice."""
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    words = ("sort", folder, "--labels", tmp_path / "labels.txt", "--to", tmp_path / "s", "-n")
    assert command(*words) == 1  # one picture is broken


def test_a_label_gets_further_words() -> None:
    labels = parse(["people=man", "dog"])
    wider = label_edits.widened(labels, "people", ["child", "man", "girl"])
    assert [one.words for one in wider] == [("man", "child", "girl"), ()]
    for name, words in (("cat", ["kitten"]), ("dog", [" "])):
        with pytest.raises(zeroshelf.UserError):
            label_edits.widened(labels, name, words)
