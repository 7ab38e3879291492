"""The action trash: what goes there, what never does, and what comes back."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import numpy as np
import pytest

from tests.colours import ColourEncoder
from tests.making import contents, photos, planned, put, statuses, tree
from tests.small_disk import mounted
from zeroshelf.actions import kinds, plan, plan_file
from zeroshelf.actions.apply import apply
from zeroshelf.actions.undo import undo
from zeroshelf.commands import cli
from zeroshelf.decisions import decide
from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.records import OTHER, Outcome, Plan, PlanRequest
from zeroshelf.run import classify
from zeroshelf.runs import registry
from zeroshelf.system import machine, mounts, renaming, trash, users

JPEG = b"\xff\xd8\xff"
freedesktop = pytest.mark.skipif(not trash.can_restore(), reason="Linux and other Unix systems")


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trash in the user's home."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "Trash"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return photos(tmp_path / "photos", 6)


def trashing(source: Path, *labels: str) -> str:
    """A run's record, with the plan to put the pictures of `source` into the trash."""
    return planned(source, source, "trash", labels or ("blurry",))


def plan_of(record: str) -> Plan:
    return plan_file.load(os.path.join(record, "plan.jsonl"))


def notes(record: str) -> str:
    return "\n".join(plan_of(record).notes)


def inside(bin: Path) -> tuple[list[str], list[str]]:
    """The names of the files in a trash, and of the information files without their suffix."""
    found = []
    for part in ("files", "info"):
        names = os.listdir(bin / part) if (bin / part).is_dir() else []
        found.append(sorted(name.removesuffix(".trashinfo") for name in names))
    return found[0], found[1]


# --- what goes -----------------------------------------------------------------------------------


@freedesktop
def test_pictures_go_with_their_companions_and_come_back(bin: Path, source: Path) -> None:
    start, before = tree(source), contents(source)
    record = trashing(source)
    assert "6 pictures go to the system's trash, with 4 files that belong to them: 6 of blurry" in (
        notes(record)
    )
    assert not bin.exists(), "a plan makes nothing"
    assert statuses(apply(record)) == {"done"}
    assert contents(source) == [] and contents(bin / "files") == before
    files, informations = inside(bin)
    assert files == informations and len(files) == 10
    assert {os.stat(bin / part).st_mode & 0o777 for part in ("files", "info", "")} == {0o700}
    assert statuses(apply(record)) == {"already"}
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start and inside(bin) == ([], [])
    assert statuses(apply(record)) == {"done"} and statuses(undo(record)) == {"done"}
    assert tree(source) == start


