"""A thousand labels: the work grows with their number and not with its square, the model is asked
in few calls, the screen tells how far it is, and the answers are those of the plain formulas."""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import test_negative_filter
from tests.colours import COLOURS, ColourEncoder
from tests.counting import growth
from tests.test_label_check import texts
from zeroshelf.decisions import constants, diagnose, smoothing
from zeroshelf.decisions.decide import decide
from zeroshelf.decisions.scores import score
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.labels import check, negative_filter, negative_index, overlap
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.normalise import dictionary_form, phrase
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import PLAIN, label_prompts
from zeroshelf.labels.resolve import resolve
from zeroshelf.labels.senses import CategoryShares, choose_senses, context, visible_senses
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Calibration, Embeddings, Label, LabelSet, Picture, Smoothing, Synset
from zeroshelf.run import classify


def nouns(count: int, skip: int = 0) -> list[str]:
    """The commonest nouns of several senses, plurals of others, and phrases of none."""
    net = wordnet()
    words = [
        word
        for word in negative_index.negative_index().keys("gloss")
        if word.isalpha() and len(word) > 2
    ]
    known = sorted(word for word in words if len(net.senses(word)) > 1)
    made = (
        word + ("s" if at % 5 == 1 else "") if at % 7 else f"my {word} {at}"
        for at, word in enumerate(known)
    )
    unlike = (word for word in dict.fromkeys(made) if word not in ("rest", "other"))
    return list(itertools.islice(unlike, skip, skip + count))


def varied_labels(count: int) -> LabelSet:
    """Labels with shelves above, synonyms, thresholds and the user's own negatives among them."""
    words = nouns(count)
    written = [
        f"{('animal', 'tool', 'plant')[at % 3]}/{word}" if at % 11 == 3 else
        f"{word}={words[-at]} thing" if at % 13 == 5 else word
        for at, word in enumerate(words)
    ]  # fmt: skip
    return parse([*written, "!cartoon", "!an old map"])


def two_pictures() -> Embeddings:
    pictures = tuple(Picture(f"/{n}.jpg", f"/{n}.jpg", 1, 1, 1) for n in range(2))
    vectors = texts(["a red picture", "a blue one"]).astype(np.float16)
    return Embeddings(pictures, (b"a", b"b"), vectors, (), COLOURS)


def test_twice_as_many_labels_are_twice_the_work() -> None:
    found = two_pictures()

    def judged(count: int) -> None:
        labels = resolve(parse(nouns(count, 500)), texts)
        scores = score(found, labels, texts)
        check.serious(labels, COLOURS, texts)
        check.check(labels, COLOURS, texts)
        diagnose.diagnose(decide(scores, Calibration()))

    assert 1.6 < growth(judged, 60) < 2.4


def test_each_word_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net, looked = wordnet(), Counter[str]()
    whole = type(net)._found

    def found(self: object, word: str) -> list[tuple[int, int, int]]:
        looked[word] += 1
        return whole(net, word)

    labels = varied_labels(150)
    resolve(labels, texts)
    monkeypatch.setattr(type(net), "_found", found)
    net._words.clear()
    visible_senses.cache_clear()
    resolve(labels, texts)
    senses = sum(len(net.senses(word)) for word in list(looked))
    assert looked.total() < 3 * len(looked) + 2 * senses  # and once for each sense's count


def test_the_model_is_asked_in_few_calls(tmp_path: Path) -> None:
    calls: list[int] = []

    class Counting(ColourEncoder):
        def embed_texts(self, wanted: Sequence[str]) -> np.ndarray:
            calls.append(len(wanted))
            self.texts += wanted
            return texts(wanted)

    encoder = Counting()
    with EmbeddingCache.open(str(tmp_path / "cache.sqlite")) as store:
        wanted = compute.text_embedder(encoder, store)
        labels = resolve(parse(nouns(300)), wanted)
        score(two_pictures(), labels, wanted)
        check.serious(labels, COLOURS, wanted)
        most = math.ceil(len(encoder.texts) / compute.FLUSH_TEXTS) + 5
        assert len(encoder.texts) == len(set(encoder.texts))
        assert len(calls) <= most
        asked_for = len(calls)
        score(two_pictures(), labels, wanted)
        assert len(calls) == asked_for


