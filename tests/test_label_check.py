"""Advice on labels, before a run and after it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests import known, test_negative_filter
from tests.colours import COLOURS
from zeroshelf.decisions.decide import decide
from zeroshelf.decisions.diagnose import diagnose, shelves_to_add
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.embeddings.compute import text_embedder
from zeroshelf.labels import check as label_check
from zeroshelf.labels.advice import Advice
from zeroshelf.labels.labels_file import read
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import (
    Calibration,
    Label,
    LabelSet,
    Model,
    Picture,
    Scores,
    Synset,
    Vectors,
)

CALIBRATION = Calibration(0.0, 1.0, 1.0)


def check(labels: LabelSet, model: Model, texts: Texts) -> tuple[Advice, ...]:
    return label_check.check(resolve(labels, texts), model, texts)


def serious(labels: LabelSet, model: Model, texts: Texts) -> tuple[Advice, ...]:
    return label_check.serious(resolve(labels, texts), model, texts)


def texts(wanted: Sequence[str]) -> Vectors:
    """Each text in a direction of its own, except that sofa and couch are one."""
    vectors = np.array([direction(text.replace("couch", "sofa")) for text in wanted], np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@cache
def direction(text: str) -> np.ndarray:
    return np.random.default_rng(list(text.encode())).normal(size=64)


def problems(*labels: str, language: str = "en") -> dict[tuple[str, ...], str]:
    wanted = replace(parse(labels), language=language)
    return {one.labels: one.problem for one in check(wanted, COLOURS, texts)}


def test_plain_labels_need_no_advice() -> None:
    assert problems("dog", "car", "house", "tree", "receipt", "red bicycle") == {}
    assert problems("coin", "banknote", "screenshot") == {}  # possessions; too new for WordNet


@pytest.mark.parametrize("label", ["no people", "dog without leash", "not a cat"])
def test_a_negation(label: str) -> None:
    assert "negations" in problems(label)[(label,)]


def test_a_label_and_what_is_not_one_need_only_the_label() -> None:
    advice = check(parse(["Hot dog", "not a hot dog"]), COLOURS, texts)[0]
    assert advice.suggestion == 'leave it out: what doesn\'t fit Hot dog goes to "other"'


def test_a_list_in_one_label() -> None:
    (told,) = check(parse(["cat, red car"]), COLOURS, texts)
    assert str(told) == (
        'cat, red car: is one label, not several; give each its own: -l cat -l "red car", '
        "or a line each in a labels file"
    )
    assert serious(parse(["cat, red car"]), COLOURS, texts) == (told,)


def test_a_name_that_is_in_no_prompt_may_say_anything() -> None:
    empty = LabelSet((Label("no people", prompts=("a photo of an empty street.",)),))
    assert check(empty, COLOURS, texts) == ()
    for name in ("Rex", "happiness", "crane"):
        own = LabelSet((Label(name, prompts=("a photo of a brown dog.",)), Label("bird")))
        assert check(own, COLOURS, texts) == ()


@pytest.mark.parametrize("label", ["Hund", "猫", "кошка", "katze"])
def test_a_language_that_the_model_does_not_know(label: str) -> None:
    assert "English only" in problems(label)[(label,)]
    assert problems(f"{label}=cat") == {}  # what it advises


def test_the_language_that_a_file_names() -> None:
    assert "'de'" in problems("dog", language="de")[("dog",)]


def test_another_language_is_not_looked_up_in_an_english_dictionary() -> None:
    french = replace(parse(["pain", "chat", "chaise"]), language="fr")  # no pain, no bird
    assert check(french, replace(COLOURS, languages=("en", "fr")), texts) == ()
    assert (
        check(replace(parse(["bat"]), language="fr"), replace(COLOURS, languages=()), texts) == ()
    )


def test_what_is_suggested_is_an_option_and_a_line_of_a_labels_file(tmp_path: Path) -> None:
    for label in ("Schöne Katze", "zzyzx"):
        (advice,) = check(parse([label]), COLOURS, texts)
        (tmp_path / "labels.toml").write_text(
            f"[labels]\n{advice.suggestion.partition(': ')[2]}\n", encoding="utf-8"
        )
        assert read(tmp_path / "labels.toml").labels == (Label(label, ("word",)),)
        option = shlex.split(advice.suggestion.partition(" with ")[2].partition(", or in")[0])
        assert option[0] == "-l" and parse(option[1:]).labels == (Label(label, ("word",)),)


@pytest.mark.parametrize(
    "label", ["receipts", "rooms", "selfie", "selfies", "screenshots", "logos"]
)
def test_everyday_words_are_no_problem_in_the_plural_either(label: str) -> None:
    assert not check(parse([label]), COLOURS, texts)


@pytest.mark.parametrize("label", ["happiness", "freedom"])
def test_what_cannot_be_seen(label: str) -> None:
    assert "hard to see" in problems(label)[(label,)]
    assert problems(f"{label}=smiling people") == {}


@pytest.mark.parametrize("label", ["crane", "bat", "seal"])
def test_a_word_of_several_senses(label: str) -> None:
    assert "several senses" in problems(label)[(label,)]


def test_the_other_labels_tell_the_sense() -> None:
    def unclear(*labels: str) -> list[str]:
        found = check(parse(labels), COLOURS, test_negative_filter.texts)
        return [one.labels[0] for one in found if "several senses" in one.problem]

    assert unclear("bat", "chair") == ["bat"]
    assert unclear("bat", "owl", "eagle") == []


def test_a_sense_that_nearly_all_mean_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def the_last_a_little_best(
        words: Sequence[tuple[str, Sequence[Synset]]], *rest: object
    ) -> list[list[float]]:
        return [[0.01 * at for at in range(len(senses))] for _, senses in words]

    monkeypatch.setattr(label_check, "sense_fits", the_last_a_little_best)
    assert problems("horse") == {}  # not a chessman, which is meant once in a hundred times


def test_a_sense_that_the_words_leave_open_is_not_chosen_by_the_starter() -> None:
    encoder = known.shipped()
    with EmbeddingCache.open() as store:
        told = check(
            parse(["crane", "seal", "horse"]), encoder.model, text_embedder(encoder, store)
        )
    unclear = {one.labels[0] for one in told if "several senses" in one.problem}
    assert unclear == {"crane", "seal"}


def test_the_shelf_above_tells_the_sense() -> None:
    assert problems("animals/crane", "machines/bat") == {}


@pytest.mark.parametrize(
    ("label", "other"), [("kitten", "cat"), ("poodles", "dogs"), ("church", "building")]
)
def test_a_label_that_is_a_kind_of_another(label: str, other: str) -> None:
    assert "is a kind of" in problems(other, "car", label)[(label, other)]
    assert not [one for one in problems(other, f"{other}/{label}").values() if "kind of" in one]


def test_siblings_and_what_goes_together_are_not_narrower_labels() -> None:
    assert problems("dog", "leash", "kennel", "cup", "saucer", "ship", "harbor", "sailor") == {}


def test_two_labels_that_are_one() -> None:
    assert "tell them apart" in problems("sofa", "couch", "dog")[("sofa", "couch")]


def test_two_wordings_of_one_label() -> None:
    assert problems("dog", "dogs") == {("dog", "dogs"): "mean the same"}


def test_one_word_on_two_shelves_is_asked_in_two_senses() -> None:
    found = problems("animals/crane", "machines/crane")
    assert "tell them apart" in found[("animals/crane", "machines/crane")]
    assert problems("2023/dog", "2024/dog") == {("2023/dog", "2024/dog"): "mean the same"}


def test_what_is_serious_is_told_without_more_texts() -> None:
    asked: list[str] = []

    def noting(wanted: Sequence[str]) -> Vectors:
        asked.extend(wanted)
        return texts(wanted)

    labels = resolve(parse(["sofa", "couch", "no people", "crane", "Hund", "happiness"]), texts)
    found = label_check.serious(labels, COLOURS, noting)
    assert [one.labels for one in found] == [("no people",), ("sofa", "couch")]
    assert not [text for text in asked if text.startswith("crane: ")]  # a sense's gloss


def test_labels_in_another_language_are_never_answered_silently() -> None:
    for labels in (["Hund", "Katze"], ["Hündin"], ["Hund", "Katze", "cat", "dog"]):
        (one,) = serious(parse(labels), COLOURS, texts)
        assert set(one.labels) == {"Hund", "Katze", "Hündin"} & set(labels)
        assert "English only" in one.problem
    assert serious(parse(["Hund", "cat", "dog"]), COLOURS, texts) == ()  # may be somebody's name


def scores(chosen: list[int]) -> Scores:
    """Picture i fits label chosen[i] and no other; 2: none, and looks like a harbour."""
    logits = np.full((len(chosen), 2), -20, np.float32)
    for row, column in enumerate(chosen):
        if column < 2:
            logits[row, column] = 20
    return Scores(
        pictures=tuple(Picture(f"/{at}", "PNG", 1, 0, 0) for at in range(len(chosen))),
        resolved=resolve(parse(["cat", "dog"]), texts),
        logits=logits,
        negative_score=np.zeros(len(chosen), np.float32),
        nearest_negatives=np.tile(np.array([1, 0, 0], np.int32), (len(chosen), 1)),
        negative_names=("receipt", "harbour"),
        model=COLOURS,
    )


def test_after_a_run_labels_that_drew_nothing_or_everything() -> None:
    found = {one.labels[0]: one.problem for one in diagnose(decide(scores([0] * 30), CALIBRATION))}
    assert found == {"dog": "got no picture", "cat": "got 30 of 30 pictures"}
    assert diagnose(decide(scores([0, 1] * 15), CALIBRATION)) == ()


def test_many_labels_that_drew_nothing_are_one_line() -> None:
    def drawn(*labels: str) -> list[str]:
        wanted = resolve(parse(labels), texts)
        many = replace(scores([0]), resolved=wanted, logits=np.full((1, len(wanted)), -20.0))
        return [str(one) for one in diagnose(decide(many, CALIBRATION))]

    said = (
        'got no picture; other words may help, with -l "car=word", '
        'or in a labels file: car = ["word"]'
    )
    assert drawn("car") == [f"car: {said}"]
    assert drawn("car", "bus") == [f"car and bus: {said}"]
    more = ("bus", "boat", "ship", "train", "bicycle", "tractor")
    assert drawn("car", *more) == [f"car, bus, boat, ship, train and 2 more: {said}"]


def test_what_other_could_become() -> None:
    assert shelves_to_add(decide(scores([0, 1] + [2] * 12), CALIBRATION)) == (("harbour", 12),)
    assert shelves_to_add(decide(scores([0, 1] + [2] * 3), CALIBRATION)) == ()


def test_a_thing_and_its_scene_are_one_shelf_to_add() -> None:
    both = replace(scores([2] * 12), negative_names=("a harbour", "harbour"))
    both.nearest_negatives[:6, 0] = 0
    assert shelves_to_add(decide(both, CALIBRATION)) == (("harbour", 12),)


def test_what_is_wanted_on_no_shelf_is_no_shelf_to_add() -> None:
    unwanted = replace(scores([2] * 12), resolved=resolve(parse(["cat", "dog", "!harbour"]), texts))
    assert shelves_to_add(decide(unwanted, CALIBRATION)) == ()


def test_what_a_threshold_keeps_out_is_no_shelf_to_add() -> None:
    cats = scores([0] * 12)
    found = decide(replace(cats, logits=cats.logits / np.float32(10)), CALIBRATION, threshold=0.99)
    assert found.labels == ["other"] * 12
    assert shelves_to_add(found) == ()


def test_a_label_that_drew_nothing_is_told_why() -> None:
    def drawn(*labels: str) -> list[str]:
        two = scores([0] * 30)
        english = replace(two.model, languages=("en",))
        wanted = replace(two, resolved=resolve(parse(labels), texts), model=english)
        return [str(one) for one in diagnose(decide(wanted, CALIBRATION))]

    assert drawn("cat", "cats")[0] == "cat and cats: mean the same; make them one label"
    assert "not among WordNet's English nouns" in drawn("cat", "Hund")[0]
    assert "got no picture" in drawn("cat", "red car")[0]
