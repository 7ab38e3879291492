"""Several runs, in whatever order they are made and undone: ids, shelves, folders, locks."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.making import JPEG, contents, photos, planned, put, statuses, tree
from tests.systems import links
from zeroshelf.actions import handover, journal, lock, plan
from zeroshelf.actions.apply import apply
from zeroshelf.actions.undo import undo
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.records import ActionKind, PlanRequest
from zeroshelf.runs import earlier, registry
from zeroshelf.system import folder_identity

# --- undone in any order -----------------------------------------------------------------------


@pytest.fixture
def here() -> Iterator[Path]:
    """A folder in memory, where fsync is free."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        yield Path(name)


def some(root: Path, first: int, kind: ActionKind, to: Path, labels: list[str]) -> str:
    """A run over every third picture of `root`."""
    found = scan.scan(str(root), leave_out=[str(to)]).pictures[first::3]
    placed = [(p, labels[i % len(labels)], None) for i, p in enumerate(found)]
    return registry.new(plan.make(PlanRequest(str(root), str(to), kind), placed))[1]


def aged(*roots: Path) -> None:
    """Every folder below gets an old time, each its own."""
    for root in roots:
        for number, (here, _, _) in enumerate(os.walk(root)):
            os.utime(here, ns=(1_300_000_000_000_000_000 + number,) * 2)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("before", ["nothing", "the destination", "a shelf with a file"])
@pytest.mark.parametrize("actions", [("move",) * 3, ("copy", "move", "symlink")])
def test_undone_in_any_order_all_is_as_before(
    here: Path, actions: tuple[ActionKind, ...], before: str, order: tuple[int, ...]
) -> None:
    source, to = photos(here / "photos", 12), here / "below" / "sorted"
    (here / "mine").mkdir()
    if before != "nothing":
        to.mkdir(parents=True)
    if before.startswith("a shelf"):
        (to / "cat").mkdir()
        put(to / "cat" / "mine.txt", b"mine")
    aged(here)
    start = tree(here)
    records = []
    for first, kind in enumerate(actions):
        labels = [["cat", "a/b"], ["cat", "dog"], ["a/c", "bird", "dog"]][first]
        records.append(some(source, first, kind, to, labels))
        assert statuses(apply(records[-1])) == {"done"}
    for number in order:
        assert statuses(undo(records[number])) == {"done"}
        assert journal.state(records[number]) == "undone"
    assert tree(here) == start


@pytest.mark.parametrize("seed", range(12))
def test_applied_and_undone_again_and_again(here: Path, seed: int) -> None:
    """Runs into one, two and nested destinations, planned, applied and undone in a random order."""
    chance = random.Random(seed)
    source = photos(here / "photos", 15)
    aged(here)
    start = tree(here)
    destinations = [here / "one", here / "one" / "inner", here / "two" / "deep"]
    records: list[str] = []
    live: set[str] = set()
    for _ in range(14):
        if len(records) < 3 and chance.random() < 0.6:
            kind = chance.choice(["copy", "move", "symlink", "hardlink"])
            to = chance.choice(destinations)
            record = some(source, len(records), kind, to, ["cat", "a/b"])
            records.append(record)
        elif records:
            record = chance.choice(records)
            act = undo if record in live else apply
            act(record)
            (live.discard if act is undo else live.add)(record)
    for record in chance.sample(sorted(live), len(live)):
        undo(record)
    left = {journal.state(record) for record in records}
    assert left <= {"undone", "planned"}
    assert tree(here) == start


def test_a_user_s_folder_and_file_stay(here: Path) -> None:
    source, to = photos(here / "photos", 9), here / "sorted"
    records = [some(source, n, "copy", to, ["cat", "dog"]) for n in range(2)]
    apply(records[0])
    (to / "mine").mkdir()
    (to / "dog" / "mine.txt").write_text("mine")
    apply(records[1])
    for record in records:
        assert statuses(undo(record)) == {"done"}
    assert sorted(path.relative_to(to).as_posix() for path in to.rglob("*")) == [
        "dog", "dog/mine.txt", "mine",
    ]  # fmt: skip


