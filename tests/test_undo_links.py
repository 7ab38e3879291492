"""Undo, and a later sort, where a symbolic link lies at the place of an original: nothing that the
link leads to is lost, nothing is overwritten, and the undo goes on once the link is removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from tests.making import JPEG, planned, put, tree
from tests.systems import links
from zeroshelf.actions import earlier_runs, kinds, plan, plan_file, transfer
from zeroshelf.actions.apply import apply
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.undo import undo
from zeroshelf.images import scan
from zeroshelf.records import ActionKind, Outcome, PlanRequest
from zeroshelf.runs import registry

pytestmark = links

CONTENT = JPEG + b"the only one"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    put(tmp_path / "photos" / "a.jpg", CONTENT)
    return tmp_path / "photos" / "a.jpg"


def applied(photo: Path, kind: ActionKind) -> tuple[str, Path]:
    """The record of a run of this kind, and the picture on its shelf."""
    to = photo.parent.parent / "sorted"
    record = planned(photo.parent, to, kind, ["cat"])
    assert [one.status for one in apply(record)] == ["done"]
    return record, to / "cat" / "a.jpg"


def only(outcomes: list[Outcome]) -> Outcome:
    assert len(outcomes) == 1
    assert "\n" not in outcomes[0].reason
    return outcomes[0]


@pytest.mark.parametrize("leads_to", ["nowhere", "itself", "another file", "a folder", "the shelf"])
def test_a_link_at_the_old_place_of_a_moved_file(
    photo: Path, tmp_path: Path, leads_to: str
) -> None:
    start = tree(photo.parent)
    record, moved = applied(photo, "move")
    (tmp_path / "other.jpg").write_bytes(CONTENT)
    (tmp_path / "folder").mkdir()
    photo.symlink_to(
        {
            "nowhere": tmp_path / "gone.jpg",
            "itself": photo,
            "another file": tmp_path / "other.jpg",
            "a folder": tmp_path / "folder",
            "the shelf": moved,
        }[leads_to]
    )
    before = tree(tmp_path / "sorted", photo.parent)
    refused = only(undo(record))
    assert refused.status == "refused"
    assert refused.reason == (
        f"there is a symbolic link at {photo} now: remove the link, then undo again"
    )
    assert tree(tmp_path / "sorted", photo.parent) == before
    assert not (tmp_path / "gone.jpg").exists() and not os.listdir(tmp_path / "folder")
    photo.unlink()
    assert only(undo(record)).status == "done"
    assert tree(photo.parent) == start and not (tmp_path / "sorted").exists()


@pytest.mark.parametrize("kind", ["move", "copy", "hardlink"])
def test_the_old_folder_became_a_link_to_the_shelf(photo: Path, kind: ActionKind) -> None:
    """Then both paths are one file, and to remove it would be to lose it."""
    record, target = applied(photo, kind)
    shutil.rmtree(photo.parent)
    photo.parent.symlink_to(target.parent)
    assert photo.read_bytes() == CONTENT
    assert only(undo(record)).status == "refused"
    assert target.read_bytes() == CONTENT
    photo.parent.unlink()
    again = only(undo(record))
    assert again.status == ("done" if kind == "move" else "refused")
    assert (photo if kind == "move" else target).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["copy", "hardlink"])
@pytest.mark.parametrize("leads_to", ["the shelf", "nowhere"])
def test_the_original_became_a_link(photo: Path, kind: ActionKind, leads_to: str) -> None:
    """As programs leave it that replace equal files by links to one of them."""
    record, target = applied(photo, kind)
    photo.unlink()
    photo.symlink_to(target if leads_to == "the shelf" else target.parent / "gone.jpg")
    refused = only(undo(record))
    assert refused.status == "refused"
    assert ("a link to it" if leads_to == "the shelf" else "no longer exists") in refused.reason
    assert target.read_bytes() == CONTENT and photo.is_symlink()
    photo.unlink()
    put(photo, CONTENT)
    expected = "done" if kind == "copy" else "refused"  # another file, not its second name
    assert only(undo(record)).status == expected


def test_an_original_that_is_a_link_to_another_file_is_one(photo: Path, tmp_path: Path) -> None:
    record, target = applied(photo, "copy")
    real = tmp_path / "real.jpg"
    photo.rename(real)
    photo.symlink_to(real)
    assert only(undo(record)).status == "done"
    assert not target.exists() and photo.read_bytes() == CONTENT


def test_a_second_hard_link_is_an_original(photo: Path) -> None:
    record, target = applied(photo, "copy")
    photo.unlink()
    os.link(target, photo)
    assert only(undo(record)).status == "done"
    assert not target.exists() and photo.read_bytes() == CONTENT


def test_a_later_sort_leaves_a_copy_that_the_original_leads_to(photo: Path) -> None:
    record, target = applied(photo, "copy")
    (action,) = plan_file.load(os.path.join(record, "plan.jsonl")).actions
    assert earlier_runs.why_it_stays(action, kinds.of("copy")) is None
    photo.unlink()
    photo.symlink_to(target)
    assert earlier_runs.why_it_stays(action, kinds.of("copy")) == earlier_runs.ONLY_A_LINK


def test_the_old_folder_became_a_link_that_leads_nowhere(photo: Path, tmp_path: Path) -> None:
    record, moved = applied(photo, "move")
    shutil.rmtree(photo.parent)
    photo.parent.symlink_to(tmp_path / "unplugged")
    refused = only(undo(record))
    assert refused.status == "refused"
    assert refused.reason.startswith(f"{photo.parent} is a link that leads nowhere now")
    assert moved.read_bytes() == CONTENT and not (tmp_path / "unplugged").exists()
    photo.parent.unlink()
    assert only(undo(record)).status == "done" and photo.read_bytes() == CONTENT


def test_an_interrupted_apply_takes_nothing_away_through_a_link(photo: Path) -> None:
    """A move across file systems that was killed: both files are there. Then the user makes a link
    of the old one."""
    to = photo.parent.parent / "sorted"
    record = planned(photo.parent, to, "move", ["cat"])
    (action,) = plan_file.load(os.path.join(record, "plan.jsonl")).actions
    target = Path(action.target)
    target.parent.mkdir(parents=True)
    shutil.copy2(photo, target)
    shutil.rmtree(photo.parent)
    photo.parent.symlink_to(target.parent)
    kinds.of("move").recover(Entry(action))
    assert target.read_bytes() == CONTENT


def file_replaced(photo: Path, other: Path) -> None:
    other.rename(photo)


def link_instead(photo: Path, other: Path) -> None:
    photo.unlink()
    photo.symlink_to(other)


def folder_replaced(photo: Path, other: Path) -> None:
    shutil.rmtree(photo.parent)
    other.rename(other.with_name(photo.name))
    other.parent.rename(photo.parent)


def link_instead_of_the_folder(photo: Path, other: Path) -> None:
    shutil.rmtree(photo.parent)
    other.rename(other.with_name(photo.name))
    photo.parent.symlink_to(other.parent)


@pytest.mark.parametrize("digest", [None, blake3(CONTENT).digest()], ids=["time", "digest"])
@pytest.mark.parametrize(
    "replace_it", [file_replaced, link_instead, folder_replaced, link_instead_of_the_folder]
)
def test_another_picture_of_equal_size_and_time_is_no_original(
    photo: Path, tmp_path: Path, replace_it: Callable[[Path, Path], None], digest: bytes | None
) -> None:
    """Photos without compression, out of one archive, all have the same."""
    (tmp_path / "others").mkdir()
    other = tmp_path / "others" / "b.jpg"
    put(other, CONTENT[::-1])
    to = tmp_path / "sorted"
    placed = [(picture, "cat", digest) for picture in scan.scan(str(photo.parent)).pictures]
    wanted = PlanRequest(str(photo.parent), str(to), "copy")
    record = registry.new(plan.make(wanted, placed))[1]
    assert [one.status for one in apply(record)] == ["done"]
    replace_it(photo, other)
    assert photo.read_bytes() == CONTENT[::-1]
    refused = only(undo(record))
    assert refused.status == "refused" and "has changed" in refused.reason
    assert (to / "cat" / "a.jpg").read_bytes() == CONTENT, "the only one"


def test_an_original_that_nothing_touched_is_not_read(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(photo, ns=(1, 1_600_000_000_000_000_002))
    later = tmp_path / "later"
    later.touch()
    while later.stat().st_ctime_ns <= photo.stat().st_ctime_ns:  # a tick of the file system
        later.touch()
    record, target = applied(photo, "copy")
    monkeypatch.setattr(transfer, "digest", lambda path: pytest.fail(f"{path} was read"))
    assert only(undo(record)).status == "done"
    assert not target.exists() and photo.read_bytes() == CONTENT
