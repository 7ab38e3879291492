"""A move whose original can't be taken away: nothing is left behind, whatever keeps it there."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.making import JPEG, contents, photos, planned, put, statuses, tree
from tests.small_disk import mounted
from tests.systems import posix
from tests.test_faults import as_unprivileged, dies_at, place, staged
from tests.test_shares import Share, library, said
from zeroshelf.actions import kinds, plan, plan_file
from zeroshelf.actions.apply import apply
from zeroshelf.actions.undo import undo
from zeroshelf.errors import UserError
from zeroshelf.records import ActionKind, PlanRequest
from zeroshelf.system import renaming

pytestmark = posix

__all__ = ["library", "place"]  # fixtures


@pytest.fixture
def shelves(tmp_path: Path) -> Iterator[Path]:
    """A destination on another file system than `tmp_path`."""
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("NOT TESTED: this machine has one file system only")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        os.chmod(name, 0o777)
        yield Path(name, "sorted")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Shows a folder at a second place, where it is read-only."""
    made: list[Path] = []

    def bind(folder: Path) -> Path:
        over = tmp_path / f"read only {len(made)}"
        over.mkdir()
        for options in (["--bind", str(folder), str(over)], ["-o", "remount,ro,bind", str(over)]):
            if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
                pytest.skip("NOT TESTED: mounting read-only needs root")
            made.append(over) if over not in made else None
        return over

    yield bind
    for over in made:
        subprocess.run(["umount", over], check=True)


def test_a_read_only_file_system_is_refused_when_the_plan_is_made(
    tmp_path: Path, read_only: Callable[[Path], Path]
) -> None:
    source = read_only(photos(tmp_path / "photos"))
    with pytest.raises(UserError, match=r"read-only; use --as copy"):
        kinds.of("move").check(PlanRequest(str(source), str(tmp_path / "to"), "move"))
    assert "move" not in plan.possible(
        plan.make(PlanRequest(str(source), str(tmp_path / "to"), "copy"), [])
    )
    record = planned(source, tmp_path / "to", "copy")
    assert statuses(apply(record)) == {"done"}


def test_read_only_since_the_plan_was_made(
    tmp_path: Path, shelves: Path, read_only: Callable[[Path], Path]
) -> None:
    """The whole folder, and one folder in it of which nothing is moved, while the rest is."""
    source = photos(tmp_path / "photos")
    (tmp_path / "other").mkdir()
    (source / "inner").mkdir()
    put(tmp_path / "other" / "z.jpg", JPEG + b"z")
    over = read_only(tmp_path / "other")
    subprocess.run(["mount", "--bind", over, source / "inner"], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", source / "inner"], check=True)
        start = tree(source)
        record = planned(source, shelves, "move", ["cat"])
        outcomes = {os.path.basename(o.action.source): o for o in apply(record)}
        assert outcomes["z.jpg"].status == "failed"
        assert outcomes["z.jpg"].reason.startswith("Read-only file system")
        assert {o.status for o in outcomes.values()} == {"done", "failed"}
        assert not (shelves / "cat" / "z.jpg").exists()
        assert statuses(undo(record)) == {"done"}
        assert tree(source) == start
    finally:
        subprocess.run(["umount", source / "inner"], check=True)


@pytest.mark.parametrize("why", ["folder", "sticky"])
def test_a_folder_that_may_not_be_changed(
    shelves: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: needs a second user")
    with tempfile.TemporaryDirectory() as name:  # open to every user, unlike tmp_path
        source = photos(Path(name, "photos"))
        for here in (Path(name), source, source / "one", source / "one" / "two"):
            here.chmod(0o1777 if why == "sticky" and here != Path(name) else 0o755)
        for path in [path for path in Path(name).rglob("*") if path.is_file()]:
            path.chmod(0o666)
        monkeypatch.setenv("ZEROSHELF_RUNS", f"{shelves.parent}/runs")
        record = as_unprivileged(lambda: planned(source, shelves, "move"))
        start = tree(source)

        def act() -> tuple[set[str], bool]:
            outcomes = apply(record)
            return statuses(outcomes), all("not moved" in o.reason for o in outcomes)

        assert as_unprivileged(act) == ({"failed"}, True)
        assert tree(source) == start and not contents(shelves)
        assert as_unprivileged(lambda: statuses(undo(record))) <= {"done", "already"}
        assert not shelves.exists()


def test_a_plan_to_move_says_which_folders_may_not_be_changed(
    shelves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: needs a second user")
    monkeypatch.setenv("ZEROSHELF_RUNS", f"{shelves.parent}/runs")
    with tempfile.TemporaryDirectory() as name:
        source = photos(Path(name, "photos"))
        for here in (Path(name), source, source / "one", source / "one" / "two"):
            here.chmod(0o777 if here == source else 0o755)
        for path in [path for path in source.rglob("*") if path.is_file()]:
            path.chmod(0o666)

        def notes(kind: ActionKind) -> tuple[str, ...]:
            return plan_file.load(os.path.join(planned(source, shelves, kind), "plan.jsonl")).notes

        said = as_unprivileged(lambda: notes("move"))
        assert any("4 lie in folders that may not be changed" in note for note in said)
        assert not any("moved" in note for note in as_unprivileged(lambda: notes("copy")))


@pytest.mark.parametrize("flag", ["i", "a"])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_immutable(tmp_path: Path, shelves: Path, what: str, flag: str) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    put(source / "a.jpg", JPEG)
    locked = source if what == "folder" else source / "a.jpg"
    record = planned(source, shelves, "move")
    chattr = shutil.which("chattr")
    if (
        not chattr
        or subprocess.run([chattr, f"+{flag}", locked], check=False, capture_output=True).returncode
    ):
        pytest.skip("NOT TESTED: making a file immutable needs root, chattr and ext4, XFS or btrfs")
    try:
        outcomes = apply(record)
        assert statuses(outcomes) == {"failed"} and "not moved" in outcomes[0].reason
        assert (source / "a.jpg").exists() and not contents(shelves)
        assert statuses(undo(record)) <= {"done", "already"}
        assert not shelves.exists()
    finally:
        subprocess.run([chattr, f"-{flag}", locked], check=True)


@pytest.mark.parametrize("companion", [False, True])
def test_what_turns_out_to_be_stuck(
    library: Path, tmp_path: Path, shelves: Path, companion: bool
) -> None:
    """As a file in use on Windows: known only after the copy. It goes again, and its companions go
    back to it."""
    source = photos(tmp_path / "photos")
    start = tree(source)
    record = planned(source, shelves, "move", ["cat"])
    stuck = source / ("a.cr2" if companion else "a.jpg")
    outcomes = {s: (status, reason) for s, _, status, reason, _ in
                Share(library, tmp_path / "none", STUCK=str(stuck))("apply", record)}  # fmt: skip
    assert outcomes[str(stuck)] == ("failed", "Permission denied")
    for name in ("a.jpg", "a.cr2", "a.xmp"):
        assert outcomes[str(source / name)][0] == "failed"
        assert (source / name).exists() and not (shelves / "cat" / name).exists()
    assert {status for status, _ in outcomes.values()} == {"done", "failed"}
    assert not staged(source, shelves)
    assert statuses(undo(record)) == {"done", "already"}
    assert tree(source) == start


def test_neither_original_nor_copy_can_be_removed(
    library: Path, tmp_path: Path, shelves: Path
) -> None:
    """Both stay, it is said where, and a later undo takes the copy away."""
    source = tmp_path / "photos"
    source.mkdir()
    put(source / "a.jpg", JPEG)
    start = tree(source)
    record = planned(source, shelves, "move", ["cat"])
    with pytest.MonkeyPatch.context() as patch:
        unlink = os.unlink

        def refuse(path: Any, *args: Any, **options: Any) -> None:
            if os.path.basename(path) == "a.jpg":
                raise PermissionError(errno.EACCES, "Permission denied")
            unlink(path, *args, **options)

        patch.setattr(os, "unlink", refuse)
        (outcome,) = apply(record)
    assert outcome.status == "failed"
    assert f"its copy {shelves / 'cat' / 'a.jpg'} can't be removed" in outcome.reason
    assert contents(source) == contents(shelves)
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start and not shelves.exists()


@pytest.mark.parametrize("how", ["move", "undo"])
def test_a_rename_by_two_names_leaves_one(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a rename is made of a link and an unlink, and the second fails."""
    monkeypatch.setattr(renaming, "_RENAME", None)
    (tmp_path / "x").write_bytes(b"x")

    def refuse(path: Any) -> None:
        if os.fspath(path).endswith("x"):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        os.remove(path)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(PermissionError):
        renaming.rename(str(tmp_path / "x"), str(tmp_path / "y"))
    assert os.listdir(tmp_path) == ["x"]


def between(record: str, source: Path, to: Path) -> None:
    """Leave a move across file systems killed after its copy got its name, before the original
    went."""
    for number in range(1, 1000):
        lived = dies_at(number, lambda: apply(record))
        assert not lived, "there is no such instant"
        if len(contents(to)) and not staged(to) and len(contents(source)) == 1:
            assert contents(source) == contents(to)
            return


@pytest.fixture
def killed(place: Path, tmp_path: Path) -> tuple[str, Path, Path]:
    """Record, the original and its copy after such a kill."""
    if os.stat(place).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("NOT TESTED: this machine has one file system only")
    source, to = tmp_path / "photos", place / "sorted"
    source.mkdir()
    put(source / "a.jpg", JPEG + b"whole")
    record = planned(source, to, "move", ["cat"])
    between(record, source, to)
    return record, source / "a.jpg", to / "cat" / "a.jpg"


def test_killed_before_the_original_went(
    killed: tuple[str, Path, Path], read_only: Callable[[Path], Path], place: Path
) -> None:
    """And then it can't go: the folder is read-only by now, without any room."""
    record, original, copy = killed
    over = read_only(original.parent)
    subprocess.run(["mount", "--bind", over, original.parent], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", original.parent], check=True)
        outcomes = apply(record)
        assert statuses(outcomes) == {"failed"}
        assert original.exists() and not copy.exists()
    finally:
        subprocess.run(["umount", original.parent], check=True)


def test_undo_removes_the_copy_of_an_original_that_is_read_only(
    killed: tuple[str, Path, Path],
    read_only: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    record, original, copy = killed
    over = read_only(original.parent)
    subprocess.run(["mount", "--bind", over, original.parent], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", original.parent], check=True)

        class Nothing:
            free = 0

        monkeypatch.setattr(shutil, "disk_usage", lambda path: Nothing)
        start = tree(original.parent)
        assert statuses(undo(record)) == {"done"}
        assert tree(original.parent) == start and not copy.parent.parent.exists()
    finally:
        subprocess.run(["umount", original.parent], check=True)


@pytest.mark.parametrize("which", ["original", "copy"])
def test_an_edit_after_the_kill_is_never_lost(killed: tuple[str, Path, Path], which: str) -> None:
    """Neither apply, which would go on and remove the original, nor undo, which would remove the
    copy."""
    record, original, copy = killed
    edited = original if which == "original" else copy
    edited.write_bytes(JPEG + b"edit!")
    before = original.read_bytes(), copy.read_bytes()
    assert statuses(apply(record)) == {"refused"}
    assert (original.read_bytes(), copy.read_bytes()) == before
    assert statuses(undo(record)) == {"refused"}
    assert (original.read_bytes(), copy.read_bytes()) == before


def test_undo_whose_shelf_is_read_only_copies_nothing_back(
    tmp_path: Path, shelves: Path, read_only: Callable[[Path], Path]
) -> None:
    source = photos(tmp_path / "photos")
    start = tree(source)
    record = planned(source, shelves, "move", ["cat"])
    assert statuses(apply(record)) == {"done"}
    over = read_only(shelves / "cat")
    subprocess.run(["mount", "--bind", over, shelves / "cat"], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", shelves / "cat"], check=True)
        assert statuses(undo(record)) == {"failed"}
        assert not contents(source) and not staged(source)
    finally:
        subprocess.run(["umount", shelves / "cat"], check=True)
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


def test_the_destination_turns_read_only_midway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staged copies that can't even be removed: all is listed, and a later undo clears up."""
    from zeroshelf.actions import apply as application

    monkeypatch.setattr(application, "BATCH", 3)
    source = photos(tmp_path / "photos", 12)
    with mounted(tmp_path / "to") as to:
        start, before = tree(source), contents(source)
        record = planned(source, to / "sorted", "copy", ["cat"])

        def turn(what: str, done: int, total: int) -> None:
            subprocess.run(["mount", "-o", "remount,ro", to], check=True)

        outcomes = apply(record, turn)
        assert statuses(outcomes) == {"done", "failed"}
        assert {o.reason for o in outcomes if o.status == "failed"} == {"Read-only file system"}
        assert "failed" in statuses(undo(record))
        subprocess.run(["mount", "-o", "remount,rw", to], check=True)
        assert statuses(undo(record)) <= {"done", "already"}
        assert not (to / "sorted").exists()
        assert tree(source) == start and contents(source) == before


def test_runs_record_turns_read_only_midway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more is done than what can be written down, and with the disk back all goes on."""
    from zeroshelf.actions import apply as application

    monkeypatch.setattr(application, "BATCH", 3)
    with mounted(tmp_path / "disk") as disk:
        monkeypatch.setenv("ZEROSHELF_RUNS", str(disk / "runs"))
        source, to = photos(tmp_path / "photos", 12), tmp_path / "to"
        start, before = tree(source), contents(source)
        record = planned(source, to, "move", ["cat"])
        sync = os.fsync
        calls: list[int] = []

        def fail(descriptor: int) -> None:
            calls.append(descriptor)
            if len(calls) == 4:
                raise OSError(errno.EROFS, "Read-only file system")
            sync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(UserError, match="Read-only file system"):
                apply(record)
        assert contents(source, to) == before
        assert statuses(apply(record)) <= {"done", "already"}
        assert statuses(undo(record)) == {"done"}
        assert tree(source) == start


def test_said_again_by_a_share(library: Path, tmp_path: Path, shelves: Path) -> None:
    """All that was stuck is moved once it isn't."""
    source = photos(tmp_path / "photos")
    before = contents(source)
    record = planned(source, shelves, "move", ["cat"])
    share = Share(library, tmp_path / "none", STUCK=str(source))
    assert said(share("apply", record)) == {"failed"}
    assert contents(source) == before and not contents(shelves)
    assert statuses(apply(record)) == {"done"}
    assert contents(shelves) == before
