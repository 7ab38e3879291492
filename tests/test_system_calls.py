"""What `zeroshelf.system` answers where a system lacks a call, or a file system refuses one."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.systems import LINUX, links, posix
from zeroshelf.errors import UserError
from zeroshelf.system import (
    app_folders,
    file_attributes,
    file_io,
    machine,
    mounts,
    streams,
    users,
)
from zeroshelf.system import (
    links as linking,
)

linux = pytest.mark.skipif(not LINUX, reason="a call or a file of Linux")


def refusing(number: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


def unimplemented(*_: object, **__: object) -> None:
    raise NotImplementedError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    return tmp_path / "a.jpg"


# --- the content of a file ----------------------------------------------------------------------


def copied(source: Path, size: int) -> bytes:
    target = source.with_name("copy")
    with open(source, "rb") as reading, open(target, "wb") as writing:
        file_io.copy_content(reading.fileno(), writing.fileno(), size)
    return target.read_bytes()


@linux
def test_a_file_that_has_become_shorter_is_copied_as_it_is(file: Path) -> None:
    assert copied(file, 100) == b"picture"


@linux
def test_a_copy_goes_on_by_itself_only_where_nothing_was_copied_yet(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "copy_file_range", refusing(errno.EXDEV))
    assert copied(file, 7) == b"picture"
    monkeypatch.setattr(os, "copy_file_range", refusing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        copied(file, 7)
    answers = iter([3])
    honest = refusing(errno.EXDEV)
    monkeypatch.setattr(os, "copy_file_range", lambda *_: next(answers, None) or honest())
    with pytest.raises(OSError):
        copied(file, 7)


@posix
def test_a_file_that_can_not_be_synced_is_an_error_and_a_folder_is_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EINVAL))
    file_io.sync([str(file.parent)])
    with pytest.raises(OSError):
        file_io.sync([str(file)])
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    with pytest.raises(OSError):
        file_io.sync([str(file.parent)])


@posix
def test_where_a_file_system_has_no_full_sync_an_ordinary_one_is_made(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Linux there is no F_FULLFSYNC at all, as on a network share of macOS."""
    import fcntl

    made: list[int] = []
    monkeypatch.setattr(machine, "MACOS", True)
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    monkeypatch.setattr(os, "fsync", made.append)
    with open(file, "rb") as opened:
        file_io.sync_open(opened.fileno())
    assert len(made) == 1
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda *_: 0)
    with open(file, "rb") as opened:
        file_io.sync_open(opened.fileno())
    assert len(made) == 1, "the drive's cache was emptied: nothing more is needed"


