"""The cache answers with what was put in, and never stops a run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.systems import posix
from tests.waiting import until
from zeroshelf.embeddings.cache import Embedded, Store
from zeroshelf.records import Picture

MODEL = "model-digest"


def picture(number: int, age: float = 100) -> Picture:
    at = time.time_ns() - int(age * 1e9)
    return Picture(f"/photos/{number}.jpg", "JPEG", 1000 + number, at, at)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def kept(number: int, note: str | None = None) -> Embedded:
    return Embedded(np.full(8, number, np.float16), b"jpeg %d" % number, note)


def rows(*numbers: int):
    return [(picture(n), key(n), kept(n)) for n in numbers]


def test_round_trip_keeps_the_order_asked_for(tmp_path: Path) -> None:
    path = str(tmp_path / "cache" / "e.sqlite")
    with Store.open(path) as store:
        store.add(MODEL, rows(1, 2, 3))
        store.add(MODEL, rows(4, 5))
    with Store.open(path) as store:
        found, vectors = store.vectors(MODEL, [key(5), key(9), key(1), key(1)])
        assert found.tolist() == [True, False, True, True]
        assert vectors[:, 0].tolist() == [5, 0, 1, 1]
        assert store.vectors("another", [key(5)])[0].tolist() == [False]
        assert store.thumbnails([key(4), key(9)]) == {key(4): b"jpeg 4"}
        assert store.trouble is None


def test_unchanged_files_need_not_be_read(tmp_path: Path) -> None:
    old, fresh = picture(1), picture(2, age=1)
    with Store.open(str(tmp_path / "e")) as store:
        store.add(MODEL, [(old, key(1), kept(1)), (fresh, key(2), kept(2))])
        changed = Picture(old.path, "JPEG", old.size, old.mtime_ns + 1, old.ctime_ns)
        assert store.digests([old, fresh]) == {old.path: key(1)}  # fresh may change unseen
        assert store.digests([changed]) == {}


@pytest.mark.parametrize("year", [1, 1600, 1969, 2400, 30828, 292_277_026_596])
def test_times_that_sqlite_does_not_hold(tmp_path: Path, year: int) -> None:
    """64 bits of nanoseconds end in 2262; a share may say 30828, and a disk before 1677."""
    at = (year - 1970) * 31_556_952 * 10**9
    odd = Picture("/photos/odd.jpg", "JPEG", 1, at, at)
    with Store.open(str(tmp_path / "e")) as store:
        store.add(MODEL, [(odd, key(1), kept(1)), (picture(2), key(2), kept(2))])
        past = year < 1970  # what is of the future may change unseen, so it is read again
        assert store.digests([odd, picture(2)]).get(odd.path) == (key(1) if past else None)
        other = Picture(odd.path, "JPEG", 1, at + 1, at)
        assert store.digests([other]) == {}
        assert store.vectors(MODEL, [key(1), key(2)])[0].all()
        assert store.trouble is None


def test_what_can_not_be_decoded_is_remembered(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "e")) as store:
        store.add(MODEL, [(picture(1), key(1), "cut short"), (picture(2), key(2), kept(2, "note"))])
        assert store.unreadable([key(1), key(2)]) == {key(1): "cut short"}
        assert store.notes([key(1), key(2)]) == {key(2): "note"}
        known = store.recall(MODEL, [key(1), key(2), key(3)])
        assert set(known) == {key(1), key(2)}
        assert known[key(1)] == "cut short"


def test_texts(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "e")) as store:
        store.add_texts(MODEL, {"a cat": np.arange(3, dtype=np.float32)})
        assert store.texts(MODEL, ["a cat", "a dog"])["a cat"].tolist() == [0, 1, 2]
        assert not store.texts("another", ["a cat"])


@pytest.mark.parametrize("where", ["head", "all", "wal"])
def test_a_damaged_file_is_set_aside_and_made_anew(tmp_path: Path, where: str) -> None:
    path = tmp_path / "e"
    with Store.open(str(path)) as store:
        for start in range(0, 400, 40):
            store.add(MODEL, rows(*range(start, start + 40)))
    data = bytearray(path.read_bytes())
    if where == "head":
        data[:100] = b"x" * 100
    elif where == "all":
        data[100:] = os.urandom(len(data) - 100)
    else:
        (tmp_path / "e-wal").write_bytes(os.urandom(100_000))
    path.write_bytes(data)
    for _ in range(2):
        with Store.open(str(path)) as store:
            found, vectors = store.vectors(MODEL, [key(n) for n in range(400)])
            for number in np.flatnonzero(found).tolist():
                assert vectors[number, 0] == number
            store.add(MODEL, rows(1))
            assert store.vectors(MODEL, [key(1)])[0].all()
    if where != "wal":
        assert list(tmp_path.glob("e.damaged-*"))
    with Store.open(str(path)) as store:
        assert store.trouble is None


def test_a_flipped_bit_in_a_vector_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with Store.open(str(path)) as store:
        store.add(MODEL, [(picture(1), key(1), Embedded(np.full(512, 7, np.float16), b""))])
    needle = np.full(512, 7, np.float16).tobytes()
    data = path.read_bytes()
    assert data.count(needle) == 1
    path.write_bytes(data.replace(needle, needle[:-1] + b"\x01"))
    with Store.open(str(path)) as store:
        assert not store.vectors(MODEL, [key(1)])[0].any()
        store.add(MODEL, [(picture(1), key(1), Embedded(np.full(512, 8, np.float16), b""))])
        found, vectors = store.vectors(MODEL, [key(1)])
        assert found.all() and vectors[0, 0] == 8


def test_without_a_place_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Store.open(str(tmp_path / "file" / "e")) as store:
        assert store.trouble and "goes on without it" in store.trouble
        store.add(MODEL, rows(1))
        assert store.vectors(MODEL, [key(1)])[0].all()


def test_full_disk_the_run_goes_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        with Store.open(str(disk / "e")) as store:
            for number in range(100):
                large = Embedded(np.full(8, number, np.float16), os.urandom(40_000))
                store.add(MODEL, [(picture(number), key(number), large)])
            assert store.trouble and "full" in store.trouble
        with Store.open(str(disk / "e")) as store:
            found, vectors = store.vectors(MODEL, [key(n) for n in range(100)])
            assert 1 <= found.sum() < 100
            assert vectors[found][:, 0].tolist() == np.flatnonzero(found).tolist()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@posix
def test_many_processes_and_kills(tmp_path: Path) -> None:
    """Four writers, killed in the middle: what was acknowledged is there, the rest is not torn."""
    path = str(tmp_path / "e")
    Store.open(path).close()
    children, logs = [], []
    for writer in range(4):
        log = tmp_path / f"log{writer}"
        logs.append(log)
        child = os.fork()
        if not child:
            try:
                with Store.open(path) as store, open(log, "ab", buffering=0) as file:
                    for batch in range(10_000):
                        first = writer * 1_000_000 + batch * 10
                        numbers = range(first % 2000, first % 2000 + 10)
                        store.add(
                            MODEL, [(picture(n), key(first + i), kept(n))
                                    for i, n in enumerate(numbers)]
                        )  # fmt: skip
                        if store.trouble:
                            os._exit(3)
                        file.write(b"%d\n" % first)
            finally:
                os._exit(0)
        children.append(child)
    until(lambda: all(log.exists() and log.read_bytes().count(b"\n") > 5 for log in logs))
    for child in children:
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    said = [int(line) for log in logs for line in log.read_bytes().splitlines()]
    assert len(said) > 20
    with Store.open(path) as store:
        assert store.trouble is None
        wanted = [first + i for first in said for i in range(10)]
        found, vectors = store.vectors(MODEL, [key(n) for n in wanted])
        assert found.all()
        expected = [first % 2000 + i for first in said for i in range(10)]
        assert vectors[:, 0].tolist() == np.array(expected, np.float16).tolist()
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_prune_gives_the_space_back(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with Store.open(str(path)) as store:
        store.add(MODEL, [(picture(n), key(n), Embedded(kept(n).vector, os.urandom(5000)))
                          for n in range(500)])  # fmt: skip
        assert (store.size().embeddings, store.size().models) == (500, 1)
        store.prune(90)
        assert store.size().embeddings == 500
        full = store.size().bytes
        store.prune(0)
        assert store.size().embeddings == 0
        assert store.size().bytes < full / 5
        store.add(MODEL, rows(1))
        assert store.vectors(MODEL, [key(1)])[0].all()
