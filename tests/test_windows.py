"""What Windows does otherwise, tried on any system: its paths through `ntpath`, its refusals by
calls that refuse as it does."""

from __future__ import annotations

import ntpath
import os
import socket
import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.making import put
from zeroshelf.actions import kinds, names, plan_file, shelves, transfer
from zeroshelf.actions.kinds import links as link_kinds
from zeroshelf.actions.kinds import shelved
from zeroshelf.actions.kinds.links import RelativeSymlink, Symlink
from zeroshelf.commands.cli import main
from zeroshelf.errors import UserError
from zeroshelf.images import exclude, scan
from zeroshelf.output import results
from zeroshelf.records import Action, Plan, PlanRequest
from zeroshelf.run import shown
from zeroshelf.runs import edit_log
from zeroshelf.system import file_io, file_names, links, machine, os_errors, path_spelling, renaming


class Windows(ModuleType):
    """`os` with the paths of Windows. Nothing here lies on a disk, so that nothing is found."""

    path = ntpath
    sep, altsep = "\\", "/"

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Windows("os")
    below = (file_io, file_names, links, path_spelling, renaming)
    for module in (
        edit_log,
        scan,
        names,
        shelves,
        plan_file,
        shown,
        transfer,
        link_kinds,
        shelved,
        *below,
    ):
        if hasattr(module, "os"):
            monkeypatch.setattr(module, "os", fake)
    monkeypatch.setattr(machine, "WINDOWS", True)


@pytest.mark.usefixtures("windows")
def test_a_label_with_a_slash_makes_nested_folders_and_no_label_leads_elsewhere() -> None:
    assert names.shelf("animals/cat") == "animals\\cat"
    for label in ("..\\..\\x", "C:\\x", "\\\\server\\share", "a\\b", "C:x", "nul", "a:b"):
        shelf = names.shelf(label)
        assert "\\" not in shelf and ":" not in shelf and shelf.lower() != "nul"
        there = ntpath.normpath(ntpath.join("D:\\Sorted", shelf))
        assert file_names.inside(there, "D:\\Sorted")
        assert shelves.as_on_disk(shelf, "D:\\Sorted") == there


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    ("path", "base", "inside"),
    [
        ("C:\\Photos\\a.jpg", "C:\\Photos", True),
        ("C:\\a.jpg", "C:\\", True),
        ("C:\\Photos 2\\a.jpg", "C:\\Photos", False),
        ("D:\\Photos\\a.jpg", "C:\\Photos", False),
        ("C:\\Photos", "C:\\Photos", False),
        ("\\\\server\\share\\a.jpg", "\\\\server\\share", True),
        ("\\\\server\\share2\\a.jpg", "\\\\server\\share", False),
    ],
)
def test_what_lies_in_a_folder(path: str, base: str, inside: bool) -> None:
    assert file_names.inside(path, base) is inside


def planned(*actions: Action) -> Plan:
    return Plan("C:\\Photos", "D:\\Sorted", "copy", actions, ())


@pytest.mark.usefixtures("windows")
def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    made = planned(
        Action("copy", "C:\\Photos\\deep\\a.jpg", "D:\\Sorted\\cat\\a.jpg", "cat", 1, 2, b"x" * 32)
    )
    plan_file.save(made, str(tmp_path / "plan.jsonl"))
    assert plan_file.load(str(tmp_path / "plan.jsonl")) == made


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("written", ["cat/b.jpg", "cat\\b.jpg", "x\\..\\cat\\b.jpg"])
def test_a_plan_may_be_edited_with_either_slash(tmp_path: Path, written: str) -> None:
    assert plan_file._below("D:\\Sorted", written) == "D:\\Sorted\\cat\\b.jpg"


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    "written",
    ["..\\b.jpg", "../b.jpg", "E:\\b.jpg", "E:b.jpg", "\\b.jpg", "\\\\server\\share\\b.jpg",
     "a.jpg:stream", "cat\\a.jpg::$DATA", "\\\\?\\C:\\b.jpg", "."],
)  # fmt: skip
def test_no_line_of_a_plan_leads_out_of_its_folder(written: str) -> None:
    with pytest.raises(UserError, match=r"leads out|is not a path"):
        plan_file._below("D:\\Sorted", written)


