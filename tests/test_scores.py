"""What the model says: shapes, blocks, and texts that are made alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.colours import COLOURS, ColourEncoder
from zeroshelf.decisions import negative_scores
from zeroshelf.decisions.constants import (
    LOW_QUALITY_PENALTY,
    OTHER_WAYS_RANK_SHARE,
    OTHER_WAYS_SHARE,
    PROMPT_COUNT_PENALTY,
)
from zeroshelf.decisions.scores import score
from zeroshelf.decisions.ways import Ways
from zeroshelf.labels import negative_filter
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Embeddings, Picture, Scores, Vectors


def embeddings(*colours: tuple[float, float, float, float]) -> Embeddings:
    vectors = np.array(colours, np.float32).reshape(-1, 4)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    pictures = tuple(Picture(f"/{at}", "PNG", 1, 0, 0) for at in range(len(vectors)))
    return Embeddings(pictures, (b"",) * len(pictures), vectors.astype(np.float16), (), COLOURS)


RED, GREEN, BLUE, GREY = (1, 0, 0, 0.1), (0, 1, 0, 0.1), (0, 0, 1, 0.1), (0, 0, 0, 1.0)


def said(*colours: tuple[float, float, float, float], labels: list[str]) -> Scores:
    texts = ColourEncoder().embed_texts
    return score(embeddings(*colours), resolve(parse(labels), texts), texts)


def test_a_labels_logit_is_its_best_words() -> None:
    plain = said(RED, BLUE, labels=["red", "blue"])
    either = said(RED, BLUE, labels=["green=red", "blue"])
    assert plain.logits.shape == (2, 2)
    assert (plain.logits.argmax(axis=1) == [0, 1]).all()
    assert either.logits[0, 0] > 1 + said(RED, BLUE, labels=["green", "blue"]).logits[0, 0]


def test_the_negative_score_is_high_where_negative_labels_fit() -> None:
    found = said(RED, GREY, labels=["red"])
    assert found.logits[0, 0] > found.negative_score[0] + 1
    assert found.negative_score[1] > found.logits[1, 0] + 1
    assert found.nearest_negatives.shape == (2, 3)
    assert all(found.negative_names[at] for at in found.nearest_negatives.ravel())


def test_the_mean_negative_logit_is_the_mean_over_all_negative_labels() -> None:
    colours = (RED, GREEN, GREY)
    found = said(*colours, labels=["red", "!green"])
    texts = ColourEncoder().embed_texts
    labels = parse(["red", "!green"])
    negatives = negative_filter.remaining_negatives(resolve(labels, texts), texts).vectors
    normalised = negative_scores.normalise(negatives, negatives, COLOURS.logit_scale)
    logits = normalised.logits(embeddings(*colours).vectors)
    assert found.mean_negative_logit == pytest.approx(logits.mean(axis=1), abs=1e-3)


def test_what_shows_next_to_nothing_must_fit_better_and_is_named() -> None:
    clear = embeddings(RED, RED)
    dark = replace(clear, notes={1: "dark picture"})
    texts = ColourEncoder().embed_texts
    was, is_now = (score(one, resolve(parse(["red"]), texts), texts) for one in (clear, dark))
    assert is_now.negative_score - was.negative_score == pytest.approx([0, LOW_QUALITY_PENALTY])
    assert is_now.negative_names[is_now.nearest_negatives[1, 0]] == "dark picture"
    assert is_now.negative_names[is_now.nearest_negatives[0, 0]] != "dark picture"
    both = resolve(parse(["red", "dark picture"]), texts)
    asked_for = [score(one, both, texts) for one in (clear, dark)]
    assert (asked_for[0].negative_score == asked_for[1].negative_score).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_small_folders(count: int) -> None:
    found = said(*[RED] * count, labels=["red", "blue"])
    assert found.logits.shape == (count, 2)
    assert found.smoothing is not None
    assert len(found.smoothing.neighbours) == len(found.smoothing.coordinates) == count


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    colours = [(RED, GREEN, BLUE, GREY)[at % 4] for at in range(23)]
    whole = said(*colours, labels=["red", "blue"])
    monkeypatch.setattr(negative_scores, "BLOCK", 4)
    parts = said(*colours, labels=["red", "blue"])
    assert np.allclose(whole.logits, parts.logits)
    assert np.allclose(whole.negative_score, parts.negative_score)
    assert whole.mean_negative_logit is not None and parts.mean_negative_logit is not None
    assert np.allclose(whole.mean_negative_logit, parts.mean_negative_logit, atol=1e-5)


def test_a_text_that_is_near_to_everything_is_no_better_for_it() -> None:
    """Two texts of one cosine to a picture: the one far from the negative texts says more."""
    rng = np.random.default_rng(0)
    negatives: Vectors = (
        rng.normal(size=(500, 8)).astype(np.float32) + np.eye(8, dtype=np.float32)[0] * 3
    )
    negatives /= np.linalg.norm(negatives, axis=1, keepdims=True)
    near, far = np.eye(8, dtype=np.float32)[:2]
    vectors = np.concatenate((np.stack((near, far)), negatives))
    texts = negative_scores.normalise(vectors, negatives, 10.0)[:2]
    logits = 0.5 * texts.factors - texts.offsets
    assert logits[1] > logits[0]


def test_under_other_labels_what_looks_alike_is_as_before() -> None:
    pictures, texts = embeddings(RED, GREEN, BLUE, RED, BLUE), ColourEncoder().embed_texts
    green = resolve(parse(["green"]), texts)
    before = score(pictures, resolve(parse(["red", "blue"]), texts), texts)
    after = score(pictures, green, texts, before)
    fresh = score(pictures, green, texts)
    assert after.smoothing is before.smoothing
    assert after.smoothing is not None and fresh.smoothing is not None
    np.testing.assert_array_equal(after.smoothing.neighbours, fresh.smoothing.neighbours)
    np.testing.assert_array_equal(after.logits, fresh.logits)


def test_texts_that_the_negative_filter_removes_are_made_up_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The nearest texts are kept before the filter; where it removes too many, all are used."""
    colours = [(RED, GREEN, BLUE, GREY)[at % 4] for at in range(9)]
    whole = said(*colours, labels=["red", "blue", "!green"])
    monkeypatch.setattr(negative_scores, "CANDIDATE_NEGATIVES", 5)  # the least that is needed
    few = said(*colours, labels=["red", "blue", "!green"])
    assert np.allclose(whole.negative_score, few.negative_score, atol=1e-5)
    assert np.allclose(whole.logits, few.logits)
    monkeypatch.setattr(negative_scores, "CANDIDATE_NEGATIVES", 10_000)
    every = said(*colours, labels=["red", "blue", "!green"])
    assert np.allclose(whole.negative_score, every.negative_score, atol=1e-5)


