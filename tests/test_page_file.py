"""The review page of a saved run opens from arrays beside its record, and says the same as without
them."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.chromium import Chromium
from tests.colours import ColourEncoder
from tests.reviewing import TOKEN, colour_run, opened, serving
from zeroshelf.commands.edits import save_edits
from zeroshelf.decisions import constants
from zeroshelf.embeddings import cache_derived
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.embeddings.cache_db import CacheFile
from zeroshelf.errors import UserError
from zeroshelf.models import calibrations
from zeroshelf.records import OTHER, Calibration
from zeroshelf.review.app import make
from zeroshelf.review.jobs import Jobs
from zeroshelf.review.session import Session
from zeroshelf.run import Run, reopen, shown, start
from zeroshelf.run.shown import ShownRun
from zeroshelf.runs import array_file, page_file, request
from zeroshelf.system import file_versions

ADDRESSES = (
    "pictures", "state?since=-1", "words", "suggestions", "most-informative?count=3",
    "offset?by=0.5", "search?words=blue", "alike/0",
    *(f"about/{row}" for row in range(12)),
)  # fmt: skip


def again(run: Run) -> Run:
    return reopen(run.id, edited=False, encoder=ColourEncoder(), store=EmbeddingCache.open())


def from_file(run: Run, warn: Callable[[str], None] | None = None) -> ShownRun:
    store = EmbeddingCache.open()
    return shown.open_saved(run.id, encoder=ColourEncoder(), store=store, warn=warn)


def used(found: ShownRun) -> bool:
    """Whether it is from the file."""
    return isinstance(found.pictures, page_file.Pictures)


def page_of(run: Run) -> str:
    return os.path.join(run.record or "", page_file.NAME)


def client(session: Session) -> TestClient:
    return TestClient(
        make(session, Jobs(session), TOKEN),
        base_url=f"http://127.0.0.1:1/{TOKEN}",
        headers={"Origin": "http://127.0.0.1:1"},
    )


def get(of: TestClient, address: str) -> tuple[int, bytes]:
    answer = of.get(f"http://127.0.0.1:1/{TOKEN}/{address}")
    return answer.status_code, answer.content


def said(run: Run | ShownRun) -> dict[str, tuple[int, bytes]]:
    """All that the page can be told, the first answers before anything that makes the run."""
    with Session(run) as session:
        page = client(session)
        found = {
            name: get(page, name)
            for name in ("columns", *ADDRESSES, *(f"thumbnail/{row}" for row in range(12)))
        }
        assert session.made.is_made
    return found


def corrected(run: Run) -> Run:
    made = run.correct({"blue-00.png": "red", "red-01.png": OTHER})
    made.save(made.plan(Path(run.record or "").parent / "sorted", "copy"))
    return made


STATES: dict[str, Callable[[Run], Run]] = {
    "as it was sorted": lambda run: run,
    "after corrections": corrected,
}
EDITS: dict[str, Callable[[Session], object]] = {
    "none": lambda session: None,
    "placed": lambda session: session.place([0, 2], "green"),
    "accepted": lambda session: session.accept({"red": [1, 3]}),
    "placed and undone": lambda session: (session.place([0], "green"), session.undo()),
    "offset": lambda session: session.set_offset(1.5),
    "label": lambda session: session.add_label("blue"),
    "renamed": lambda session: session.rename_label("red", "scarlet"),
}


ANEW = {"offset", "label", "renamed"}  # edits after which every picture is decided again
CASES = [
    *((edit, "after corrections", False) for edit in EDITS),
    *((edit, "after corrections", True) for edit in sorted(ANEW)),
    ("placed", "as it was sorted", True),
]


@pytest.mark.parametrize(("edit", "state", "kept"), CASES)
def test_the_page_says_the_same_with_and_without_the_file(
    tmp_path: Path, edit: str, state: str, kept: bool
) -> None:
    run = STATES[state](colour_run(tmp_path, each=4))
    with Session(from_file(run)) as session:
        assert not session.made.is_made
        EDITS[edit](session)
        if kept:
            session.write()
    quick = from_file(run)
    assert used(quick)
    with Session(quick) as session:
        assert session.made.is_made is (edit in ANEW and not kept), "it is made if it must be"
    before = said(quick)
    os.remove(page_of(run))
    Path(page_of(run)).with_name(page_file.EDITED).unlink(missing_ok=True)
    anew = from_file(run)
    assert not used(anew)
    assert said(anew) == before == said(again(run))
    assert len({body for _, body in before.values()}) > 12, "the answers are about something"


class Never(AssertionError):
    pass


@pytest.fixture
def no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may make the run."""

    def never(*_: object, **__: object) -> Run:
        raise Never

    monkeypatch.setattr(start, "reopen", never)


