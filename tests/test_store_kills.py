"""Copies within a store under kills, and many of them."""

from __future__ import annotations

import gc
import itertools
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import zeroshelf
from tests.buckets import Bucket, serving
from tests.colours import RED, ColourEncoder, paint
from tests.disk_store import DiskStore
from tests.making import tree
from tests.program import command
from zeroshelf.actions import apply, journal, undo
from zeroshelf.actions.journal import Journal
from zeroshelf.actions.on_store import copy_within, delete_copies, through_fsspec
from zeroshelf.datasets import store_plan
from zeroshelf.errors import UserError
from zeroshelf.labels.parse import parse
from zeroshelf.records import Outcome
from zeroshelf.runs import registry
from zeroshelf.system import content_hash


def planned(
    bucket: Bucket, contents: dict[str, bytes], to: str = "sorted", *, several: bool = False
) -> str:
    """The record of a run that copies these objects; two of three are red. All may be green."""
    keys = sorted(contents)
    rows = pa.table(
        {
            "uri": [f"{bucket.uri}/{key}" for key in keys],
            "label": ["red" if number % 3 else "other" for number in range(len(keys))],
            "also": [["green"] for _ in keys],
            "digest": [content_hash.of_bytes(contents[key]).hex() for key in keys],
            "etag": ["" for _ in keys],
        }
    )
    labels = parse(["red", "green"])
    with store_plan.StorePlan(f"{bucket.uri}/{to}", labels, several=several) as plan:
        plan.add(rows)
        _, run = plan.finish()
    return registry.find(run).record


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Bucket]:
    with serving("disk", tmp_path) as bucket:
        yield bucket


def counted(function: Callable[..., Any], at: Callable[[], None]) -> Callable[..., Any]:
    """Each call is two steps: before and after it."""

    def call(*given: Any, **named: Any) -> Any:
        at()
        found = function(*given, **named)
        at()
        return found

    return call


