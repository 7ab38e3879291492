"""What is embedded once for all tests that are about something else, and copied for each.

The caches are made with the program itself; what embeds pictures is tested where nothing is known.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from tests.colours import ColourEncoder
from tests.waiting import until
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache, default_path
from zeroshelf.images import scan
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.models import encoder, select

DEMO = Path(str(resources.files("zeroshelf") / "data" / "demo" / "pictures"))


@cache
def shipped(model: str = "starter") -> encoder.TwoTower:
    """A model that comes with the program, opened once: for tests that only ask it."""
    opened = select.load(select.find(model), device="cpu")
    opened.embed_texts([f"{number}" for number in range(encoder.MANY_TEXTS + 1)])  # as for many
    return opened


def pictures(place: Path, root: Path, ids: Sequence[str]) -> None:
    """Fill the cache with the pictures below `root`, by the models of these ids."""
    made = _once(place, lambda partial: _embed(partial, root, ids))
    _give(made)


def negative_texts() -> None:
    """Fill the cache with the texts that a `ColourEncoder` is asked for in every run."""
    _give(_colours())


@cache
def _colours() -> Path:
    place = Path(tempfile.mkdtemp()) / "embeddings.sqlite"
    with EmbeddingCache.open(str(place)) as cached:
        compute.text_embedder(ColourEncoder(), cached)([one.prompt for one in negative_labels()])
    return place


def _embed(place: Path, root: Path, ids: Sequence[str]) -> None:
    with EmbeddingCache.open(str(place)) as cached:
        for model in ids:
            compute.embed(scan.scan(str(root)), shipped(model), cached)


def _give(made: Path) -> None:
    """As this test's own cache, if it has none yet."""
    place = default_path()
    if not os.path.exists(place):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copyfile(made, place)


def _once(place: Path, make: Callable[[Path], None]) -> Path:
    """`place`, made by the first of the processes that ask for it; the others wait."""
    begun = place.with_suffix(".begun")
    while not place.exists():
        try:
            begun.mkdir(parents=True)
        except FileExistsError:
            until(lambda: place.exists() or not begun.exists())
            continue
        try:
            make(begun / place.name)
            os.replace(begun / place.name, place)
        finally:
            shutil.rmtree(begun)
    return place
