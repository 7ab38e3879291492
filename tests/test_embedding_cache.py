"""The cache answers with what was put in, and never stops a run."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zeroshelf
from tests.colours import BLUE, RED, ColourEncoder, paint
from tests.small_disk import mounted
from tests.systems import posix
from tests.waiting import until
from zeroshelf.embeddings import cache_db, cache_derived, cache_vectors
from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.embeddings.derived import Derived
from zeroshelf.errors import ArgumentError, Unreadable
from zeroshelf.images import decode, near_duplicates, quality, thumbnails
from zeroshelf.records import Picture
from zeroshelf.run import Run

MODEL = "model-digest"
FIXTURE = Path(__file__).parent / "fixtures" / "written-by-0.1.0.zip"


def picture(number: int, age: float = 100) -> Picture:
    at = time.time_ns() - int(age * 1e9)
    return Picture(f"/photos/{number}.jpg", "JPEG", 1000 + number, at, at)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def kept(number: int, note: str | None = None) -> Embedded:
    return Embedded(np.full(8, number, np.float16), Derived(b"jpeg %d" % number, note, number))


def rows(*numbers: int):
    return [(picture(n), key(n), kept(n)) for n in numbers]


def test_round_trip_keeps_the_order_asked_for(tmp_path: Path) -> None:
    path = str(tmp_path / "cache" / "e.sqlite")
    with EmbeddingCache.open(path) as store:
        store.add(MODEL, rows(1, 2, 3))
        store.add(MODEL, rows(4, 5))
    with EmbeddingCache.open(path) as store:
        found, vectors = store.vectors(MODEL, [key(5), key(9), key(1), key(1)])
        assert found.tolist() == [True, False, True, True]
        assert vectors[:, 0].tolist() == [5, 0, 1, 1]
        assert store.vectors("another", [key(5)])[0].tolist() == [False]
        assert store.thumbnails([key(4), key(9)]) == {key(4): b"jpeg 4"}
        assert store.trouble is None


def test_unchanged_files_need_not_be_read(tmp_path: Path) -> None:
    old, fresh = picture(1), picture(2, age=1)
    with EmbeddingCache.open(str(tmp_path / "e")) as store:
        store.add(MODEL, [(old, key(1), kept(1)), (fresh, key(2), kept(2))])
        changed = Picture(old.path, "JPEG", old.size, old.mtime_ns + 1, old.ctime_ns)
        assert store.digests([old, fresh]) == {old.path: key(1)}  # fresh may change unseen
        assert store.digests([changed]) == {}


@pytest.mark.parametrize("year", [1, 1600, 1969, 2400, 30828, 292_277_026_596])
def test_times_that_sqlite_does_not_hold(tmp_path: Path, year: int) -> None:
    """64 bits of nanoseconds end in 2262; a share may say 30828, and a disk before 1677."""
    at = (year - 1970) * 31_556_952 * 10**9
    odd = Picture("/photos/odd.jpg", "JPEG", 1, at, at)
    with EmbeddingCache.open(str(tmp_path / "e")) as store:
        store.add(MODEL, [(odd, key(1), kept(1)), (picture(2), key(2), kept(2))])
        past = year < 1970  # what is of the future may change unseen, so it is read again
        assert store.digests([odd, picture(2)]).get(odd.path) == (key(1) if past else None)
        other = Picture(odd.path, "JPEG", 1, at + 1, at)
        assert store.digests([other]) == {}
        assert store.vectors(MODEL, [key(1), key(2)])[0].all()
        assert store.trouble is None


def test_what_can_not_be_decoded_is_remembered(tmp_path: Path) -> None:
    with EmbeddingCache.open(str(tmp_path / "e")) as store:
        store.add(MODEL, [(picture(1), key(1), "cut short"), (picture(2), key(2), kept(2, "note"))])
        assert store.unreadable([key(1), key(2)]) == {key(1): "cut short"}
        assert store.notes([key(1), key(2)]) == {key(2): "note"}
        known = store.known(MODEL, [key(1), key(2), key(3)])
        assert set(known) == {key(1), key(2)}
        assert known[key(1)] == "cut short"


def test_texts(tmp_path: Path) -> None:
    with EmbeddingCache.open(str(tmp_path / "e")) as store:
        store.add_texts(MODEL, {"a cat": np.arange(3, dtype=np.float32)})
        assert store.texts(MODEL, ["a cat", "a dog"])["a cat"].tolist() == [0, 1, 2]
        assert not store.texts("another", ["a cat"])


@pytest.mark.parametrize("where", ["head", "all", "wal"])
def test_a_damaged_file_is_set_aside_and_made_anew(tmp_path: Path, where: str) -> None:
    path = tmp_path / "e"
    with EmbeddingCache.open(str(path)) as store:
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
        with EmbeddingCache.open(str(path)) as store:
            found, vectors = store.vectors(MODEL, [key(n) for n in range(400)])
            for number in np.flatnonzero(found).tolist():
                assert vectors[number, 0] == number
            store.add(MODEL, rows(1))
            assert store.vectors(MODEL, [key(1)])[0].all()
    if where != "wal":
        assert list(tmp_path.glob("e.damaged-*"))
    with EmbeddingCache.open(str(path)) as store:
        assert store.trouble is None


def _another_programs(path: Path, version: int) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE Images(id INTEGER PRIMARY KEY, name TEXT)")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


@pytest.mark.parametrize("version", [0, 1, 2, cache_db.VERSION, cache_db.VERSION + 1, None])
def test_a_file_that_is_no_cache_is_left_as_it_is(tmp_path: Path, version: int | None) -> None:
    """A picture, None, or another program's database with that version in its header."""
    path = tmp_path / "a"
    if version is None:
        paint(path.with_suffix(".png"), RED).rename(path)
    else:
        _another_programs(path, version)
    before, names = content(path), sorted(os.listdir(tmp_path))
    with EmbeddingCache.open(str(path)) as store:
        assert store.trouble and str(path) in store.trouble and "left as it is" in store.trouble
        store.add(MODEL, rows(1))
        assert store.vectors(MODEL, [key(1)])[0].all()  # in memory
        store.prune(0)
    assert content(path) == before and sorted(os.listdir(tmp_path)) == names


@pytest.mark.parametrize("path", [3, b"x", "a\0b", object()])
def test_what_is_no_path_of_a_cache_is_refused(path: Any) -> None:
    with pytest.raises(ArgumentError, match="path"):
        EmbeddingCache.open(path)


def test_a_flipped_bit_in_a_vector_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with EmbeddingCache.open(str(path)) as store:
        store.add(MODEL, [(picture(1), key(1), Embedded(np.full(512, 7, np.float16)))])
    needle = np.full(512, 7, np.float16).tobytes()
    data = path.read_bytes()
    assert data.count(needle) == 1
    path.write_bytes(data.replace(needle, needle[:-1] + b"\x01"))
    with EmbeddingCache.open(str(path)) as store:
        assert not store.vectors(MODEL, [key(1)])[0].any()
        store.add(MODEL, [(picture(1), key(1), Embedded(np.full(512, 8, np.float16)))])
        found, vectors = store.vectors(MODEL, [key(1)])
        assert found.all() and vectors[0, 0] == 8


def test_without_a_place_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with EmbeddingCache.open(str(tmp_path / "file" / "e")) as store:
        assert store.trouble and "goes on without it" in store.trouble
        store.add(MODEL, rows(1))
        assert store.vectors(MODEL, [key(1)])[0].all()


