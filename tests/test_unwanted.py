"""What the user keeps from every shelf ("!dog") is on none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.known import DEMO, shipped
from zeroshelf.decisions import scores
from zeroshelf.decisions.decide import Decisions, decide
from zeroshelf.decisions.unwanted import Unwanted
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import scan
from zeroshelf.labels.negative_filter import remaining_negatives
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select
from zeroshelf.records import OTHER, Embeddings

CATS = {"IMG_0425.jpg", "DSC01018.JPG"}
FISH = {"IMG_0412.jpg", "IMG_0433.jpg", "IMG_0451.jpg", "DSC01017.JPG", "DSC01022.JPG"}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    with EmbeddingCache.open(str(tmp_path_factory.mktemp("cache") / "c.sqlite")) as cached:
        return compute.embed(scan.scan(str(DEMO)), shipped(), cached)


def decided(embedded: Embeddings, *labels: str) -> Decisions:
    asked = shipped().embed_texts
    found = scores.score(embedded, resolve(parse(labels), asked), asked)
    return decide(found, select.calibration(shipped().model))


def labels_of(decisions: Decisions) -> dict[str, str]:
    names = (Path(picture.path).name for picture in decisions.scores.pictures)
    return dict(zip(names, decisions.labels, strict=True))


def test_a_kind_of_the_label_is_on_no_shelf_and_the_others_stay(embedded: Embeddings) -> None:
    """Of five nearest negative labels a word of the user's is one, and would hardly count."""
    before = labels_of(decided(embedded, "animal"))
    assert {before[name] for name in CATS} == {"animal"}
    after = labels_of(decided(embedded, "animal", "!cat"))
    assert {after[name] for name in CATS} == {OTHER}
    assert {name for name in FISH if before[name] == "animal" and after[name] != "animal"} == set()


def test_the_reason_names_it(embedded: Embeddings) -> None:
    decisions = decided(embedded, "animal", "!cat")
    rows = [row for row, one in enumerate(decisions) if Path(one.picture.path).name in CATS]
    assert rows and all(decisions[row].looks_like == "cat" for row in rows)
    assert all("cat" in decisions[row].reason for row in rows)


def test_what_is_on_no_picture_changes_no_answer(embedded: Embeddings) -> None:
    before = labels_of(decided(embedded, "cat", "fish"))
    assert labels_of(decided(embedded, "cat", "fish", "!bicycle")) == before


def test_a_wanted_kind_is_no_unwanted_one(embedded: Embeddings) -> None:
    """This fish is nearer to "horse" than to "animal", but nearer still to a kind of animal."""
    asked, scale = shipped().embed_texts, shipped().model.logit_scale
    resolved = resolve(parse(["animal", "!horse"]), asked)
    removed = np.flatnonzero(remaining_negatives(resolved, asked).rows < 0).tolist()
    row = [Path(picture.path).name for picture in embedded.pictures].index("IMG_0433.jpg")
    images = embedded.vectors[[row]].astype(np.float32)
    best = scores.score(embedded, resolved, asked).logits[[row]].max(axis=1)
    photograph = np.zeros(1, np.float32)
    known, alone = (
        Unwanted(resolved, rows, asked, scale).ahead(images, np.zeros(1, int), best, photograph)
        for rows in (removed, [])
    )
    assert alone[2] == [0] and known[2] == [-1]
    assert known[0][0] < -1 < 0 < alone[0][0]  # logits


@pytest.mark.parametrize("unwanted", ["!animal", "!feline", "!drawing", "!pet"])
def test_a_wider_word_leaves_the_label_alone(embedded: Embeddings, unwanted: str) -> None:
    """What is unwanted are the other animals. Beside one label nothing may be left to compare."""
    for others in ([], ["house"], ["frog", "house"]):
        labels = labels_of(decided(embedded, "cat", *others, unwanted))
        assert {labels[name] for name in CATS} == {"cat"}


def test_the_other_things_of_a_wider_word_are_unwanted(embedded: Embeddings) -> None:
    found = decided(embedded, "cat", "animal", "!fish")
    labels = labels_of(found)
    assert {labels[name] for name in CATS} == {"cat"}
    assert "animal" not in {labels[name] for name in FISH}


def drawings(tmp_path: Path) -> Embeddings:
    album = Path(__file__).parents[1] / "notebooks" / "pictures" / "album"
    with EmbeddingCache.open(str(tmp_path / "c.sqlite")) as cached:
        return compute.embed(scan.scan(str(album)), shipped(), cached)


def test_drawings_are_unwanted_by_any_word_for_them_and_named_as_such(tmp_path: Path) -> None:
    album = drawings(tmp_path)
    things = ("car", "cat", "fish", "tree", "cake")

    def on_shelves(*unwanted: str) -> int:
        return sum(label != OTHER for label in decided(album, *things, *unwanted).labels)

    before = on_shelves()
    assert before > 40
    assert max(on_shelves("!drawing"), on_shelves("!cartoons")) < 0.8 * before
    both = decided(album, *things, "!sunset", "!drawing")
    assert sum(one.looks_like == "drawing" for one in both) > 5


def test_a_label_for_drawings_has_them_beside_an_unwanted_one(tmp_path: Path) -> None:
    album = drawings(tmp_path)
    before = decided(album, "line drawing", "market").labels.count("line drawing")
    after = decided(album, "line drawing", "market", "!cartoon").labels.count("line drawing")
    assert before > 10 and after > 0.5 * before
