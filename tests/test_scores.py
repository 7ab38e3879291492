"""What the model says: shapes, blocks, and texts that are made alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.colours import COLOURS, ColourEncoder
from zeroshelf.decisions import scores
from zeroshelf.decisions.scores import score
from zeroshelf.labels import negative_filter
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Embeddings, Picture, Scores, Vectors


def embeddings(*colours: tuple[float, float, float, float]) -> Embeddings:
    vectors = np.array(colours, np.float32).reshape(-1, 4)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    pictures = tuple(Picture(f"/{at}", "PNG", 1, 0, 0) for at in range(len(vectors)))
    return Embeddings(pictures, (b"",) * len(pictures), vectors, (), COLOURS)


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


def test_the_negative_score_is_high_where_the_bank_fits() -> None:
    found = said(RED, GREY, labels=["red"])
    assert found.logits[0, 0] > found.negative[0] + 1
    assert found.negative[1] > found.logits[1, 0] + 1
    assert found.nearest.shape == (2, 3)
    assert all(found.negatives[at] for at in found.nearest.ravel())


def test_what_a_picture_has_in_common_with_the_bank_is_its_mean_logit() -> None:
    colours = (RED, GREEN, GREY)
    found = said(*colours, labels=["red", "!green"])
    texts = ColourEncoder().embed_texts
    labels = parse(["red", "!green"])
    negatives = negative_filter.remaining_negatives(resolve(labels, texts), texts).vectors
    factor, offset = scores._normaliser(negatives, negatives, COLOURS.logit_scale)
    logits = embeddings(*colours).vectors @ (negatives.T * factor) - offset
    assert found.common == pytest.approx(logits.mean(axis=1), abs=1e-3)


def test_what_shows_next_to_nothing_must_fit_better_and_is_named() -> None:
    clear = embeddings(RED, RED)
    dark = replace(clear, notes={1: "dark picture"})
    texts = ColourEncoder().embed_texts
    was, is_now = (score(one, resolve(parse(["red"]), texts), texts) for one in (clear, dark))
    assert is_now.negative - was.negative == pytest.approx([0, scores.FLAWED])
    assert is_now.negatives[is_now.nearest[1, 0]] == "dark picture"
    assert is_now.negatives[is_now.nearest[0, 0]] != "dark picture"
    both = resolve(parse(["red", "dark picture"]), texts)
    asked_for = [score(one, both, texts) for one in (clear, dark)]
    assert (asked_for[0].negative == asked_for[1].negative).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_small_folders(count: int) -> None:
    found = said(*[RED] * count, labels=["red", "blue"])
    assert found.logits.shape == (count, 2)
    assert found.likeness is not None
    assert len(found.likeness.neighbours) == len(found.likeness.along) == count


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    colours = [(RED, GREEN, BLUE, GREY)[at % 4] for at in range(23)]
    whole = said(*colours, labels=["red", "blue"])
    monkeypatch.setattr(scores, "BLOCK", 4)
    parts = said(*colours, labels=["red", "blue"])
    assert np.allclose(whole.logits, parts.logits)
    assert np.allclose(whole.negative, parts.negative)
    assert whole.common is not None and parts.common is not None
    assert np.allclose(whole.common, parts.common, atol=1e-5)


def test_a_text_that_is_near_to_everything_is_no_better_for_it() -> None:
    """Two texts of one cosine to a picture: the one that is far from the bank says more."""
    rng = np.random.default_rng(0)
    bank: Vectors = (
        rng.normal(size=(500, 8)).astype(np.float32) + np.eye(8, dtype=np.float32)[0] * 3
    )
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    near, far = np.eye(8, dtype=np.float32)[:2]
    vectors = np.concatenate((np.stack((near, far)), bank))
    factor, offset = scores._normaliser(vectors, bank, 10.0)
    logits = 0.5 * factor[:2] - offset[:2]
    assert logits[1] > logits[0]


def test_under_other_labels_what_looks_alike_is_as_before() -> None:
    pictures, texts = embeddings(RED, GREEN, BLUE, RED, BLUE), ColourEncoder().embed_texts
    green = resolve(parse(["green"]), texts)
    before = score(pictures, resolve(parse(["red", "blue"]), texts), texts)
    after = score(pictures, green, texts, before)
    fresh = score(pictures, green, texts)
    assert after.likeness is before.likeness
    assert after.likeness is not None and fresh.likeness is not None
    np.testing.assert_array_equal(after.likeness.neighbours, fresh.likeness.neighbours)
    np.testing.assert_array_equal(after.logits, fresh.logits)


def test_what_the_guard_takes_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest texts are kept before the guard; where it takes too many, the bank is asked."""
    colours = [(RED, GREEN, BLUE, GREY)[at % 4] for at in range(9)]
    whole = said(*colours, labels=["red", "blue", "!green"])
    monkeypatch.setattr(scores, "NEAR", 5)  # the least that is needed
    few = said(*colours, labels=["red", "blue", "!green"])
    assert np.allclose(whole.negative, few.negative, atol=1e-5)
    assert np.allclose(whole.logits, few.logits)
    monkeypatch.setattr(scores, "NEAR", 10_000)
    every = said(*colours, labels=["red", "blue", "!green"])
    assert np.allclose(whole.negative, every.negative, atol=1e-5)