def test_a_folder_of_the_future_keeps_its_time(here: Path) -> None:
    """The older of two times is the one from before, unless it can't be: a change is of today."""
    source, to = photos(here / "photos", 6), here / "sorted"
    future = int(time.time() + 10**9) * 10**9
    aged(source)
    os.utime(source, ns=(future, future))
    start = tree(source)
    records = [some(source, n, "move", to, ["cat"]) for n in range(3)]
    for record in records:
        apply(record)
    for record in records:
        undo(record)
    assert tree(source) == start


def test_what_can_not_be_handed_over_stops_no_undo(here: Path) -> None:
    """A run whose journal is a folder by now, and one whose record is gone meanwhile."""
    source, to = photos(here / "photos", 9), here / "sorted"
    records = [some(source, n, "move", to, ["cat"]) for n in range(3)]
    for record in records:
        apply(record)
    torn = Path(records[1], journal.NAME)
    torn.write_bytes(torn.read_bytes() + b'{"done": "half')
    before = contents(source, to)
    assert statuses(undo(records[0])) == {"done"}
    assert journal.state(records[1]) == "applied"  # and the torn line is passed over
    assert statuses(undo(records[1])) == {"done"}
    assert statuses(undo(records[2])) == {"done"}
    assert contents(source) == before and not to.exists()


def test_a_torn_last_line_leaves_the_state_before_it(tmp_path: Path) -> None:
    record = planned(photos(tmp_path / "photos"), tmp_path / "to", "move")
    path = Path(record, journal.NAME)
    for begin in ('{"begin": "app', '{"begin": "apply"}', '{"begin": "apply", "x": "'):
        path.write_text(begin)
        assert journal.state(record) == "planned"
    path.unlink()
    apply(record)
    whole = path.read_bytes()
    for end in (b"{", b'{"end": "undone"}', b'{"intent": {' + b"x" * 5000):
        path.write_bytes(whole + end)
        assert journal.state(record) == ("applied" if len(end) < 4096 else "partly")


def test_hand_over_says_it_once(here: Path) -> None:
    source, to = photos(here / "photos", 6), here / "sorted"
    first, second = (some(source, n, "move", to, ["cat"]) for n in range(2))
    apply(first)
    apply(second)
    shared = next(iter(journal.read(second).times))
    handover.hand_over(first, [str(to)], {shared: 1})
    size = os.path.getsize(os.path.join(second, journal.NAME))
    handover.hand_over(first, [str(to)], {shared: 1})
    assert os.path.getsize(os.path.join(second, journal.NAME)) == size
    past = journal.read(second)
    assert str(to) in past.folders and past.times[shared] == 1 and past.state == "applied"


# --- which is the newest -----------------------------------------------------------------------


def made(root: Path, number: int) -> str:
    return os.path.basename(planned(root, root.parent / f"to{number}"))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone is set by the system")
