"""The second starter, from its own package: labels in ten languages, found by its name."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

import zeroshelf
from zeroshelf.errors import UserError
from zeroshelf.images.demo import demo_pictures
from zeroshelf.labels.parse import parse
from zeroshelf.models import select
from zeroshelf.records import Label, LabelSet

HERE = select.MULTILINGUAL in select.starters()
if not HERE:
    warnings.warn("labels in other languages are NOT tested: pip install ./languages", stacklevel=1)
needed = pytest.mark.skipif(not HERE, reason="pip install ./languages")

CATS = {
    "de": ("Katze", "Fisch", "Kaffee"),
    "fr": ("chat", "poisson", "café"),
    "es": ("gato", "pez", "café"),
    "zh": ("猫", "鱼", "咖啡"),
}


@needed
@pytest.mark.parametrize("language", CATS)
def test_the_demo_in_other_words(language: str, tmp_path: Path, known_demo: None) -> None:
    """What is surest on the shelf of each label is what an English one would draw there."""
    labels = LabelSet(tuple(map(Label, CATS[language])), language=language)
    run = zeroshelf.classify(
        demo_pictures(tmp_path / "pictures"), labels, model=select.MULTILINGUAL
    )
    assert not [note for note in run.notes if "language" in note]
    cat, fish, coffee = (
        {os.path.basename(one.picture.path) for one in run.shelf(label)[:2]}
        for label in labels.names
    )
    assert cat & {"IMG_0425.jpg", "DSC01018.JPG"}
    assert coffee & {"IMG_0418.jpg", "IMG_0419.jpg"}
    assert fish & {"IMG_0412.jpg", "IMG_0433.jpg", "IMG_0451.jpg", "DSC01017.JPG", "DSC01022.JPG"}


@needed
def test_it_shares_the_image_tower() -> None:
    one, other = (select.starters()[id] / "visual" / "model.onnx" for id in select.starters())
    assert one.read_bytes() == other.read_bytes()
    assert set(select.find(select.MULTILINGUAL).languages) == set(select.LANGUAGES)


def test_without_it_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install \./languages"):
        select.find(select.MULTILINGUAL)


def test_labels_that_the_starter_does_not_know_are_told_of_it() -> None:
    model = select.find("starter")
    (told,) = select.notes(model, select.calibration(model), parse(["кошка"]))[1:2]
    assert "ru" in told and select.MULTILINGUAL in told
