"""A drawing stays on its shelf with a lower score than a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.known import DEMO, shipped
from zeroshelf.decisions import drawn, scores
from zeroshelf.decisions.constants import DRAWN_SHARE
from zeroshelf.decisions.drawn import Drawn
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import scan
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Embeddings, Vectors


def texts(asked: Sequence[str]) -> Vectors:
    """Two axes: drawings and photographs."""
    return np.array([(1.0, 0.0) if one in drawn.DRAWINGS else (0.0, 1.0) for one in asked])


def test_how_much_nearer_to_a_drawing() -> None:
    images = np.array([(1, 0), (0.8, 0.6), (0.6, 0.8), (0, 1)], np.float16)
    found = Drawn(texts, 10.0).logits(images)
    assert found == pytest.approx(10 * np.array([1, 0.2, 0, 0]), abs=0.02)
    assert found.dtype == np.float32


def test_no_images() -> None:
    assert Drawn(texts, 10.0).logits(np.empty((0, 2), np.float16)).shape == (0,)


def smiling(path: Path) -> None:
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((50, 50, 250, 250), fill="gold", outline="black", width=6)
    for left in (105, 170):
        draw.ellipse((left, 110, left + 25, 140), fill="black")
    draw.arc((100, 120, 200, 210), 20, 160, fill="black", width=8)
    image.save(path)


@pytest.fixture
def embedded(tmp_path: Path) -> Embeddings:
    """The demo's photographs and, first, a drawing."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    smiling(pictures / "0.png")
    for number, file in enumerate(sorted(DEMO.glob("*.jpg"))[:6], 1):
        (pictures / f"{number}.jpg").write_bytes(file.read_bytes())
    with EmbeddingCache.open(str(tmp_path / "cache.sqlite")) as cached:
        return compute.embed(scan.scan(str(pictures)), shipped(), cached)


def test_the_starter_tells_a_drawing_from_photographs(embedded: Embeddings) -> None:
    model = shipped().model
    found = Drawn(shipped().embed_texts, model.logit_scale).logits(embedded.vectors)
    assert found[0] > 2  # logits
    assert np.median(found[1:]) < 0.7 * found[0]


def test_it_counts_in_the_negative_score_alone(
    embedded: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = shipped().embed_texts
    labels = resolve(parse(["cat", "frog"]), asked)
    taken = Drawn(asked, shipped().model.logit_scale).logits(embedded.vectors)
    now = scores.score(embedded, labels, asked)
    monkeypatch.setattr(scores, "DRAWN_SHARE", 0.0)
    without = scores.score(embedded, labels, asked)
    assert without.negative_score - now.negative_score == pytest.approx(
        DRAWN_SHARE * taken, abs=1e-3
    )
    assert (without.logits == now.logits).all()
    assert (without.nearest_negatives == now.nearest_negatives).all()
