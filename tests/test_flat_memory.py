"""Apply and undo of many files: what is in memory doesn't grow with them, and nothing is lost."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroshelf.actions import apply, journal, kinds, plan, plan_file, undo
from zeroshelf.actions.kinds.base import Made
from zeroshelf.actions.path_table import PathTable
from zeroshelf.actions.plan_file import PlanOnDisk
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.records import Action, Outcome, Picture, PlanRequest
from zeroshelf.runs import earlier, registry
from zeroshelf.system import path_spelling, spooled


def planned(tmp_path: Path, count: int, kind: str = "move") -> str:
    """The record of a plan for `count` small files."""
    source = tmp_path / "photos"
    source.mkdir()
    for number in range(count):
        (source / f"{number:04}.jpg").write_bytes(b"\xff\xd8\xff" + number.to_bytes(4, "big"))
    found = scan.scan(str(source))
    placements = [(p, ("cat", "frog")[i % 2], None) for i, p in enumerate(found.pictures)]
    request = PlanRequest(str(source), str(tmp_path / "sorted"), kind)
    return registry.new(plan.make(request, placements))[1]


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 2**32 - 1))))
def test_a_table_of_paths_does_what_a_dict_does(pairs: list[tuple[str, int]]) -> None:
    table, known = PathTable(), dict[str, int]()
    for path, number in pairs:
        assert table.get(path) == known.get(path)
        assert table.put(path, number) == known.get(path)
        known[path] = number
    assert {path: table.get(path) for path in known} == known and len(table) == len(known)


def test_a_table_of_paths_grows_and_takes_names_that_are_no_utf8() -> None:
    table = PathTable()
    paths = [f"/photos/{number}\udcff.jpg" for number in range(5000)]
    assert [table.put(path, number) for number, path in enumerate(paths)] == [None] * 5000
    assert [table.get(path) for path in paths] == list(range(5000))
    assert table.get("/photos/0.jpg") is None


@given(st.lists(st.text(st.sampled_from("a/\u00e4\u2028\udc80\udcff\U0001f600"), max_size=4)))
def test_paths_are_put_in_the_order_of_their_bytes(paths: list[str]) -> None:
    assert sorted(paths, key=path_spelling.in_order) == sorted(paths, key=os.fsencode)


def test_a_plan_takes_little_memory_for_each_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million pictures: some 100 MB."""
    for one in (spooled.Spooled.__init__, spooled.records):
        assert one.__kwdefaults__
        monkeypatch.setitem(one.__kwdefaults__, "most", 20_000)
    root = str(tmp_path / "photos")

    def placements(count: int) -> Iterator[tuple[Picture, str, bytes | None]]:
        for number in range(count):
            path = f"{root}/{number // 100:04}/IMG_{number:06}.jpg"
            picture = Picture(path, "JPEG", 1000 + number, number * 10**15, number * 10**15)
            yield picture, ("cat", "frog")[number % 2], number.to_bytes(32, "big")

    def most(count: int) -> int:
        request = PlanRequest(root, str(tmp_path / "sorted"), "move")
        tracemalloc.start()
        try:
            made = plan.make(request, placements(count))
            assert len(made.actions) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most(100)  # what is made once
    assert (most(6000) - most(1500)) / 4500 < 130  # bytes; 600 with objects in lists


def test_what_earlier_runs_made_is_found_as_in_a_dict() -> None:
    found, known = earlier._ByRuns(), dict[str, list[Made]]()
    assert not found
    for number, source in enumerate(("/a", "/b\udcff", "/a", "/c", "/a", "/b\udcff")):
        action = Action("copy", source, f"/s/{number}", "cat", number, 1, bytes([number]))
        made = Made(f"run {number}", action, kinds.of("copy"))
        found.add(made)
        known.setdefault(source, []).append(made)
    assert dict(found) == known and list(found) == list(known) and len(found) == 3
    assert found.get("/d") is None and "/d" not in found and found["/a"] == known["/a"]


def test_entries_are_read_from_the_file_as_far_as_they_got(tmp_path: Path) -> None:
    record = planned(tmp_path, 6)
    apply.apply(record)
    entries = journal.read(record).entries
    targets = [entry.action.target for _, entry in entries.each()]
    assert targets == [a.target for a in plan_file.load(f"{record}/plan.jsonl").actions]
    assert entries.count(but="done") == 0 and entries.count(but="reverted") == 6
    assert [e.action.target for _, e in entries.each(newest_first=True)] == targets[::-1]
    first = entries[targets[0]]
    at = os.lstat(targets[0])
    assert first.step == "done" and first.stamp == (at.st_size, at.st_mtime_ns)
    assert entries.get("/nowhere") is None and "/nowhere" not in entries
    with pytest.raises(KeyError):
        entries["/nowhere"]


def test_an_action_that_is_begun_again_comes_last_and_once(tmp_path: Path) -> None:
    record = planned(tmp_path, 3)
    apply.apply(record)
    undo.undo(record)
    apply.apply(record)
    entries = journal.read(record).entries
    assert [entry.step for _, entry in entries.each()] == ["done"] * 3
    assert [number for number, _ in entries.each()] == [3, 4, 5]


def test_memory_does_not_grow_with_the_outcomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the outcomes of a long run, only those of a batch are alive at once."""
    monkeypatch.setattr(apply, "BATCH", 8)
    monkeypatch.setattr(undo, "BATCH", 8)
    record, alive = planned(tmp_path, 100), 0
    before, most, dead = tree(tmp_path / "photos"), 0, 0

    class Told(Outcome):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal dead
            dead += 1

    def take(outcome: Outcome) -> None:
        nonlocal alive, most
        assert isinstance(outcome, Told) and outcome.status == "done"
        alive += 1
        most = max(most, alive - dead)

    monkeypatch.setattr(apply, "Outcome", Told)
    monkeypatch.setattr(undo, "Outcome", Told)
    apply.carry_out(record, take)
    assert alive == 100 and most <= 17
    alive = most = dead = 0
    undo.carry_out(record, take)
    assert alive == 100 and most <= 17
    assert tree(tmp_path / "photos") == before


def test_a_plan_that_changes_while_it_is_carried_out_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "BATCH", 4)
    record = planned(tmp_path, 12)
    before = tree(tmp_path / "photos")
    path = Path(record, "plan.jsonl")
    whole = path.read_text()

    def change(_what: str, _done: int, _total: int) -> None:
        path.write_text(whole + "\n")

    with pytest.raises(UserError, match="has changed while it was carried out: apply it again"):
        apply.apply(record, change)
    assert journal.state(record) == "partly"
    assert {o.status for o in apply.apply(record)} == {"done", "already"}
    undo.undo(record)
    assert tree(tmp_path / "photos") == before


def test_a_plan_on_disk_is_read_again_and_checked_first(tmp_path: Path) -> None:
    record = planned(tmp_path, 5)
    path = os.path.join(record, "plan.jsonl")
    lazy, whole = PlanOnDisk(path), plan_file.load(path)
    assert len(lazy) == 5 and tuple(lazy) == tuple(lazy) == whole.actions
    lines = Path(path).read_text().splitlines(keepends=True)
    Path(path).write_text("".join([*lines, lines[-1]]))
    for read in (PlanOnDisk, plan_file.load):
        with pytest.raises(UserError, match="line 7: the same target as line 6"):
            read(path)
