"""Nothing calls home: traced, beside a process that does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import zeroshelf
from tests import tiny
from tests.hub import Hub
from tests.tracing import DEAD, Traced, trace

PATIENCE = 30  # seconds for onnxruntime to call home where it does; nothing is asserted on time
# Keeps classify's process alive until its standard input is closed.
CLASSIFY = (
    "import sys, zeroshelf\n"
    "print(len(zeroshelf.classify('pictures', ['cat', 'frog']).decisions), flush=True)\n"
    "sys.stdin.read()\n"
)
# What any program does that imports onnxruntime by itself: since version 1.29 it may call home, but
# not on every machine, so nothing is asserted about it.
CALLS_HOME = "import sys, onnxruntime; print('up', flush=True); sys.stdin.read()"
# What the trace has to see, or the test could not fail: a call out, and a file in the home folder.
CONTROL = (
    "import pathlib, socket\n"
    "(pathlib.Path.home() / 'strange').write_text('')\n"
    f"socket.socket().connect_ex(('127.0.0.1', {DEAD}))\n"
)
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), f"http://127.0.0.1:{DEAD}")


@dataclass
class Seen:
    """Traced processes, all of them alive while `home` called home."""

    folder: Path
    control: Traced
    home: Traced
    sort: Traced
    classify: Traced
    review: Traced


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    root = tmp_path_factory.mktemp("traced")
    zeroshelf.demo_pictures(root / "pictures")
    environment = _environment(root)
    (root / "other-home").mkdir()
    python = [sys.executable, "-W", "error"]
    sort = ["-m", "zeroshelf", "sort", "pictures", "-l", "cat", "-l", "frog", "--to", "S", "-y"]
    review = ["-m", "zeroshelf", "review", "--no-open"]

    elsewhere = environment | {"HOME": str(root / "other-home")} | PROXIES
    home = trace([sys.executable, "-c", CALLS_HOME], root / "home.log", elsewhere, root)
    control = trace([*python, "-c", CONTROL], root / "control.log", elsewhere, root)
    sorted_ = trace([*python, *sort], root / "sort.log", environment, root)
    started = [home, control, sorted_]
    try:
        assert "puts everything back" in sorted_.end()
        classified = trace([*python, "-c", CLASSIFY], root / "classify.log", environment, root)
        reviewed = trace([*python, *review], root / "review.log", environment, root)
        started += [classified, reviewed]
        assert classified.process.stdout is not None
        assert int(classified.process.stdout.readline()) > 0
        _look_at_the_page(reviewed)
        since = time.monotonic()
        # the process that calls home began before: what it does late, the others would do by then
        while not home.network() and time.monotonic() - since < PATIENCE:
            time.sleep(0.2)
        time.sleep(time.monotonic() - since)  # they are younger, so they live as long again
        yield Seen(root, control, home, sorted_, classified, reviewed)
    finally:
        for one in started:
            if one.process.poll() is None:
                one.process.kill()


def _environment(root: Path) -> dict[str, str]:
    """A new user's: a home and a folder for temporary files of its own, and no switch is set."""
    ours = ("ZEROSHELF_", "ORT_", "HF_", "XDG_", "DO_NOT_TRACK", "PYTEST_", "COV_", "COVERAGE_")
    environment = {name: v for name, v in os.environ.items() if not name.startswith(ours)}
    environment.pop("CI", None)  # where it is set, onnxruntime does not call home
    for name, folder in (("HOME", "home"), ("TMPDIR", "tmp")):
        (root / folder).mkdir()
        environment[name] = str(root / folder)
    return environment | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _look_at_the_page(review: Traced) -> None:
    assert review.process.stdout is not None
    for line in review.process.stdout:
        if address := re.search(r"http://127\.0\.0\.1:\d+/\S+", line):
            with urllib.request.urlopen(address[0]) as page:
                assert b"<html" in page.read()
            return
    raise AssertionError("no address was printed")


