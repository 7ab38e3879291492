"""Every test has a home of its own: no cache, run or model of the person who runs the tests."""

from __future__ import annotations

import os

# Tests run side by side: threads of one that wait for the processors of others only cost time.
# Before NumPy is imported, which reads it then; what the tests start inherits it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import known
from tests.chromium import Chromium
from tests.colours import BLUE, GREY, RED, ColourEncoder, paint
from zeroshelf.models import select

# A busy machine makes no example fail.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# A shell that runs the tests in the background lets them and all that they start ignore Ctrl-C,
# which some of them send.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for a browser or another process."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what forks, as long as the process is small: that costs half. Then what takes long, so
    that no process is left alone with it."""
    first = [
        "test_faults",
        "test_store_kills",
        "test_review_path",
        "test_main_job",
        "image_categorizer",
    ]
    place = {name: at for at, name in enumerate(first)}
    items.sort(key=lambda item: place.get(item.path.stem, len(first)))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in ("CACHE", "RUNS", "MODELS"):
        monkeypatch.setenv(f"ZEROSHELF_{name}", str(home / name.lower()))
    monkeypatch.delenv("ZEROSHELF_MODEL", raising=False)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # hides a line that waits in a buffer
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))  # the trash of the tests
    return home


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once for all processes that run tests."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"


@pytest.fixture
def known_demo(home: Path, shared: Path) -> None:
    """The demo's pictures are in the cache."""
    known.pictures(shared / "demo.sqlite", known.DEMO, list(select.starters()))


@pytest.fixture
def encoder(home: Path) -> ColourEncoder:
    known.negative_texts()
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
def inbox(tmp_path: Path, encoder: ColourEncoder) -> Path:
    """An empty folder to be watched."""
    root = tmp_path / "inbox"
    root.mkdir()
    return root


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch, encoder: ColourEncoder) -> None:
    """The program with the model that can be computed by eye, where it would load the starter."""
    monkeypatch.setattr(select, "find", lambda name=None: encoder.model)
    monkeypatch.setattr(select, "load", lambda *_, **__: encoder)
