"""Every test has a home of its own: no cache, run or model of the person who runs the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import Chromium
from tests.colours import BLUE, GREY, RED, ColourEncoder, paint


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in ("CACHE", "RUNS", "MODELS"):
        monkeypatch.setenv(f"ZEROSHELF_{name}", str(home / name.lower()))
    monkeypatch.delenv("ZEROSHELF_MODEL", raising=False)
    return home


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two red pictures, a blue one, a grey one, a broken one and a text."""
    root = tmp_path / "pictures"
    paint(root / "a.jpg", RED)
    paint(root / "deep" / "a.jpg", RED)
    paint(root / "b.png", BLUE)
    paint(root / "grey.jpg", GREY)
    (root / "broken.jpg").write_bytes((root / "a.jpg").read_bytes()[:40])
    (root / "notes.txt").write_text("no picture")
    return root


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser
