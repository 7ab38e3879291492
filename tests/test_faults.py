"""The fault harness. Whatever happens in the middle of an apply or undo: every picture exists,
whole; no target is half a file; apply goes on; undo restores the tree to the byte.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from tests.making import contents, photos, planned, put, statuses, tree, xmp
from tests.small_disk import mounted
from zeroshelf.actions import apply as application
from zeroshelf.actions import journal, kinds, plan, plan_file, transfer
from zeroshelf.actions import undo as undoing
from zeroshelf.actions.apply import apply
from zeroshelf.actions.tags.sidecars import add
from zeroshelf.actions.undo import undo
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.records import ActionKind, Outcome, PlanRequest
from zeroshelf.runs import registry
from zeroshelf.system import file_io, renaming

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by fork")

Answer = TypeVar("Answer")
MEMORY = Path("/dev/shm")  # a second file system, and one on which fsync is free
EVERY = kinds.plannable()
KINDS = [*EVERY, "move across"]
LINKS = ("symlink", "relative-symlink")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory, where there is one; the runs are recorded there too."""
    inside = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=inside) as name:
        monkeypatch.setenv("ZEROSHELF_RUNS", os.path.join(name, "runs"))
        monkeypatch.setenv("XDG_DATA_HOME", os.path.join(name, "data"))
        monkeypatch.setattr(application, "BATCH", 3)
        monkeypatch.setattr(undoing, "BATCH", 3)
        # a kill asks nothing of the disk: the calls are counted, and don't wait
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        monkeypatch.setattr(file_io, "_SYNCFS", lambda descriptor: 0)
        yield Path(name)


@pytest.fixture(params=KINDS)
def sort(request: pytest.FixtureRequest, place: Path, tmp_path: Path) -> tuple[Path, Path, str]:
    """Source, destination and kind of action."""
    across = request.param == "move across"
    source = pictures(place / "here" / "photos", request.param, 3 if across else 6)
    if not across:
        return source, place / "here" / "sorted", request.param
    if os.stat(place).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("this machine has one file system only")
    (tmp_path / "there").mkdir()
    return source, tmp_path / "there" / "sorted", "move"


def pictures(root: Path, kind: str, count: int = 6) -> Path:
    """`photos`, with tags where they are to be taken away."""
    photos(root, count)
    if kind == "untag":
        apply(planned(root, root, "tag"))
        for edited in root.rglob("Caf*.xmp"):  # it stays without its tag, others go
            edited.write_bytes(add(edited.read_bytes(), "mine/too"))
    return root


# --- killed ------------------------------------------------------------------------------------


CALLS = ["unlink", "link", "symlink", "mkdir", "rmdir", "utime", "fsync", "copy_file_range",
         "chmod", "rename", "replace"]  # fmt: skip


def fork() -> int:
    """os.fork, with a child without garbage collection. What other tests left, a model with its
    threads, would be closed there and wait for threads that no fork takes along, without end."""
    child = os.fork()
    if not child:
        gc.disable()
    return child


def dies_at(number: int, act: Callable[[], object], torn: bool = False) -> int | None:
    """Run `act` in a child that is killed just before its `number`-th change to a file system, or
    in the middle of it, where it is a journal line (`torn`). How many changes it made if it lived.
    """
    reader, writer = os.pipe()
    child = fork()
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
        renaming._RENAME = watched(renaming._RENAME)  # type: ignore[arg-type,assignment]
        sync = journal.Journal.sync

        def syncing(self: journal.Journal, events: object = ()) -> None:
            nonlocal made
            made += 1
            if made == number:
                if torn:
                    self._waiting += events  # type: ignore[arg-type]
                    lines = "".join(json.dumps(event) + "\n" for event in self._waiting)
                    self._file.write(lines.encode()[: random.Random(number).randrange(len(lines))])
                os.kill(os.getpid(), signal.SIGKILL)
            sync(self, events)  # type: ignore[arg-type]

        journal.Journal.sync = syncing  # type: ignore[method-assign]
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


def in_trash(source: Path) -> list[Path]:
    """The folders of a trash that have files of `source`: of the home's, or of the one on a small
    disk."""
    small = [
        folder for folder in source.parents if folder.name == "small" and os.path.ismount(folder)
    ]
    trash = [Path(os.environ["XDG_DATA_HOME"]) / "Trash"]
    trash += [folder / f".Trash-{os.getuid()}" for folder in small]
    return [one / "files" for one in trash if (one / "files").is_dir()]