@pytest.mark.usefixtures("no_run")
def test_looking_and_placing_need_no_run(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4)
    with Session(from_file(run)) as session:
        page = client(session)
        looked = (
            "", "pictures", "columns", "state?since=-1", "words", "suggestions", "thumbnail/3",
            "about/3", "photo-facts",
        )  # fmt: skip
        assert {name: get(page, name)[0] for name in looked} == dict.fromkeys(looked, 200)
        place = {"do": "place", "rows": [0, 1], "shelf": "green"}
        for what in (place, {"do": "undo"}, place):
            answer = page.post(f"http://127.0.0.1:1/{TOKEN}/edit", content=json.dumps(what))
            assert answer.status_code == 200
        assert session.shelves.columns[:2].tolist() == [1, 1]
        with pytest.raises(Never):
            session.set_offset(1)
        assert session.edit_count == 3, "what can't be decided isn't logged"
    with Session(from_file(run)) as session:
        assert session.shelves.columns[:2].tolist() == [1, 1], "edits are there without the run"


def test_the_run_that_is_made_later_has_the_edits(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4)
    told: list[tuple[str, int, int]] = []
    with Session(from_file(run)) as session:
        session.place([0], "green")
        session.complete(lambda *stage: told.append(stage))
        assert session.made.making is None and told
        assert session.shown().decisions.labels[0] == "green"
        assert session.update_plan()
        session.write()
        session.store_corrections()
    assert reopen(run.id, encoder=ColourEncoder()).decisions.labels[0] == "green"
    with Session(from_file(run)) as session:
        assert not session.made.is_made and session.has_corrections
        assert session.update_plan() and not session.made.is_made, "the plan is up to date"
    first = from_file(run)
    assert first.decisions.chosen[0] != 1, "the file has the run as it was saved"


def test_the_file_of_other_edits_is_not_used(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4)
    with Session(from_file(run)) as session:
        session.set_offset(2.0)
        session.write()
        offset = session.decisions.probabilities
    with Session(from_file(run)) as session:
        assert not session.made.is_made, "from its own file"
        np.testing.assert_array_equal(session.decisions.probabilities, offset)
        session.undo()
        assert session.made.is_made, "another offset is decided anew"
        np.testing.assert_array_equal(
            session.decisions.probabilities, again(run).decisions.probabilities
        )
    with Session(from_file(run)) as session:
        assert not session.made.is_made, "as it was saved"
        assert not np.array_equal(session.decisions.probabilities, offset)
        session.set_offset(3.0)  # without `write`: the process ends
    with Session(from_file(run)) as session:
        assert session.made.is_made and session.edited.offset == 3.0
        assert not np.array_equal(session.decisions.probabilities, offset)


