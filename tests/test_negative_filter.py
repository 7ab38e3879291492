"""Which negative labels stay: what a label means itself is removed, its siblings are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests import known
from zeroshelf.labels import negative_filter
from zeroshelf.labels.negative_filter import RemainingNegatives, related, remaining_negatives
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.models import select
from zeroshelf.records import LabelSet, Vectors


def texts(wanted: Sequence[str]) -> Vectors:
    """No model at all: every text is as near to every other, so that only WordNet decides."""
    return np.tile(np.array([1.0, 0.0], np.float32), (len(wanted), 1))


def names(*labels: str) -> set[str]:
    return {one.name for one in negatives(parse(labels), texts).negatives}


def negatives(labels: LabelSet, texts: Texts) -> RemainingNegatives:
    return remaining_negatives(resolve(labels, texts), texts)


def test_cat_loses_the_kitten_and_keeps_the_siblings() -> None:
    left = names("cat")
    assert left.isdisjoint({"cat", "kitten", "feline", "mammal", "a cat on a sofa"})
    assert left.issuperset({"dog", "lion", "a dog playing", "receipt"})


def test_siblings_are_not_related() -> None:
    assert related("cat", visible_senses("cat")[0])[row("kitten")] in {
        "kind of it",
        "named in its gloss",
    }
    for other in ("dog", "lion"):
        assert row(other) not in related("cat", visible_senses("cat")[0])


def test_boat_loses_boats_and_keeps_the_harbour() -> None:
    left = names("boat")
    assert left.isdisjoint({"boat", "canoe", "ferry", "fishing boat", "vessel", "a sailing boat"})
    assert left.issuperset({"a harbour", "a pier", "sea", "bridge"})


@pytest.mark.parametrize("label", ["stockings", "trousers", "fireworks"])
def test_what_is_worn_or_used_as_a_plural_loses_its_singular(label: str) -> None:
    assert label.removesuffix("s") not in names(label)


def test_a_part_of_a_thing_is_on_its_pictures() -> None:
    assert "part of it" in related("car", visible_senses("car")[0]).values()


@pytest.mark.parametrize(
    ("labels", "lexname"),
    [
        (["crane", "heron"], "animal"),
        (["crane", "excavator"], "artifact"),
        (["animals/crane"], "animal"),
        (["machines/crane"], "artifact"),
        (["bat", "owl"], "animal"),
        (["seal", "walrus"], "animal"),
        (["mouse", "keyboard"], "artifact"),
    ],
)
def test_the_sense_is_told_by_what_stands_around(labels: list[str], lexname: str) -> None:
    meant = resolve(parse(labels), texts).each[0].words[0].sense
    assert meant is not None
    assert meant.lexname == lexname


@pytest.mark.parametrize("model", select.starters())
@pytest.mark.parametrize(
    ("label", "beside", "lexname"),
    [
        ("crane", "heron", "animal"),
        ("crane", "bulldozer", "artifact"),
        ("seal", "walrus", "animal"),
        ("bat", "owl", "animal"),
        ("bat", "ball", "artifact"),
        ("mouse", "cat", "animal"),
        ("dog", "car", "animal"),  # no andiron
        ("horse", "guitar", "animal"),  # no gymnast's
        ("bird", "boat", "animal"),  # no shuttlecock
        ("table", "dog", "artifact"),
        ("fish", "cat", "animal"),
        ("palm", "hand", "body"),
        ("rose", "tulip", "plant"),
    ],
)
def test_the_models_that_are_shipped_tell_the_sense(
    model: str, label: str, beside: str, lexname: str
) -> None:
    found = resolve(parse([label, beside]), known.shipped(model).embed_texts).each[0].words[0].sense
    assert found is not None and found.lexname == lexname


def test_crane_the_bird_and_crane_the_machine_drop_their_own() -> None:
    assert "machine" in names("animals/crane")
    assert "machine" not in names("machines/crane", "excavator")
    assert "bird" not in names("animals/crane")
    assert "bird" in names("machines/crane", "excavator")


def test_the_users_own_negative_is_never_dropped() -> None:
    found = negatives(parse(["cat", "!kitten"]), texts)
    assert found.negatives[0].name == "kitten"
    assert found.negatives[0].kind == "own"
    assert len(found.vectors) == len(found.negatives)
    for one, row in zip(negative_labels(), found.rows, strict=True):
        assert row == -1 or found.negatives[row] == one
    assert sorted(found.rows[found.rows >= 0]) == [*range(1, len(found.negatives))]


def test_a_phrase_that_no_dictionary_knows_is_compared_by_its_vector() -> None:
    def close(wanted: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(wanted), 3), np.float32)
        for at, text in enumerate(wanted):
            vectors[at, 0 if "zzyzx" in text or text == "a photo of a teapot." else 1] = 1
        return vectors

    left = {one.name for one in negatives(parse(["zzyzx"]), close).negatives}
    assert "teapot" not in left
    assert len(left) > 1000


def test_labels_that_remove_every_negative_leave_the_junk(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing to compare a picture with, its probabilities would be no numbers."""
    everything = set(range(len(negative_labels())))
    monkeypatch.setattr(negative_filter, "_same_meaning", lambda *given: everything)
    left = negatives(parse(["zzyzx"]), texts)
    assert {one.kind for one in left.negatives} == {"junk"}
    assert len(left.negatives) == len(left.vectors)
    own = negatives(parse(["zzyzx", "!cartoon"]), texts)
    assert [one.kind for one in own.negatives] == ["own"]


