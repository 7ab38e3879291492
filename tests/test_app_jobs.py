"""Work that goes on without a page: reading, downloads, apply; and what the app remembers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests import known, tiny
from tests.apping import call, done, labelled, serving, tree
from tests.chromium import PROGRAM, Chromium
from tests.colours import BLUE, GREEN, RED, ColourEncoder, paint
from tests.hub import Hub
from tests.waiting import HANG, until
from zeroshelf.actions import apply, kinds
from zeroshelf.app import shelves
from zeroshelf.app.jobs import Jobs
from zeroshelf.app.settings import NAME, Settings
from zeroshelf.errors import UserError
from zeroshelf.labels import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import catalogue, fetch, installed, select
from zeroshelf.models.catalogue import Row
from zeroshelf.records import Pixels, Progress, Vectors
from zeroshelf.run import classify
from zeroshelf.runs import registry

REPO, ID = "someone/tiny", "tiny"
READY = "document.body && document.body.dataset.ready === 'true'"


class SlowEncoder(ColourEncoder):
    """Embeds no picture after the first few until it is let go."""

    go = threading.Event()

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        if self.pictures > 16:
            assert self.go.wait(HANG)
        return super().embed_pictures(pixels)


def pictures(root: Path, each: int = 10) -> Path:
    for index in range(each):
        for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
            r, g, b = (max(0, part - 2 * index) for part in colour)
            paint(root / f"{name}-{index:02}.png", (r, g, b), (40, 30 + index))
    return root


@pytest.mark.skipif(not PROGRAM, reason="no Chromium: the app's page is NOT tested")
def test_a_long_embed_survives_a_closed_tab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.negative_texts()
    encoder = SlowEncoder()
    encoder.go.clear()
    monkeypatch.setattr(select, "find", lambda name=None: encoder.model)
    monkeypatch.setattr(select, "load", lambda *_, **__: encoder)
    folder = pictures(tmp_path / "pictures")
    with serving(tmp_path) as (app, address):
        with Chromium() as browser:
            app.open({"path": str(folder)})
            done(app, "look")
            browser.open(address)
            browser.wait(READY)
            browser.run("document.getElementById('read').click()")
            browser.wait("document.querySelectorAll('#latest img').length >= 16")
            assert "of 30" in browser.run("document.getElementById('read-says').textContent")
        assert app.jobs.running("read")
        encoder.go.set()
        done(app, "read")
        with Chromium() as browser:
            browser.open(address)
            browser.wait(READY)
            browser.wait("!document.getElementById('labelling').hidden")
        assert encoder.pictures == 30  # each once


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, which the catalogue knows as `ID`."""
    tiny.immich(tmp_path / "hub" / REPO, logit_scale=20)
    row = Row(ID, "A tiny model", 1, 1, 1.0, "MIT", ("en",), repo=REPO, top1=50.0)
    monkeypatch.setattr(catalogue, "rows", lambda: {ID: row})
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50)  # bytes, not 10 MB
    with Hub(tmp_path / "hub") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.mark.skipif(not PROGRAM, reason="no Chromium: the app's page is NOT tested")