def cut(path: Path, to: Callable[[bytes], bytes]) -> None:
    path.write_bytes(to(path.read_bytes()))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut in its first line": lambda whole: whole[:20],
    "cut after its first line": lambda whole: whole[: whole.index(b"\n") + 1],
    "cut": lambda whole: whole[:-1],
    "longer": lambda whole: whole + b"x",
    "a bit": lambda whole: whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
    "a bit of the facts": lambda whole: whole.replace(b'"closed": false', b'"closed": true '),
    "zeros": lambda whole: bytes(len(whole)),
    "no hash": lambda whole: whole.replace(b"blake3", b"blake9", 1),
    "a list": lambda whole: b"[]\n",
    "another version": lambda whole: whole.replace(b'page": 1', b'page": "', 1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_told_and_the_run_is_decided_anew(tmp_path: Path, damage: str) -> None:
    run = colour_run(tmp_path, each=4)
    before = from_file(run)
    cut(Path(page_of(run)), DAMAGE[damage])
    warned: list[str] = []
    after = from_file(run, warned.append)
    assert len(warned) == 1 and page_file.NAME in warned[0] and "\n" not in warned[0]
    assert after.notes == (*before.notes, warned[0]), "the page says it too"
    np.testing.assert_array_equal(before.decisions.probabilities, after.decisions.probabilities)
    assert used(before) and not used(after)


def test_arrays_of_other_pictures_are_refused(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4)
    facts, arrays = array_file.read(page_of(run), file_versions.PAGE)
    fewer = {**arrays, "chosen": arrays["chosen"][:-1]}
    array_file.write(page_of(run), file_versions.PAGE, facts, fewer)
    warned: list[str] = []
    from_file(run, warned.append)
    assert len(warned) == 1 and "other pictures" in warned[0]


def test_a_newer_file_is_refused_in_one_line(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=2)
    cut(Path(page_of(run)), lambda whole: whole.replace(b'page": 1', b'page": 2', 1))
    with pytest.raises(UserError, match=r"by a newer zeroshelf \(format 2.*: update") as refused:
        from_file(run)
    assert page_file.NAME in str(refused.value) and "\n" not in str(refused.value)


def by_calibration(run: Run, _: pytest.MonkeyPatch) -> None:
    calibrations.store(run.model, Calibration(ood_threshold=30.0, origin="measured"))


def by_request(run: Run, _: pytest.MonkeyPatch) -> None:
    request.save(run.record or "", replace(run.request, threshold=0.99))


def by_constants(_: Run, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(constants, "SURE", 0.91)


def by_version(_: Run, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("zeroshelf.__version__", "0.9")


def by_corrections(run: Run, _: pytest.MonkeyPatch) -> None:
    Path(run.record or "", "corrections.jsonl").unlink()


@pytest.mark.parametrize(
    "change", [by_calibration, by_request, by_constants, by_version, by_corrections]
)
def test_an_outdated_file_is_not_used(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Run, pytest.MonkeyPatch], None],
) -> None:
    run = corrected(colour_run(tmp_path, each=4))
    assert used(from_file(run))
    change(run, monkeypatch)
    after = from_file(run)
    np.testing.assert_array_equal(after.decisions.probabilities, again(run).decisions.probabilities)
    assert not used(after)


def test_without_its_vectors_it_is_refused_as_ever(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=2)
    with EmbeddingCache.open() as store:
        store.prune(0)
    for opening in (from_file, again):
        with pytest.raises(UserError, match="no longer has this run's embeddings"):
            opening(run)


def test_a_run_that_can_t_be_made_is_not_left_open(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=2)
    with Session(from_file(run)) as session:
        session.set_offset(1.0)
    for _ in range(2):
        found = from_file(run)
        with EmbeddingCache.open() as store:
            store.prune(0)
        with pytest.raises(UserError, match="no longer has this run's embeddings"):
            Session(found)
        colour_run(tmp_path / "again", each=2)  # the same pictures, in the cache again


def test_a_model_that_is_calibrated_while_the_page_is_open(tmp_path: Path) -> None:
    """The plan would not be what the page shows."""
    run = colour_run(tmp_path, each=4)
    with Session(from_file(run)) as session:
        session.place([0], "green")
        by_calibration(run, pytest.MonkeyPatch())
        with pytest.raises(UserError, match=r"calibrated since .*: open the run again") as refused:
            session.update_plan()
        assert "\n" not in str(refused.value)
    with Session(from_file(run)) as session:
        assert session.shelves.columns[0] == 1 and session.update_plan()


def test_an_undo_that_can_t_be_decided_is_not_logged(tmp_path: Path) -> None:
    """The page goes on to show what its log says."""
    run = colour_run(tmp_path, each=4)
    with Session(from_file(run)) as session:
        session.add_label("blue")
        session.write()
    with Session(from_file(run)) as session:
        assert not session.made.is_made
        before = session.shelves
        with EmbeddingCache.open() as store:
            store.prune(0)
        with pytest.raises(UserError, match="no longer has this run's embeddings"):
            session.undo()
        assert session.edit_count == 1 and session.shelves is before
        assert session.edited.labels.names == session.names[:-1] == ("red", "green", "blue")


def test_an_undo_makes_the_run_while_the_page_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = colour_run(tmp_path, each=4)
    with Session(from_file(run)) as session:
        session.add_label("blue")
        session.write()
    made, free = start.reopen, list[bool]()

    def look() -> None:
        free.append(session.lock.acquire(blocking=False))
        if free[-1]:
            session.lock.release()

    def reopened(*given: Any, **named: Any) -> Run:
        other = Thread(target=look)
        other.start()
        other.join()
        return made(*given, **named)

    monkeypatch.setattr(start, "reopen", reopened)
    with Session(from_file(run)) as session:
        assert session.undo() and session.names == ("red", "green", OTHER)
    assert free == [True]


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page's file has room; all others have."""
    real = os.replace

    def refused(source: str, target: str) -> None:
        if os.path.basename(target) in (page_file.NAME, page_file.EDITED):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", refused)


def test_a_disk_without_room_for_the_file_loses_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch)
    run = colour_run(tmp_path, each=4)
    record = run.record or ""
    assert {"plan.jsonl", "results.jsonl", "report.html"} <= {*os.listdir(record)}
    with Session(from_file(run)) as session:
        session.add_label("blue")
        session.place([0], "green")
        assert save_edits(session)
    assert reopen(run.id, encoder=ColourEncoder()).decisions.labels[0] == "green"
    left = [name for name in os.listdir(record) if name.startswith("page")]
    assert left == [], "and what was begun takes no room"


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=2)
    record = Path(run.record or "")
    left = record / f"{page_file.NAME}.1234abcd.part"
    left.write_bytes(b"half")
    page_file.save(str(record), run, ())
    assert not left.exists() and used(from_file(run))