def test_the_negative_labels_are_as_many_as_documented() -> None:
    found = negative_labels()
    assert 3000 < len(found) < 4500
    assert {one.kind for one in found} == {"noun", "scene", "junk"}
    assert sum(one.kind == "junk" for one in found) >= 75


def test_wordnet_answers() -> None:
    net = wordnet()
    assert [one.row for one in net.senses("puppies")] == [one.row for one in net.senses("puppy")]
    dog, puppy = net.senses("dog")[0], net.senses("puppy")[0]
    assert dog.row in net.above(puppy.row)
    assert net.count("dog", dog.row) > 10
    assert net.senses("zzyzx") == ()


def test_plurals_are_asked_as_one() -> None:
    """By the commonest reading: no "gam" (a herd of whales), no "cran", no LTTE's Tigers."""
    one = {
        "dogs": "dog", "school buses": "school bus", "games": "game", "cranes": "crane",
        "tigers": "tiger", "skies": "sky", "leaves": "leaf", "knives": "knife", "mice": "mouse",
        "women": "woman", "children": "child", "tall buildings": "tall building",
        "planes": "plane", "caves": "cave", "capes": "cape", "suites": "suite",
        "churches": "church", "rooms": "room", "receipts": "receipt", "eyes": "eye",
        "hands": "hand", "cows": "cow",
        "eggs": "egg", "letters": "letter", "cards": "card", "shoes": "shoe", "wings": "wing",
    }  # fmt: skip
    stay = ("glasses", "jeans", "scissors", "stairs", "woods", "shorts", "clothes", "bus", "gas",
            "people", "two dogs", "box of shoes", "zzyzx")  # fmt: skip
    net = wordnet()
    assert {word: net.singular(word) for word in (*one, *stay)} == one | {w: w for w in stay}
    assert net.senses("tall buildings") == net.senses("tall building") == ()
    assert net.senses("mice") == net.senses("mouse")


def row(name: str) -> int:
    return next(at for at, one in enumerate(negative_labels()) if one.name == name)


def test_a_picture_is_always_compared_with_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a label's pictures may show all that the negatives are."""
    every = set(range(len(negative_labels())))
    monkeypatch.setattr(negative_filter, "shown_as_well", lambda words: every)
    found = negatives(parse(["dog", "guitar"]), texts)
    assert not found.implied.any() and len(found.negatives)
