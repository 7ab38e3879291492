"""A review page for tests: runs small and large, and a server in a thread of this process."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tests import known
from tests.chromium import Chromium
from tests.colours import BLUE, COLOURS, GREEN, RED, ColourEncoder, paint
from tests.serving import served
from zeroshelf.decisions import decide
from zeroshelf.decisions.decide import Decisions
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images.near_duplicates import NearDuplicates
from zeroshelf.labels import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import (
    Calibration,
    Corrections,
    Embeddings,
    Picture,
    Plan,
    Progress,
    Request,
    Scores,
)
from zeroshelf.review.app import make
from zeroshelf.review.jobs import Jobs
from zeroshelf.review.session import Session
from zeroshelf.run import Run, Sources, classify
from zeroshelf.run.shown import ShownRun
from zeroshelf.runs import registry
from zeroshelf.runs.saved import Saved

TOKEN = "a-token-of-the-tests"


def colour_run(root: Path, each: int = 8, kind: str = "copy") -> Run:
    """Red, green and blue pictures in equal numbers, under the labels red and green, saved."""
    known.negative_texts()
    for index in range(each):
        for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
            r, g, b = (max(0, part - 2 * index) for part in colour)
            paint(root / "pictures" / f"{name}-{index:02}.png", (r, g, b), (40, 30 + index))
    run = classify(
        root / "pictures", ["red", "green"], encoder=ColourEncoder(), store=EmbeddingCache.open()
    )
    run._sources.near_duplicates._found = ()  # though pictures of one colour do look alike
    run.save(run.plan(root / "sorted", kind))
    return run


class DrawnRun(Run):
    """Its thumbnails are drawn when they are asked for, so that there may be a hundred thousand."""

    def find_near_duplicates(self, progress: Progress | None = None) -> tuple[tuple[int, ...], ...]:
        return ()

    def thumbnails(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        return {digest: _drawn(digest) for digest in digests}


def _drawn(digest: str) -> bytes:
    out = io.BytesIO()
    colours = np.frombuffer(bytes.fromhex(digest)[:27], np.uint8).reshape(3, 3, 3)
    Image.fromarray(colours).resize((160, 120)).save(out, "JPEG", quality=80)
    return out.getvalue()


def large_run(root: Path, count: int = 100_000, shelves: int = 20) -> Run:
    """As many pictures as asked for, with random answers, and none of them on the disk."""
    random = np.random.default_rng(0)
    pictures = tuple(
        Picture(str(root / f"{i // 500:03}" / f"IMG_{i:06}.jpg"), "JPEG", 3_000_000 + i, 1, 1)
        for i in range(count)
    )
    digests = tuple(random.bytes(32) for _ in range(count))
    vectors = random.standard_normal((count, COLOURS.dim)).astype(np.float16)
    embedded = Embeddings(pictures, digests, vectors, (), COLOURS)
    wanted = parse.parse([f"shelf {chr(97 + i)}" for i in range(shelves)])
    scores = Scores(
        pictures=pictures,
        resolved=resolve(wanted, ColourEncoder().embed_texts),
        logits=random.normal(0, 3, (count, shelves)).astype(np.float32),
        negative_score=random.normal(4, 2, count).astype(np.float32),
        nearest_negatives=np.zeros((count, 3), np.int32),
        negative_names=("a wall",),
        model=COLOURS,
    )
    decided: Decisions = decide.decide(scores, Calibration())
    store = EmbeddingCache.open()
    planned = Plan(str(root), str(root.parent / "sorted"), "copy", ())
    return DrawnRun(
        Request(str(root), wanted, COLOURS.id),
        embedded,
        Corrections(),
        decided,
        decided,
        (),
        Sources(ColourEncoder(), store, NearDuplicates(embedded, store.hashes, ())),
        _records=[Saved(*registry.new(planned))],
    )


@contextmanager
def serving(run: Run | ShownRun) -> Iterator[tuple[Session, str]]:
    """The session and the page's address."""
    with Session(run) as session, served(make(session, Jobs(session), TOKEN)) as (_, address):
        yield session, f"{address}{TOKEN}/"


# --- the page, in a browser -----------------------------------------------------------------------


def opened(browser: Chromium, address: str) -> None:
    browser.open(address)
    browser.wait("document.body && document.body.dataset.ready === 'true'")


def still(browser: Chromium) -> None:
    """Until nothing fades in any more: what is half there has little contrast."""
    browser.wait(
        "document.getAnimations().every((one) => one.playState !== 'running'"
        " || one.effect.getTiming().iterations === Infinity)"
    )


def press(browser: Chromium, key: str, shift: bool = False) -> None:
    types = "\r" if key == "Enter" else key if len(key) == 1 else ""
    for kind in ("keyDown", "keyUp"):
        browser._call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            text=types if kind == "keyDown" else "",
            modifiers=8 if shift else 0,
        )


def kept(browser: Chromium, count: int) -> None:
    """Until the page says that so many edits are kept."""
    browser.wait(
        f"document.body.dataset.edits === '{count}' && document.body.dataset.pending === '0'"
    )


def add_shelf(browser: Chromium, name: str) -> None:
    browser.run(
        f"document.getElementById('add-name').value = {json.dumps(name)};"
        "document.getElementById('add').requestSubmit()"
    )


def shelf(browser: Chromium, name: str) -> None:
    browser.run(f"document.querySelector('#shelves li[data-look={json.dumps(name)}] .to').click()")


def shown(browser: Chromium) -> int:
    return int(browser.run("document.querySelector('#grid .card:not([hidden])')?.ariaSetSize ?? 0"))


def selected(browser: Chromium) -> int:
    return int(browser.run("parseInt(document.getElementById('tray-count').textContent) || 0"))


def look_for(browser: Chromium, words: str, by: str) -> None:
    """By keys, as the user would: `/`, the words, Enter."""
    browser.run(f"document.getElementById('find-by').value = {json.dumps(by)}")
    press(browser, "/")
    browser.run("document.activeElement.select()")
    for character in words:
        press(browser, character)
    press(browser, "Enter")


def hold(browser: Chromium, address: str, answers: bool = False) -> None:
    """From here on the page's requests to addresses that begin so wait until `let_go`, or else the
    answers do. `answered` in the page are the addresses that the server answered meanwhile."""
    begins = f"address.startsWith({json.dumps(address)})"
    browser.run(
        "{ const asked = fetch, held = new Promise((done) => { window.letGo = done; });"
        "window.answered = [];"
        "window.fetch = async (address, ...more) => {"
        f"  if ({begins} && {json.dumps(not answers)}) await held;"
        "  const answer = await asked(address, ...more);"
        "  answered.push(address);"
        f"  if ({begins} && {json.dumps(answers)}) await held;"
        "  return answer; }; }"
    )


def let_go(browser: Chromium) -> None:
    browser.run("letGo()")


def agree(browser: Chromium, session: Session) -> None:
    """Until the page has every picture on the shelf on which the server has it."""
    browser.run("import(location.href + 'state.js').then(({ run }) => { window.known = run; })")
    browser.wait(f"known.names.join() === {json.dumps(','.join(session.names))}")
    browser.wait(f"known.columns.join() === '{','.join(map(str, session.shelves.columns))}'")