@pytest.mark.parametrize(
    ("system", "look_up"),
    [("linux", file_io._find_syncfs), ("darwin", file_attributes._find_copyfile)],
)
def test_a_system_without_a_call_is_no_error(
    system: str, look_up: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "sunos5")
        assert look_up() is None
    monkeypatch.setattr(
        sys, "platform", "darwin" if look_up is not file_io._find_syncfs else "linux"
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    assert look_up() is None


# --- what a file has beside its content ---------------------------------------------------------


def test_flags_and_the_access_list_of_macos_go_along(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = file.with_name("copy")
    target.write_bytes(b"")
    seen: list[tuple[object, ...]] = []
    honest = os.stat
    monkeypatch.setattr(file_attributes, "_COPYFILE", lambda *names: seen.append(names))
    monkeypatch.setattr(os, "chflags", lambda *given: seen.append(given), raising=False)
    monkeypatch.setattr(
        os, "stat", lambda path, **more: SimpleNamespace(st_flags=0x8000) or honest(path, **more)
    )
    file_attributes.copy(str(file), str(target))
    assert seen == [(os.fsencode(file), os.fsencode(target)), (str(target), 0x8000)]
    monkeypatch.setattr(os, "chflags", refusing(errno.EPERM), raising=False)
    file_attributes.copy(str(file), str(target))  # as far as the file system takes them


@pytest.mark.parametrize(("flags", "locked"), [(0, False), (0x2, True)])
def test_a_file_that_macos_locks_can_not_be_removed(
    file: Path, flags: int, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_attributes, "_LOCKED", stat.UF_IMMUTABLE)
    monkeypatch.setattr(os, "lstat", lambda path: SimpleNamespace(st_flags=flags))
    assert file_attributes.is_immutable(str(file)) is locked


def test_no_file_is_immutable_where_nothing_tells(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not file_attributes.is_immutable(str(file))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "sunos5")
        assert not file_attributes.is_immutable(str(file))
    if LINUX:
        import fcntl

        monkeypatch.setattr(fcntl, "ioctl", refusing(errno.ENOTTY))
        assert not file_attributes.is_immutable(str(file))


# --- links --------------------------------------------------------------------------------------


def test_a_system_without_symbolic_links_says_so(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = str(file.with_name("link"))
    for make in (unimplemented, None):
        monkeypatch.setattr(os, "symlink", make)
        with pytest.raises(OSError, match="this system has no symbolic links"):
            linking.symlink(str(file), target)
        advice = linking.why_no_symlinks(str(file.parent))
        assert advice == "this system has no symbolic links: use --as copy"
    assert not os.path.lexists(target)


@links
def test_a_link_is_never_hard_linked_by_a_call_that_would_follow_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.link

    def link(source: str, target: str, *, follow_symlinks: bool = True) -> None:
        if not follow_symlinks:
            raise NotImplementedError
        honest(source, target)

    monkeypatch.setattr(os, "link", link)
    file.with_name("link").symlink_to(file)
    with pytest.raises(OSError, match="a symbolic link can't be hard-linked"):
        linking.hard_link(str(file.with_name("link")), str(file.with_name("second")))
    linking.hard_link(str(file), str(file.with_name("second")))
    assert file.stat().st_nlink == 2


# --- the machine, its drives and users ----------------------------------------------------------


def test_fonts_of_each_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDIR", "W")
    monkeypatch.setenv("LOCALAPPDATA", "L")
    for platform, part in (("win32", "W"), ("darwin", "/System/Library"), ("linux", "/usr/share")):
        monkeypatch.setattr(sys, "platform", platform)
        assert machine.font_folders()[0].startswith(part)
        assert len(set(machine.font_folders())) >= 2


def test_memory_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    def status(given: Any) -> int:
        given._obj.a = 6 << 30
        return 1

    monkeypatch.setattr(sys, "platform", "win32")
    kernel = SimpleNamespace(GlobalMemoryStatusEx=status)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert machine.memory() == 6 << 30
    monkeypatch.setattr(kernel, "GlobalMemoryStatusEx", lambda _: 0)
    assert machine.memory() == machine._USUAL_MEMORY


@linux
def test_drives_that_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", refusing(errno.EACCES))
    monkeypatch.setattr(os, "pathconf", refusing(errno.EINVAL))
    assert not mounts.is_read_only(str(tmp_path))
    assert mounts._longest_name(str(tmp_path)) is None
    assert mounts._number(str(tmp_path / "missing")) is None
    monkeypatch.setattr("builtins.open", refusing(errno.ENOENT))  # no /proc
    assert list(mounts._table()) == [] and not mounts.is_elsewhere("/a", "/b")


def test_users_without_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getuid", raising=False)
    monkeypatch.delattr(os, "geteuid", raising=False)
    monkeypatch.setenv("USERNAME", "Anna B./..")
    assert users.user_id() == "Anna_B____"
    assert users.is_private(os.stat(tmp_path))


@posix
def test_folders_that_can_not_be_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.lstat
    hidden = str(tmp_path / "hidden" / "models")

    def lstat(path: Any, **more: Any) -> os.stat_result:
        return refusing(errno.EACCES)() if str(path) == hidden else honest(path, **more)

    monkeypatch.setattr(os, "lstat", lstat)
    monkeypatch.setenv("ZEROSHELF_MODELS", hidden)
    with pytest.raises(UserError, match=r"ZEROSHELF_MODELS: .*models can't be read"):
        app_folders.models()


# --- streams ------------------------------------------------------------------------------------


def test_an_encoding_that_python_does_not_know_is_written_in_ascii() -> None:
    assert streams.encodable("кот", "no-such-encoding") == r"\u043a\u043e\u0442"
    assert streams.encodable("кот", "ascii") == r"\u043a\u043e\u0442"
    assert streams.encodable("кот", "utf-8") == "кот"