def test_full_disk_the_run_goes_on(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        with EmbeddingCache.open(str(disk / "e")) as store:
            for number in range(100):
                large = Embedded(np.full(8, number, np.float16), Derived(os.urandom(40_000)))
                store.add(MODEL, [(picture(number), key(number), large)])
            assert store.trouble and "full" in store.trouble
        with EmbeddingCache.open(str(disk / "e")) as store:
            found, vectors = store.vectors(MODEL, [key(n) for n in range(100)])
            assert 1 <= found.sum() < 100
            assert vectors[found][:, 0].tolist() == np.flatnonzero(found).tolist()


@posix
def test_many_processes_and_kills(tmp_path: Path) -> None:
    """Four writers, killed in the middle: what was acknowledged is there, the rest is not torn."""
    path = str(tmp_path / "e")
    EmbeddingCache.open(path).close()
    children, logs = [], []
    for writer in range(4):
        log = tmp_path / f"log{writer}"
        logs.append(log)
        child = os.fork()
        if not child:
            try:
                with EmbeddingCache.open(path) as store, open(log, "ab", buffering=0) as file:
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
    with EmbeddingCache.open(path) as store:
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
    with EmbeddingCache.open(str(path)) as store:
        store.add(MODEL, [(picture(n), key(n), Embedded(kept(n).vector, Derived(os.urandom(5000))))
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


# --- tables with versions of their own -----------------------------------------------------------


def classified(folder: Path, path: Path) -> tuple[ColourEncoder, Run, EmbeddingCache]:
    encoder, cache = ColourEncoder(), EmbeddingCache.open(str(path))
    return encoder, zeroshelf.classify(folder, ["red", "blue"], encoder=encoder, store=cache), cache


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "P"
    paint(folder / "red.png", RED, (400, 300))
    paint(folder / "blue.png", BLUE, (300, 400))
    paint(folder / "black.png", (1, 1, 1), (300, 400))
    for path in folder.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


def sides(run: Run) -> set[int]:
    found = run.thumbnails([digest.hex() for digest in run.embeddings.digests])
    assert len(found) == 3
    return {max(Image.open(io.BytesIO(jpeg)).size) for jpeg in found.values()}


def test_larger_thumbnails_cost_no_embedding(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, before, cache = classified(pictures, tmp_path / "e")
    assert first.pictures == 3 and sides(before) == {160}
    hashes = cache.hashes(before.embeddings.digests)
    monkeypatch.setattr(thumbnails, "SIDE", 240)
    monkeypatch.setattr(thumbnails, "VERSION", 2)
    again, after, cache = classified(pictures, tmp_path / "e")
    assert again.pictures == 0 and sides(after) == {240}
    assert after.decisions.labels == before.decisions.labels
    assert after.embeddings.notes == before.embeddings.notes
    assert cache.hashes(after.embeddings.digests) == hashes and len(hashes) == 3
    assert cache.outdated(after.embeddings.digests) == set()


def test_what_is_outdated_is_told_without_reading_a_thumbnail(tmp_path: Path) -> None:
    with EmbeddingCache.open(str(tmp_path / "e")) as store:
        store.add(MODEL, rows(0, 1))

    def no_jpeg(_action: int, table: str | None, column: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if table == "thumbnail" else sqlite3.SQLITE_OK

    db = sqlite3.connect(tmp_path / "e")
    db.set_authorizer(no_jpeg)
    with pytest.raises(sqlite3.DatabaseError, match="prohibited"):
        cache_derived.read_thumbnails(db, [key(0)])
    assert cache_derived.outdated(db, [key(0), key(1)]) == set()
    assert cache_derived.outdated(db, [b"another"]) == {b"another"}
    db.close()


def test_a_look_up_writes_once_a_day_whatever_else_is_in_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with EmbeddingCache.open(str(path)) as store:
        store.add(MODEL, rows(0))
        store.add(MODEL, rows(1))
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        other.execute("UPDATE chunk SET used = 5")
        store.vectors(MODEL, [key(0)])
        days = [day for (day,) in other.execute("SELECT used FROM chunk ORDER BY id")]
        assert days[0] > 5 and days[1] == 5
        other.execute("BEGIN IMMEDIATE")  # another process writes: this look-up does not need to
        assert store.vectors(MODEL, [key(0)])[0].all() and store.trouble is None
        other.close()


def test_another_rule_of_quality_costs_no_embedding(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before, _ = classified(pictures, tmp_path / "e")
    assert list(before.embeddings.notes.values()) == [quality.DARK]
    monkeypatch.setattr(quality, "LEAST_LIGHT", 0)
    monkeypatch.setattr(quality, "VERSION", 2)
    again, after, _ = classified(pictures, tmp_path / "e")
    assert again.pictures == 0 and not after.embeddings.notes
    assert (after.embeddings.vectors == before.embeddings.vectors).all()


def test_another_hash_costs_no_embedding(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classified(pictures, tmp_path / "e")
    monkeypatch.setattr(near_duplicates, "dhash", lambda jpeg: 7)
    monkeypatch.setattr(near_duplicates, "VERSION", 2)
    again, after, cache = classified(pictures, tmp_path / "e")
    assert again.pictures == 0
    assert cache.hashes(after.embeddings.digests) == dict.fromkeys(after.embeddings.digests, 7)


def test_what_can_not_be_made_anew_stays(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that was uninstalled costs neither the embedding nor the old thumbnail."""
    classified(pictures, tmp_path / "e")
    monkeypatch.setattr(thumbnails, "VERSION", 2)

    def refuse(*given: object, **more: object) -> Iterator[None]:
        raise Unreadable("not now")
        yield

    monkeypatch.setattr(decode, "frames", refuse)
    again, after, _ = classified(pictures, tmp_path / "e")
    assert again.pictures == 0 and not after.skipped and sides(after) == {160}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, as they are read. Those of this test are known by their
    times at once, though they are young."""
    monkeypatch.setattr("zeroshelf.embeddings.cache._RACY_NS", -(10**10))
    names: list[str] = []
    honest = decode.read

    def counted(path: str) -> decode.Content:
        names.append(os.path.basename(path))
        return honest(path)

    monkeypatch.setattr(decode, "read", counted)
    return names


def test_what_can_not_be_made_anew_is_tried_once_for_each_version_and_file(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    def refuse(*given: object, **more: object) -> Iterator[None]:
        raise Unreadable("not now")
        yield

    def run() -> tuple[list[str], set[int]]:
        read.clear()
        again, after, _ = classified(pictures, tmp_path / "e")
        assert again.pictures == 0 and not after.skipped
        return sorted(read), sides(after)

    classified(pictures, tmp_path / "e")
    everything = ["black.png", "blue.png", "red.png"]
    with monkeypatch.context() as patch:
        patch.setattr(decode, "frames", refuse)
        monkeypatch.setattr(thumbnails, "VERSION", 2)
        monkeypatch.setattr(thumbnails, "SIDE", 240)
        assert run() == (everything, {160})
        assert run() == ([], {160}), "not again"
        os.utime(pictures / "red.png", (1_600_000_000, 1_600_000_000))
        assert run() == (["red.png"], {160}), "another state of one file"
        assert run() == ([], {160})
        monkeypatch.setattr(quality, "VERSION", 2)
        assert run() == (everything, {160}), "another version"
        assert run() == ([], {160})
    assert run() == ([], {160}), "nothing says that it would work now"
    monkeypatch.setattr("zeroshelf.images.codecs.optional.installed", lambda: "one decoder more")
    assert run() == (everything, {240})
    assert run() == ([], {240})


def test_a_file_that_can_not_be_opened_is_not_opened_at_every_run(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    classified(pictures, tmp_path / "e")
    monkeypatch.setattr(thumbnails, "VERSION", 2)
    honest = decode.read

    def refuse(path: str) -> decode.Content:
        content = honest(path)
        if path.endswith("red.png"):
            raise Unreadable("can't be read: Permission denied")
        return content

    with monkeypatch.context() as patch:
        patch.setattr(decode, "read", refuse)
        for expected in (["black.png", "blue.png", "red.png"], [], []):
            read.clear()
            _, after, _ = classified(pictures, tmp_path / "e")
            assert sorted(read) == expected
            assert not after.skipped and sides(after) == {160}, "the cached vector stands for it"
    (pictures / "red.png").touch()  # as a change of its permissions would
    read.clear()
    _, after, cache = classified(pictures, tmp_path / "e")
    assert read == ["red.png"] and cache.outdated(after.embeddings.digests) == set()


def test_failures_are_forgotten_with_the_rest(tmp_path: Path) -> None:
    with EmbeddingCache.open(str(tmp_path / "e")) as store:
        one = picture(1)
        store.add_underivable([one])
        assert store.underivable([one, picture(2)]) == {one.path}
        store.prune(0)
        assert store.underivable([one]) == set()


def test_vectors_of_another_version_are_made_anew_once(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classified(pictures, tmp_path / "e")
    monkeypatch.setattr(cache_vectors, "VERSION", 2)
    assert classified(pictures, tmp_path / "e")[0].pictures == 3
    assert classified(pictures, tmp_path / "e")[0].pictures == 0


def test_a_moved_picture_is_stored_once(tmp_path: Path, pictures: Path) -> None:
    classified(pictures, tmp_path / "e")
    os.rename(pictures, tmp_path / "Q")
    again, _, cache = classified(tmp_path / "Q", tmp_path / "e")
    assert again.pictures == 0
    count = cache._file.read(lambda db: db.execute("SELECT sum(rows) FROM chunk").fetchone(), None)
    assert count == (3,)


def content(path: Path) -> bytes:
    return path.read_bytes()


def test_a_newer_cache_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with EmbeddingCache.open(str(path)) as store:
        store.add(MODEL, rows(1))
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {cache_db.VERSION + 1}")
        db.execute("ALTER TABLE chunk RENAME TO later")
    db.close()
    before = content(path)
    with EmbeddingCache.open(str(path)) as store:
        assert store.trouble and "newer zeroshelf" in store.trouble and "\n" not in store.trouble
        store.add(MODEL, rows(2))
        assert store.vectors(MODEL, [key(2)])[0].all()  # in memory
    assert content(path) == before
    assert not list(tmp_path.glob("e.damaged*"))


@pytest.fixture
def old_cache(tmp_path: Path) -> Path:
    with zipfile.ZipFile(FIXTURE) as file:
        (name,) = (name for name in file.namelist() if name.endswith("embeddings.sqlite"))
        path = tmp_path / "old"
        path.write_bytes(file.read(name))
    return path


def held(path: Path) -> tuple[int, int]:
    """The version of the file, and how many pictures it has."""
    db = sqlite3.connect(path)
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        return version, db.execute("SELECT count(*) FROM embedding").fetchone()[0]
    finally:
        db.close()


def test_a_cache_of_0_1_0_is_upgraded_with_all_its_rows(old_cache: Path) -> None:
    db = sqlite3.connect(old_cache)
    db.execute("UPDATE thumbnail SET note = 'dark picture' WHERE id = 1")
    db.commit()
    (dark,) = db.execute("SELECT digest FROM thumbnail WHERE id = 1").fetchone()
    jpegs = dict(db.execute("SELECT digest, jpeg FROM thumbnail"))
    db.close()
    assert held(old_cache) == (2, len(jpegs)) and len(jpegs) >= 9
    with EmbeddingCache.open(str(old_cache)) as store:
        assert store.trouble is None
        assert store.outdated(jpegs) == set()
        assert store.thumbnails(jpegs) == jpegs
        assert store.notes(jpegs) == {dark: "dark picture"}
        hashes = {digest: near_duplicates.dhash(jpeg) for digest, jpeg in jpegs.items()}
        assert store.hashes(jpegs) == hashes == store.hashes(jpegs)
    assert held(old_cache) == (cache_db.VERSION, len(jpegs))


def test_an_upgrade_that_is_interrupted_is_as_if_it_never_began(
    old_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(old_cache)
    steps = [step for step in cache_db._UPGRADE[2].split(";") if step.strip()]
    assert len(steps) > 6
    for count in range(len(steps)):
        broken = ";".join([*steps[:count], "SELECT no_such_function()"])
        with monkeypatch.context() as patch:
            patch.setitem(cache_db._UPGRADE, 2, broken)
            with EmbeddingCache.open(str(old_cache)) as store:
                assert store.trouble and "can't be used" in store.trouble
        assert held(old_cache) == before, count
    EmbeddingCache.open(str(old_cache)).close()
    assert held(old_cache) == (cache_db.VERSION, before[1])


@posix
def test_two_processes_upgrade_at_once(old_cache: Path) -> None:
    before = held(old_cache)
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            with EmbeddingCache.open(str(old_cache)) as store:
                os._exit(1 if store.trouble else 0)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert held(old_cache) == (cache_db.VERSION, before[1])
    assert not list(old_cache.parent.glob("old.damaged*"))