def test_names_with_any_bytes_come_back(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=1)
    odd = [b"a\nb.png", b"a\\b.png", b"\xff\xfe.png" if os.name != "nt" else b"e.png"]
    root = run.request.folder
    names = [os.path.join(root, os.fsdecode(one)) for one in odd]
    pictures = tuple(
        replace(one, path=name) for one, name in zip(run.embeddings.pictures, names, strict=True)
    )
    embedded = replace(run.embeddings, pictures=pictures)
    scores = replace(run.decisions.scores, pictures=pictures)
    decided = replace(run.decisions, scores=scores)
    made = replace(run, embeddings=embedded, decisions=decided, _records=[])
    record = run.record or ""
    page_file.save(record, made, ())
    calibration = run.decisions.calibration
    kept = page_file.load(record, page_file.NAME, run.request, {}, run.model, calibration)
    assert kept is not None
    assert [one.path for one in kept.pictures] == names == [kept.pictures[i].path for i in range(3)]
    assert kept.paths == [shown.below(name, root) for name in names]
    assert kept.near_duplicates == ()


@pytest.mark.parametrize("field", ["mtime_ns", "size"])
def test_a_number_that_no_array_can_hold_leaves_the_file_out(tmp_path: Path, field: str) -> None:
    run = colour_run(tmp_path, each=1)
    large: dict[str, Any] = {field: 1 << 63}
    first, *others = run.embeddings.pictures
    embedded = replace(run.embeddings, pictures=(replace(first, **large), *others))
    os.remove(page_of(run))
    page_file.save(run.record or "", replace(run, embeddings=embedded), ())
    assert not os.path.exists(page_of(run))


@pytest.mark.parametrize("groups", [(), ((0, 1),), ((0, 2), (1, 3, 4))])
def test_near_duplicates_come_back(tmp_path: Path, groups: tuple[tuple[int, ...], ...]) -> None:
    run = colour_run(tmp_path, each=2)
    page_file.save(run.record or "", run, groups)
    found = from_file(run)
    assert found.near_duplicates == groups
    with Session(found) as session:
        stacks = json.loads(get(client(session), "pictures")[1])["stacks"]
        pairs = dict(zip(stacks[::2], stacks[1::2], strict=True))
        assert pairs == {row: group[0] for group in groups for row in group[1:]}


def test_a_thumbnail_is_looked_up_not_searched_for(tmp_path: Path) -> None:
    """However many there are: reading the table from end to end takes a step for each row."""
    count = 5_000
    file = CacheFile(str(tmp_path / "cache.sqlite"))
    digests = [at.to_bytes(32, "big") for at in range(count)]

    def fill(db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO thumbnail(digest, jpeg) VALUES (?, 'x')", ((d,) for d in digests)
        )
        db.executemany("INSERT INTO hash VALUES (?, 1, x'00')", ((d,) for d in digests))
        db.executemany("INSERT INTO quality VALUES (?, 1, 'dark')", ((d,) for d in digests))

    file.write(fill)
    reads: tuple[Callable[..., dict[bytes, Any]], ...] = (
        cache_derived.read_thumbnails,
        cache_derived.read_hashes,
        cache_derived.read_notes,
    )
    for read in reads:
        steps = 0

        def count_steps() -> int:
            nonlocal steps
            steps += 1
            return 0

        def look(db: sqlite3.Connection, read: Callable[..., Any] = read) -> Any:
            db.set_progress_handler(count_steps, 10)
            try:
                return read(db, digests[:3])
            finally:
                db.set_progress_handler(None, 0)

        assert len(file.read(look, {})) == 3
        assert 0 < steps * 10 < count, read
    file.close()


def test_the_page_in_a_browser_says_that_the_run_is_made(tmp_path: Path) -> None:
    run = colour_run(tmp_path, each=4)
    with serving(from_file(run)) as (session, address), Chromium() as browser:
        opened(browser, address)
        assert not session.made.is_made
        session.made.making = "deciding", 3, 10
        browser.wait("document.getElementById('working').textContent.includes('3 of 10')")
        session.made.making = None
        browser.wait("document.getElementById('working').textContent === ''")
        browser.run("document.getElementById('add-name').value = 'blue'")
        browser.run("document.getElementById('add').requestSubmit()")
        browser.wait("document.querySelector('#shelves li[data-look=\"blue\"]')")
        assert session.made.is_made and session.names == ("red", "green", "blue", OTHER)
