"""One run at a time on a folder: in two processes, after a kill, without the system's locks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zeroshelf.actions import lock
from zeroshelf.errors import UserError

WITHOUT_FCNTL = "import sys; sys.modules['fcntl'] = None\n"
HOLD = (
    "import sys\n"
    "from zeroshelf.actions import lock\n"
    "with lock.hold(sys.argv[1], 'other', *sys.argv[2:]):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


@contextmanager
def holder(locks: Path, *folders: Path, before: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that locks `folders` until it is killed, or its standard input closed."""
    command = [sys.executable, "-W", "error", "-c", before + HOLD, str(locks), *map(str, folders)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def refused(locks: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="another run is working in"):  # noqa: SIM117
        with lock.hold(str(locks), "mine", str(folder)):
            raise AssertionError


def left(locks: Path) -> set[str]:
    return {path.suffix for path in locks.iterdir()} - {""}  # the gate has none


@pytest.mark.parametrize("theirs", ["a", "a/b", "."])
@pytest.mark.parametrize("before", ["", WITHOUT_FCNTL], ids=["as is", "no fcntl"])
def test_a_folder_above_below_and_the_same_are_held(
    tmp_path: Path, theirs: str, before: str
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    locks, mine = tmp_path / "locks", tmp_path / "a"
    with holder(locks, tmp_path / theirs, before=before):
        code = (
            "import sys\n"
            "from zeroshelf.actions import lock\n"
            "from zeroshelf.errors import UserError\n"
            "try:\n"
            "    with lock.hold(sys.argv[1], 'mine', sys.argv[2]): print('got it')\n"
            "except UserError as error: print(error)\n"
        )
        for folder, expected in (
            (mine, "another run is working in"),
            (tmp_path / "else", "got it"),
        ):
            if theirs == "." and folder != mine:
                continue  # everything is below that one
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", before + code, str(locks), str(folder)],
                capture_output=True,
                text=True,
                check=True,
            )
            assert expected in done.stdout and not done.stderr


def test_nothing_is_left_of_a_lock(tmp_path: Path) -> None:
    with lock.hold(str(tmp_path / "locks"), "mine", str(tmp_path)):
        assert left(tmp_path / "locks") == {".lock", ".json"}
    assert left(tmp_path / "locks") == set()


@pytest.mark.parametrize("before", ["", WITHOUT_FCNTL], ids=["as is", "no fcntl"])
def test_a_killed_run_leaves_no_lock(tmp_path: Path, before: str) -> None:
    locks = tmp_path / "locks"
    with holder(locks, tmp_path, before=before) as process:
        process.kill()
        process.wait()
    assert len(left(locks)) == 2  # the lock and its list
    code = (
        "from zeroshelf.actions import lock\nwith lock.hold({!r}, 'mine', {!r}): print('got it')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", before + code.format(str(locks), str(tmp_path))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "got it\n" and not done.stderr
    assert left(locks) == set()


def test_what_real_locks_left_is_no_obstacle_where_there_are_only_marker_files(
    tmp_path: Path,
) -> None:
    """Their gate stays, empty: as a marker it would have no holder, and be waited for in vain."""
    with lock.hold(str(tmp_path / "locks"), "mine", str(tmp_path)):
        pass
    with holder(tmp_path / "locks", tmp_path, before=WITHOUT_FCNTL):
        pass


def test_a_gate_that_is_never_free_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_LONGEST", 0.2)
    locks = tmp_path / "locks"
    locks.mkdir()
    held = lock.hold(str(locks), "mine", str(tmp_path))
    with (
        lock._gate(str(locks / lock._GATE)),
        pytest.raises(UserError, match="remove the file if there is no such process"),
    ):
        held.__enter__()


def test_two_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    with lock.hold(str(locks), "one", str(tmp_path)):
        refused(locks, tmp_path)
        with lock.hold(str(locks), "one", str(tmp_path.parent / "else")):
            pass
    with lock.hold(str(locks), "one", str(tmp_path)):
        pass


@pytest.mark.skipif(os.name == "nt", reason="version 0.1.0 couldn't be used on Windows")
def test_a_run_of_0_1_0_at_work_is_respected(tmp_path: Path) -> None:
    """It wrote its folders into the file that it held."""
    import fcntl

    locks = tmp_path / "locks"
    locks.mkdir()
    with open(locks / "20260101-000000-aaaa-1.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump([str(tmp_path / "a")], file)
        file.flush()
        with lock.hold(str(locks), "mine", str(tmp_path / "b")):
            pass
        refused(locks, tmp_path / "a")
    with lock.hold(str(locks), "mine", str(tmp_path / "a")):
        pass


def test_a_lock_whose_folders_are_unknown_is_for_all(tmp_path: Path) -> None:
    """As on Windows, should its list be lost: a locked file can't be read there."""
    locks = tmp_path / "locks"
    with holder(locks, tmp_path / "a"):
        (the_list,) = locks.glob("*.json")
        the_list.unlink()
        refused(locks, tmp_path / "b")
