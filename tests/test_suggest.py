"""Labels for a folder without, and pictures that are nearly the same."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tests.colours import COLOURS
from zeroshelf.images import near_duplicates
from zeroshelf.labels.labels_file import write
from zeroshelf.labels.suggest import label_set, suggest
from zeroshelf.records import Embeddings, Picture, Vectors

AXES = {"dog": 0, "bridge": 1, "pizza": 2}


def texts(wanted: Sequence[str]) -> Vectors:
    vectors = np.zeros((len(wanted), 8), np.float32)
    for at, text in enumerate(wanted):
        word = text.removeprefix("a photo of a ").removesuffix(".")
        vectors[at, AXES.get(word, 7)] = 1
    return vectors


def folder(*axes: int, noise: float = 0.1) -> Embeddings:
    vectors = np.random.default_rng(3).normal(0, noise, (len(axes), 8)).astype(np.float32)
    vectors[np.arange(len(axes)), list(axes)] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pictures = tuple(Picture(f"/{at}", "PNG", 1, 0, 0) for at in range(len(axes)))
    digests = tuple(bytes([at]) for at in range(len(axes)))
    return Embeddings(pictures, digests, vectors.astype(np.float16), (), COLOURS)


def test_groups_are_found_and_named() -> None:
    found = suggest(folder(*[0] * 20, *[1] * 12, *[2] * 8), texts, count=3)
    assert [(shelf.name, len(shelf.rows)) for shelf in found] == [
        ("dog", 20),
        ("bridge", 12),
        ("pizza", 8),
    ]
    assert set(found[1].rows) == set(range(20, 32))
    assert write(label_set(found)).count(" = []") == 3


def test_a_name_that_the_model_is_not_sure_of_is_a_guess() -> None:
    """All names but three have the same cosine: of a group along none of the three axes, none is
    likely. A group along an axis has its name for sure."""
    found = suggest(folder(*[0] * 20, *[7] * 20), texts, count=2)
    assert {shelf.name == "dog": shelf.is_guess for shelf in found} == {True: False, False: True}
    assert next(s.probability for s in found if s.name == "dog") > 0.8


def test_a_guess_gives_way_to_a_word_that_is_clear() -> None:
    """ "dog" stands out by more, because it is an everyday word, but its cosines are a tenth of
    those of "pizza"."""

    def with_decoy(wanted: Sequence[str]) -> Vectors:
        vectors = texts(wanted)
        for at, text in enumerate(wanted):
            if text == "a photo of a dog.":
                vectors[at] = np.eye(8)[2] / 10
        return vectors

    found = suggest(folder(*[1] * 20, *[2] * 20, noise=0.02), with_decoy, count=2)
    assert {shelf.name for shelf in found} == {"bridge", "pizza"}
    assert "dog" in next(shelf.words for shelf in found if shelf.name == "pizza")
    assert not any(shelf.is_guess for shelf in found)


def test_the_number_of_groups_is_found() -> None:
    found = suggest(folder(*[0] * 20, *[1] * 12, *[2] * 8, noise=0.02), texts)
    assert {shelf.name for shelf in found} == {"dog", "bridge", "pizza"}


def test_the_order_of_the_pictures_is_no_matter() -> None:
    """Vague groups, whose k-means differs from start to start."""
    made = folder(*[0] * 20, *[1] * 12, *[2] * 8, *[7] * 20, noise=0.35)
    burst = (4, 9, 30)
    first = suggest(made, texts, once=[burst])
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(made)).tolist()
        again = suggest(made.some(order), texts, once=[[order.index(row) for row in burst]])
        assert [(s.name, s.words) for s in again] == [(s.name, s.words) for s in first]
        for one, other in zip(again, first, strict=True):
            assert [order[row] for row in one.rows] == list(other.rows)


def test_a_burst_counts_once() -> None:
    found = suggest(folder(*[0] * 10, *[1] * 10), texts, count=2, once=[tuple(range(5))])
    assert {shelf.name: len(shelf.rows) for shelf in found} == {"bridge": 10, "dog": 6}


def test_a_folder_too_small_to_group() -> None:
    assert suggest(folder(0, 0), texts) == ()
    assert len(suggest(folder(0, 0, 0, 0), texts)) >= 1


def dhash(seed: int, quality: int = 90, size: int = 128) -> int:
    """Of a random picture of 8 x 8 soft patches."""
    patches = np.random.default_rng(seed).integers(0, 255, (9, 9), np.uint8)
    image = Image.fromarray(patches).resize((size, size), Image.Resampling.BICUBIC)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return near_duplicates.dhash(data.getvalue())


def test_a_copy_in_another_size_is_a_near_duplicate_and_another_picture_is_not() -> None:
    hashes = [dhash(1), dhash(1, quality=50, size=96), dhash(2), dhash(2)]
    pictures = folder(0, 0, 0, 1, noise=0.0)
    known = dict(zip(pictures.digests, hashes, strict=True))
    # 0 and 1 are one picture; 2 shares their vector only, and 3 shares 2's hash only
    assert near_duplicates.groups(pictures, lambda digests: known) == ((0, 1),)


def test_a_file_that_is_there_twice() -> None:
    one = folder(0, 1, 0, noise=0.0)
    twice = Embeddings(one.pictures, (b"a", b"b", b"a"), one.vectors, (), COLOURS)
    assert near_duplicates.groups(twice, lambda digests: {}) == ((0, 2),)


def test_a_chain_of_small_steps_is_no_group() -> None:
    angles = np.arange(12) * 0.2  # neighbours at cosine .98, the ends far apart
    vectors = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float16)
    pictures = tuple(Picture(f"/{at}", "PNG", 1, 0, 0) for at in range(12))
    chain = Embeddings(pictures, tuple(bytes([at]) for at in range(12)), vectors, (), COLOURS)
    known = dict.fromkeys(chain.digests, dhash(1))
    for group in near_duplicates.groups(chain, lambda digests: known):
        assert vectors[group[0]] @ vectors[group[-1]] >= near_duplicates.COPY[0]