def test_a_model_download_survives_a_closed_tab(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, download = threading.Event(), fetch.download

    def slow(*given: object) -> None:
        assert go.wait(HANG)
        download(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(fetch, "download", slow)
    row = f"document.querySelector('#models [data-id={ID}]')"
    with serving(tmp_path) as (app, address):
        with Chromium() as browser:
            browser.open(f"{address}#/models")
            browser.wait(READY)
            browser.run(f"{row}.querySelector('.plain').click()")
            browser.wait("document.getElementById('confirm').open")
            says = browser.run("document.getElementById('confirm-says').textContent")
            assert "licence is MIT" in says and REPO in says
            browser.run("document.getElementById('confirm-yes').click()")
            browser.wait("!document.getElementById('model-meter').hidden")
        assert app.jobs.running("model")
        go.set()
        done(app, "model")
        assert installed.ids() == (ID,)
        with Chromium() as browser:
            browser.open(f"{address}#/models")
            browser.wait(READY)
            browser.wait(f"{row}.textContent.includes('in use')")  # the best that is here


def test_a_download_that_was_cut_off_goes_on(tmp_path: Path, hub: Hub) -> None:
    hub.cut, hub.cuts = {"visual/model.onnx": 100}, 100
    with serving(tmp_path) as (app, address):
        call(f"{address}models/{ID}/get", {"licence": "MIT"})
        app.jobs.wait("model")
        assert app.jobs.now["model"].state == "failed"
        assert "can't be reached" in app.jobs.now["model"].error
        _, told = call(f"{address}models")
        assert next(one for one in told["models"] if one["id"] == ID)["begun"] > 0
        hub.cut, hub.requests = {}, []
        call(f"{address}models/{ID}/get", {"licence": "MIT"})
        done(app, "model")
        assert installed.ids() == (ID,)
        resumed = [span for name, span in hub.requests if name == "visual/model.onnx"]
        assert resumed and all(span and span != "bytes=0-" for span in resumed)
        assert call(f"{address}models/{ID}/use", {})[0] == 200
        assert app.settings.now.model == ID
        assert call(f"{address}models/{ID}/remove", {})[0] == 200
        assert installed.ids() == () and app.settings.now.model is None


# --- the same answers as the command line ---------------------------------------------------------


@pytest.mark.usefixtures("colours")
def test_the_app_decides_as_a_sort_does(tmp_path: Path, encoder: ColourEncoder) -> None:
    folder = pictures(tmp_path / "pictures")
    with serving(tmp_path) as (app, _):
        labelled(app, folder, ["red", "green"])
        app.set_labels({"labels": {"red": [], "green": [], "blue": []}})
        assert app.folder is not None
        made = app.folder.to_plan()
        sorted_ = classify(folder, ["red", "green", "blue"], encoder=encoder, store=app.store)
        assert np.array_equal(made.probabilities, sorted_.probabilities)
        assert made.counts == sorted_.counts
        assert made.embeddings.vectors.dtype == np.float16
        told = app.labels({})
        assert {one["name"]: one["count"] for one in told["labels"]} == {
            name: count for name, count in sorted_.counts.items() if name != "other"
        }


@pytest.mark.usefixtures("colours")
def test_other_labels_embed_their_own_texts_alone(tmp_path: Path, encoder: ColourEncoder) -> None:
    folder = pictures(tmp_path / "pictures")
    with serving(tmp_path) as (app, _):
        labelled(app, folder, ["red", "green"])
        looked, before = encoder.pictures, len(encoder.texts)
        app.set_labels({"labels": {"red": [], "green": [], "blue": []}})
        assert encoder.pictures == looked
        assert all("blue" in text or "red" in text for text in encoder.texts[before:])
        again = len(encoder.texts)
        app.set_labels({"labels": {"red": [], "green": []}})
        assert len(encoder.texts) == again


@pytest.mark.usefixtures("colours")
def test_plans_that_were_not_used_are_not_kept(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    with serving(tmp_path) as (app, _):
        labelled(app, folder, ["red", "green"])
        for action in ("copy", "move", "tag"):
            app.plan({"action": action, "destination": ""})
            done(app, "plan")
        runs = list(registry.all())
        assert [run.kind for run in runs if isinstance(run, registry.RunRecord)] == ["tag"]


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("action", kinds.offered())
def test_every_action_is_undone(tmp_path: Path, action: str) -> None:
    folder = pictures(tmp_path / "pictures", each=2)
    before = tree(tmp_path)
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        app.plan({"action": action, "destination": ""})
        done(app, "plan")
        id = app.jobs.now["plan"].result
        assert tree(tmp_path) == before
        call(f"{address}runs/{id}/apply", {})
        done(app, "apply")
        assert tree(tmp_path) != before and app.folder is None
        call(f"{address}runs/{id}/undo", {})
        done(app, "undo")
        assert tree(tmp_path) == before


@pytest.mark.usefixtures("colours")
def test_a_run_is_carried_out_after_the_cache_was_cleared(tmp_path: Path) -> None:
    """A plan needs no embeddings; only its review does."""
    folder = pictures(tmp_path / "pictures", each=2)
    before = tree(tmp_path)
    with serving(tmp_path) as (app, _):
        labelled(app, folder, ["red", "green"])
        app.plan({"action": "move", "destination": ""})
        done(app, "plan")
        id = app.jobs.now["plan"].result
    with serving(tmp_path) as (app, address):
        call(f"{address}cache/clear", {"days": 0})
        done(app, "cache")
        assert app.cache({})["embeddings"] == 0
        assert call(f"{address}review/{id}/")[0] == 409
        for act in ("apply", "undo"):
            call(f"{address}runs/{id}/{act}", {})
            done(app, act)
        assert tree(tmp_path) == before


# --- jobs and settings ----------------------------------------------------------------------------


def test_jobs_of_one_group_wait_for_each_other() -> None:
    jobs, go = Jobs(), threading.Event()

    def wait(_: Progress) -> str:
        go.wait()
        return "result"

    jobs.start("apply", "a", wait)
    with pytest.raises(UserError, match="applying a"):
        jobs.start("undo", "b", wait)
    jobs.start("model", "c", lambda _: "")
    assert jobs.running("apply") and not jobs.running("undo")
    go.set()
    jobs.wait("apply", "model")
    assert jobs.now["apply"].result == "result"
    jobs.start("undo", "b", wait)  # the last of its group is remembered
    jobs.wait("undo")
    assert "apply" not in jobs.now


@pytest.mark.parametrize("trouble", [UserError("no room"), OSError("no room"), KeyError("no room")])
def test_a_job_that_fails_says_why(trouble: Exception) -> None:
    jobs = Jobs()

    def fail(_: Progress) -> str:
        raise trouble

    jobs.start("look", "a", fail)
    jobs.wait("look")
    assert jobs.now["look"].state == "failed" and "no room" in jobs.now["look"].error


def test_a_job_is_stopped_at_its_next_step() -> None:
    jobs, steps = Jobs(), []

    def count(tell: Progress) -> str:
        while True:
            steps.append(1)
            tell("counting", len(steps), 0)

    jobs.start("read", "a", count)
    until(lambda: jobs.now["read"].done > 3)
    jobs.stop("read")
    jobs.wait("read")
    assert jobs.now["read"].state == "stopped"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"recent": 3}', '{"zeroshelf_app": 99}'])
def test_damaged_settings_are_begun_anew(content: str) -> None:
    settings = Settings()
    settings.opened("/pictures")
    path = Path(registry.root(), NAME)
    assert Settings().now.recent == ["/pictures"]
    path.write_text(content)
    assert Settings().now.recent == []


# --- the example ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("colours")
def test_the_example_client_sorts_a_folder(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", each=3)
    client = Path(__file__).parent.parent / "examples" / "app_client.py"
    with serving(tmp_path) as (_, address):
        given = [address, str(folder), "red", "green", "--apply"]
        ended = subprocess.run(
            [sys.executable, str(client), *given], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert "     3 red\n     3 green\n     3 other\n" in ended.stdout
        assert len(list((tmp_path / "pictures-sorted").rglob("*.png"))) == 9


@pytest.mark.parametrize(
    ("label", "some", "none"),
    [
        ("people", {"man", "woman", "child"}, {"hair", "clothing", "portrait"}),
        ("food", {"bread"}, {"plate", "table"}),
        ("coffee", set(), {"wine", "beer"}),
        ("car", set(), {"road", "wheel"}),
    ],
)
def test_synonyms_are_what_a_label_is_made_of(label: str, some: set[str], none: set[str]) -> None:
    resolved = resolve(parse.parse([label]), known.shipped().embed_texts)
    found = shelves._synonyms(resolved.each[0], Counter(), {label})
    assert some <= set(found) and not none & set(found)


# --- apply on the review page ---------------------------------------------------------------------


@pytest.mark.usefixtures("colours")
def test_what_the_review_page_moves_closes_the_open_folder(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", each=2)
    before = tree(tmp_path)
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        app.plan({"action": "move", "destination": ""})
        done(app, "plan")
        review = f"{address}review/{app.jobs.now['plan'].result}/"
        _, now = call(f"{address}state")
        assert now["folder"]["path"] == str(folder)
        for act in ("apply", "unapply"):
            assert call(f"{review}edit", {"do": act})[0] == 200
            app.wait()
            _, now = call(f"{address}state")
            assert now["folder"] is None
            app.open({"path": str(tmp_path)})
        assert tree(tmp_path) == before


@pytest.mark.usefixtures("colours")
def test_nothing_ends_the_app_while_files_are_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, go, real = pictures(tmp_path / "pictures", each=2), threading.Event(), apply.apply

    def slow(record: str, tell: Progress) -> object:
        assert go.wait(HANG)
        return real(record, tell)

    monkeypatch.setattr(apply, "apply", slow)
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        app.plan({"action": "copy", "destination": ""})
        done(app, "plan")
        id = app.jobs.now["plan"].result
        assert call(f"{address}review/{id}/edit", {"do": "apply"})[0] == 200
        assert app.busy and call(f"{address}quit", {})[0] == 409
        go.set()
        app.wait()
        assert not app.busy
        go.clear()
        call(f"{address}runs/{id}/undo", {})
        done(app, "undo")
        call(f"{address}runs/{id}/apply", {})
        assert app.busy and call(f"{address}quit", {})[0] == 409
        go.set()
        app.wait()
        assert call(f"{address}quit", {})[0] == 200
