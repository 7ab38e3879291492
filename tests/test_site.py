"""The documentation site builds without a warning, and loads nothing from elsewhere."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.chromium import PROGRAM, Chromium
from tests.test_architecture import FOUNDATIONS
from tests.test_house import STAGES
from tests.waiting import HANG

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None,
    reason="NO MKDOCS: the documentation site is NOT tested (pip install '.[docs]')",
)
OPENED = [
    "index.html",
    "tasks/sort.html",
    "architecture.html",
    "notebooks/image_categorizer.html",
    "notebooks/find_it.html",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return to


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Loaded(HTMLParser):
    """What a page loads, and the pages and files of the site that it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "link":
            self.loaded.append(given.get("href", ""))
        elif tag == "a":
            self.links.append(given.get("href", ""))
        elif "src" in given:
            self.loaded.append(given["src"])


def test_nothing_is_loaded_from_elsewhere_and_no_link_is_broken(site: Path) -> None:
    wrong = []
    pages = list(site.rglob("*.html"))
    assert {site / name for name in OPENED} <= set(pages)
    for page in pages:
        found = Loaded()
        found.feed(page.read_text(encoding="utf-8"))
        away = [it for it in found.loaded if re.match(r"(https?:)?//", it)]
        wrong += [f"{page.name} loads {it}" for it in away]
        if page.name == "404.html":  # its links are absolute, for any address
            continue
        for target in found.loaded + found.links:
            path = target.split("#")[0].split("?")[0]
            if path and not re.match(r"[a-z]+:|//", path) and not (page.parent / path).exists():
                wrong.append(f"{page.name}: no {target}")
    assert not wrong, "\n".join(wrong)


def test_the_stages_are_drawn(site: Path) -> None:
    page = (site / "architecture.html").read_text(encoding="utf-8")
    drawing = page[page.index("<svg viewBox") :].partition("</svg>")[0]
    assert {stage for stage in STAGES if f">{stage}</text>" in drawing} == {*STAGES} - FOUNDATIONS
    assert "flowchart" not in page and "--&gt;" not in page


@pytest.mark.skipif(PROGRAM is None, reason="NO CHROMIUM: the site's pages are NOT opened")
@pytest.mark.parametrize("page", OPENED)
def test_a_page_opens_without_an_error(address: str, page: str) -> None:
    with Chromium() as browser:
        browser.open(address + page)
        browser.wait("document.readyState === 'complete' && document.querySelector('h1') !== null")
        assert not [one for one in browser.requests if not one.startswith(address)]
        assert not browser.errors
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert not browser.run(broken)
