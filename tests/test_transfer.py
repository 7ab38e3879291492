"""A file is moved to another drive by a copy. Whatever goes wrong on the way: the original stays,
and no copy has the target's name; or the whole copy has it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.systems import posix
from zeroshelf.actions import transfer
from zeroshelf.system import file_attributes, file_io, renaming, users


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf" / "a.jpg"


@pytest.fixture
def two_drives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename from one folder to another is refused as between two drives."""
    honest = renaming.rename

    def rename(old: str, new: str) -> None:
        if os.path.dirname(old) != os.path.dirname(new):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), old)
        honest(old, new)

    monkeypatch.setattr(renaming, "rename", rename)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def move(source: Path, target: Path) -> None:
    transfer.move(str(source), str(target))


def refusing(number: int, *places: str) -> Callable[..., None]:
    """Refuses with this error number, for paths that end so."""

    def refuse(path: object, *_: object) -> None:
        if not places or str(path).endswith(places):
            raise OSError(number, os.strerror(number), path)

    return refuse


@pytest.mark.usefixtures("two_drives")
def test_it_is_moved(source: Path, target: Path) -> None:
    move(source, target)
    assert not source.exists() and files(target.parent) == {"a.jpg": b"picture"}


def test_any_other_refusal_of_a_rename_is_told(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renaming, "rename", refusing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        move(source, target)
    assert source.read_bytes() == b"picture" and not files(target.parent)


@pytest.mark.usefixtures("two_drives")
def test_what_lies_at_the_target_stays(source: Path, target: Path) -> None:
    target.write_bytes(b"another")
    with pytest.raises(FileExistsError):
        move(source, target)
    assert source.read_bytes() == b"picture" and files(target.parent) == {"a.jpg": b"another"}


@pytest.mark.usefixtures("two_drives")
def test_a_copy_that_is_not_equal_gets_no_name(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(part: str, *_: object) -> None:
        Path(part).write_bytes(b"pikture")

    monkeypatch.setattr(file_attributes, "copy", lambda _, part: write(part))
    with pytest.raises(OSError, match="differs from the original"):
        move(source, target)
    assert source.read_bytes() == b"picture" and not files(target.parent)


@pytest.mark.usefixtures("two_drives")
@pytest.mark.parametrize("when", ["while it is copied", "after the copy got its name"])
def test_a_picture_that_changes_meanwhile_stays(
    source: Path, target: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(*_: object) -> None:
        source.write_bytes(b"edited meanwhile")

    if when == "while it is copied":
        monkeypatch.setattr(file_attributes, "copy", change)
    else:
        honest = file_io.sync
        monkeypatch.setattr(
            file_io,
            "sync",
            lambda paths: change() if str(target.parent) in paths else honest(paths),
        )
    with pytest.raises(OSError, match="changed while it was copied"):
        move(source, target)
    assert source.read_bytes() == b"edited meanwhile" and not files(target.parent)


@pytest.mark.usefixtures("two_drives")
def test_a_copy_that_is_cut_short_gets_no_name(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        file_io, "copy_content", lambda reading, writing, _: os.write(writing, os.read(reading, 3))
    )
    with pytest.raises(OSError, match="differ in size"):
        move(source, target)
    assert source.read_bytes() == b"picture" and not files(target.parent)


@pytest.mark.usefixtures("two_drives")
def test_what_is_no_regular_file_is_not_copied(tmp_path: Path, target: Path) -> None:
    with pytest.raises(OSError):
        transfer.stage(str(tmp_path), str(target))
    with pytest.raises(OSError, match="not a regular file"):
        transfer.stage(os.devnull, str(target))
    assert not files(target.parent)


@pytest.mark.usefixtures("two_drives")
def test_where_the_original_can_not_be_removed_its_copy_goes(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, refuse = renaming.remove, refusing(errno.EPERM, str(source))
    monkeypatch.setattr(renaming, "remove", lambda path: refuse(path) or honest(path))
    with pytest.raises(PermissionError):
        move(source, target)
    assert source.read_bytes() == b"picture" and not files(target.parent)


@pytest.mark.parametrize("error", [errno.ENOENT, errno.EIO])
def test_the_copy_stays_where_another_program_took_the_original(
    source: Path, target: Path, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy may be the last one. A network drive may tell of it by another error."""
    target.write_bytes(b"picture")
    source.unlink()
    monkeypatch.setattr(renaming, "remove", refusing(error, str(source)))
    transfer.remove_original(str(source), str(target))
    assert files(target.parent) == {"a.jpg": b"picture"}


def test_where_neither_can_be_removed_both_are_named(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.write_bytes(b"picture")
    monkeypatch.setattr(renaming, "remove", refusing(errno.EPERM))
    with pytest.raises(OSError, match=r"its copy .*shelf.a\.jpg can't be removed") as told:
        transfer.remove_original(str(source), str(target))
    assert told.value.filename == str(source)


@posix
def test_in_a_sticky_folder_only_the_owner_may_take_a_file_away(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.parent.chmod(0o1777)
    mine = os.stat(source).st_uid
    for owner, may in ((mine, True), (mine + 1, False)):
        monkeypatch.setattr(users, "effective_user", lambda owner=owner: owner)
        if may:
            transfer.check_may_leave(str(source))
        else:
            with pytest.raises(PermissionError, match="only its owner may remove it"):
                transfer.check_may_leave(str(source))
    assert stat.S_IMODE(source.parent.stat().st_mode) == 0o1777


def test_what_can_not_be_seen_may_be_there(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert transfer.exists(str(source)) and not transfer.exists(f"{source}/below")
    assert not transfer.exists(str(source.with_name("no")))
    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", refusing(errno.ENAMETOOLONG))
        assert not transfer.exists(str(source)), "no file system has such a name"
        patch.setattr(os, "lstat", refusing(errno.EACCES))
        with pytest.raises(PermissionError):
            transfer.exists(str(source))