def _interrupt(review: Traced) -> None:
    """Ctrl-C for the program, not for strace, which would only let go of it."""
    children = Path(f"/proc/{review.process.pid}/task/{review.process.pid}/children")
    for child in children.read_text().split():
        os.kill(int(child), signal.SIGINT)


def test_nothing_calls_home_and_nothing_is_written_elsewhere(seen: Seen) -> None:
    """One test, so that the processes are started once."""
    seen.classify.end()
    _interrupt(seen.review)
    seen.review.end()
    assert (seen.classify.process.returncode, seen.review.process.returncode) == (0, 0)
    seen.control.end()
    assert seen.control.network()
    assert str(seen.folder / "other-home" / "strange") in seen.control.written()
    if not seen.home.network():
        warnings.warn("onnxruntime by itself was not seen to call home here", stacklevel=1)
    home = seen.folder / "home"
    own = [home / place / "zeroshelf" for place in (".cache", ".local/state", ".local/share")]
    for name, shelves in (("sort", [seen.folder / "S"]), ("classify", []), ("review", [])):
        traced: Traced = getattr(seen, name)
        assert traced.network() == [], name
        strange = {path for path in traced.written() if not _is_below(path, [*own, *shelves])}
        assert not {path for path in strange if not _is_scratch(path, seen.folder / "tmp")}, name


def _is_scratch(path: str, temporary: Path) -> bool:
    """A folder of ours in the temporary one, where links are tried, or the file of eight characters
    with which Python's tempfile tries that folder itself. Both are gone at once."""
    name = os.path.relpath(path, temporary).split(os.sep)[0]
    return re.fullmatch(r"zeroshelf-\w{8}|[a-z0-9_]{8}", name) is not None


def _is_below(path: str, folders: list[Path]) -> bool:
    """In one of `folders`, or one of them or above it, where it was made; devices are no files."""
    here = Path(path)
    return path.startswith(("/dev/", "/proc/")) or any(
        here == folder or folder in here.parents or here in folder.parents for folder in folders
    )


def test_bringing_a_model_asks_the_hub_alone_and_leaves_nothing_elsewhere(tmp_path: Path) -> None:
    tiny.immich(tmp_path / "hub" / "someone" / "tiny", logit_scale=20)
    environment = _environment(tmp_path)
    with Hub(tmp_path / "hub") as hub:
        environment["HF_ENDPOINT"] = hub.url
        command = [sys.executable, "-m", "zeroshelf", "models", "get", "someone/tiny"]
        traced = trace(command, tmp_path / "get.log", environment, tmp_path)
        assert "someone/tiny" in traced.end()
    assert traced.process.returncode == 0
    assert traced.network() == []
    own = [tmp_path / "home" / place / "zeroshelf" for place in (".cache", ".local/share")]
    assert not {path for path in traced.written() if not _is_below(path, own)}


def test_children_inherit_the_switches() -> None:
    code = (
        "import subprocess, sys, zeroshelf\n"
        "from zeroshelf.system.telemetry import SWITCHES\n"
        "child = f'import os; print(*[os.environ[name] for name in {SWITCHES}])'\n"
        "subprocess.run([sys.executable, '-c', child], check=True)"
    )
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "0", "HF_HUB_DISABLE_TELEMETRY": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ["1", "1", "1"]


def test_who_imports_onnxruntime_first_is_told_and_later_events_are_off() -> None:
    code = (
        "import onnxruntime, warnings\n"
        "off = []\n"
        "onnxruntime.disable_telemetry_events = lambda: off.append(1)\n"
        "from zeroshelf.system import telemetry\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        "    telemetry.onnxruntime(); telemetry.onnxruntime()\n"
        "print(len(told), bool(off), *['import zeroshelf first' in str(w.message) for w in told])"
    )

    def run(**switch: str) -> list[str]:
        environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
        environment |= PROXIES | switch
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        return done.stdout.split()

    assert run() == ["1", "True", "True"]
    assert run(ORT_DISABLE_TELEMETRY="1") == ["0", "True"]
