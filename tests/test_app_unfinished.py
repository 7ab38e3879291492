"""An apply or undo of the app that was paused, left files alone or failed: what it says, and how it
goes on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.apping import call, done, labelled, serving, tree
from tests.colours import BLUE, GREEN, RED, paint
from tests.waiting import HANG, until
from zeroshelf.actions import apply, undo
from zeroshelf.app.settings import Settings
from zeroshelf.errors import UserError
from zeroshelf.records import Progress
from zeroshelf.review.jobs import Jobs as PageJobs

pytestmark = pytest.mark.usefixtures("colours")


def pictures(root: Path, each: int) -> Path:
    for index in range(each):
        for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
            r, g, b = (max(0, part - 2 * index) for part in colour)
            paint(root / f"{name}-{index:02}.png", (r, g, b), (40, 30 + index))
    return root


def test_what_was_paused_goes_on_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pause ends one apply or undo, not those that come after it."""
    folder = pictures(tmp_path / "pictures", each=3)
    before = tree(tmp_path)
    monkeypatch.setattr(apply, "BATCH", 1)
    monkeypatch.setattr(undo, "BATCH", 1)
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        app.plan({"action": "move", "destination": ""})
        done(app, "plan")
        id = app.jobs.now["plan"].result
        page = app.pages._session(id).jobs
        for act, other, whole in (("apply", apply, "applied"), ("undo", undo, "undone")):
            with monkeypatch.context() as first:
                _stop_at_once(first, other, page)
                call(f"{address}runs/{id}/{act}", {})
                app.wait()
            _, facts = call(f"{address}runs/{id}")
            assert (facts["state"], facts["begun"], facts["in_place"]) == ("partly", act, None)
            call(f"{address}runs/{id}/{act}", {})
            done(app, act)
            assert call(f"{address}runs/{id}")[1]["state"] == whole
        assert tree(tmp_path) == before


def _stop_at_once(patch: pytest.MonkeyPatch, module: ModuleType, page: PageJobs) -> None:
    real = module.carry_out

    def stopping(record: str, take: Callable[[object], object], tell: Progress) -> None:
        def told(what: str, count: int, total: int) -> None:
            page._stopping = True
            tell(what, count, total)

        real(record, take, told)

    patch.setattr(module, "carry_out", stopping)


def test_an_undo_that_left_files_alone_says_how_many_are_not_back(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", each=2)
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        app.plan({"action": "move", "destination": ""})
        done(app, "plan")
        id = app.jobs.now["plan"].result
        call(f"{address}runs/{id}/apply", {})
        done(app, "apply")
        one = next((tmp_path / "pictures-sorted" / "red").iterdir())
        one.write_bytes(one.read_bytes() + b"edited since")
        call(f"{address}runs/{id}/undo", {})
        done(app, "undo")
        _, facts = call(f"{address}runs/{id}")
        assert (facts["state"], facts["begun"]) == ("partly", "undo")
        assert facts["in_place"] == facts["left_alone_count"] == 1
        assert one.read_bytes().endswith(b"edited since")


def test_a_bug_while_files_are_changed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("no such thing")

    folder = pictures(tmp_path / "pictures", each=1)
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red"])
        app.plan({"action": "copy", "destination": ""})
        done(app, "plan")
        id = app.jobs.now["plan"].result
        monkeypatch.setattr(apply, "carry_out", fail)
        call(f"{address}runs/{id}/apply", {})
        app.jobs.wait("apply")
        assert app.jobs.now["apply"].state == "failed"
        assert "KeyError" in app.jobs.now["apply"].error
        assert call(f"{address}runs/{id}")[1]["state"] == "planned"


def test_of_two_tabs_that_apply_at_once_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one would change the plan under the first, and hide that it is at work."""
    folder = pictures(tmp_path / "pictures", each=1)
    with serving(tmp_path) as (app, _):
        labelled(app, folder, ["red"])
        app.plan({"action": "copy", "destination": ""})
        done(app, "plan")
        page = app.pages._session(app.jobs.now["plan"].result)
        ended, first, real = threading.Event(), threading.Event(), page.session.update_plan
        told: Counter[str] = Counter()

        def slow(kind: object) -> bool:
            first.set()
            if threading.current_thread() is not other:
                # where nothing keeps the other one waiting, it is through before this goes on
                until(lambda: page.jobs._lock.locked() or not other.is_alive())
            return real(kind)  # type: ignore[arg-type]

        def carry_out(record: str, take: object, tell: object) -> None:
            told["carried out"] += 1
            assert ended.wait(HANG)

        def try_to_apply() -> None:
            try:
                page.jobs.apply("move")
                told["begun"] += 1
            except UserError:
                told["refused"] += 1

        def try_after_the_first() -> None:
            assert first.wait(HANG)
            try_to_apply()

        other = threading.Thread(target=try_after_the_first)
        monkeypatch.setattr(page.session, "update_plan", slow)
        monkeypatch.setattr(apply, "carry_out", carry_out)
        other.start()
        try_to_apply()
        other.join()
        assert page.jobs.busy
        ended.set()
        page.jobs.wait()
    assert told == {"begun": 1, "refused": 1, "carried out": 1}


def test_settings_that_change_at_once_are_all_kept() -> None:
    settings = Settings()

    def keep(number: int) -> None:
        settings.set_labels(f"/folder {number}", {"cat": []})

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(40)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(settings.now.labels) == 40 and Settings().now == settings.now