def is_trash_empty(source: Path) -> bool:
    """No file, and no information file that is about none."""
    trash = (path.parent for path in in_trash(source))
    return not [path for one in trash for path in one.rglob("*") if not path.is_dir()]


def check_nothing_lost(before: list[bytes], source: Path, to: Path, kind: str) -> None:
    """No content is missing anywhere, and none of the visible files is half of one."""
    now = tree(source, to, *in_trash(source))
    visible = {
        path: node.content
        for path, node in now.items()
        if node.content is not None and b".zeroshelf-" not in path
    }
    if kind in LINKS:
        visible = {path: content for path, content in visible.items() if not os.path.islink(path)}
    if kind in ("tag", "untag"):  # sidecars are whole, old or new, and pictures are untouched
        whole = [content for path, content in visible.items() if path.endswith(b".xmp")]
        assert all(content.rstrip().endswith(b"?>") for content in whole)
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
        record = planned(source, to, kind)
        lived = dies_at(number, partial(apply, record), torn)
        check_nothing_lost(before, source, to, kind)
        if number % 2:
            assert statuses(apply(record)) <= {"done", "already"}
            check_nothing_lost(before, source, to, kind)
            assert kind != "move" or contents(source, to) == before, "not moved, but doubled"
            assert not [path for path in tree(to) if b".zeroshelf-" in path]
        assert statuses(undo(record)) <= {"done", "already"}
        assert tree(source.parent, to.parent) == start
        assert is_trash_empty(source)
        assert registry.find(os.path.basename(record)).state in ("undone", "planned")
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
        record = planned(source, to, kind)
        assert statuses(apply(record)) == {"done"}
        lived = dies_at(number, partial(undo, record), torn)
        check_nothing_lost(before, source, to, kind)
        if number % 2:
            assert statuses(apply(record)) <= {"done", "already"}
            check_nothing_lost(before, source, to, kind)
            assert kind != "move" or contents(source, to) == before, "not moved, but doubled"
        assert statuses(undo(record)) <= {"done", "already"}
        assert tree(source.parent, to.parent) == start
        assert is_trash_empty(source)
        if lived:
            break
    assert number > 20


@pytest.mark.parametrize("seed", range(14))
def test_killed_at_random_instants(place: Path, seed: int) -> None:
    """20 kills each, by a clock, one after the other on the same run."""
    chance = random.Random(seed)
    kind = EVERY[seed % len(EVERY)]
    source, to = pictures(place / "photos", kind, 120), place / "sorted"
    before, start = contents(source), tree(source)
    record = planned(source, to, kind)
    began = time.perf_counter()
    apply(record)
    undo(record)
    took = time.perf_counter() - began
    kills = 0
    while kills < 20:
        act = chance.choice([apply, apply, undo])
        child = fork()
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
    assert tree(source) == start and is_trash_empty(source)
    assert not to.exists()


# --- full --------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 256 KB and 150 names."""
    with mounted(place / "small", "size=256k,nr_inodes=150") as disk:
        yield disk


@pytest.fixture
def much(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it was asked there was room; a moment later others have taken it."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Much)


class _Much:
    free = 1 << 60


def fill(disk: Path, pages: int = 0, names: int = 0) -> Path:
    """Leave so much room and no more. The folder whose removal makes room again."""
    ballast = disk / "ballast"
    ballast.mkdir()
    (ballast / "large").touch()
    while (left := os.statvfs(disk).f_favail) > names:
        (ballast / str(left)).touch()
    free = os.statvfs(disk)
    (ballast / "large").write_bytes(bytes((free.f_bavail - pages) * free.f_bsize))
    return ballast


def staged(*roots: Path) -> list[bytes]:
    """Hidden files of our own that were not removed."""
    return [path for path in tree(*roots) if b".zeroshelf-" in path]


ROOM = {  # pages and names that are left: enough for some of it
    "copy": (6, 40), "move across": (6, 40), "move": (6, 3), "symlink": (6, 9),
    "relative-symlink": (6, 9), "hardlink": (6, 9), "tag": (6, 3), "untag": (6, 1),
    "trash": (6, 7),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_disk_full_in_the_middle_of_apply(
    small_disk: Path, place: Path, much: None, kind: str
) -> None:
    own = place if kind in ("copy", "move across") else small_disk
    source, to = pictures(own / "here" / "photos", kind, 12), small_disk / "here" / "sorted"
    to.parent.mkdir(exist_ok=True)
    start, before = tree(source.parent, to.parent), contents(source)
    pages, names = ROOM[kind]
    kind = kind.partition(" ")[0]
    record = planned(source, to, kind)
    ballast = fill(small_disk, pages, names)
    outcomes = apply(record)
    assert {o.reason for o in outcomes if o.status == "failed"} >= {"No space left on device"}
    assert statuses(outcomes) == {"done", "failed"}
    check_nothing_lost(before, source, to, kind)
    assert not staged(source, to)
    undo(record)
    check_nothing_lost(before, source, to, kind)
    assert not staged(source, to)
    shutil.rmtree(ballast)
    assert statuses(apply(record)) <= {"done", "already"}
    check_nothing_lost(before, source, to, kind)
    assert statuses(undo(record)) == {"done"}
    assert tree(source.parent, to.parent) == start


@pytest.mark.parametrize("kind", KINDS)
def test_disk_full_in_the_middle_of_undo(
    small_disk: Path, place: Path, much: None, kind: str
) -> None:
    other = place if kind == "move across" else small_disk
    source, to = pictures(small_disk / "here" / "photos", kind, 12), other / "here" / "sorted"
    to.parent.mkdir(exist_ok=True)
    start, before = tree(source.parent, to.parent), contents(source)
    needs_room = kind in ("move across", "tag", "untag")
    kind = kind.partition(" ")[0]
    record = planned(source, to, kind)
    assert statuses(apply(record)) == {"done"}
    ballast = fill(small_disk, names=1)
    outcomes = undo(record)
    assert ("failed" in statuses(outcomes)) == needs_room
    check_nothing_lost(before, source, to, kind)
    assert not staged(source, to)
    shutil.rmtree(ballast)
    assert statuses(undo(record)) <= {"done", "already"}
    assert tree(source.parent, to.parent) == start


@pytest.mark.parametrize("below", ["", "cat", "a"])
@pytest.mark.parametrize("kind", ["copy", "move", "symlink"])
def test_room_is_asked_of_every_file_system(
    small_disk: Path, place: Path, kind: str, below: str
) -> None:
    """The small disk is the destination, or a shelf of it: a mount point."""
    source, to = photos(place / "here" / "photos", 3), place / "here" / "sorted"
    for i in range(3):
        put(source / f"large{i}.jpg", b"\xff\xd8\xff" + bytes([i]) * 300_000)
    (to / below).mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(small_disk), str(to / below)], check=True)
    try:
        start = tree(source, to)
        record = planned(source, to, kind)
        if kind == "symlink":
            assert statuses(apply(record)) == {"done"}
        else:
            with pytest.raises(UserError, match=rf"needed in {to / below}, and .* free there"):
                apply(record)
        undo(record)
        assert tree(source, to) == start
    finally:
        subprocess.run(["umount", str(to / below)], check=True)