@pytest.mark.parametrize("share", [OTHER_WAYS_SHARE, OTHER_WAYS_RANK_SHARE])
def test_other_ways_to_ask_count_in_part(share: float) -> None:
    """A label's own prompts, and the lexicon's beside them; a label without such is as it was."""
    people, giraffe = resolve(parse(["people", "giraffe"]), ColourEncoder().embed_texts).each
    assert people.other_ways and not giraffe.other_ways
    own, other = len(people.prompts), len(people.other_ways)
    groups = np.zeros((2, own + other + len(giraffe.prompts)), np.float32)
    groups[0, 0] = groups[1, own] = 8  # an own prompt fits one, another way the other
    groups[1, own + other] = 6
    found = Ways([people, giraffe]).logits(groups, share)
    more = PROMPT_COUNT_PENALTY * (np.log(own + other) - np.log(own))
    alone = 8 - PROMPT_COUNT_PENALTY * np.log(own)
    assert found[0, 0] == pytest.approx(alone - share * more, abs=1e-5)
    expected = alone - (1 - share) * 8 - share * more
    assert found[1, 0] == pytest.approx(expected, abs=1e-5)
    assert found[1, 1] == pytest.approx(6 - PROMPT_COUNT_PENALTY * np.log(len(giraffe.prompts)))