def killed(what: str, record: str, step: int) -> bool:
    """Apply or undo in another process that kills itself at that step. Whether it came so far."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    gc.disable()  # other tests' models would be closed here, waiting for threads that no fork takes
    try:
        steps, lock = itertools.count(), threading.Lock()

        def at() -> None:
            with lock:
                if next(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        for owner, name in ((DiskStore, "cp_file"), (DiskStore, "rm_file"), (Journal, "sync")):
            setattr(owner, name, counted(getattr(owner, name), at))
        {"apply": apply.carry_out, "undo": undo.carry_out}[what](record, lambda outcome: None)
    finally:
        os._exit(0)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork: the kills of Linux and macOS stand")
def test_twenty_kills_at_random_steps(disk: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (copy_within, delete_copies):
        monkeypatch.setattr(module, "BATCH", 16)
    contents = {f"in/{number % 4}/{number}.jpg": f"{number}".encode() for number in range(50)}
    contents |= {f"in/{number}/same.jpg": f"{number}!".encode() for number in range(9)}
    strange = {"sorted/red/same.jpg": b"of somebody else", "sorted/note.txt": b"too"}
    disk.put(contents | strange)
    record = planned(disk, contents)
    dice, kills = random.Random(19), 0
    while kills < 20:
        for what in ("apply", "undo"):
            while kills < 20 and dice.random() < 0.8:
                kills += killed(what, record, dice.randrange(130))
            outcomes = {"apply": apply.apply, "undo": undo.undo}[what](record)
            assert {one.status for one in outcomes} <= {"done", "already"}
            there = disk.objects()
            assert there | contents | strange == there
            copies = [v for k, v in there.items() if k not in contents and k not in strange]
            assert sorted(copies) == (sorted(contents.values()) if what == "apply" else [])
            assert journal.state(record) == ("applied" if what == "apply" else "undone")


@pytest.mark.skipif(sys.platform == "win32", reason="no fork: the kills of Linux and macOS stand")
def test_a_copy_of_somebody_else_at_a_killed_intent_stays(disk: Bucket) -> None:
    contents = {"in/a.jpg": b"a", "in/b.jpg": b"b", "in/c.jpg": b"c"}
    disk.put(contents)
    record = planned(disk, contents)
    assert killed("apply", record, 4)  # the intents are written, nothing or little is copied
    target = "sorted/other/a.jpg"
    disk.put({target: b"another"})
    outcomes = undo.undo(record)
    assert [one.reason for one in outcomes if one.status == "refused"] == [
        "the copy has changed since"
    ]
    assert disk.objects() == contents | {target: b"another"}
    outcomes = apply.apply(record)
    assert [one.status for one in outcomes].count("refused") == 1
    assert disk.objects()[target] == b"another"


def test_a_thousand_objects_in_several_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving("memory", tmp_path) as bucket:
        contents = {f"in/{number:04}.jpg": f"{number}".encode() for number in range(1000)}
        bucket.put(contents)
        record = planned(bucket, contents, to="in")  # the prefix has the sources in it
        outcomes: list[Outcome] = []
        stages: list[tuple[int, ...]] = []
        apply.carry_out(record, outcomes.append, lambda _, *at: stages.append(at))
        assert [one.status for one in outcomes] == ["done"] * 1000
        assert [one.action.source for one in outcomes] == sorted(
            one.action.source for one in outcomes
        )
        assert stages[-1] == (1000, 1000) and len(stages) == 4
        assert len(bucket.objects()) == 2000
        again = planned(bucket, contents, to="in")
        assert not apply.apply(again)
        assert {one.status for one in undo.undo(record)} == {"done"}
        assert bucket.objects() == contents


def test_a_picture_on_every_shelf_that_fits(tmp_path: Path) -> None:
    with serving("memory", tmp_path) as bucket:
        contents = {"in/a.jpg": b"a", "in/b.jpg": b"b"}
        bucket.put(contents)
        record = planned(bucket, contents, several=True)
        assert {one.status for one in apply.apply(record)} == {"done"}
        assert {*bucket.objects()} - {*contents} == {
            "sorted/other/a.jpg", "sorted/green/a.jpg", "sorted/red/b.jpg", "sorted/green/b.jpg",
        }  # fmt: skip
        assert {one.status for one in undo.undo(record)} == {"done"}
        assert bucket.objects() == contents


def test_a_store_with_folders(tmp_path: Path) -> None:
    """Where a copy appears bit by bit, it gets its name when it is complete."""
    root = tmp_path / "disk"
    (root / "in").mkdir(parents=True)
    contents = {"in/a.jpg": b"a" * 99, "in/b.jpg": b"b" * 99}
    for key, content in contents.items():
        (root / key).write_bytes(content)
    bucket = Bucket(f"local://{root.as_posix()}")
    before = {*root.rglob("*")}
    record = planned(bucket, contents)
    part = through_fsspec._part(f"{root.as_posix()}/sorted/red/b.jpg")
    assert {one.status for one in apply.apply(record)} == {"done"}
    assert (root / "sorted" / "red" / "b.jpg").read_bytes() == contents["in/b.jpg"]
    Path(part).write_bytes(b"b" * 9)  # as a kill would leave it
    assert {one.status for one in undo.undo(record)} == {"done"}
    assert {*root.rglob("*")} == before
    assert {key: (root / key).read_bytes() for key in contents} == contents


def test_a_run_on_a_store_is_nothing_to_a_folder(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with serving("memory", tmp_path) as bucket:
        bucket.put(contents := {"in/a.jpg": b"a"})
        record = planned(bucket, contents)
        assert {one.status for one in apply.apply(record)} == {"done"}
        lines = Path(record, journal.NAME).read_bytes()
        paint(tmp_path / "Photos" / "a.png", RED)
        before = tree(tmp_path)
        run = zeroshelf.classify(tmp_path / "Photos", ["red"], encoder=encoder)
        done = run.apply(run.plan(tmp_path / "Sorted", "move"))
        assert {one.status for one in done} == {"done"}
        assert zeroshelf.classify(tmp_path / "Sorted", ["red"], encoder=encoder).counts["red"] == 1
        assert {one.status for one in run.undo()} == {"done"}
        assert tree(tmp_path) == before and Path(record, journal.NAME).read_bytes() == lines
        with pytest.raises(UserError, match="it has no page"):
            zeroshelf.reopen(os.path.basename(record), encoder=encoder)
        assert {one.status for one in undo.undo(record)} == {"done"}
        assert command("runs", "prune", "--all", "--yes") == 0 and not list(registry.all())
