"""Synonyms and definitions of a label: its wording should matter little."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from tests.test_negative_filter import texts
from zeroshelf.labels import negative_index
from zeroshelf.labels.negative_labels import FOLDER, negative_labels
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import TEMPLATES
from zeroshelf.labels.resolve import resolve
from zeroshelf.labels.wordnet import WordNet, index_lines, wordnet
from zeroshelf.records import LabelSet, ResolvedLabel


def first(labels: LabelSet) -> ResolvedLabel:
    return resolve(labels, texts).each[0]


def meaning(*labels: str, **settings: str) -> tuple[str, ...]:
    """The texts that say what the first label means."""
    wanted = replace(parse(labels), **settings)  # type: ignore[arg-type]
    return first(wanted).glosses


def more(*labels: str, language: str = "en") -> tuple[str, ...]:
    """The words that the first label gains."""
    wanted = replace(parse(labels), language=language)
    return first(wanted).synonyms


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
    resolved = first(replace(labels, labels=(own,)))
    assert (resolved.synonyms, resolved.glosses) == ((), ())
    assert resolved.prompts == (("a tall one",),)
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
    assert first(plain).prompts == (("a drawing of a giraffe.",),)
    built_in = first(parse(["giraffe"]))
    prompts = built_in.prompts[0]
    assert prompts[: len(TEMPLATES)] == tuple(one.format("giraffe") for one in TEMPLATES)
    assert [prompts.count(text) for text in built_in.glosses] == [4, 4]


def test_the_index_of_negative_labels_is_made_from_the_files_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a change there: python -m benchmarks.accuracy.make_negative_index."""
    packed = (FOLDER / negative_index.FILE).read_bytes()
    first, *lines = gzip.decompress(packed).decode().splitlines()
    assert first == negative_index.digest_line()
    assert lines == negative_index.index_lines()
    made = negative_index.NegativeIndex(lines)
    dog = [negative_labels()[row].name for row in made.rows("word", "dog")]
    assert "dog" in dog and made.rows("head", "dog") >= made.rows("word", "dog")
    assert made.rows("word", "no such word") == frozenset() == made.rows("whole", "zzz")
    monkeypatch.setattr(negative_index, "digest_line", lambda: "# other files")
    monkeypatch.setattr(negative_index, "index_lines", lambda: ["word dog\t1 2"])
    anew = negative_index.negative_index.__wrapped__()
    assert anew.rows("word", "dog") == {1, 2} and not anew.rows("head", "dog")


def test_the_index_of_lemmas_is_that_of_the_synsets() -> None:
    """data/negative_labels/wordnet-lemmas.tsv.gz is made from wordnet.tsv.gz."""
    text, index = (
        gzip.decompress((FOLDER / name).read_bytes()).decode()
        for name in ("wordnet.tsv.gz", "wordnet-lemmas.tsv.gz")
    )
    assert index.splitlines() == index_lines(text)
    assert {*wordnet().words} >= {"dog", "red fox", "1"} and "Dog" not in wordnet().words


def test_a_word_is_found_by_its_whole_spelling_alone() -> None:
    lines = "animal\tcrane%1|hoist:2\t1\t\ta bird\nartifact\tcrane:7\t\t0\ta machine\n"
    net = WordNet(lines)
    assert [one.gloss for one in net.senses("Crane")] == ["a machine", "a bird"]
    assert net.synset(0).lemmas == ("crane", "hoist") and net.synset(1).wholes == (0,)
    assert net.count("crane", 1) == 7 and net.count("hoist", 0) == 2
    for word in ("", "cran", "cranes%1", "crane\t0:1", "zebra", "a"):
        assert net.senses(word) == ()
