"""Where zeroshelf keeps its own files, and what happens where there is no home for them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zeroshelf
from tests.test_house import MODULES, SOURCE
from zeroshelf.commands.cli import main
from zeroshelf.embeddings.cache import EmbeddingCache, default_path
from zeroshelf.errors import UserError
from zeroshelf.models import digest, installed
from zeroshelf.runs import registry
from zeroshelf.system import app_folders

VARIABLES = ("ZEROSHELF_RUNS", "ZEROSHELF_CACHE", "ZEROSHELF_MODELS")


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of a user whose home can't be made: a file is in its way."""
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "tmp").mkdir()
    for name in (*VARIABLES, "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "file" / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)  # asked for once a process
    return tmp_path / "tmp"


def cli(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zeroshelf", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def tree(root: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


@pytest.mark.skipif(os.name == "nt", reason="the home is the system's to tell there")
@pytest.mark.parametrize("as_what", ["copy", "move"])
def test_without_a_home_a_sort_works_says_where_it_is_kept_and_can_be_undone(
    homeless: Path, as_what: str
) -> None:
    root = homeless.parent
    zeroshelf.demo_pictures(root / "P")
    before = tree(root / "P")
    command = ("sort", "P", "-l", "cat", "-l", "frog", "--to", "S", "--as", as_what, "-y")
    done = cli(*command, cwd=root)
    assert done.returncode == 1, done.stderr  # one of the demo's pictures is broken
    told = next(line for line in done.stderr.splitlines() if "ZEROSHELF_RUNS" in line)
    assert "ZEROSHELF_CACHE" in told and "zeroshelf undo" in told
    kept = re.search(r"(\S+/runs), ", told)
    assert kept and Path(kept[1]).is_relative_to(homeless)
    assert Path(kept[1]).parent.stat().st_mode & 0o77 == 0
    assert (root / "S" / "cat").is_dir()
    assert "runs" in cli("runs", "--json", cwd=root).stdout
    assert cli("undo", "-y", cwd=root).returncode == 0
    assert tree(root / "P") == before and not (root / "S").exists()
    assert not list(root.rglob("~*"))


@pytest.mark.skipif(os.name == "nt", reason="the home is the system's to tell there")
def test_a_user_without_any_home(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker run --user 54321`: no HOME, and no such user in the system's list."""
    import pwd

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(homeless.parent)
    for place in (
        app_folders.runs(),
        app_folders.cache(),
        app_folders.models(),
        app_folders.logs() or "",
    ):
        assert Path(place).is_relative_to(homeless)
    assert app_folders.notice()
    EmbeddingCache.open().close()
    assert installed.ids() == ()
    assert [path.name for path in homeless.parent.iterdir() if path.name.startswith("~")] == []


def refuses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What `sort` says that refuses before it reads a picture."""
    monkeypatch.setattr("zeroshelf.run.classify", lambda *_, **__: pytest.fail("read pictures"))
    assert main(["sort", ".", "-l", "cat", "--to", "S", "-y"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_a_folder_for_runs_that_cannot_be_written_is_found_out_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZEROSHELF_RUNS", str(tmp_path / "file" / "runs"))
    told = refuses(monkeypatch, capsys)
    assert "set ZEROSHELF_RUNS" in told and str(tmp_path / "file") in told


def test_the_look_beforehand_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZEROSHELF_RUNS", str(tmp_path / "a" / "b"))
    assert app_folders.notice() is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert app_folders.notice() is None
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


@pytest.mark.skipif(os.name == "nt", reason="the home is the system's to tell there")
@pytest.mark.parametrize("trap", ["link", "file", "open to all"])
def test_a_temporary_folder_that_others_could_have_made_is_not_used(
    homeless: Path,
    trap: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = homeless / f"zeroshelf-{os.getuid()}"
    if trap == "link":
        (homeless / "elsewhere").mkdir()
        theirs.symlink_to(homeless / "elsewhere")
    elif trap == "file":
        theirs.write_text("")
    else:
        theirs.mkdir()
        theirs.chmod(0o777)
    assert "set ZEROSHELF_RUNS" in refuses(monkeypatch, capsys)
    with EmbeddingCache.open() as store:  # a cache is no condition
        assert store.trouble and "ZEROSHELF_CACHE names another" in store.trouble
    assert not list(homeless.rglob("runs"))


def test_the_current_folder_is_no_substitute(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own choice where no folder for temporary files can be written."""
    monkeypatch.delenv("TMPDIR")
    monkeypatch.chdir(homeless)
    monkeypatch.setattr("tempfile.gettempdir", os.getcwd)
    with pytest.raises(UserError, match="set ZEROSHELF_RUNS"):
        app_folders.runs()


def test_a_home_is_expanded_in_every_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in VARIABLES:
        monkeypatch.setenv(name, f"~/{name}")
    assert registry.root() == str(tmp_path / "ZEROSHELF_RUNS")
    assert default_path() == str(tmp_path / "ZEROSHELF_CACHE" / "embeddings.sqlite")
    assert installed.home() == tmp_path / "ZEROSHELF_MODELS"
    assert digest._Memory()._file.parent == tmp_path / "ZEROSHELF_CACHE"
    monkeypatch.setenv("ZEROSHELF_MODEL", "~/model")
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "model"))):
        zeroshelf.classify(tmp_path, ["cat"])


@pytest.mark.skipif(os.name == "nt", reason="Windows makes a path of any name")
@pytest.mark.parametrize("name", [*VARIABLES, "ZEROSHELF_MODEL"])
def test_the_home_of_an_unknown_user_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zeroshelf.demo_pictures(tmp_path / "P")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, "~no-such-user/x")
    assert main(["sort", "P", "-l", "cat", "--to", "S", "-y"]) == 2
    assert f"{name}: the home folder in '~no-such-user/x'" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["P"]


def test_only_one_module_asks_for_these_folders() -> None:
    for path in MODULES:
        here, code = path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8")
        if here == "system/app_folders.py":
            assert "platformdirs" in code
            continue
        assert "platformdirs" not in code, here
        assert not re.search(r"environ[^\n]*ZEROSHELF_|getenv", code), here