def test_glosses_that_could_not_win_are_not_embedded() -> None:
    """The gloss of "dog", the andiron, would have to be nearer than any gloss can be."""
    wanted: list[str] = []

    def noting(some: Sequence[str]) -> np.ndarray:
        wanted.extend(some)
        return test_negative_filter.texts(some)

    (dog,) = choose_senses([("dog", frozenset())], ["dog", "car"], noting)
    assert dog is not None and dog.lexname == "animal"
    glosses = [text for text in wanted if text.startswith("dog: ")]
    assert 1 <= len(glosses) < len(visible_senses("dog"))


def test_the_screen_tells_how_far_it_is(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    labels = nouns(120)
    classify(folder, labels, encoder=ColourEncoder(), progress=lambda *at: told.append(at))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert {"labels", "texts"} < set(stages[: stages.index("scoring")])
    assert told[-1] == ("scoring", 4, 4)
    assert [at for name, at, _ in told if name == "labels"] == [0, 50, 100, 120]
    assert ("texts", 0) in [(name, at) for name, at, _ in told]


# --- the plain formulas -------------------------------------------------------------------------


def dictionary_words(label: Label, labels: LabelSet) -> list[str]:
    return [dictionary_form(phrase(word), labels.language) for word in (label.name, *label.words)]


def senses_of(labels: LabelSet) -> list[Synset | None]:
    """The senses of all words of the labels, each label's together."""
    return [word.sense for label in resolve(labels, texts) for word in label.words]


def plain_sense(word: str, label: Label, labels: LabelSet) -> Synset | None:
    """Every gloss compared, every label asked for what it may be: K x K."""
    senses = visible_senses(word)
    if not senses:
        return None
    above = context(label, labels)
    others = [other for one in labels if (other := dictionary_words(one, labels)[0]) != word]
    sorts = []
    for other in others:
        found: dict[str, float] = {}
        for rank, one in enumerate(visible_senses(other)):
            found.setdefault(one.lexname, 0.5**rank)
        if found:
            sorts.append(found)
    prompt, glosses = texts([PLAIN.format(word)])[0], texts([f"{word}: {s.gloss}" for s in senses])
    fits = [
        float(gloss @ prompt)
        + 0.15 * math.log1p(wordnet().count(word, one.row))
        + 1.0 * bool(above & wordnet().above(one.row))
        + 0.5 * sum(found.get(one.lexname, 0) for found in sorts) / max(len(sorts), 1)
        for one, gloss in zip(senses, glosses, strict=True)
    ]
    return senses[int(np.argmax(fits))]


def test_senses_are_those_of_the_plain_formula() -> None:
    labels = varied_labels(120)
    pairs = [(word, label) for label in labels for word in dictionary_words(label, labels)]
    assert senses_of(labels) == [plain_sense(word, label, labels) for word, label in pairs]
    assert sum(len(visible_senses(word)) > 2 for word, _ in pairs) > 30
    by_kind = replace(labels, kind="animal")
    assert senses_of(by_kind) == [plain_sense(word, label, by_kind) for word, label in pairs]


def test_what_the_other_labels_are_is_counted_without_the_word_itself() -> None:
    beside = CategoryShares.of(["dog", "cat", "cat", "car", "zzyzx"])
    assert beside.without("dog", "animal") == pytest.approx(2 / 3, abs=0.1)
    assert beside.without("cat", "animal") == pytest.approx(1 / 2, abs=0.1)
    assert beside.without("zzyzx", "animal") == beside.without("lion", "animal")
    assert CategoryShares.of(["dog"]).without("dog", "animal") == 0


def test_labels_that_ask_for_the_same_are_found_as_by_comparing_each_with_each() -> None:
    words = nouns(60)
    labels = parse([*words, *(f"x/{word}" for word in words[::3]), "dogs", "a dog", "animals/dog"])

    def one(a: Label, b: Label) -> bool:
        first, second = (
            label_prompts(dictionary_words(label, labels), label.prompts, labels)
            for label in (a, b)
        )
        return first == second and context(a, labels) == context(b, labels)

    rows = labels.labels
    plain = [
        next((other for other in rows[:at] if one(other, label)), None)
        for at, label in enumerate(rows)
    ]
    assert overlap.earlier_equals(resolve(labels, texts)) == plain
    assert any(plain)


def test_narrower_labels_are_found_as_by_comparing_each_with_each() -> None:
    labels = parse(["dog", "animal", "kitten", "cat", "poodle", "dog/puppy", "church", "building",
                    "lion", "vehicle", "car", "sports car", *nouns(40)])  # fmt: skip
    resolved = resolve(labels, texts)
    meant = {one.name: one.words[0].sense for one in resolved}
    plain: dict[int, tuple[str, str]] = {}
    for at, label in enumerate(labels):
        mine = meant[label.name]
        if mine is None:
            continue
        first = overlap._DEFINED_AS.split(mine.gloss.lower(), maxsplit=1)[0].split()
        for other in labels:
            theirs = meant[other.name] or mine
            if theirs == mine or label.name.startswith(f"{other.name}/"):
                continue
            named = dictionary_words(other, labels)[0].lower() in first
            if theirs.row in wordnet().above(mine.row) or named:
                plain[at] = (label.name, other.name)
                break
    found = overlap.narrower_labels(resolved)
    assert {at: one.labels for at, one in found.items()} == plain
    assert len(plain) > 5


def test_phrases_that_no_dictionary_knows_are_compared_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    axes = rng.normal(size=(len(negative_labels()), 12)).astype(np.float32)
    vectors = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    known = {f"a photo of a phrase {n}.": vectors[n * 7] for n in range(20)}

    def near(some: Sequence[str]) -> np.ndarray:
        return np.stack([known[text] for text in some])

    phrases = [f"phrase {n}" for n in range(20)]
    centre, gone = vectors.mean(axis=0), set()
    away = vectors - centre
    for one in phrases:
        mine = near([PLAIN.format(one)])[0] - centre
        cosines = away @ mine / (np.linalg.norm(away, axis=1) * np.linalg.norm(mine) + 1e-9)
        gone |= set(np.flatnonzero(cosines >= negative_filter.SAME_MEANING).tolist())
    assert negative_filter._same_meaning(phrases, vectors, near) == gone
    monkeypatch.setattr(negative_filter, "BLOCK", 3)
    assert negative_filter._same_meaning(phrases, vectors, near) == gone
    assert 20 <= len(gone) < len(vectors)


def test_neighbours_are_weighed_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(50, 7)).astype(np.float32)
    alike = Smoothing(
        rng.integers(0, 50, (50, 5)).astype(np.int32),
        rng.uniform(0, 1, (50, 5)).astype(np.float32),
        np.zeros((50, 1), np.float16),
    )
    weights = (
        constants.NEIGHBOUR_WEIGHT
        * np.exp((alike.cosines - 1) / constants.NEIGHBOUR_WIDTH)[:, :, None]
    )
    plain = (values + (weights * values[alike.neighbours]).sum(axis=1)) / (1 + weights.sum(axis=1))
    monkeypatch.setattr(smoothing, "BLOCK", 8)
    np.testing.assert_array_equal(smoothing.smooth_by_neighbours(values, alike), plain)