def test_a_share_that_tells_no_size_is_tried(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone, or a share of a desktop: nothing is free there, and nothing is taken."""
    nothing = shutil.disk_usage(place)._replace(total=0, used=0, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: nothing)
    assert statuses(apply(planned(photos(place / "photos"), place / "to", "copy"))) == {"done"}


def test_room_is_asked_before_a_move_across_is_undone(small_disk: Path, place: Path) -> None:
    """Also where the pictures lie on a disk that is mounted, or linked, below the folder."""
    source, to = place / "photos", place / "sorted"
    source.mkdir()
    (small_disk / "inner").mkdir()
    put(small_disk / "inner" / "a.jpg", b"\xff\xd8\xff" + bytes(150_000))
    put(source / "b.jpg", b"\xff\xd8\xff" + bytes(150_000))
    (source / "linked").symlink_to(small_disk / "inner")
    found = scan.scan(str(source), follow=True)
    placed = ((picture, "cat", None) for picture in found.pictures)
    record = registry.new(plan.make(PlanRequest(found.root, str(to), "move"), placed))[1]
    start = tree(source, small_disk)
    assert statuses(apply(record)) == {"done"}
    ballast = fill(small_disk, pages=20, names=9)
    now = tree(source, to, small_disk / "inner")
    with pytest.raises(UserError, match=r"needed in .*linked, and .* make room, then undo"):
        undo(record)
    assert tree(source, to, small_disk / "inner") == now
    shutil.rmtree(ballast)
    assert statuses(undo(record)) == {"done"}
    os.utime(small_disk, ns=(start[os.fsencode(small_disk)].mtime_ns,) * 2)
    assert tree(source, small_disk) == start


@pytest.mark.parametrize("kind", ["copy", "move"])
def test_companions_stay_together_when_one_does_not_fit(
    small_disk: Path, place: Path, much: None, kind: str
) -> None:
    source, to = place / "photos", small_disk / "sorted"
    source.mkdir()
    put(source / "a.jpg", b"\xff\xd8\xff" + bytes(1000))
    put(source / "a.cr2", b"II*\0" + bytes(400_000))
    put(source / "a.xmp", xmp())
    start = tree(source)
    record = planned(source, to, kind)
    assert statuses(apply(record)) == {"failed"}
    assert contents(to) == []
    assert {p: n.content for p, n in tree(source).items()} == {
        p: n.content for p, n in start.items()
    }
    assert statuses(undo(record)) <= {"done", "already"}
    assert tree(source) == start and is_trash_empty(source)


@pytest.mark.parametrize("kind", EVERY)
def test_journal_on_a_full_disk(
    small_disk: Path, place: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is done that can't be written down first; with room again all goes on."""
    monkeypatch.setenv("ZEROSHELF_RUNS", str(small_disk / "runs"))
    source, to = photos(place / "photos", 60), place / "sorted"
    if kind == "untag":
        monkeypatch.setenv("ZEROSHELF_RUNS", str(place / "runs"))
        apply(planned(source, source, "tag"))
        monkeypatch.setenv("ZEROSHELF_RUNS", str(small_disk / "runs"))
    before, start = contents(source), tree(source)
    record = planned(source, to, kind)
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


@pytest.mark.parametrize("mode", [0o500, 0o000], ids=["read only", "closed"])
@pytest.mark.parametrize("where", ["shelves", "photos"])
@pytest.mark.parametrize("kind", EVERY)
def test_permission_lost_in_the_middle(
    kind: ActionKind, where: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first batch the folders can't be written, or not even listed; later they can."""
    if where == "shelves" and kind in ("tag", "untag", "trash"):
        pytest.skip("tags have no shelves, nor has the trash")
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None) as name:
        monkeypatch.setenv("ZEROSHELF_RUNS", os.path.join(name, "runs"))
        monkeypatch.setenv("XDG_DATA_HOME", os.path.join(name, "data"))
        monkeypatch.setattr(application, "BATCH", 3)
        monkeypatch.setattr(undoing, "BATCH", 3)
        place = Path(name)
        source, to = pictures(place / "photos", kind, 12), place / "sorted"
        for root, _, files in os.walk(os.fsencode(place)):
            for path in [root, *(os.path.join(root, file) for file in files)]:
                os.chown(path, 65534, 65534) if os.geteuid() == 0 else None
        before, start = contents(source), tree(source)
        record = as_unprivileged(lambda: planned(source, to, kind))
        closed = [source / "one" / "two", source / "one"]
        if where == "shelves":
            closed = [to / "a" / "b", to / "cat", to / "frog"]

        def forbid(what: str, done: int, total: int) -> None:
            for here in closed:
                with contextlib.suppress(OSError):  # not made yet, or closed already
                    here.chmod(mode)

        def allow() -> None:
            for here in closed[::-1]:
                with contextlib.suppress(FileNotFoundError):
                    here.chmod(start[os.fsencode(source)].mode)

        needs = where == "shelves" or mode == 0 or kind in ("move", "tag", "untag", "trash")
        assert as_unprivileged(lambda: statuses(apply(record, forbid))) >= {"done"}
        for act in (apply, undo):
            found = as_unprivileged(partial(carried_out, act, record))
            assert needs == ("failed" in found)
            allow()
            check_nothing_lost(before, source, to, kind)
            assert not staged(source, to)
            assert as_unprivileged(lambda: statuses(apply(record))) <= {"done", "already"}
            check_nothing_lost(before, source, to, kind)
            forbid("", 0, 0)
        allow()
        assert as_unprivileged(lambda: statuses(undo(record))) == {"done"}
        assert tree(source) == start
        assert not to.exists()


def carried_out(act: Callable[[str], list[Outcome]], record: str) -> set[str]:
    return statuses(act(record))


def as_unprivileged(act: Callable[[], Answer]) -> Answer:
    """Root may write everywhere: act in a child that isn't root."""
    if os.geteuid() != 0:
        return act()
    reader, writer = os.pipe()
    child = fork()
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
    (to / "cat" / "b c.jpg").write_bytes(b"someone else's")
    now = contents(source)
    outcomes = {o.action.source: o for o in apply(record)}
    assert outcomes[str(source / "a.jpg")].reason == "it has changed since the plan was made"
    assert outcomes[str(source / "a.cr2")].reason.startswith("stays with a.jpg: ")
    assert "there is already something at" in outcomes[str(source / "one" / "b c.jpg")].reason
    assert contents(source, to) == sorted([*now, b"someone else's"])
    assert (to / "cat" / "b c.jpg").read_bytes() == b"someone else's"
    assert statuses(undo(record)) == {"done"}
    assert contents(source) == now
    assert contents(to) == [b"someone else's"]


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "trash"])  # see test_trash.py
def test_files_of_others_meet_every_kind_of_action(place: Path, kind: ActionKind) -> None:
    """Before apply a source is edited, one is removed, and a target is taken; before undo a target
    is replaced, one is removed, and a file is put beside them."""
    source, to = pictures(place / "photos", kind, 12), place / "sorted"
    record = planned(source, to, kind)
    actions = {a.source: a for a in plan_file.load(os.path.join(record, "plan.jsonl")).actions}
    edited, removed, taken, *others = [a for a in actions.values() if a.companion_of is None][1:]
    put(Path(edited.source), b"\xff\xd8\xffedited since")
    Path(removed.source).unlink()
    if kind not in ("tag", "untag"):
        Path(taken.target).parent.mkdir(parents=True)
        Path(taken.target).write_bytes(b"someone else's")
    now, before = tree(place / "photos", to), contents(source)
    said = {o.action.source: o for o in apply(record)}
    assert said[edited.source].reason == "it has changed since the plan was made"
    assert said[removed.source].reason == "it no longer exists"
    if kind not in ("tag", "untag"):
        assert said[taken.source].reason == f"there is already something at {taken.target}"
        assert Path(taken.target).read_bytes() == b"someone else's"
    assert "done" in {o.status for o in said.values()}
    assert statuses(undo(record)) == {"done"}
    assert tree(place / "photos", to) == now

    assert "done" in statuses(apply(record))
    replaced, gone, *_ = [a for a in others if said[a.source].status == "done"]
    for target in (replaced.target, gone.target):
        with contextlib.suppress(FileNotFoundError):  # untag removes sidecars itself
            Path(target).unlink()
    Path(replaced.target).write_bytes(b"another one's")
    (Path(others[-1].target).parent / "mine.txt").write_text("mine")
    left = {o.action.target: o.reason for o in undo(record) if o.status == "refused"}
    assert replaced.target in left
    assert Path(replaced.target).read_bytes() == b"another one's"
    assert (Path(others[-1].target).parent / "mine.txt").read_text() == "mine"
    lost = {now[os.fsencode(a.source)].content for a in (replaced, gone)} if kind == "move" else {}
    kept = {content for content in before if not content.startswith(b"<?")} - {*lost}
    assert kept <= set(contents(source, to))
    Path(replaced.target).unlink()
    undo(record)
    assert not staged(source, to)


