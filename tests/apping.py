"""The app for tests: a server in a thread of this process, and a folder of mixed pictures."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from tests.known import DEMO
from tests.serving import served
from zeroshelf.app.allowed import Allowed
from zeroshelf.app.server import make
from zeroshelf.app.state import App
from zeroshelf.embeddings.cache import EmbeddingCache

TOKEN = "a-token-of-the-tests"


@contextmanager
def serving(*roots: Path) -> Iterator[tuple[App, str]]:
    """The app and the address of its page. It may open the folders `roots`."""
    with EmbeddingCache.open() as store:
        app = App(Allowed([str(root) for root in roots]), store)
        try:
            with served(make(app, TOKEN)) as (server, address):
                app.quit_now = lambda: setattr(server, "should_exit", True)
                yield app, f"{address}{TOKEN}/"
        finally:
            for kind in ("look", "read", "plan", "apply", "undo"):
                app.jobs.stop(kind)
                app.jobs.wait(kind)
            app.close()


def call(address: str, body: object | None = None, **headers: str) -> tuple[int, Any]:
    """The status and the JSON of an answer, or its text where it is none."""
    data = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address, data, named)
    try:
        with urllib.request.urlopen(request) as answer:
            status, content = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, content = refused.code, refused.read()
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode("utf-8", "replace")


def done(app: App, *names: str) -> None:
    """Return when these jobs have ended. They must not have failed."""
    app.jobs.wait(*names)
    failed = [job for kind, job in app.jobs.now.items() if kind in names and job.state == "failed"]
    assert not failed, failed


def mixed(root: Path) -> Path:
    """Forty-odd pictures of many things: the demo's, of which one is broken, and mirrored ones."""
    shutil.copytree(DEMO, root, ignore=shutil.ignore_patterns("*.md"))
    for file in sorted(root.rglob("*.[jJ]*")):
        with contextlib.suppress(OSError), Image.open(file) as image:  # one is cut short
            ImageOps.mirror(image.convert("RGB")).save(file.with_name(f"m {file.name}"))
    (root / "notes.txt").write_text("no picture")
    return root


def tree(*roots: Path) -> dict[str, str]:
    """Every file and folder below the roots, with the digest of each file."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for root in roots
        for path in sorted(root.rglob("*"))
    }


def labelled(app: App, folder: Path, labels: Sequence[str]) -> None:
    """Open a folder, read it and sort it by these labels."""
    app.open({"path": str(folder)})
    done(app, "look")
    app.read({})
    done(app, "read")
    app.set_labels({"labels": {name: [] for name in labels}})
