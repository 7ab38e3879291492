"""Every test has a home of its own: no cache, run or model of the person who runs the tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.chromium import Chromium
from tests.colours import BLUE, GREY, RED, ColourEncoder, paint

# A busy machine makes no example fail.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# A shell that runs the tests in the background lets them and all that they start ignore Ctrl-C,
# which some of them send.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
