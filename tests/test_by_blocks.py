"""Decisions block by block: the numbers, labels and reasons of a folder that is held in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests import known
from zeroshelf.decisions import by_blocks, decide, smoothing
from zeroshelf.decisions.by_blocks import Prepared
from zeroshelf.decisions.in_columns import CONFIDENCES, columns
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.embeddings.compute import shipped_texts
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select
from zeroshelf.records import OTHER, Calibration, Picture, Request, Vectors

LABELS = ["cat", "dog=puppy, hound", "red car", "people", "beach", "!cartoon"]


class Table:
    """A scratch table in memory that refuses what a file of rows can't do."""

    def __init__(self, columns: int) -> None:
        self.rows = np.empty((0, columns), np.float32)

    def append(self, rows: np.ndarray) -> None:
        assert rows.dtype == np.float32
        self.rows = np.vstack((self.rows, rows))

    def __getitem__(self, rows: Any) -> np.ndarray:
        assert isinstance(rows, slice)
        return self.rows[rows].copy()


def texts(wanted) -> Vectors:
    shipped = dict(shipped_texts(known.shipped().model))
    missing = [text for text in wanted if text not in shipped]
    if missing:
        shipped |= dict(zip(missing, known.shipped().embed_texts(missing), strict=True))
    return np.stack([shipped[text] for text in wanted])


def images(count: int) -> np.ndarray:
    """(count, D): near labels, near negative labels, and between them, in bursts."""
    rng = np.random.default_rng(3)
    centres = np.vstack(
        (
            texts(["a photo of a cat.", "a photo of a dog.", "a photo of a beach.", "puppy"]),
            texts(["a photo of a raccoon.", "a photo of a chair."]),
        )
    )
    each = centres[rng.integers(0, len(centres), count)]
    other = centres[rng.integers(0, len(centres), count)]
    share = rng.choice([0.0, 0.3, 0.5], count)[:, None]
    rows = (1 - share) * each + share * other + 0.03 * rng.standard_normal(each.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def prepared(vectors: np.ndarray, notes: dict[int, str], *, together: bool = True) -> Prepared:
    model = known.shipped().model
    found = list(by_blocks.candidates(vectors, texts, model))
    return Prepared(
        vectors,
        np.concatenate([one.rows for one in found]),
        np.concatenate([one.cosines for one in found]),
        smoothing.smoothing_of(vectors) if together else None,
        notes,
    )


def request(labels: list[str], **given: Any) -> Request:
    return Request("/pictures", parse(labels), "starter", **given)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that 2,100 images are several of each."""
    monkeypatch.setattr(smoothing, "MAX_ANCHORS", 300)
    monkeypatch.setattr(by_blocks, "CHUNK", 1024)
    monkeypatch.setattr(by_blocks, "SEARCHED", 1024)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("wanted", "typical"),
    [
        (request(LABELS), "model"),
        (request(LABELS), None),
        (request(LABELS, threshold=0.4, offset=0.5), "model"),
        (request(LABELS, threshold=0.01), "model"),
        (request(LABELS[:-1], other=False), "model"),
        (request(["cat"]), "model"),
    ],
)
def test_blocks_give_the_rows_of_a_folder_in_memory(wanted: Request, typical: str | None) -> None:
    model, vectors, notes = known.shipped().model, images(2100), {5: "dark picture", 1500: "odd"}
    calibration = select.calibration(model)
    if typical is None:
        calibration = replace(calibration, typical_logit=None)
    resolved = resolve(wanted.labels, texts)
    scores = score_vectors(vectors, model, resolved, texts, notes=notes)
    pictures = tuple(Picture(f"/{row}", "JPEG", 1, 0, 0) for row in range(len(vectors)))
    whole = decide.decide(
        replace(scores, pictures=pictures),
        calibration,
        threshold=wanted.threshold,
        offset=wanted.offset,
        closed=not wanted.other,
    )
    also = decide.also(whole)
    seen = 0
    for block in by_blocks.decide_by_blocks(
        prepared(vectors, notes), model, resolved, texts, calibration, wanted, Table
    ):
        rows = block.rows
        assert (block.decisions.probabilities == whole.probabilities[rows]).all()
        assert (block.decisions.chosen == whole.chosen[rows]).all()
        assert (block.also == also[rows]).all()
        found, scored = columns(block.decisions), block.decisions.scores
        names, named = (*wanted.labels.names, OTHER), (*wanted.labels.names, *scored.negative_names)
        for at, row in enumerate(range(rows.start, rows.stop)):
            one = whole[row]
            assert names[found.label[at]] == one.label
            assert CONFIDENCES[found.confidence[at]] == one.confidence
            assert found.reason(at, named) == one.reason
            top = zip(found.top[at], found.top_probability[at], strict=True)
            assert tuple((names[k], float(p)) for k, p in top) == one.top
            seen += 1
    assert seen == 2100


@pytest.mark.usefixtures("small_blocks")
def test_the_folder_of_the_test_has_every_confidence_and_reason() -> None:
    model, wanted = known.shipped().model, request(LABELS)
    vectors, resolved = images(2100), resolve(wanted.labels, texts)
    confidences, reasons = set(), set()
    for block in by_blocks.decide_by_blocks(
        prepared(vectors, {}), model, resolved, texts, select.calibration(model), wanted, Table
    ):
        found = columns(block.decisions)
        names = (*wanted.labels.names, *block.decisions.scores.negative_names)
        confidences |= set(found.confidence.tolist())
        reasons |= {found.reason(row, names) for row in range(len(found.label))}
    assert confidences == {0, 1, 2}
    for beginning in ("nearest label is", "could be", "looks like"):
        assert any(text.startswith(beginning) for text in reasons)
    assert any(", or like" in text for text in reasons)


def test_alone_an_image_is_what_it_is_in_any_company() -> None:
    model, wanted = known.shipped().model, request(LABELS)
    vectors, resolved = images(60), resolve(wanted.labels, texts)
    calibration = select.calibration(model)

    def answers(some: np.ndarray) -> np.ndarray:
        (block,) = by_blocks.decide_by_blocks(
            prepared(some, {}, together=False), model, resolved, texts, calibration, wanted, Table
        )
        return block.decisions.probabilities

    together, apart = (
        answers(vectors),
        np.vstack([answers(vectors[at : at + 1]) for at in range(60)]),
    )
    assert np.allclose(together, apart, atol=1e-5)
    uncalibrated = Calibration(typical_logit=None)  # no folder tells what is typical
    (block,) = by_blocks.decide_by_blocks(
        prepared(vectors, {}, together=False), model, resolved, texts, uncalibrated, wanted, Table
    )
    raw = score_vectors(vectors, model, resolved, texts)
    assert (block.decisions.scores.negative_score == raw.negative_score).all()
