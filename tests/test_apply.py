"""plan -> apply -> undo on real trees: what hypothesis thinks of, and the promises one by one."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making import JPEG, contents, photos, planned, put, statuses, tree
from tests.small_disk import mounted
from tests.systems import links, linux_names, posix
from zeroshelf.actions import names, plan, plan_file
from zeroshelf.actions.apply import apply
from zeroshelf.actions.undo import undo
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.records import ActionKind, PlanRequest
from zeroshelf.runs import earlier, registry
from zeroshelf.system import file_io, file_names, renaming

KINDS: list[ActionKind] = ["copy", "move", "symlink", "relative-symlink", "hardlink"]

# Few letters, so that names meet: with and without case, composed and decomposed, odd bytes.
STEMS = st.sampled_from(
    ["a", "A", "b", "é", "e\u0301", "É", "a (2)", "x y", "\udcff", "\n", "ß", "ss"]
)
NAMES = st.builds(str.__add__, STEMS, st.sampled_from([".jpg", ".JPG", ".png", ".cr2", ".xmp"]))
FOLDERS = st.lists(st.sampled_from(["d", "D", "e"]), max_size=2).map("/".join)
FILES = st.dictionaries(st.tuples(FOLDERS, NAMES), st.binary(max_size=8), max_size=14)
LABELS = st.lists(
    st.sampled_from(
        ["cat", "Cat", "a/b", "../x", "/etc", "con", "a:b", "a?b", "é", "e\u0301", ".", "a" * 300]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@linux_names
@settings(max_examples=120, deadline=None)
@given(files=FILES, there=FILES, labels=LABELS, kind=st.sampled_from(KINDS))
def test_plan_apply_undo_is_identity(
    files: dict[tuple[str, str], bytes],
    there: dict[tuple[str, str], bytes],
    labels: list[str],
    kind: ActionKind,
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as home:
        os.environ["ZEROSHELF_RUNS"] = os.path.join(home, "runs")
        here, to = Path(home, "here"), Path(home, "here", "to")
        source = here / "from"
        for (where, name), content in files.items():
            (source / where).mkdir(parents=True, exist_ok=True)
            put(source / where / name, JPEG + content)
        for (where, name), content in there.items():
            shelf = to / names.shelf(labels[0]) / where
            shelf.mkdir(parents=True, exist_ok=True)
            put(shelf / name, JPEG + content)
        source.mkdir(parents=True, exist_ok=True)
        start, before = tree(here), contents(source)
        occupied = {file_names.key(os.fsdecode(path)) for path in start}

        record = planned(source, to, kind, labels)
        made = plan_file.load(os.path.join(record, "plan.jsonl"))
        targets = [file_names.key(action.target) for action in made.actions]
        assert len(set(targets)) == len(targets), "two targets are one without case"
        assert not occupied.intersection(targets), "an existing name is a target"
        assert all(file_names.inside(action.target, str(to)) for action in made.actions)

        assert statuses(apply(record)) <= {"done"}
        moved = set(contents(source, to))
        assert moved >= set(before)
        assert statuses(apply(record)) <= {"already"}
        assert statuses(undo(record)) <= {"done"}
        assert tree(here) == start


@pytest.mark.parametrize("kind", KINDS)
def test_second_sort_of_the_same_plans_nothing(tmp_path: Path, kind: ActionKind) -> None:
    source, to = photos(tmp_path / "photos", 12), tmp_path / "sorted"
    apply(planned(source, to, kind))
    if kind == "move":
        assert not scan.scan(str(source)).pictures
        return
    again = planned(source, to, kind)
    made = plan_file.load(os.path.join(again, "plan.jsonl"))
    assert not made.actions
    assert made.notes == ("12 are already on their shelf: nothing to do for them",)


@links
def test_relative_links_survive_a_move_of_the_tree(tmp_path: Path) -> None:
    here = tmp_path / "here"
    apply(planned(photos(here / "photos", 3), here / "sorted", "relative-symlink", ["a/b"]))
    here.rename(tmp_path / "there")
    links = [path for path in (tmp_path / "there" / "sorted").rglob("*") if path.is_symlink()]
    assert len(links) == 5
    assert all(link.read_bytes() and not link.readlink().is_absolute() for link in links)


def test_sort_in_place_leaves_what_lies_on_its_shelf(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    put(tmp_path / "cat" / "a.jpg", JPEG)
    put(tmp_path / "b.jpg", JPEG + b"b")
    found = scan.scan(str(tmp_path))
    made = plan.make(
        PlanRequest(found.root, str(tmp_path), "move"), [(p, "cat", None) for p in found.pictures]
    )
    assert [os.path.basename(action.source) for action in made.actions] == ["b.jpg"]


def test_copy_keeps_times_mode_and_attributes(tmp_path: Path) -> None:
    source, to = tmp_path / "photos", tmp_path / "sorted"
    source.mkdir()
    put(source / "a.jpg", JPEG, 1_234_567_890, 0o640)
    try:
        os.setxattr(source / "a.jpg", "user.rating", b"5")
    except OSError:
        pytest.skip("no extended attributes here")
    apply(planned(source, to, "copy", ["cat"]))
    at = (to / "cat" / "a.jpg").stat()
    assert (at.st_mtime_ns, stat.S_IMODE(at.st_mode)) == (1_234_567_890_000_000_002, 0o640)
    assert os.getxattr(to / "cat" / "a.jpg", "user.rating") == b"5"


@pytest.mark.parametrize("broken", ["rename", "rename and link"])
def test_file_systems_without_the_right_calls(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """exFAT and some network shares know neither an exclusive rename nor hard links."""
    monkeypatch.setattr(renaming, "_RENAME", None)
    monkeypatch.setattr(file_io, "_SYNCFS", None)
    if broken != "rename":

        def refuse(*args: object, **options: object) -> None:
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    source, to = photos(tmp_path / "photos"), tmp_path / "sorted"
    start = tree(source)
    for kind in ("copy", "move"):
        record = planned(source, to, kind)
        assert statuses(apply(record)) == {"done"}
        assert statuses(undo(record)) == {"done"}
        assert tree(source) == start
    (tmp_path / "x").write_bytes(b"x")
    (tmp_path / "y").write_bytes(b"y")
    with pytest.raises(FileExistsError):
        renaming.rename(str(tmp_path / "x"), str(tmp_path / "y"))
    assert (tmp_path / "y").read_bytes() == b"y"


def test_hard_links_across_file_systems_are_refused_at_once(tmp_path: Path) -> None:
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("this machine has one file system only")
    source = photos(tmp_path / "photos")
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as other,
        pytest.raises(UserError, match="two file systems"),
    ):
        planned(source, Path(other, "sorted"), "hardlink")


def test_ids_of_runs_sort_by_time(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 1)
    made = [os.path.basename(planned(source, tmp_path / "to")) for _ in range(50)]
    assert made == sorted(made) and len(set(made)) == 50
    assert [run.id for run in registry.all()] == made[::-1]
    assert registry.find().id == made[-1]
    assert registry.find(made[3]).id == made[3]
    for wrong in (made[0][:8], "nope"):
        with pytest.raises(UserError, match="`zeroshelf runs` lists them"):
            registry.find(wrong)


def test_own_output_is_known_to_the_next_scan(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 3)
    apply(planned(source, source / "sorted", "copy"))
    apply(planned(source / "one", source / "one", "tag", ["cat"]))
    assert earlier.destinations(str(tmp_path)) == {str(source / "sorted")}
    undo(registry.newest_applied().record)
    undo(registry.newest_applied().record)
    assert earlier.destinations(str(tmp_path)) == set()


def test_move_is_undone_newest_run_first(tmp_path: Path) -> None:
    source, one, two = photos(tmp_path / "photos"), tmp_path / "one", tmp_path / "two"
    start = tree(source)
    first = planned(source, one, "move")
    apply(first)
    second = planned(one, two, "move")
    apply(second)
    assert registry.newest_applied().record == second
    assert statuses(undo(second)) == {"done"}
    assert registry.newest_applied().record == first
    assert statuses(undo(first)) == {"done"}
    assert tree(source) == start
    with pytest.raises(UserError, match="there is no run to undo"):
        registry.newest_applied()
    assert [run.state for run in registry.all()] == ["undone", "undone"]


@pytest.mark.parametrize("kind", ["copy", "move"])
def test_advice_on_a_full_disk_names_actions_that_would_help(
    tmp_path: Path, kind: ActionKind
) -> None:
    """A move asks for room across file systems only, where no move and no hard link helps."""
    source = photos(tmp_path / "photos")
    put(source / "large.jpg", JPEG + bytes(1 << 20))
    with mounted(tmp_path / "disk", "size=64k") as disk:
        record = planned(source, disk / "to", kind)
        with pytest.raises(UserError, match=r"are needed in .*, or sort with ") as told:
            apply(record)
    assert "--as move" not in str(told.value) or kind == "copy"
    assert "symlink" in str(told.value)


@posix
@pytest.mark.parametrize("kind", ["copy", "move"])
def test_an_edit_that_keeps_size_and_time_is_not_taken_away(
    tmp_path: Path, kind: ActionKind
) -> None:
    """As `exiftool -P` corrects a date: only the time of the change itself is another."""
    source, to = photos(tmp_path / "photos"), tmp_path / "sorted"
    apply(record := planned(source, to, kind))
    names = sorted(path for path in to.rglob("*") if path.is_file())
    edited, touched = names[:2]
    old = {path: path.stat() for path in (edited, touched)}
    with open(edited, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    for path, at in old.items():  # the other one is only given its time once more
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    content = edited.read_bytes()
    stays = {o.action.target: o.reason for o in undo(record) if o.status == "refused"}
    assert edited.read_bytes() == content and "has changed since" in stays[str(edited)]
    assert not touched.exists()


def test_reflink_where_the_file_system_can(tmp_path: Path) -> None:
    """On XFS or btrfs a copy shares its blocks; skipped where no such disk can be made."""
    maker = shutil.which("mkfs.xfs") or shutil.which("mkfs.btrfs")
    disk, image = tmp_path / "disk", tmp_path / "image"
    disk.mkdir()
    with open(image, "wb") as file:
        file.truncate(400 << 20)
    if maker is None or os.system(
        f"{maker} -q {image} 2>/dev/null && mount -o loop {image} {disk} 2>/dev/null"
    ):
        pytest.skip("no XFS or btrfs can be mounted here")
    try:
        source = disk / "photos"
        source.mkdir()
        put(source / "a.jpg", JPEG + os.urandom(30 << 20))
        os.sync()
        free = shutil.disk_usage(disk).free
        apply(planned(source, disk / "sorted", "copy"))
        os.sync()
        assert free - shutil.disk_usage(disk).free < 5 << 20
        assert len(set(contents(source, disk / "sorted"))) == 1
    finally:
        os.system(f"umount {disk}")


@pytest.mark.parametrize("kind", ["copy", "move", "symlink"])
def test_undo_waits_for_a_drive_that_is_not_there(tmp_path: Path, kind: ActionKind) -> None:
    source = photos(tmp_path / "in")
    start = tree(source)
    record = planned(source, tmp_path / "drive", kind, ["cat", "dog"])
    apply(record)
    (tmp_path / "drive").rename(tmp_path / "unplugged")
    with pytest.raises(UserError, match="connect its drive"):
        undo(record)
    (tmp_path / "unplugged").rename(tmp_path / "drive")
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start
    assert not (tmp_path / "drive").exists()


@pytest.mark.parametrize("year", [1, 1600, 1969, 2100, 2400, 30828])
@pytest.mark.parametrize("kind", [*KINDS, "tag"])
def test_any_time_of_a_file_and_a_folder(tmp_path: Path, kind: ActionKind, year: int) -> None:
    """What a file system can't hold it cuts; what it says stays as it is."""
    source, to = photos(tmp_path / "photos", 3), tmp_path / "sorted"
    at = (year - 1970) * 31_556_952 * 10**9
    for path in [*source.rglob("*.jpg"), *source.rglob("*.xmp"), source]:
        os.utime(path, ns=(at, at))
    start = tree(source)
    record = planned(source, to, kind)
    assert statuses(apply(record)) == {"done"}
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


@pytest.mark.parametrize("error", [OverflowError, ValueError, OSError(22, "Invalid argument")])
def test_a_time_that_the_system_can_not_set(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python raises other errors than OSError for what a C type doesn't hold."""
    source, to = photos(tmp_path / "photos", 3), tmp_path / "sorted"
    before = contents(source)

    def refuse(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(os, "utime", refuse)
    for kind in (*KINDS, "tag"):
        record = planned(source, to, kind)
        assert statuses(apply(record)) == {"done"}
        assert statuses(undo(record)) == {"done"}
        assert contents(source) == before
