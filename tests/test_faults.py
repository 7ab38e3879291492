"""The fault harness. Whatever happens in the middle of an apply or undo: every picture exists,
whole; no target is half a file; apply goes on; undo restores the tree to the byte.
"""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.making import contents, photos, planned, put, statuses, tree, xmp
from zeroshelf import apply as application
from zeroshelf import runs
from zeroshelf import undo as undoing
from zeroshelf.apply import apply
from zeroshelf.errors import UserError
from zeroshelf.files import journal, transfer
from zeroshelf.undo import undo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by fork")

Answer = TypeVar("Answer")
MEMORY = Path("/dev/shm")  # a second file system, and one on which fsync is free
KINDS = ["copy", "move", "symlink", "hardlink", "move across", "tag", "untag"]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory, where there is one; the runs are recorded there too."""
    inside = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=inside) as name:
        monkeypatch.setenv("ZEROSHELF_RUNS", os.path.join(name, "runs"))
        monkeypatch.setattr(application, "BATCH", 3)
        monkeypatch.setattr(undoing, "BATCH", 3)
        # a kill asks nothing of the disk: the calls are counted, and don't wait
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        monkeypatch.setattr(transfer, "_SYNCFS", lambda descriptor: 0)
        yield Path(name)


@pytest.fixture(params=KINDS)
def sort(request: pytest.FixtureRequest, place: Path, tmp_path: Path) -> tuple[Path, Path, str]:
    """Source, destination and kind of action."""
    across = request.param == "move across"
    source = photos(place / "here" / "photos", 3 if across else 6)
    if request.param == "untag":
        apply(planned(source, source, "tag"))
    if not across:
        return source, place / "here" / "sorted", request.param
    if os.stat(place).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("this machine has one file system only")
    (tmp_path / "there").mkdir()
    return source, tmp_path / "there" / "sorted", "move"


# --- killed ------------------------------------------------------------------------------------


CALLS = ["unlink", "link", "symlink", "mkdir", "rmdir", "utime", "fsync", "copy_file_range",
         "chmod", "rename", "replace"]  # fmt: skip


def dies_at(number: int, act: Callable[[], object], torn: bool = False) -> int | None:
    """Run `act` in a child that is killed just before its `number`-th change to a file system, or
    in the middle of it, where it is a journal line (`torn`). How many changes it made if it lived.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        made = 0

        def watched(call: Callable[..., object]) -> Callable[..., object]:
            def counted(*args: object, **options: object) -> object:
                nonlocal made
                made += 1
                if made == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **options)

            return counted

        for name in CALLS:
            setattr(os, name, watched(getattr(os, name)))
        transfer._RENAME = watched(transfer._RENAME)  # type: ignore[assignment]
        sync = journal.Journal.sync

        def syncing(self: journal.Journal, events: object = ()) -> None:
            nonlocal made
            made += 1
            if made == number:
                if torn:
                    self._waiting += events  # type: ignore[operator]
                    lines = "".join(journal.json.dumps(event) + "\n" for event in self._waiting)
                    self._file.write(lines.encode()[: random.Random(number).randrange(len(lines))])
                os.kill(os.getpid(), signal.SIGKILL)
            sync(self, events)  # type: ignore[arg-type]

        journal.Journal.sync = syncing  # type: ignore[method-assign,assignment]
        try:
            act()
            os.write(writer, str(made).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        lived = answer.read()
    os.waitpid(child, 0)
    return int(lived) if lived else None


def check_nothing_lost(before: list[bytes], source: Path, to: Path, kind: str) -> None:
    """No content is missing anywhere, and none of the visible files is half of one."""
    now = tree(source, to)
    visible = {
        path: node.content
        for path, node in now.items()
        if node.content is not None and b".zeroshelf-" not in path
    }
    if kind == "symlink":
        visible = {path: content for path, content in visible.items() if not os.path.islink(path)}
    if kind in ("tag", "untag"):  # sidecars are whole, old or new, and pictures are untouched
        sidecars = [content for path, content in visible.items() if path.endswith(b".xmp")]
        assert all(content.rstrip().endswith(b"?>") for content in sidecars)
        before = [content for content in before if not content.startswith(b"<?")]
        visible = {p: content for p, content in visible.items() if not p.endswith(b".xmp")}
    there = list(visible.values())
    assert set(before) == set(there), "lost, or half a file"
    if kind == "move":
        for content in before:
            assert 1 <= there.count(content) <= 2


@pytest.mark.parametrize("torn", [False, True], ids=["between", "torn"])
def test_apply_killed_at_every_boundary(sort: tuple[Path, Path, str], torn: bool) -> None:
    source, to, kind = sort
    before, start = contents(source), tree(source.parent, to.parent)
    number = 0
    while True:
        number += 1
        record = planned(source, to, kind)  # type: ignore[arg-type]
        lived = dies_at(number, lambda record=record: apply(record), torn)
        check_nothing_lost(before, source, to, kind)
        if number % 2:
            assert statuses(apply(record)) <= {"done", "already"}
            check_nothing_lost(before, source, to, kind)
            assert kind != "move" or contents(source, to) == before, "not moved, but doubled"
            assert not [path for path in tree(to) if b".zeroshelf-" in path]
        assert statuses(undo(record)) <= {"done", "already"}
        assert tree(source.parent, to.parent) == start
        assert runs.find(os.path.basename(record)).state in ("undone", "planned")
        if lived:
            break
    assert number > 20


@pytest.mark.parametrize("torn", [False, True], ids=["between", "torn"])
def test_undo_killed_at_every_boundary(sort: tuple[Path, Path, str], torn: bool) -> None:
    source, to, kind = sort
    before, start = contents(source), tree(source.parent, to.parent)
    number = 0
    while True:
        number += 1
        record = planned(source, to, kind)  # type: ignore[arg-type]
        assert statuses(apply(record)) == {"done"}
        lived = dies_at(number, lambda record=record: undo(record), torn)
        check_nothing_lost(before, source, to, kind)
        if number % 2:
            assert statuses(apply(record)) <= {"done", "already"}
            check_nothing_lost(before, source, to, kind)
            assert kind != "move" or contents(source, to) == before, "not moved, but doubled"
        assert statuses(undo(record)) <= {"done", "already"}
        assert tree(source.parent, to.parent) == start
        if lived:
            break
    assert number > 20


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_random_instants(place: Path, seed: int) -> None:
    """20 kills each, by a clock, one after the other on the same run."""
    chance = random.Random(seed)
    kind = chance.choice(["copy", "move", "hardlink"])
    source, to = photos(place / "photos", 120), place / "sorted"
    before, start = contents(source), tree(source)
    record = planned(source, to, kind)  # type: ignore[arg-type]
    began = time.perf_counter()
    apply(record)
    undo(record)
    took = time.perf_counter() - began
    kills = 0
    while kills < 20:
        act = chance.choice([apply, apply, undo])
        child = os.fork()
        if not child:
            try:
                act(record)
            finally:
                os._exit(0)
        time.sleep(chance.random() * took)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        check_nothing_lost(before, source, to, kind)
    apply(record)
    check_nothing_lost(before, source, to, kind)
    assert statuses(undo(record)) <= {"done", "already"}
    assert tree(source) == start
    assert not to.exists()


# --- full --------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    disk = place / "small"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("kind", ["copy", "move"])
def test_disk_full_in_the_middle(
    small_disk: Path, place: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, to = photos(place / "photos", 12), small_disk / "sorted"
    for i in range(6):
        put(source / f"large{i}.jpg", b"\xff\xd8\xff" + bytes([i]) * 60_000)
    os.utime(source, ns=(5, 5))
    start, before = tree(source), contents(source)
    record = planned(source, to, kind)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="are free"):
        apply(record)
    assert not to.exists()
    monkeypatch.setattr(application.shutil, "disk_usage", lambda path: _Much)
    outcomes = apply(record)
    assert {o.reason for o in outcomes if o.status == "failed"} == {"No space left on device"}
    assert "done" in statuses(outcomes)
    check_nothing_lost(before, source, to, kind)
    assert not [path for path in tree(to) if b".zeroshelf-" in path]
    assert statuses(undo(record)) <= {"done", "already"}
    assert tree(source) == start
    assert not to.exists()


@pytest.mark.parametrize("kind", ["copy", "move"])
def test_companions_stay_together_when_one_does_not_fit(
    small_disk: Path, place: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, to = place / "photos", small_disk / "sorted"
    source.mkdir()
    put(source / "a.jpg", b"\xff\xd8\xff" + bytes(1000))
    put(source / "a.cr2", b"II*\0" + bytes(400_000))
    put(source / "a.xmp", xmp())
    start = tree(source)
    record = planned(source, to, kind)  # type: ignore[arg-type]
    monkeypatch.setattr(application.shutil, "disk_usage", lambda path: _Much)
    assert statuses(apply(record)) == {"failed"}
    assert contents(to) == []
    assert {p: n.content for p, n in tree(source).items()} == {
        p: n.content for p, n in start.items()
    }
    assert statuses(undo(record)) <= {"done", "already"}
    assert tree(source) == start


class _Much:
    free = 1 << 60


@pytest.mark.parametrize("kind", ["copy", "move"])
def test_journal_on_a_full_disk(
    small_disk: Path, place: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is done that can't be written down first; with room again all goes on."""
    monkeypatch.setenv("ZEROSHELF_RUNS", str(small_disk / "runs"))
    source, to = photos(place / "photos", 60), place / "sorted"
    before, start = contents(source), tree(source)
    record = planned(source, to, kind)  # type: ignore[arg-type]
    free = os.statvfs(small_disk)
    ballast = small_disk / "ballast"
    with open(ballast, "wb") as file:
        file.write(bytes(free.f_bavail * free.f_bsize - 8192))
    with pytest.raises(UserError, match="No space left on device"):
        apply(record)
    check_nothing_lost(before, source, to, kind)
    with pytest.raises(UserError, match="No space left on device"):
        ballast_grows(ballast)
        undo(record)
    check_nothing_lost(before, source, to, kind)
    ballast.unlink()
    assert statuses(apply(record)) <= {"done", "already"}
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start
    assert not to.exists()


def ballast_grows(ballast: Path) -> None:
    try:
        with open(ballast, "ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass


# --- forbidden ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["copy", "move"])
def test_permission_lost_in_the_middle(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first batch nobody may write to the shelves any more, and later again."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None) as name:
        monkeypatch.setenv("ZEROSHELF_RUNS", os.path.join(name, "runs"))
        monkeypatch.setattr(application, "BATCH", 3)
        place = Path(name)
        source, to = photos(place / "photos", 12), place / "sorted"
        for folder, _, files in os.walk(os.fsencode(place)):
            for path in [folder, *(os.path.join(folder, file) for file in files)]:
                os.chown(path, 65534, 65534) if os.geteuid() == 0 else None
        before, start = contents(source), tree(source)
        record = as_nobody(lambda: planned(source, to, kind))  # type: ignore[arg-type]

        def forbid(what: str, done: int, total: int) -> None:
            for shelf in to.iterdir():
                shelf.chmod(0o500)

        assert as_nobody(lambda: statuses(apply(record, forbid))) == {"done", "failed"}
        check_nothing_lost(before, source, to, kind)
        assert "failed" in as_nobody(lambda: statuses(undo(record)))
        check_nothing_lost(before, source, to, kind)
        for shelf in to.iterdir():
            shelf.chmod(0o700)
        assert as_nobody(lambda: statuses(apply(record))) == {"done", "already"}
        assert as_nobody(lambda: statuses(undo(record))) == {"done"}
        assert tree(source) == start
        assert not to.exists()


def as_nobody(act: Callable[[], Answer]) -> Answer:
    """Root may write everywhere: act in a child that isn't root."""
    if os.geteuid() != 0:
        return act()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            answer: object = act()
        except BaseException as error:
            answer = repr(error)
        os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        found: Answer = pickle.loads(file.read())
    os.waitpid(child, 0)
    return found


# --- behind its back ---------------------------------------------------------------------------


def test_what_changed_since_the_plan_is_refused(place: Path) -> None:
    source, to = photos(place / "photos"), place / "sorted"
    record = planned(source, to, "move", labels=["cat"])
    (source / "one" / "A.JPG").unlink(missing_ok=True)
    put(source / "a.jpg", b"edited since")
    (to / "cat").mkdir(parents=True)
    (to / "cat" / "b c.jpg").write_bytes(b"a stranger")
    now = contents(source)
    outcomes = {o.action.source: o for o in apply(record)}
    assert outcomes[str(source / "a.jpg")].reason == "it has changed since the plan was made"
    assert outcomes[str(source / "a.cr2")].reason.startswith("stays with a.jpg: ")
    assert "something lies at" in outcomes[str(source / "one" / "b c.jpg")].reason
    assert contents(source, to) == sorted([*now, b"a stranger"])
    assert (to / "cat" / "b c.jpg").read_bytes() == b"a stranger"
    assert statuses(undo(record)) == {"done"}
    assert contents(source) == now
    assert contents(to) == [b"a stranger"]


def test_shelf_that_became_a_link_out_of_the_destination(place: Path) -> None:
    source, to = photos(place / "photos"), place / "sorted"
    record = planned(source, to, "move", labels=["cat"])
    outside = place / "outside"
    outside.mkdir()
    to.mkdir()
    (to / "cat").symlink_to(outside)
    start = contents(source)
    assert statuses(apply(record)) == {"failed"}
    assert contents(source) == start
    assert not list(outside.iterdir())


def test_undo_leaves_what_changed_since(place: Path) -> None:
    source, to = photos(place / "photos"), place / "sorted"
    record = planned(source, to, "copy", labels=["cat"])
    outcomes = apply(record)
    first, second, third, *rest = [o.action for o in outcomes if o.action.companion_of is None]
    put(Path(first.target), b"retouched")
    Path(second.source).unlink()
    put(Path(third.source), b"retouched too")
    Path(rest[0].target).unlink()
    (to / "cat" / "mine.txt").write_text("mine")
    left = {o.action.target: o for o in undo(record) if o.status == "refused"}
    assert left[first.target].reason == "the copy has changed since"
    assert "its copy stays" in left[second.target].reason
    assert "its copy stays" in left[third.target].reason
    assert sorted(os.listdir(to / "cat")) == sorted(
        ["mine.txt", *(os.path.basename(target) for target in left)]
    )
    assert runs.find(os.path.basename(record)).state == "partly"
    os.unlink(first.target)
    assert {o.status for o in undo(record)} == {"already", "refused"}


def test_undo_of_a_move_never_overwrites_the_old_place(place: Path) -> None:
    source, to = photos(place / "photos"), place / "sorted"
    record = planned(source, to, "move", labels=["cat"])
    before = contents(source)
    first, second, *_ = [o.action for o in apply(record) if o.action.companion_of is None]
    put(Path(first.source), b"a stranger")
    put(Path(second.target), b"retouched")
    left = {o.action.target: o.reason for o in undo(record) if o.status == "refused"}
    assert left == {
        first.target: f"something lies at {first.source} now",
        second.target: "it has changed since it was moved",
    }
    assert Path(first.source).read_bytes() == b"a stranger"
    os.unlink(first.source)
    assert statuses(undo(record)) == {"done", "refused"}
    os.rename(second.target, place / "retouched")
    assert len(set(before) - set(contents(source))) == 1


def test_undo_needs_the_journal_alone_and_apply_the_folder(place: Path) -> None:
    source, to = photos(place / "photos"), place / "sorted"
    start = tree(source)
    record = planned(source, to, "move")
    assert undo(record) == []
    assert runs.find().state == "planned"
    apply(record)
    os.unlink(os.path.join(record, "plan.jsonl"))
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start
    record = planned(source, to, "copy")
    source.rename(place / "elsewhere")
    with pytest.raises(UserError, match="is gone"):
        apply(record)
    assert not to.exists()


# --- two at once -------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["", "one"])
def test_second_run_on_a_folder_says_so(place: Path, inner: str) -> None:
    source, to = photos(place / "photos"), place / "sorted"
    first = planned(source, to, "move")
    second = planned(source / inner, place / "elsewhere", "copy")
    third = planned(photos(place / "other"), place / "third", "copy")
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:

        def wait(what: str, done: int, total: int) -> None:
            os.write(ready[1], b"x")
            os.read(go[0], 1)

        try:
            apply(first, wait)
        finally:
            os._exit(0)
    os.read(ready[0], 1)
    try:
        for act in (lambda: apply(second), lambda: undo(first)):
            with pytest.raises(UserError, match="another run is at work in"):
                act()
        assert not (place / "elsewhere").exists()
        assert statuses(apply(third)) == {"done"}  # has nothing to do with the first
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert statuses(apply(first)) == {"done", "already"}  # the lock went with its holder


def test_two_processes_race_for_one_run(place: Path) -> None:
    """Both apply the same run: between them every picture is moved once."""
    source, to = photos(place / "photos", 60), place / "sorted"
    before = contents(source)
    record = planned(source, to, "move")
    children = []
    for _ in range(2):
        child = os.fork()
        if not child:
            code = 1
            try:
                code = 0 if statuses(apply(record)) <= {"done", "already"} else 3
            except UserError:
                code = 2
            finally:
                os._exit(code)
        children.append(child)
    codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
    assert 0 in codes and codes <= {0, 2}
    assert contents(to) == before
