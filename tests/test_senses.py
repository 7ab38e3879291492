"""What else a label is called, and how little its wording should matter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.test_guard import texts
from zeroshelf.labels import parse
from zeroshelf.words.senses import with_commoner


def more(*labels: str, language: str = "en") -> tuple[str, ...]:
    """The words that the first label gains."""
    wanted = replace(parse(labels), language=language)
    first = wanted.labels[0]
    return with_commoner(first, wanted, texts).words[len(first.words) :]


@pytest.mark.parametrize(
    ("word", "commoner"),
    [("camelopard", "giraffe"), ("Equus caballus", "horse"), ("infants", "baby"),
     ("a picture of an auto", "car"), ("my/graveyards", "cemetery"), ("couch=settee", "sofa")],
)  # fmt: skip
def test_a_rare_word_brings_the_common_one(word: str, commoner: str) -> None:
    assert commoner in more(word)


@pytest.mark.parametrize("word", ["giraffe", "dog", "sofa", "king penguin", "zzyzx", "selfie"])
def test_a_common_or_unknown_word_stands_alone(word: str) -> None:
    assert more(word) == ()


@pytest.mark.parametrize(
    "word", ["bike", "mum", "bird", "receipt", "chips", "crane", "wood", "red"]
)
def test_a_word_that_may_mean_something_else_stands_alone(word: str) -> None:
    """No motorcycles for a bike, no chrysanthemums for a mum, no Bolsheviks for red."""
    assert more(word) == ()
    assert more(word, "lion", "harbour") == ()


def test_the_word_of_another_label_is_left_to_it() -> None:
    assert more("camelopard", "giraffes") == ()
    assert more("couch", "chair=sofa") == ()
    assert more("couch", "!sofa") == ()


def test_a_label_that_says_how_it_is_asked_is_asked_so() -> None:
    labels = parse(["camelopard"])
    own = replace(labels.labels[0], prompts=("a tall one",))
    assert with_commoner(own, labels, texts) is own
    assert more("camelopard", language="de") == ()
