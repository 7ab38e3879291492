"""Names that every file system takes, and the plan as a file that people edit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.counting import growth
from tests.making import JPEG, photos, planned, put, statuses, tree
from tests.systems import links
from zeroshelf.actions import names, plan, plan_file
from zeroshelf.actions.apply import apply
from zeroshelf.actions.undo import undo
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.records import ActionKind, Picture, Plan, PlanRequest
from zeroshelf.system import file_names

# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "shelf"),
    [
        ("cat", "cat"),
        ("a photo of a cat", "a photo of a cat"),
        ("animals/cat", "animals/cat"),
        ("/etc/passwd", "etc/passwd"),
        ("../../up", "_/_/up"),
        (".", "_"),
        ("..", "_"),
        (".hidden", "_hidden"),
        ("~", "~"),
        ("con", "con_"),
        ("NUL.txt", "NUL_.txt"),
        ("COM¹", "COM¹_"),
        ("console", "console"),
        ("a:b*c?", "a_b_c_"),
        ("C:\\Windows", "C__Windows"),
        ("dots...", "dots"),
        (" space ", "space"),
        ("line\nfeed\x1b[31m", "line_feed_[31m"),
        ("\u202egpj.exe", "gpj.exe"),
        ("e\u0301", "é"),
        ("\udcff", "_"),
        ("", "_"),
        ("///", "_"),
        ("😀" * 100, "😀" * 30),
    ],
)
def test_label_becomes_a_safe_folder(label: str, shelf: str) -> None:
    assert names.shelf(label) == shelf.replace("/", os.sep)


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_label_stays_inside_and_is_its_own_safe_name(label: str) -> None:
    shelf = names.shelf(label)
    to = "/somewhere/sorted"
    assert file_names.inside(os.path.normpath(os.path.join(to, shelf)), to)
    assert names.shelf(shelf) == shelf
    for part in shelf.split(os.sep):
        assert 0 < len(os.fsencode(part)) <= file_names.MAX_BYTES
        assert part[-1] not in ". " and part not in (".", "..")


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=300).filter(lambda t: "/" not in t and "\0" not in t))
def test_numbered_names_differ_and_fit(name: str) -> None:
    tried = [text for (number, text), _ in zip(file_names.numbered(name), range(4), strict=False)]
    assert len(set(tried)) == 4
    assert all(len(os.fsencode(t)) <= file_names.MAX_BYTES for t in tried[1:])
    assert all(file_names.is_numbered(t, name) for t in tried)


# --- collisions --------------------------------------------------------------------------------


def targets(root: Path, to: Path, labels: list[str], kind: ActionKind = "copy") -> list[str]:
    found = scan.scan(str(root))
    placed = [(p, labels[i % len(labels)], None) for i, p in enumerate(found.pictures)]
    made = plan.make(PlanRequest(found.root, str(to), kind), placed)
    again = plan.make(PlanRequest(found.root, str(to), kind), reversed(placed))
    assert made == again, "the order in which pictures come doesn't matter"
    return [os.path.relpath(action.target, to) for action in made.actions]


def test_equal_names_from_nested_folders_get_numbers(tmp_path: Path) -> None:
    for where in ("x", "y", "z"):
        (tmp_path / "in" / where).mkdir(parents=True)
        put(tmp_path / "in" / where / ("A.jpg" if where == "y" else "a.JPG"), JPEG + where.encode())
    assert targets(tmp_path / "in", tmp_path / "to", ["cat"]) == [
        "cat/a.JPG",
        "cat/A (2).jpg",
        "cat/a (3).JPG",
    ]


def test_what_is_on_the_disk_is_kept_with_its_spelling(tmp_path: Path) -> None:
    (tmp_path / "to" / "CAT").mkdir(parents=True)
    put(tmp_path / "to" / "CAT" / "A.JPG", b"another picture")
    (tmp_path / "in").mkdir()
    put(tmp_path / "in" / "a.jpg", JPEG)
    assert targets(tmp_path / "in", tmp_path / "to", ["cat"]) == ["CAT/a (2).jpg"]


def test_companions_share_their_picture_s_number(tmp_path: Path) -> None:
    (tmp_path / "to" / "cat").mkdir(parents=True)
    put(tmp_path / "to" / "cat" / "a.cr2", b"another picture's")
    (tmp_path / "in").mkdir()
    put(tmp_path / "in" / "a.jpg", JPEG)
    put(tmp_path / "in" / "a.cr2", b"II*\0")
    put(tmp_path / "in" / "a.cr2.xmp", b"<x/>")
    assert targets(tmp_path / "in", tmp_path / "to", ["cat"]) == [
        "cat/a (2).jpg",
        "cat/a (2).cr2",
        "cat/a (2).cr2.xmp",
    ]


def test_labels_that_are_one_folder_get_two(tmp_path: Path) -> None:
    source = photos(tmp_path / "in", 4)
    shelves = {os.path.dirname(t) for t in targets(source, tmp_path / "to", ["a?", "a*", "A:"])}
    assert shelves == {"A_", "a_ (2)", "a_ (3)"}


def test_many_equal_names_are_twice_the_work_where_they_are_twice_as_many(tmp_path: Path) -> None:
    def make(count: int) -> Plan:
        placed = [(Picture(f"/in/{i}/a.jpg", "JPEG", 1, 1, 1), "cat", None) for i in range(count)]
        return plan.make(PlanRequest("/in", str(tmp_path / "to"), "copy"), placed)

    assert len({action.target for action in make(5_000).actions}) == 5_000
    assert growth(make, 200) < 2.4


@links
@pytest.mark.parametrize("what", ["file", "shelf is a file", "shelf leads out"])
def test_destination_that_can_not_be(tmp_path: Path, what: str) -> None:
    source, to = photos(tmp_path / "in"), tmp_path / "to"
    if what == "file":
        to.write_text("")
    else:
        to.mkdir()
        if what == "shelf is a file":
            (to / "cat").write_text("")
        else:
            (to / "cat").symlink_to(tmp_path)
    with pytest.raises(UserError):
        targets(source, to, ["cat"])


# --- the file ----------------------------------------------------------------------------------


def test_plan_survives_its_file(tmp_path: Path) -> None:
    record = planned(photos(tmp_path / "in"), tmp_path / "to")
    path = os.path.join(record, "plan.jsonl")
    made = plan_file.load(path)
    plan_file.save(made, str(tmp_path / "again"))
    assert plan_file.load(str(tmp_path / "again")) == made
    assert (tmp_path / "again").read_bytes().isascii()
    assert any("\udcff" in action.source for action in made.actions)


def edited(record: str, edit: Callable[[list[dict[str, object]]], object]) -> None:
    path = Path(record, "plan.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    edit(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_edited_plan_is_what_is_applied(tmp_path: Path) -> None:
    source, to = photos(tmp_path / "in"), tmp_path / "to"
    start = tree(source)
    record = planned(source, to, "move", ["cat"])

    def edit(lines: list[dict[str, object]]) -> None:
        del lines[3:]
        lines[1]["target"] = "favourites/best.jpg"

    edited(record, edit)
    assert statuses(apply(record)) == {"done"}
    assert (to / "favourites" / "best.jpg").exists()
    assert sum(path.is_file() for path in to.rglob("*")) == 2
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda lines: lines[1].update(target="../../x.jpg"), "line 2: .*leads out of"),
        (lambda lines: lines[1].update(target="/etc/x.jpg"), "line 2: .*leads out of"),
        (lambda lines: lines[1].update(source="../secret"), "line 2: .*leads out of"),
        (lambda lines: lines[1].pop("size"), "line 2: size is missing"),
        (lambda lines: lines[1].update(size="many"), "line 2: not an action"),
        (lambda lines: lines[2].update(target=lines[1]["target"].upper()), "same target as line 2"),
        (lambda lines: lines[0].update(kind="shred"), 'kind "shred" is none of'),
        (lambda lines: lines[0].update(zeroshelf_plan=99), "format 99"),
        (lambda lines: lines.pop(0), "first line"),
        (lambda lines: lines.clear(), "first line"),
    ],
)
def test_a_wrong_edit_is_refused_with_its_line(
    tmp_path: Path, edit: Callable[[list[dict[str, object]]], object], message: str
) -> None:
    source = photos(tmp_path / "in")
    start = tree(source)
    record = planned(source, tmp_path / "to", "move", ["cat"])
    edited(record, edit)
    with pytest.raises(UserError, match=message):
        apply(record)
    assert tree(source) == start
    assert not (tmp_path / "to").exists()