def test_a_resolved_label_is_asked_as_it_is_by_itself() -> None:
    """The first group of prompts is that of the name, and each word of the user's has one."""
    labels = varied_labels(60)
    for one in resolve(labels, texts):
        words = dictionary_words(one.label, labels)
        assert [word.text for word in one.words] == words
        plain = [tuple(group) for group in label_prompts(words, one.label.prompts, labels)]
        assert list(one.own_prompts) == plain
        assert [group[: len(plain[0])] for group in one.prompts[: len(plain)]] == plain


def test_a_run_resolves_each_label_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Normalised once and its senses chosen once, in whatever module: classify, notes, advice and
    the same run after a correction."""
    words = ["camelopard", "crane", "seal", "bicycle", "hovercraft"]
    normalised, resolved = Counter[str](), Counter[str]()

    def counting(whole: Callable[..., Any], tally: Counter[str]) -> Callable[..., Any]:
        def counted(*given: Any) -> Any:
            tally.update(
                [given[0]] if isinstance(given[0], str) else [word for word, _ in given[0]]
            )
            return whole(*given)

        return counted

    for module in [one for name, one in sys.modules.items() if name.startswith("zeroshelf.")]:
        for whole, tally in ((phrase, normalised), (choose_senses, resolved)):
            if getattr(module, whole.__name__, None) is whole:
                monkeypatch.setattr(module, whole.__name__, counting(whole, tally))
    run = classify(folder, words, encoder=ColourEncoder())
    diagnose.diagnose(run.decisions)
    assert run.notes is not None
    run.correct({run.decisions[0].picture.path: words[0]})
    assert {word: normalised[word] for word in words} == dict.fromkeys(words, 1)
    assert {word: resolved[word] for word in words} == dict.fromkeys(words, 1)
