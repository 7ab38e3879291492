"""Calibration transfer: a model without a calibration gets one from the starter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.colours import COLOURS, ColourEncoder, paint
from zeroshelf import classify
from zeroshelf.decisions import calibration_transfer, constants
from zeroshelf.decisions.decide import decide
from zeroshelf.decisions.drawn import DRAWINGS, PHOTOGRAPHS
from zeroshelf.decisions.scores import score
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select
from zeroshelf.records import Calibration, Embeddings, Model, Picture, Vectors

SIZE = 48  # numbers in a made-up vector


def texts(wanted: Sequence[str]) -> Vectors:
    """Each text in a direction of its own, near to what it begins with. No picture is nearer to a
    drawing than to a photograph."""
    one = dict.fromkeys((*DRAWINGS, *PHOTOGRAPHS), PHOTOGRAPHS[0])
    made = np.array([direction(one.get(text, text)) for text in wanted], np.float32)
    made[:, 0] += 6
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@cache
def direction(text: str) -> np.ndarray:
    return np.random.default_rng(list(text.encode())).normal(size=SIZE)


def showing(words: Sequence[str], model: Model) -> Embeddings:
    """Six pictures of each word, more or less like it."""
    noise = np.random.default_rng(0)
    vectors = texts([f"a photo of a {word}." for word in words for _ in range(6)])
    vectors += noise.uniform(0.02, 0.16, (len(vectors), 1)) * noise.normal(size=vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pictures = tuple(Picture(f"/{row}", "PNG", 1, 0, 0) for row in range(len(vectors)))
    return Embeddings(pictures, (b"",) * len(pictures), vectors.astype(np.float32), (), model)


def kept(embeddings: Embeddings, labels: list[str], calibration: Calibration) -> float:
    decided = decide(score(embeddings, resolve(parse(labels), texts), texts), calibration)
    return float((decided.chosen < len(labels)).mean())


def test_as_many_pictures_stay_as_under_the_model_that_is_known() -> None:
    words = [one.name for one in negative_labels() if one.kind == "noun" and " " not in one.name][
        ::160
    ]
    measured = Calibration(-2.0, 1.0, 1.0, typical_logit=0.0, origin="measured")
    known = showing(words, replace(COLOURS, logit_scale=20.0))
    other = replace(known, model=replace(COLOURS, logit_scale=60.0))
    agreed = calibration_transfer.transfer(other, texts, known, texts, measured)
    asked = words[:8]
    there = kept(known, asked, measured)
    assert 0.1 < there < 0.9
    assert kept(other, asked, agreed) == pytest.approx(there, abs=0.1)
    assert abs(kept(other, asked, Calibration()) - there) > 0.2
    assert agreed.ood_temperature == pytest.approx(3.0, rel=0.25)  # logits are three times as wide
    assert agreed.label_temperature == pytest.approx(3.0, rel=0.25)
    assert Calibration().origin == "default"


@pytest.mark.parametrize(("words", "origin"), [(40, "transferred"), (1, "provisional")])
def test_of_pictures_that_are_alike_it_is_provisional(words: int, origin: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(words, SIZE)).repeat(60 // words, axis=0)
    vectors += np.random.default_rng(1).normal(0, 0.2, vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    images = replace(
        showing(["dog"] * (len(vectors) // 6 + 1), COLOURS).some(range(len(vectors))),
        vectors=vectors.astype(np.float32),
    )
    made = calibration_transfer.transfer(images, texts, images, texts, Calibration())
    assert made.origin == origin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0)
    for number in range(constants.TRANSFER_LEAST_IMAGES):
        colour = (int(noise.integers(256)), int(noise.integers(256)), int(noise.integers(256)))
        paint(tmp_path / "pictures" / f"{number}.png", colour)
    return tmp_path / "pictures"


def test_it_is_done_once_kept_and_said(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tiny.immich(tmp_path / "model", logit_scale=20))
    assert select.calibration(select.find(model)).origin == "default"
    run = classify(folder, ["red", "blue"], model=model)
    calibration = run.decisions.calibration
    assert calibration.origin == "provisional"  # of solid colours
    assert calibration.source == f"starter on {constants.TRANSFER_LEAST_IMAGES} pictures"
    assert any("calibrated by transfer from starter" in note for note in run.notes)
    assert select.calibration(select.find(model)) == calibration
    assert np.isfinite(run.decisions.probabilities).all()  # to this model all pictures are alike
    varied = replace(calibration, ood_threshold=-0.5, origin="transferred")
    monkeypatch.setattr(calibration_transfer, "from_starter", lambda *_, **__: varied)
    assert classify(folder, ["red"], model=model).decisions.calibration == varied
    monkeypatch.setattr(calibration_transfer, "from_starter", None)  # not called again
    again = classify(folder, ["red", "green"], model=model)
    assert again.decisions.calibration == varied


def test_few_pictures_say_nothing(tmp_path: Path, folder: Path) -> None:
    model = str(tiny.immich(tmp_path / "model", logit_scale=20))
    os.remove(folder / "0.png")
    run = classify(folder, ["red", "blue"], model=model)
    assert run.decisions.calibration == Calibration()
    assert any("not calibrated: default constants" in note for note in run.notes)


def test_a_model_without_english_is_not_asked(tmp_path: Path, folder: Path) -> None:
    model = str(tiny.immich(tmp_path / "model", logit_scale=20, languages=["zh"]))
    run = classify(folder, ["red", "blue"], model=model)
    assert run.decisions.calibration == Calibration()


def test_an_encoder_that_stands_in_for_a_model_stays_as_it_is(folder: Path) -> None:
    run = classify(folder, ["red"], encoder=ColourEncoder())
    assert run.decisions.calibration == Calibration()