@freedesktop
def test_the_information_is_what_file_managers_read(bin: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    put(source / "50 % é#.jpg", JPEG + b"1")
    assert statuses(apply(trashing(source))) == {"done"}
    (information,) = (bin / "info").iterdir()
    head, path, date = information.read_text(encoding="ascii").splitlines()
    assert head == "[Trash Info]" and path == "Path=" + quote(str(source / "50 % é#.jpg"))
    assert date.startswith("DeletionDate=20") and len(date) == len(
        "DeletionDate=2026-11-27T08:00:00"
    )


@freedesktop
def test_other_never_goes(bin: Path, source: Path) -> None:
    record = trashing(source, "blurry", OTHER)
    assert "3 pictures stay where they are" in notes(record)
    staying = {path.name for path in source.rglob("*.*") if path.suffix.lower() == ".jpg"}
    apply(record)
    left = {path.name for path in source.rglob("*.*") if path.suffix.lower() == ".jpg"}
    assert len(left) == 3 and left < staying
    path = Path(record) / "plan.jsonl"
    path.write_text(path.read_text().replace('"label": "blurry"', '"label": "other"'))
    with pytest.raises(UserError, match='a picture in "other" never goes to the trash'):
        apply(record)


def test_a_line_with_another_target_is_refused(bin: Path, source: Path) -> None:
    record = trashing(source)
    path = Path(record) / "plan.jsonl"
    lines = path.read_text().splitlines()
    row = json.loads(lines[1])
    path.write_text("\n".join([lines[0], json.dumps(row | {"target": "elsewhere.jpg"})]))
    with pytest.raises(UserError, match=r"line 2: .*no other target"):
        apply(record)


@freedesktop
def test_only_sure_and_likely_pictures_go(bin: Path, folder: Path, encoder: ColourEncoder) -> None:
    run = classify(str(folder), ["red", "blue"], encoder=encoder)
    clear = {
        one.picture.path
        for one in run.decisions
        if one.label != OTHER and one.confidence in ("sure", "likely")
    }
    made = run.plan(action="trash")
    assert clear and {action.source for action in made.actions} == clear
    assert made.destination == str(folder)


@freedesktop
def test_an_unsure_picture_stays_unless_the_user_gave_it_the_label(
    bin: Path, folder: Path, encoder: ColourEncoder
) -> None:
    """With a threshold that lets everything pass, each is on a shelf, and not all are likely."""
    run = classify(str(folder), ["red", "blue"], encoder=encoder, threshold=0.0)
    assert OTHER not in run.decisions.labels
    unsure = [one.picture.path for one in run.decisions if one.confidence == "unsure"]
    assert unsure
    made = run.plan(action="trash")
    going = {action.source for action in made.actions}
    assert going and going.isdisjoint(unsure)
    assert any("stay" in note for note in made.notes)
    corrected = run.correct({unsure[0]: "red"}).plan(action="trash")
    assert unsure[0] in {action.source for action in corrected.actions}


@freedesktop
def test_what_fits_two_labels_stays_where_a_shelf_for_it_was_asked_for(
    bin: Path, folder: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = classify(str(folder), ["red", "blue"], encoder=encoder)
    first = run.plan(action="trash").actions[0]
    row = [one.picture.path for one in run.decisions].index(first.source)
    unclear = np.zeros(len(run.decisions), bool)
    unclear[row] = True
    monkeypatch.setattr(decide, "ambiguous", lambda decided: unclear)
    made = run.plan(action="trash", ambiguous="both")
    assert first.source not in {action.source for action in made.actions}
    assert not any('"both"' in note for note in made.notes)


@freedesktop
def test_a_file_that_is_also_about_a_picture_that_stays_stays(bin: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("a.jpg", "a.png"):
        put(source / name, {"a.jpg": JPEG, "a.png": b"\x89PNG\r\n\x1a\n"}[name] + name.encode())
    (source / "a.txt").write_text("about both")
    for labels, left in (
        (("blurry", OTHER), {"a.png", "a.txt"}),
        ((OTHER, "blurry"), {"a.jpg", "a.txt"}),
        (("blurry",), set()),
    ):
        record = trashing(source, *labels)
        apply(record)
        assert set(os.listdir(source)) == left
        assert ("also about a picture that stays" in notes(record)) == (labels == ("blurry", OTHER))
        assert statuses(undo(record)) == {"done"}


@freedesktop
def test_names_that_differ_by_case_alone(bin: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    (source / "deep").mkdir(parents=True)
    for name in ("a.jpg", "A.JPG", "deep/a.jpg"):
        put(source / name, JPEG + name.encode())
    start = tree(source)
    record = trashing(source)
    assert statuses(apply(record)) == {"done"}
    assert len(inside(bin)[0]) == 3
    assert statuses(undo(record)) == {"done"} and tree(source) == start


@freedesktop
def test_a_name_that_leaves_no_room_for_the_suffix(bin: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    put(source / ("é" * 125 + ".jpg"), JPEG)
    start = tree(source)
    record = trashing(source)
    assert statuses(apply(record)) == {"done"}
    assert statuses(undo(record)) == {"done"} and tree(source) == start


# --- what lies in the trash already --------------------------------------------------------------


@freedesktop
@pytest.mark.parametrize("part", ["files/a.jpg", "info/a.jpg.trashinfo"])
def test_a_name_that_is_taken_in_the_trash(bin: Path, tmp_path: Path, part: str) -> None:
    source = tmp_path / "photos"
    put_one(source)
    (bin / "files").mkdir(parents=True)
    (bin / "info").mkdir()
    (bin / part).write_bytes(b"of another program")
    record = trashing(source)
    assert statuses(apply(record)) == {"done"}
    assert (bin / part).read_bytes() == b"of another program"
    assert statuses(undo(record)) == {"done"}
    assert (bin / part).read_bytes() == b"of another program"
    assert [path for path in bin.rglob("*") if path.is_file()] == [bin / part]


@freedesktop
def test_a_name_that_is_taken_at_the_last_moment(
    bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program puts a file of that name into the trash between our two steps."""
    source = tmp_path / "photos"
    put_one(source)
    rename = renaming.rename

    def late(path: str, target: str) -> None:
        if target.startswith(str(bin / "files")):
            Path(target).write_bytes(b"of another program")
        rename(path, target)

    monkeypatch.setattr(renaming, "rename", late)
    (outcome,) = apply(trashing(source))
    assert (
        outcome.status == "failed" and "another program has just taken its name" in outcome.reason
    )
    assert (source / "a.jpg").read_bytes() == JPEG + b"1"
    assert (bin / "files" / "a.jpg").read_bytes() == b"of another program"
    assert inside(bin)[1] == []


def put_one(source: Path) -> Path:
    source.mkdir(parents=True, exist_ok=True)
    put(source / "a.jpg", JPEG + b"1")
    return source / "a.jpg"


@freedesktop
def test_a_trash_that_is_full(bin: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = tree(source)
    write = trash._write
    made: list[str] = []

    def until_full(path: str, data: bytes) -> None:
        if len(made) == 4:
            raise OSError(28, "No space left on device", path)
        made.append(path)
        write(path, data)

    monkeypatch.setattr(trash, "_write", until_full)
    record = trashing(source)
    outcomes = apply(record)
    assert statuses(outcomes) == {"failed", "done"} or statuses(outcomes) == {"failed"}
    files, informations = inside(bin)
    assert files == informations
    for picture in plan_of(record).actions:  # a picture and its companions stay together
        unit = [a for a in plan_of(record).actions if picture.source in (a.source, a.companion_of)]
        assert len({os.path.exists(a.source) for a in unit}) == 1
    assert statuses(undo(record)) <= {"done", "already"}
    assert tree(source) == start and inside(bin) == ([], [])


# --- what has changed since ----------------------------------------------------------------------


@freedesktop
def test_a_picture_that_changed_since_the_plan_stays(bin: Path, source: Path) -> None:
    record = trashing(source)
    first, second = [a for a in plan_of(record).actions if a.companion_of is None][:2]
    put(Path(first.source), JPEG + b"edited since")
    Path(second.source).unlink()
    said = {o.action.source: o for o in apply(record)}
    assert said[first.source].reason == "it has changed since the plan was made"
    assert said[second.source].reason == "it no longer exists"
    assert Path(first.source).read_bytes() == JPEG + b"edited since"
    assert "done" in {o.status for o in said.values()}
    assert statuses(undo(record)) == {"done"}
    assert Path(first.source).read_bytes() == JPEG + b"edited since"


@freedesktop
def test_undo_says_that_the_trash_was_emptied(
    bin: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = trashing(source)
    apply(record)
    for part in ("files", "info"):
        shutil.rmtree(bin / part)
        (bin / part).mkdir()
    assert cli.main(["undo", os.path.basename(record), "-y"]) == 1
    said = capsys.readouterr()
    assert "0 files put back" in said.out
    assert said.err.count("it is no longer in the trash: the trash was emptied") == 10
    shutil.rmtree(bin)
    (outcome, *_) = undo(record)
    assert outcome.status == "refused" and "is not there: connect its drive" in outcome.reason


@freedesktop
def test_undo_where_the_user_restored_some_by_hand(bin: Path, source: Path) -> None:
    start = tree(source)
    record = trashing(source)
    apply(record)
    first, second, third = plan_of(record).actions[:3]
    for action in (first, second):
        name = os.path.basename(action.source)
        os.rename(os.fsencode(bin / "files") + b"/" + os.fsencode(name), action.source)
    os.unlink(
        os.fsencode(bin / "info")
        + b"/"
        + os.fsencode(os.path.basename(first.source))
        + b".trashinfo"
    )
    with open(second.source, "ab") as file:
        file.write(b"and edited")
    said = {o.action.source: o.status for o in undo(record)}
    assert said[first.source] == said[second.source] == "already"
    assert said[third.source] == "done"
    assert inside(bin) == ([], [])
    edited = os.fsencode(second.source)
    now = tree(source)
    assert {p: n.content for p, n in now.items() if p != edited} == {
        p: n.content for p, n in start.items() if p != edited
    }


@freedesktop
def test_undo_never_overwrites_what_lies_at_the_old_place(bin: Path, tmp_path: Path) -> None:
    picture = put_one(tmp_path / "photos")
    record = trashing(picture.parent)
    apply(record)
    picture.write_bytes(b"another one")
    (outcome,) = undo(record)
    assert outcome.status == "refused" and "there is something else at" in outcome.reason
    assert picture.read_bytes() == b"another one"
    assert (bin / "files" / "a.jpg").read_bytes() == JPEG + b"1"
    picture.unlink()
    assert statuses(undo(record)) == {"done"} and picture.read_bytes() == JPEG + b"1"


@freedesktop
def test_undo_leaves_what_was_changed_in_the_trash(bin: Path, tmp_path: Path) -> None:
    picture = put_one(tmp_path / "photos")
    record = trashing(picture.parent)
    apply(record)
    (bin / "files" / "a.jpg").write_bytes(JPEG + b"2")
    (outcome,) = undo(record)
    assert outcome.status == "refused" and "it has changed since" in outcome.reason
    assert str(bin / "files" / "a.jpg") in outcome.reason and not picture.exists()


@freedesktop
def test_undo_finds_what_was_put_back_and_into_the_trash_again(bin: Path, tmp_path: Path) -> None:
    picture = put_one(tmp_path / "photos")
    record = trashing(picture.parent)
    apply(record)
    os.rename(bin / "files" / "a.jpg", bin / "files" / "again.jpg")
    os.rename(bin / "info" / "a.jpg.trashinfo", bin / "info" / "again.jpg.trashinfo")
    (bin / "info" / "noise.trashinfo").write_bytes(b"\xff\0Path=%zz\nnothing")
    assert statuses(undo(record)) == {"done"} and picture.exists()
    assert inside(bin) == ([], ["noise"])


@freedesktop
def test_undo_makes_a_folder_that_was_removed_since(bin: Path, tmp_path: Path) -> None:
    picture = put_one(tmp_path / "photos" / "deep")
    record = trashing(tmp_path / "photos")
    apply(record)
    shutil.rmtree(tmp_path / "photos")
    assert statuses(undo(record)) == {"done"} and picture.exists()


@freedesktop
def test_undo_waits_for_a_drive_that_is_away(
    bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = put_one(tmp_path / "photos" / "deep")
    record = trashing(tmp_path / "photos")
    apply(record)
    shutil.rmtree(tmp_path / "photos")
    monkeypatch.setattr(mounts, "mount", lambda folder: ("Trash" in folder, None))
    (outcome,) = undo(record)
    assert outcome.status == "refused" and "connect its drive" in outcome.reason
    assert not picture.parent.exists() and inside(bin)[0] == ["a.jpg"]


@freedesktop
@pytest.mark.parametrize("act", [apply, undo])
def test_killed_between_a_link_and_a_removal(
    bin: Path, tmp_path: Path, act: Callable[[str], list[Outcome]]
) -> None:
    """Of which a rename is made where the file system has no exclusive one."""
    picture = put_one(tmp_path / "photos")
    record = trashing(picture.parent)
    apply(record)
    os.link(bin / "files" / "a.jpg", picture)
    journal = Path(record) / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text(
        "".join(line for line in lines if not line.startswith(('{"done"', '{"end"')))
    )
    assert statuses(act(record)) == {"done" if act is apply else "already"}
    assert inside(bin) == ((["a.jpg"],) * 2 if act is apply else ([], []))
    assert picture.exists() == (act is undo)


# --- other file systems --------------------------------------------------------------------------


@freedesktop
def test_a_trash_on_another_file_system_is_refused_before_anything(
    bin: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = trashing(source)
    start = tree(source)
    real = mounts.mount
    monkeypatch.setattr(
        mounts,
        "mount",
        lambda folder: (real(folder)[0], 7 if folder.startswith(str(source)) else 8),
    )
    with pytest.raises(UserError, match="can go to the trash: the trash is on another file sys"):
        trashing(source)
    outcomes = apply(record)
    assert statuses(outcomes) == {"refused"}
    assert {"would be copied" in outcome.reason for outcome in outcomes} <= {True}
    assert tree(source) == start and not bin.exists()


@freedesktop
def test_pictures_of_a_mount_below_are_counted_in_the_plan(
    bin: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mounts.mount
    below = str(source / "one" / "two")
    monkeypatch.setattr(
        mounts, "mount", lambda folder: (real(folder)[0], 7 if folder == below else 8)
    )
    record = trashing(source)
    assert "2 pictures lie where no trash can take them, and will be refused: " in notes(record)
    refused = {os.path.dirname(o.action.source) for o in apply(record) if o.status == "refused"}
    assert refused == {below}


@freedesktop
def test_a_rename_that_would_cross_file_systems_copies_nothing(
    bin: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A union of file systems: one mount, and yet no rename leads across."""
    start = tree(source)

    rename = renaming.rename

    def across(path: str, target: str) -> None:
        if path.startswith(str(source)):
            raise OSError(18, "Invalid cross-device link", path)
        rename(path, target)

    monkeypatch.setattr(renaming, "rename", across)
    outcomes = apply(trashing(source))
    assert statuses(outcomes) <= {"failed", "refused"}
    assert "nothing is copied there" in outcomes[0].reason
    assert tree(source) == start and inside(bin) == ([], [])


@freedesktop
@pytest.mark.parametrize("shared", [None, 0o1777, 0o777], ids=["none", "sticky", "not sticky"])
def test_a_drive_has_a_trash_of_its_own(bin: Path, tmp_path: Path, shared: int | None) -> None:
    """$topdir/.Trash/$uid where an administrator made that, and else $topdir/.Trash-$uid."""
    with mounted(tmp_path / "drive") as drive:
        if shared is not None:
            (drive / ".Trash").mkdir()
            (drive / ".Trash").chmod(shared)
        user = os.geteuid()
        at = drive / ".Trash" / str(user) if shared == 0o1777 else drive / f".Trash-{user}"
        picture = put_one(drive / "deep")
        record = trashing(picture.parent)
        assert statuses(apply(record)) == {"done"}
        assert inside(at) == (["a.jpg"], ["a.jpg"]) and not bin.exists()
        assert "\nPath=deep/a.jpg\n" in (at / "info" / "a.jpg.trashinfo").read_text()
        os.rename(at / "files" / "a.jpg", at / "files" / "b.jpg")
        os.rename(at / "info" / "a.jpg.trashinfo", at / "info" / "b.jpg.trashinfo")
        assert statuses(undo(record)) == {"done"} and picture.exists()


@freedesktop
@pytest.mark.parametrize("what", ["link", "file", "of another user"])
def test_a_trash_that_is_not_the_users_own_is_never_used(
    bin: Path, tmp_path: Path, what: str
) -> None:
    with mounted(tmp_path / "drive") as drive:
        picture = put_one(drive / "deep")
        place = drive / f".Trash-{os.geteuid()}"
        if what == "link":
            (drive / "elsewhere").mkdir()
            place.symlink_to(drive / "elsewhere")
        elif what == "file":
            place.touch()
        else:
            place.mkdir()
            os.chown(place, 12345, 12345)
        with pytest.raises(UserError, match="has no trash of yours, and none can be made there"):
            trashing(picture.parent)
        assert picture.exists()


@freedesktop
def test_a_home_of_another_user(bin: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with sudo: what root makes there, the user could not remove."""
    monkeypatch.setattr(users, "effective_user", lambda: 12345)
    with pytest.raises(UserError, match="belongs to another user: start zeroshelf as that user"):
        trashing(source)
    assert not bin.exists()


@freedesktop
def test_a_relative_data_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "here")
    assert trash._home() == str(tmp_path / ".local" / "share" / "Trash")


# --- systems that put nothing back ---------------------------------------------------------------


@pytest.fixture(params=["WINDOWS", "MACOS"])
def system(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Another system's trash, with a send2trash that moves files to a folder of the test. Returns a
    function that tells what it got, and sets what it does next."""
    got: list[str] = []
    behaviour = {"does": "trash"}

    def send2trash(path: str) -> None:
        got.append(path)
        if behaviour["does"] == "com":
            raise RuntimeError("(-2147024809, 'OLE error')")
        if behaviour["does"] == "raise":
            raise OSError(None, "the item is too large for the Recycle Bin")
        if behaviour["does"] == "trash":
            (tmp_path / "bin").mkdir(exist_ok=True)
            os.rename(path, tmp_path / "bin" / f"{len(got)}")

    for name in ("send2trash", "send2trash.win", "send2trash.win.modern"):
        module = ModuleType(name)
        module.send2trash = send2trash  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(machine, "WINDOWS", False)
    monkeypatch.setattr(machine, "MACOS", False)
    monkeypatch.setattr(machine, request.param, True)

    def control(does: str = "trash") -> list[str]:
        behaviour["does"] = does
        return got

    return control


def test_undo_says_where_the_pictures_are(
    system: Callable[..., list[str]], tmp_path: Path, source: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before = contents(source)
    record = trashing(source)
    assert statuses(apply(record)) == {"done"}
    assert len(system()) == 10 and contents(tmp_path / "bin") == before
    assert statuses(apply(record)) == {"already"}
    assert cli.main(["undo", os.path.basename(record), "-y", "--json"]) == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (
        told["counts"] == {"refused": 10} and "No program can take files out of" in told["by_hand"]
    )
    assert ("Restore" if machine.WINDOWS else "Put Back") in said.err.splitlines()[0]
    assert said.err.count("where no program can take it out") == 10
    assert registry.find(os.path.basename(record)).state == "partly"
    for i, path in enumerate(system(), 1):  # the user puts them back
        os.rename(tmp_path / "bin" / str(i), path)
    assert statuses(undo(record)) == {"already"}
    assert registry.find(os.path.basename(record)).state == "undone"


@pytest.mark.parametrize("lost", ["done", "staged"])
def test_a_run_that_was_killed_there_goes_on(
    system: Callable[..., list[str]], source: Path, lost: str
) -> None:
    """Before the last lines of the journal, all the files having gone or none."""
    start, record = tree(source), trashing(source)
    system("nothing" if lost == "staged" else "trash")
    apply(record)
    journal = Path(record) / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    dropped = ("done",) if lost == "done" else ("done", "staged")
    journal.write_text(
        "".join(x for x in lines if not x.startswith(tuple(f'{{"{d}"' for d in dropped)))
    )
    system("trash")
    assert statuses(apply(record)) == ({"already"} if lost == "done" else {"done"})
    assert contents(source) == [] and len(start) > 10


@pytest.mark.parametrize("does", ["raise", "com", "nothing"])
def test_what_the_system_does_not_take_stays(
    system: Callable[..., list[str]], source: Path, does: str
) -> None:
    start = tree(source)
    record = trashing(source)
    system(does)
    outcomes = apply(record)
    assert statuses(outcomes) <= {"failed", "refused"} and tree(source) == start
    said = {"raise": "too large", "com": "OLE error", "nothing": "did not take it"}
    assert said[does] in outcomes[0].reason
    assert statuses(undo(record)) <= {"already"} and tree(source) == start


def test_undo_there_leaves_another_file_at_the_old_place(
    system: Callable[..., list[str]], tmp_path: Path
) -> None:
    picture = put_one(tmp_path / "photos")
    record = trashing(picture.parent)
    apply(record)
    picture.write_bytes(b"another one")
    (outcome,) = undo(record)
    assert outcome.status == "refused" and "there is something else at" in outcome.reason
    assert picture.read_bytes() == b"another one"


def test_without_send2trash_one_line_says_what_to_install(
    system: Callable[..., list[str]],
    source: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = trashing(source)
    for name in ("send2trash", "send2trash.win.modern"):
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["sort", str(source), "-l", "blurry", "--as", "trash", "-y"]) == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith('the trash needs send2trash: pip install "zeroshelf[trash]"')
    )
    start = tree(source)
    assert statuses(apply(record)) == {"refused"} and tree(source) == start


def test_on_windows_the_call_that_may_delete_for_good_is_never_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "WINDOWS", True)
    monkeypatch.setitem(sys.modules, "send2trash.win.modern", None)
    assert "pip install" in (trash.why_unavailable() or "")


# --- commands ------------------------------------------------------------------------------------


@freedesktop
def test_commands(
    bin: Path, folder: Path, colours: None, capsys: pytest.CaptureFixture[str]
) -> None:
    start = tree(folder)
    options = [str(folder), "-l", "red", "--as", "trash"]
    assert cli.main(["sort", *options, "--to", "S", "-y"]) == 2
    assert "pictures go to the system's trash: leave --to out" in capsys.readouterr().err
    assert cli.main(["sort", *options, "--several", "-y"]) == 2
    capsys.readouterr()
    assert cli.main(["sort", *options, "-n"]) == 1  # one picture is broken
    assert "2 pictures go to the system's trash: 2 of red" in capsys.readouterr().err
    assert tree(folder) == start and not bin.exists()
    assert cli.main(["plan", *options, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["destination"] == str(folder)
    rows = [json.loads(line) for line in Path(said["results"]).read_text().splitlines()]
    going = {row["path"] for row in rows if row["target"] == "trash"}
    assert going == {str(folder / "a.jpg"), str(folder / "deep" / "a.jpg")}
    assert cli.main(["apply", "-y"]) == 0
    assert "2 files carried out" in capsys.readouterr().out
    assert cli.main(["runs", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert cli.main(["runs"]) == 0
    assert "the system's trash" in capsys.readouterr().out
    assert (run["kind"], run["state"], run["pictures"]) == ("trash", "applied", 2)
    assert cli.main(["undo", "-y"]) == 0
    assert tree(folder) == start
    assert cli.main(["sort", *options, "-y"]) == 1
    said = capsys.readouterr().out
    assert "2 files put into the system's trash.\n" in said
    assert "takes everything out of the trash again, until that is emptied" in said
    assert cli.main(["undo", "-y"]) == 0
    assert tree(folder) == start and inside(bin) == ([], [])


def test_the_user_is_asked_in_plain_words(bin: Path, source: Path) -> None:
    kind, made = kinds.of("trash"), plan_of(trashing(source))
    assert kind.confirmation("3 files", made) == f"Put 3 files of {source} into the system's trash?"
    asked = kind.apply_question("20261127-080000-0001", str(source), 1)
    assert asked.startswith(f"Put 1 picture of {source} into the system's trash")


def test_a_photo_library_loses_nothing(bin: Path, tmp_path: Path) -> None:
    source = tmp_path / "Mine.photoslibrary" / "originals"
    put_one(source)
    request = PlanRequest(str(source), None, "trash")
    with pytest.raises(UserError, match="belongs to a photo program"):
        plan.make(
            request, [(picture, "blurry", None) for picture in scan.scan(str(tmp_path)).pictures]
        )
