"""What people mean by everyday labels: other ways to ask, and what is no reason to leave out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from zeroshelf.labels.lexicon import TOGETHER_MOST_LABELS, entry
from zeroshelf.labels.negative_filter import remaining_negatives
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Vectors


def texts(wanted: Sequence[str]) -> Vectors:
    """No model at all: only the words decide."""
    return np.tile(np.array([1.0, 0.0], np.float32), (len(wanted), 1))


def left(label: str, *others: str) -> set[str]:
    """The negatives that count against the first of the labels."""
    kept = remaining_negatives(resolve(parse([label, *others]), texts), texts)
    against = zip(kept.negatives, kept.implied[0], strict=True)
    return {one.name for one, implied in against if not implied}


def asked(label: str, *others: str) -> set[str]:
    """The prompts that the lexicon adds to the first of the labels."""
    resolved = resolve(parse([label, *others]), texts)
    return {prompt for group in resolved.each[0].other_ways for prompt in group}


@pytest.mark.parametrize(
    ("label", "gone", "stays"),
    [
        ("people", {"a man", "a girl", "a baby", "a group of people", "a crowd"}, {"receipt"}),
        ("family", {"a man", "a child", "a group of people"}, {"screenshot"}),
        ("portrait", {"a face", "a woman", "a selfie"}, {"document"}),
        ("nurse", {"a man", "a woman", "a face"}, {"receipt"}),
        ("children", {"a boy", "a girl", "children playing"}, {"receipt"}),
        ("room", {"a bed", "a lamp", "a sofa", "a kitchen"}, {"receipt"}),
        ("bedroom", {"a bed", "a lamp"}, {"receipt"}),
        ("street", {"a bus", "traffic", "a row of houses"}, {"receipt"}),
        ("city", {"a city skyline", "a skyscraper", "a bridge"}, {"receipt"}),
        ("beach", {"the sea", "waves", "sand dunes"}, {"receipt"}),
        ("sunset", {"a sunrise", "clouds", "the sea"}, {"receipt"}),
        ("night", {"the moon", "the night sky", "lights at night"}, {"receipt"}),
        ("snow", {"a snowy street", "a ski slope"}, {"receipt"}),
        ("party", {"a birthday party", "people dancing"}, {"receipt"}),
        ("wedding", {"a bride", "a cake"}, {"receipt"}),
        ("concert", {"a theatre stage", "a guitar"}, {"receipt"}),
        ("sports", {"a football stadium", "a ball"}, {"receipt"}),
        ("food", {"a plate of food", "bread", "a salad"}, {"receipt"}),
        ("document", {"document", "chart", "handwriting"}, {"a dog playing"}),
        ("receipt", {"receipt", "ticket", "document"}, {"a dog playing"}),
        ("screenshot", {"screenshot", "chart"}, {"a dog playing"}),
        ("drawing", {"drawing", "comic", "computer graphics"}, {"receipt"}),
        ("meme", {"meme", "comic"}, {"receipt"}),
        ("map", {"map"}, {"receipt"}),
    ],
)
def test_what_such_a_picture_shows_as_well_is_no_negative(
    label: str, gone: set[str], stays: set[str]
) -> None:
    found = left(label)
    assert not found & gone
    assert found >= stays


def test_what_one_label_shows_as_well_counts_against_another() -> None:
    assert "a girl" not in left("people", "receipt")
    assert "a girl" in left("receipt", "people")
    assert "kitten" not in left("receipt", "cat"), "what means the same as a label never counts"


@pytest.mark.parametrize("label", ["dog", "guitar", "flower", "mountain", "cake"])
def test_a_drawing_of_a_thing_shows_the_thing(label: str) -> None:
    assert not left(label) & {"drawing", "comic", "logo", "computer graphics"}
    assert left(label) >= {"chart", "screenshot"}


def test_things_keep_their_surroundings_and_siblings_as_negatives() -> None:
    assert left("boat") >= {"a harbour", "a pier"}
    assert left("cat") >= {"dog", "lion"}


@pytest.mark.parametrize(
    ("label", "way"),
    [
        ("people", "a photo of a woman."),
        ("persons", "a photo of a woman."),
        ("portraits", "a portrait of a person."),
        ("receipts", "a photo of a paper receipt."),
        ("screenshot", "a screenshot of a phone."),
        ("sunset", "the sun going down behind the horizon."),
        ("room", "a bedroom."),
        ("things/food", "a plate of food."),
    ],
)
def test_a_label_is_asked_in_other_ways(label: str, way: str) -> None:
    assert way in asked(label)


@pytest.mark.parametrize("word", ["screenshot", "selfie", "whiteboard", "logo", "receipt", "room"])
def test_a_plural_is_asked_as_one(word: str) -> None:
    one, several = (resolve(parse([label]), texts).each[0] for label in (word, f"{word}s"))
    assert several.words == one.words
    assert several.own_prompts == one.own_prompts


def test_a_way_that_names_another_label_is_left_out() -> None:
    assert "a photo of a child." in asked("people")
    assert "a photo of a child." not in asked("people", "children")
    assert "a city at night with lights." not in asked("night", "city")
    assert "a road with traffic." not in asked("street", "highway"), "a highway is a road"


@pytest.mark.parametrize(
    ("label", "way"),
    [
        ("people", "a cake with people."),
        ("sunset", "a cake at sunset."),
        ("sunrise", "a cake at sunrise."),
        ("night", "a cake at night."),
    ],
)
def test_a_label_is_asked_for_together_with_another(label: str, way: str) -> None:
    assert way in asked(label, "cakes")
    assert way not in asked(label, "harbour")


@pytest.mark.parametrize("other", ["receipt", "screenshot", "map", "portrait", "child", "sunset"])
def test_what_is_on_a_picture_alone_is_not_asked_for_together(other: str) -> None:
    ways = asked("people", other, "harbour")
    assert "a harbour with people." in ways
    assert f"a {other} with people." not in ways


def test_labels_are_not_asked_for_together_where_there_are_very_many() -> None:
    others = [f"thing{number}" for number in range(TOGETHER_MOST_LABELS)]
    assert "a thing0 with people." in asked("people", *others[2:], "thing0")
    assert "a thing0 with people." not in asked("people", *others)


def test_prompts_and_languages_of_ones_own_are_left_alone() -> None:
    assert entry("person") == entry("people")
    assert entry("zzyzx") is None