@pytest.mark.parametrize("zones", [("Europe/Berlin", "America/New_York"), ("UTC-14", "UTC+12")])
def test_newest_run_does_not_hang_on_the_time_zone(
    tmp_path: Path, zones: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = photos(tmp_path / "photos", 1)
    ids = []
    try:
        for number, zone in enumerate(zones):
            with monkeypatch.context() as patch:
                patch.setenv("TZ", zone)
                time.tzset()
                ids.append(made(source, number))
    finally:
        time.tzset()
    assert ids == sorted(ids)


def test_ids_sort_whatever_the_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set back by hours and years, standing still, and before 1970."""
    source = photos(tmp_path / "photos", 1)
    now = time.time()
    ids = []
    for number, clock in enumerate([now, now, now - 3600, 86_400.0, now + 1, -5.0, now]):
        with monkeypatch.context() as patch:
            patch.setattr("zeroshelf.runs.registry.time.time", lambda clock=clock: clock)
            ids.append(made(source, number))
    assert ids == sorted(set(ids))
    assert [run.id for run in registry.all()] == ids[::-1]
    assert registry.find().id == ids[-1]


def test_runs_of_local_time_sort_and_are_found(tmp_path: Path) -> None:
    """Version 0.1.0 named runs by local time, which may be fourteen hours ahead."""
    source = photos(tmp_path / "photos", 1)
    hours = [time.strftime("%Y%m%d-%H%M%S", time.gmtime(time.time() + h * 3600)) for h in (-5, 14)]
    old = []
    for number, hour in enumerate(hours):
        record = planned(source, tmp_path / f"old{number}")
        name = f"{hour}-00{number}f"
        os.rename(record, os.path.join(registry.root(), name))
        old.append(name)
    Path(registry.root(), "99999999-999999-ffff").mkdir()  # no time, and no run
    new = [made(source, number) for number in range(3)]
    assert [run.id for run in registry.all()] == [*new[::-1], *old[::-1]]
    assert registry.find().id == new[-1]
    assert registry.find(old[0][:17]).id == old[0]
    apply(registry.find(old[1]).record)
    apply(registry.find(new[0]).record)
    assert registry.newest_applied().id == new[0]


def test_an_id_is_the_time_in_utc(tmp_path: Path) -> None:
    began = time.time()
    name = made(photos(tmp_path / "photos", 1), 0)
    said = [time.strftime("%Y%m%d-%H%M", time.gmtime(at)) for at in (began, time.time())]
    assert name[:13] in said


def test_a_run_is_found_without_its_list_entry(tmp_path: Path) -> None:
    """A power cut may leave run.json empty: the run must still be undone."""
    source, to = photos(tmp_path / "photos"), tmp_path / "sorted"
    start = tree(source)
    record = planned(source, to, "move")
    apply(record)
    for damage in (b"", b"[1]", None):
        path = Path(record, "run.json")
        path.unlink() if damage is None else path.write_bytes(damage)
        run = registry.find()
        assert (run.record, run.destination, run.kind, run.pictures) == (record, str(to), "move", 6)
    assert statuses(undo(registry.newest_applied().record)) == {"done"}
    assert tree(source) == start


def test_a_record_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    source, to = photos(tmp_path / "photos"), tmp_path / "sorted"
    record = planned(source, to, "move")
    os.rename(record, tmp_path / "elsewhere")
    for act in (apply, undo):
        with pytest.raises(UserError, match=r"no longer exists|can't be read"):
            act(record)
    assert not to.exists()


def test_a_record_that_goes_while_a_run_works_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be written down isn't done."""
    from zeroshelf.actions import apply as application

    monkeypatch.setattr(application, "BATCH", 3)
    source, to = photos(tmp_path / "photos", 12), tmp_path / "sorted"
    before = contents(source)
    record = planned(source, to, "move")
    done: list[int] = []

    def remove(what: str, count: int, total: int) -> None:
        done.append(count)
        os.unlink(os.path.join(record, journal.NAME))

    with pytest.raises(UserError, match="removed while the run was at work"):
        apply(record, remove)
    assert len(done) == 1 and contents(source, to) == before


# --- one folder by several paths ---------------------------------------------------------------


def tried(source: Path, to: Path) -> tuple[int, int]:
    """How many pictures a sort of `source` finds, and how many actions it plans."""
    found = scan.scan(str(source), leave_out={str(to), *earlier.destinations(str(source))})
    record = registry.new(
        plan.make(
            PlanRequest(found.root, str(to), "copy"), [(p, "cat", None) for p in found.pictures]
        )
    )
    statuses(apply(record[1]))
    return len(found.pictures), sum(1 for _ in Path(to).rglob("*.jpg"))


@links
@pytest.mark.parametrize("link_is", ["folder", "destination", "both"])
def test_own_shelves_are_known_through_a_link(tmp_path: Path, link_is: str) -> None:
    real = tmp_path / "real" / "Photos"
    real.mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        put(real / name, JPEG + name.encode())
    link = tmp_path / "Pics"
    link.symlink_to(real)
    source = real if link_is == "destination" else link
    to = (real if link_is == "folder" else link) / "Sorted"
    assert tried(source, to) == (2, 2)
    assert tried(source, to) == (2, 2)
    for other in (real, link):  # with another destination too: the earlier one is known
        assert tried(other, tmp_path / f"other-{other.name}") == (2, 2)


@links
def test_sort_in_place_through_a_link_leaves_what_lies_on_its_shelf(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "cat").mkdir(parents=True)
    put(real / "cat" / "a.jpg", JPEG)
    link = tmp_path / "link"
    link.symlink_to(real)
    actions: list[ActionKind] = ["copy", "move", "symlink", "relative-symlink", "hardlink"]
    for kind in actions:
        found = scan.scan(str(link))
        made = plan.make(
            PlanRequest(str(link), str(real), kind), [(p, "cat", None) for p in found.pictures]
        )
        assert not made.actions


@links
@pytest.mark.parametrize("kind", ["symlink", "relative-symlink"])
def test_links_are_known_by_where_they_lead(tmp_path: Path, kind: ActionKind) -> None:
    """Whatever path named the folder when they were made."""
    real, to = tmp_path / "real", tmp_path / "to"
    real.mkdir()
    put(real / "a.jpg", JPEG)
    (tmp_path / "link").symlink_to(real)
    apply(planned(real, to, kind, ["cat"]))
    again = planned(tmp_path / "link", to, kind, ["cat"])
    assert apply(again) == []
    assert os.listdir(to / "cat") == ["a.jpg"]


def bound(path: Path, over: Path) -> Iterator[Path]:
    over.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", "--bind", path, over], check=False, capture_output=True).returncode:
        pytest.skip("binding a folder to a second place needs root")
    yield over
    subprocess.run(["umount", over], check=True)


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Path]:
    """`tmp_path / "photos"` at a second place."""
    (tmp_path / "photos").mkdir()
    yield from bound(tmp_path / "photos", tmp_path / "again")


