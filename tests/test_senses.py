"""What else a label is called and what it means: its wording should matter little."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.test_guard import texts
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import TEMPLATES, asked, label_prompts
from zeroshelf.labels.senses import described, sense, taken_by
from zeroshelf.records import Label, LabelSet


def told(label: Label, labels: LabelSet) -> tuple[Label, tuple[str, ...]]:
    meant = sense(asked(label.name, labels), label, labels, texts)
    return described(label, meant, labels, taken_by(labels))


def meaning(*labels: str, **settings: str) -> tuple[str, ...]:
    """The texts that say what the first label means."""
    wanted = replace(parse(labels), **settings)  # type: ignore[arg-type]
    return told(wanted.labels[0], wanted)[1]


def more(*labels: str, language: str = "en") -> tuple[str, ...]:
    """The words that the first label gains."""
    wanted = replace(parse(labels), language=language)
    first = wanted.labels[0]
    return told(first, wanted)[0].words[len(first.words) :]


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
    assert told(own, labels) == (own, ())
    assert more("camelopard", language="de") == ()


def test_a_plain_word_is_explained() -> None:
    gloss, kind = meaning("my/giraffes")
    assert gloss.startswith("giraffe: tallest living quadruped")
    assert kind == "a photo of a giraffe, a type of ruminant."
    assert meaning("giraffe", kind="toy")[1].endswith("a type of toy.")


@pytest.mark.parametrize("word", ["crane", "seal", "bat", "spring", "my red bicycle", "zzyzx"])
def test_what_may_mean_several_things_is_not(word: str) -> None:
    assert meaning(word) == ()


def test_a_shelf_above_tells_which_is_meant() -> None:
    assert "wading bird" in meaning("birds/crane")[0]


def test_own_templates_are_all_that_is_asked() -> None:
    plain = replace(parse(["giraffe"]), templates=("a drawing of a {}.",))
    label, said = told(plain.labels[0], plain)
    assert label_prompts(label, plain, said) == [["a drawing of a giraffe."]]
    built_in = parse(["giraffe"])
    prompts = label_prompts(built_in.labels[0], built_in, said)[0]
    assert prompts[: len(TEMPLATES)] == [one.format("giraffe") for one in TEMPLATES]
    assert [prompts.count(text) for text in said] == [4, 4]
