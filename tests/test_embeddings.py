"""Bytes and a model in, vectors out."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.colours import BLUE, GREEN, RED, ColourEncoder
from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.embeddings.compute import embed_batch, shipped_texts, text_embedder
from zeroshelf.errors import Unreadable
from zeroshelf.images.quality import DARK
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.models import select


def png(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 30), colour).save(out, "PNG")
    return out.getvalue()


def test_a_broken_file_keeps_its_place(encoder: ColourEncoder) -> None:
    files = [(".png", png(RED)), (".png", png(GREEN)[:60]), (".png", png(BLUE))]
    red, broken, blue = embed_batch(files, encoder)
    assert isinstance(red, Embedded) and red.vector.argmax() == 0
    assert isinstance(broken, Unreadable) and str(broken)
    assert isinstance(blue, Embedded) and blue.vector.argmax() == 2


def test_nothing_but_broken_files_asks_no_model(encoder: ColourEncoder) -> None:
    answers = embed_batch([(".jpg", b""), (".jpg", b"text")], encoder)
    assert [type(answer) for answer in answers] == [Unreadable, Unreadable]
    assert encoder.pictures == 0


def test_the_pages_of_a_document_speak_together(encoder: ColourEncoder) -> None:
    out = io.BytesIO()
    pages = [Image.new("RGB", (30, 20), colour) for colour in (RED, BLUE)]
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    both, green = embed_batch([(".tif", out.getvalue()), (".png", png(GREEN))], encoder)
    assert isinstance(both, Embedded) and isinstance(green, Embedded)
    assert np.isclose(both.vector[0], both.vector[2], atol=1e-3) and both.vector[0] > 0.6
    assert np.isclose(np.linalg.norm(both.vector.astype(float)), 1, atol=1e-3)
    assert green.vector.argmax() == 1


def test_a_black_page_among_others_is_no_quality_problem(encoder: ColourEncoder) -> None:
    """A video that fades in is no dark picture; one that is black throughout is."""

    def document(*colours: tuple[int, int, int]) -> tuple[str, bytes]:
        out = io.BytesIO()
        pages = [Image.new("RGB", (30, 20), colour) for colour in colours]
        pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
        return ".tif", out.getvalue()

    black = (2, 2, 2)
    answers = embed_batch([document(black, RED), document(black, black)], encoder)
    assert [one.derived.note for one in answers if isinstance(one, Embedded) and one.derived] == [
        None,
        DARK,
    ]


def test_a_text_is_embedded_once(encoder: ColourEncoder, tmp_path: Path) -> None:
    with EmbeddingCache.open(str(tmp_path / "cache")) as store:
        first = text_embedder(encoder, store)(["red", "blue", "red"])
        again = text_embedder(encoder, store)(["blue", "red", "blue"])
    assert encoder.texts == ["red", "blue"]
    assert (first[1] == again[0]).all() and (first[0] == again[1]).all()


def test_many_texts_tell_how_far_they_are_and_are_kept_on_the_way(
    encoder: ColourEncoder, tmp_path: Path
) -> None:
    """The negative labels take a large model minutes: what it did before an interrupt is kept."""
    many = [f"thing {number}" for number in range(600)]
    told = []

    def stop(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))
        if done == 512:
            raise KeyboardInterrupt

    with EmbeddingCache.open(str(tmp_path / "cache")) as store:
        with pytest.raises(KeyboardInterrupt):
            text_embedder(encoder, store, stop)(many)
        text_embedder(encoder, store, stop)(many)
        text_embedder(encoder, store, stop)(["red"])
    assert told == [("texts", 0, 600), ("texts", 256, 600), ("texts", 512, 600)]
    assert sorted(encoder.texts) == sorted([*many, "red"])
    assert encoder.texts == [*sorted(many, key=len), "red"]  # those of a length together


def test_the_starter_brings_the_vectors_of_the_negative_labels() -> None:
    model = select.find("starter")
    shipped = shipped_texts(model)
    wanted = [negative.prompt for negative in negative_labels()]
    assert shipped.keys() == set(wanted), "run `python -m benchmarks.accuracy.make_texts`"
    some = wanted[:: len(wanted) // 8]
    made = select.load(model).embed_texts(some)
    for text, vector in zip(some, made, strict=True):
        assert vector @ shipped[text] > 0.9999
    assert shipped_texts(replace(model, digest="another")) == {}