@pytest.mark.parametrize("kind", ["copy", "move across", "tag", "untag"])
def test_what_can_not_be_synced_gets_no_name(
    place: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    across = kind == "move across"
    if across and os.stat(place).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("this machine has one file system only")
    source = pictures(place / "photos", kind)
    to, kind = (tmp_path if across else place) / "sorted", kind.partition(" ")[0]
    start = tree(source)
    record = planned(source, to, kind)

    def fail(descriptor: int) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(file_io, "_SYNCFS", fail)
    outcomes = apply(record)
    assert "Input/output error" in {o.reason for o in outcomes if o.status == "failed"}
    assert not staged(source, to)
    monkeypatch.setattr(file_io, "_SYNCFS", lambda descriptor: 0)
    assert statuses(apply(record)) <= {"done", "already"}
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


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
    assert registry.find(os.path.basename(record)).state == "partly"
    os.unlink(first.target)
    assert {o.status for o in undo(record)} == {"already", "refused"}


def test_undo_of_a_move_never_overwrites_the_old_place(place: Path) -> None:
    source, to = photos(place / "photos"), place / "sorted"
    record = planned(source, to, "move", labels=["cat"])
    before = contents(source)
    first, second, *_ = [o.action for o in apply(record) if o.action.companion_of is None]
    put(Path(first.source), b"someone else's")
    put(Path(second.target), b"retouched")
    left = {o.action.target: o.reason for o in undo(record) if o.status == "refused"}
    assert left == {
        first.target: f"there is something else at {first.source} now",
        second.target: "it has changed since it was moved",
    }
    assert Path(first.source).read_bytes() == b"someone else's"
    os.unlink(first.source)
    assert statuses(undo(record)) == {"done", "refused"}
    os.rename(second.target, place / "retouched")
    assert len(set(before) - set(contents(source))) == 1


def test_undo_needs_the_journal_alone_and_apply_the_folder(place: Path) -> None:
    source, to = photos(place / "photos"), place / "sorted"
    start = tree(source)
    record = planned(source, to, "move")
    assert undo(record) == []
    assert registry.find().state == "planned"
    apply(record)
    os.unlink(os.path.join(record, "plan.jsonl"))
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start
    record = planned(source, to, "copy")
    source.rename(place / "elsewhere")
    with pytest.raises(UserError, match="no longer exists"):
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
    child = fork()
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
            with pytest.raises(UserError, match="another run is working in"):
                act()
        assert not (place / "elsewhere").exists()
        assert statuses(apply(third)) == {"done"}  # has nothing to do with the first
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert statuses(apply(first)) == {"done", "already"}  # the lock went with its holder


def test_two_machines_never_stage_under_one_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = str(place / "shelf.jpg")
    parts = {}
    for name in ("a", "b"):
        put(place / name, name.encode() * 100)
        monkeypatch.setattr(transfer, "_WHO", name.encode())
        parts[name] = transfer.stage(str(place / name), target)
    transfer.publish(parts["a"], target, str(place / "a"))
    with pytest.raises(FileExistsError):
        transfer.publish(parts["b"], target, str(place / "b"))
    assert Path(target).read_bytes() == b"a" * 100


@pytest.mark.parametrize("destinations", ["one", "two"])
def test_two_machines_race_on_one_share(
    sort: tuple[Path, Path, str],
    destinations: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither sees the other's lock. Nothing is lost, nothing is half a file, and both undo."""
    source, to, kind = sort
    second = to if destinations == "one" else to.with_name("sorted too")
    before, start = contents(source), tree(source)
    for _ in range(2):
        machines = []
        for home, where in (("a", to), ("b", second)):
            monkeypatch.setenv("ZEROSHELF_RUNS", str(place / home))
            record = planned(source, where, kind)
            machines.append((home.encode(), record))
        children = []
        for name, record in machines:
            child = fork()
            if not child:
                code = 1
                try:
                    transfer._WHO = name
                    code = 0 if statuses(apply(record)) <= {"done", "refused", "failed"} else 2
                finally:
                    os._exit(code)
            children.append(child)
        codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
        assert codes == {0}
        roots = {to, second}
        made = [content for root in (*roots, *in_trash(source)) for content in contents(root)]
        if kind not in (*LINKS, "tag", "untag"):
            assert set(before) == set(contents(source)) | set(made), "lost, or half a file"
        assert not staged(source, *roots)
        for name, record in machines * 2:
            monkeypatch.setattr(transfer, "_WHO", name)
            try:
                undo(record)
            except UserError:  # the other's undo took the last of what both had made
                assert not all(root.exists() for root in roots)
        now = tree(source)
        assert {p: n.content for p, n in now.items()} == {p: n.content for p, n in start.items()}
        assert not [content for root in roots for content in contents(root)]


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("act", [apply, undo])
def test_two_processes_race_for_one_run(
    place: Path, kind: ActionKind, act: Callable[[str], list[Outcome]]
) -> None:
    """Both apply or undo the same run: between them each action is done once."""
    source, to = pictures(place / "photos", kind, 60), place / "sorted"
    before, start = contents(source), tree(source)
    record = planned(source, to, kind)
    if act is undo:
        apply(record)
    children = []
    for _ in range(2):
        child = fork()
        if not child:
            code = 1
            try:
                code = 0 if statuses(act(record)) <= {"done", "already"} else 3
            except UserError:
                code = 2
            finally:
                os._exit(code)
        children.append(child)
    codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
    assert 0 in codes and codes <= {0, 2}
    check_nothing_lost(before, source, to, kind)
    if act is apply:
        assert kind != "move" or contents(to) == before
        assert statuses(apply(record)) == {"already"}
        assert statuses(undo(record)) == {"done"}
    assert tree(source) == start
    assert not to.exists()