@pytest.mark.usefixtures("windows")
def test_two_drives() -> None:
    assert path_spelling.relative("D:\\a\\b.jpg", "C:\\a") == "D:\\a\\b.jpg"
    assert path_spelling.relative("C:\\a\\b.jpg", "C:\\a\\c") == "..\\b.jpg"
    assert path_spelling.has_relative("c:\\a", "C:\\b") and not path_spelling.has_relative(
        "C:\\a", "D:\\a"
    )
    link = Action("relative-symlink", "C:\\P\\a.jpg", "D:\\S\\a.jpg", "cat", 1, 2)
    assert RelativeSymlink().text(link, link.target).endswith("C:\\P\\a.jpg")
    with pytest.raises(UserError, match="they lie on two drives"):
        RelativeSymlink().check_leads(PlanRequest("C:\\P", "D:\\S"))
    Symlink().check_leads(PlanRequest("C:\\P", "D:\\S"))


@pytest.mark.usefixtures("windows")
def test_a_drive_that_is_not_there_ends_every_walk_up() -> None:
    assert transfer.existing_parent("Z:\\a\\b") == "Z:\\"
    with pytest.raises(UserError, match="is not a folder: name a folder with --to"):
        kinds.of("copy").check(PlanRequest("C:\\P", "Z:\\a\\b", "copy"))


@pytest.mark.usefixtures("windows")
def test_paths_in_the_edit_log_and_on_the_page_have_one_slash_on_every_system() -> None:
    assert shown.below("C:\\P\\deep\\a.jpg", "C:\\P") == "deep/a.jpg"
    for spelling in ("deep/a.jpg", "deep\\a.jpg", "C:\\P\\deep\\a.jpg", "C:/P/deep/a.jpg"):
        assert path_spelling.below("C:\\P", spelling) == "C:\\P\\deep\\a.jpg"


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("*.PNG", "deep\\a.png", True),
        ("deep\\*.png", "deep\\a.png", True),
        ("deep/*.png", "deep\\a.png", True),
        ("deep", "deep", True),
        ("deep\\", "deep", True),
        ("a.png", "deep\\b.png", False),
        ("deep/*.png", "other\\a.png", False),
    ],
)
def test_patterns_of_what_is_left_out(pattern: str, path: str, found: bool) -> None:
    assert exclude.Excluder([pattern])(path) is found


def test_elsewhere_a_backslash_is_part_of_a_name() -> None:
    if os.sep == "\\":
        pytest.skip("this is Windows")
    assert path_spelling.slashed("a\\b.jpg") == "a\\b.jpg"
    assert plan_file._below("/s", "a\\b:c.jpg") == "/s/a\\b:c.jpg"
    assert exclude.Excluder(["a\\b"])("a/b") is False


# --- refusals -------------------------------------------------------------------------------------


