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
    known, alone = (
        Unwanted(resolved.labels, rows, asked, scale).ahead(images, best, np.zeros(1, np.float32))
        for rows in (removed, [])
    )
    assert alone[1] == [0] and known[1] == [-1]
    assert known[0][0] < -1 < 0 < alone[0][0]  # logits