def test_own_shelves_are_known_through_a_bind_mount(tmp_path: Path, bind: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "photos" / name, JPEG + name.encode())
    assert tried(tmp_path / "photos", bind / "Sorted") == (2, 2)
    assert tried(tmp_path / "photos", bind / "Sorted") == (2, 2)
    assert tried(bind, tmp_path / "photos" / "Sorted") == (2, 2)
    assert tried(bind, tmp_path / "other") == (2, 2)


@links
def test_locks_meet_through_links_and_bind_mounts(tmp_path: Path, bind: Path) -> None:
    (tmp_path / "link").symlink_to(bind)
    (bind / "inner").mkdir()
    locks = str(tmp_path / "locks")
    with lock.hold(locks, "one", str(tmp_path / "photos")):
        for path in (bind, tmp_path / "link", bind / "inner", tmp_path / "link" / "new"):
            with (
                pytest.raises(UserError, match="another run is working in"),
                lock.hold(locks, "two", str(path)),
            ):
                pass
        with lock.hold(locks, "three", str(tmp_path / "elsewhere")):
            pass


@links
def test_places_that_are_one(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    a, link, b = (str(tmp_path / name) for name in ("a", "link", "a/b"))
    assert (
        folder_identity.same(a, link)
        and not folder_identity.same(a, b)
        and not folder_identity.same(a, a + "/none")
    )
    assert folder_identity.contains(link, b) and folder_identity.contains(
        a, link + "/b/not/there/yet"
    )
    assert not folder_identity.contains(b, link)
    assert folder_identity.overlap(b, link) and not folder_identity.overlap(b, str(tmp_path / "ab"))


@pytest.mark.parametrize("kind", ["copy", "move"])
def test_a_network_drive_that_is_away_is_not_asked(
    tmp_path: Path, kind: ActionKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drive that doesn't answer keeps a call waiting for minutes: an old run there is no reason
    to make one."""
    from zeroshelf.system import mounts

    source, away = photos(tmp_path / "photos"), tmp_path / "nas"
    apply(planned(source, away / "sorted", "copy"))
    here = next(row for row in mounts._table() if row[2] == "/")
    monkeypatch.setattr(mounts, "_table", lambda: iter([here, (9, (0, 99), str(away), "nfs4")]))
    asked: list[str] = []
    stat, lstat = os.stat, os.lstat

    def watched(call):
        def look(path, *args, **options):
            if str(path).startswith(str(away)):
                asked.append(path)
            return call(path, *args, **options)

        return look

    monkeypatch.setattr(os, "stat", watched(stat))
    monkeypatch.setattr(os, "lstat", watched(lstat))
    assert earlier.destinations(str(source)) == set()
    record = planned(photos(tmp_path / "others", 3), tmp_path / "to", kind)
    apply(record)
    (tmp_path / "to" / "cat" / "mine").touch()
    assert statuses(undo(record)) == {"done"}
    assert not asked