def read_only_stays(path: str) -> None:
    """As Windows: what is read-only can't be removed, nor replaced."""
    if os.path.exists(path) and not os.stat(path).st_mode & stat.S_IWRITE:
        raise PermissionError(13, "Access is denied", path)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    real_unlink, real_replace, real_open = os.unlink, os.replace, os.open
    writable: set[int] = set()

    def unlink(path: str, **more: Any) -> None:
        read_only_stays(path)
        real_unlink(path, **more)

    def replace(source: str, target: str) -> None:
        read_only_stays(target)
        real_replace(source, target)

    def open_(path: str, flags: int, *mode: int, **more: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        if flags & (os.O_RDWR | os.O_WRONLY) and not flags & os.O_CREAT:
            read_only_stays(path)
        opened = real_open(path, flags, *mode, **more)
        if flags & (os.O_RDWR | os.O_WRONLY):
            writable.add(opened)
        else:
            writable.discard(opened)
        return opened

    def fsync(descriptor: int) -> None:
        if descriptor not in writable:
            raise OSError(9, "Bad file descriptor")

    for name, call in (("unlink", unlink), ("replace", replace), ("open", open_)):
        monkeypatch.setattr(os, name, call)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(machine, "WINDOWS", True)
    monkeypatch.setattr(file_io, "_SYNCFS", None)


@pytest.mark.usefixtures("refusing")
def test_read_only_files_of_ours_are_removed_and_replaced(tmp_path: Path) -> None:
    for name in ("gone", "old", "new"):
        put(tmp_path / name, name.encode())
    for name in ("gone", "old"):
        (tmp_path / name).chmod(0o444)
    renaming.remove(str(tmp_path / "gone"))
    renaming.replace(str(tmp_path / "new"), str(tmp_path / "old"))
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"new"


@pytest.mark.usefixtures("refusing")
def test_a_file_that_stays_for_another_reason_stays_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a", b"a")
    (tmp_path / "a").chmod(0o444)

    def in_use(path: str) -> None:
        raise PermissionError(13, "The process cannot access the file", path)

    monkeypatch.setattr(os, "unlink", in_use)
    with pytest.raises(PermissionError):
        renaming.remove(str(tmp_path / "a"))
    assert not (tmp_path / "a").stat().st_mode & stat.S_IWRITE


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_a_copy_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, mode: int) -> None:
    """Windows syncs what is open for writing alone, and no folder."""
    put(tmp_path / "a.jpg", b"a")
    (tmp_path / "a.jpg").chmod(mode)
    part = transfer.stage(str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg"))
    file_io.sync([part])
    transfer.publish(part, str(tmp_path / "b.jpg"), str(tmp_path / "a.jpg"))
    transfer.remove_original(str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg"))
    assert [path.name for path in tmp_path.iterdir()] == ["b.jpg"]


def denied(*_: Any, **__: Any) -> None:
    error = OSError(22, "A required privilege is not held by the client")
    error.winerror = 1314  # type: ignore[attr-defined, unused-ignore]
    raise error


def test_symbolic_links_without_the_right_are_refused_before_a_picture_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "P").mkdir()
    monkeypatch.setattr(os, "symlink", denied)
    monkeypatch.setattr("zeroshelf.run.classify", lambda *_, **__: pytest.fail("read pictures"))
    command = ["sort", str(tmp_path / "P"), "-l", "cat", "--to", str(tmp_path / "S"), "-y"]
    for kind in ("symlink", "relative-symlink"):
        assert main([*command, "--as", kind]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert "turn on Developer Mode, or use --as copy" in told
    assert not (tmp_path / "S").exists()


def test_a_link_that_can_be_made_nowhere_else_is_told_at_the_link(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        links.symlink("x", str(tmp_path / "missing" / "link"))


def test_symbolic_links_without_the_right_say_so_in_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "symlink", denied)
    with pytest.raises(PermissionError) as refused:
        links.symlink("x", str(tmp_path / "link"))
    assert refused.value.strerror and "Developer Mode" in refused.value.strerror


def test_a_path_that_is_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    error = FileNotFoundError(2, "The system cannot find the path specified")
    assert os_errors.reason(error, "x" * 300) == error.strerror
    monkeypatch.setattr(machine, "WINDOWS", True)
    assert "its path is 300 long" in os_errors.reason(error, "x" * 300)
    assert os_errors.reason(error, "x" * 200) == error.strerror


def test_a_rename_to_another_drive_is_known_as_one() -> None:
    error = OSError(13, "The system cannot move the file to a different disk drive")
    assert not os_errors.is_other_device(error)
    error.winerror = 17  # type: ignore[attr-defined, unused-ignore]
    assert os_errors.is_other_device(error)


def test_no_other_program_may_share_the_page_s_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """SO_REUSEADDR would let one in on Windows."""
    asked: list[tuple[int, int, int]] = []

    class Listening:
        def setsockopt(self, *option: int) -> None:
            asked.append(option)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    machine.exclusive_port(Listening())  # type: ignore[arg-type]
    assert asked == [(socket.SOL_SOCKET, -5, 1)]


def test_macos_empties_a_drive_s_cache_once_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F_FULLFSYNC waits for the drive, and after it all that came before is safe too."""
    for name in "abc":
        put(tmp_path / name, b"x")
    calls: list[str] = []
    monkeypatch.setattr(machine, "MACOS", True)
    monkeypatch.setattr(file_io, "_SYNCFS", None)
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("plain"))
    monkeypatch.setattr(file_io, "_full_sync", lambda _: calls.append("full") or True)
    file_io.sync([str(tmp_path / name) for name in "abc"])
    assert calls == ["plain", "plain", "full"]
    # network shares have no such call
    monkeypatch.setattr(file_io, "_full_sync", lambda _: False)
    file_io.sync([str(tmp_path / "a")])
    assert calls[3:] == ["plain"]


def test_names_with_a_lone_half_of_a_pair_reach_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name on Windows may hold one; no bytes stand behind it, as behind Linux's."""
    monkeypatch.setattr("sys.getfilesystemencodeerrors", lambda: "surrogatepass")
    row = results.Row("C:\\P\\\ud83d.jpg", "cat", "cat", 0.9, 0.8, "sure", "")
    results.write_csv([row], str(tmp_path / "results.csv"))
    results.write_jsonl([row], str(tmp_path / "results.jsonl"))
    assert list(results.read_jsonl(str(tmp_path / "results.jsonl"))) == [row]
    assert b"\xed\xa0\xbd.jpg" in (tmp_path / "results.csv").read_bytes()
