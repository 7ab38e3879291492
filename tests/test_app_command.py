"""`zeroshelf app` as a process: its address, what it may open, its shortcut and its end."""

from __future__ import annotations

import configparser
import json
import os
import plistlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.apping import call
from tests.colours import RED, paint
from tests.systems import posix
from zeroshelf.app import address as addresses
from zeroshelf.commands.app import _allowed
from zeroshelf.commands.cli import cli
from zeroshelf.errors import UserError
from zeroshelf.runs import registry
from zeroshelf.system import shortcuts

ICON = b"<svg/>"


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    program = subprocess.Popen(
        [sys.executable, "-m", "zeroshelf", "app", "--no-open", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        yield program, json.loads(program.stdout.readline())
    finally:
        program.kill()
        program.communicate()


def test_it_serves_until_it_is_quit_and_a_second_start_opens_the_first(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", RED)
    with started("--allow", str(tmp_path)) as (program, told):
        address = str(told["address"])
        assert told["roots"] == [os.path.realpath(tmp_path)]
        assert call(f"{address}state")[0] == 200
        assert call(f"{address}folders")[1]["folders"][0]["name"] == "pictures"
        with started() as (second, again):
            assert again["address"] == address and second.wait() == 0
        assert call(f"{address}quit", {})[0] == 200
        assert program.wait() == 0
    assert addresses.running() is None
    assert not os.path.exists(os.path.join(registry.root(), addresses.NAME))


@posix
def test_its_address_is_for_this_user_alone_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", RED)
    with started(str(tmp_path / "pictures"), "--allow", str(tmp_path)) as (program, told):
        note = os.path.join(registry.root(), addresses.NAME)
        _, now = call(f"{told['address']}state")
        assert now["folder"]["path"] == os.path.realpath(tmp_path / "pictures")
        assert os.stat(note).st_mode & 0o077 == 0
        program.send_signal(signal.SIGINT)
        assert program.wait() == 0


@pytest.mark.parametrize(
    "note", ["", "http://evil.example/token/", "http://127.0.0.1:1/t/", "\xff"]
)
def test_a_note_that_leads_nowhere_is_no_running_app(note: str) -> None:
    os.makedirs(registry.root())
    Path(registry.root(), addresses.NAME).write_text(note, encoding="latin-1")
    assert addresses.running() is None


def test_what_it_may_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, nas, far = (tmp_path / name for name in ("home", "nas", "far"))
    for folder in (home / "in", nas, far):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))

    def roots(folder: Path | None, *allow: Path) -> list[str]:
        allowed, _ = _allowed(None if folder is None else str(folder), tuple(map(str, allow)))
        return [os.path.basename(root) for root in allowed.roots]

    assert roots(None) == ["home"]
    assert roots(home / "in") == ["home"]
    assert roots(far) == ["far", "home"]
    assert roots(None, nas) == ["nas"]
    assert roots(far, nas) == ["far", "nas"]
    with pytest.raises(UserError, match="no folder"):
        roots(None, tmp_path / "missing")


# --- the shortcut ---------------------------------------------------------------------------------


@pytest.fixture
def home_of_shortcuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, place in (
        ("HOME", "h"),
        ("USERPROFILE", "h"),
        ("XDG_DATA_HOME", "x"),
        ("APPDATA", "a"),
    ):
        monkeypatch.setenv(name, str(tmp_path / place))
    return tmp_path


def test_it_is_shown_first_then_written_and_removed(home_of_shortcuts: Path) -> None:
    run = CliRunner().invoke
    declined = run(cli, ["app", "--install-shortcut"])
    assert declined.exit_code != 0 and not any(home_of_shortcuts.rglob("*"))  # no user can be asked
    done = run(cli, ["app", "--install-shortcut", "--yes"])
    assert done.exit_code == 0, done.output
    files = shortcuts.files([sys.executable, "-m", "zeroshelf", "app"], ICON)
    for file in files:
        assert os.path.isfile(file.path) and file.path in done.output
    again = run(cli, ["app", "--install-shortcut", "--yes"])
    assert "there already" in again.output and again.exit_code == 0
    removed = run(cli, ["app", "--remove-shortcut", "--yes"])
    assert removed.exit_code == 0 and "Removed" in removed.output
    assert not [path for path in home_of_shortcuts.rglob("*") if path.is_file()]
    assert "no shortcut" in run(cli, ["app", "--remove-shortcut", "--yes"]).output


def test_a_shortcut_that_was_changed_is_left_alone(home_of_shortcuts: Path) -> None:
    files = shortcuts.files(["/p"], ICON)
    shortcuts.install(files)
    Path(files[-1].path).write_text("mine")
    _, left = shortcuts.remove(files)
    assert left == [files[-1].path] and Path(files[-1].path).read_text() == "mine"


@pytest.mark.usefixtures("home_of_shortcuts")
@pytest.mark.parametrize("odd", ["/a b/py", '/a"b/py', "/a$b`c/py", "/100%/py", "/ä/py"])
def test_the_linux_entry_starts_the_program_whatever_its_path(odd: str) -> None:
    entry = shortcuts.files([odd, "-m", "zeroshelf"], ICON, "linux")[-1]
    assert entry.path.endswith(os.path.join("applications", "zeroshelf.desktop"))
    parsed = configparser.RawConfigParser()
    parsed.optionxform = str  # type: ignore[method-assign,assignment]
    parsed.read_string(entry.text)
    fields = dict(parsed["Desktop Entry"])
    assert fields["Type"] == "Application" and fields["Terminal"] == "false"
    value = fields["Exec"].replace("\\\\", "\\")  # first as a string of an entry, then as quoted
    quoted = re.findall(r'"((?:\\.|[^"\\])*)"', value.replace("%%", "%"))
    assert [re.sub(r"\\(.)", r"\1", one) for one in quoted] == [odd, "-m", "zeroshelf"]


@pytest.mark.usefixtures("home_of_shortcuts")
def test_the_bundle_of_macos(tmp_path: Path) -> None:
    about, program = shortcuts.files(["/a b/py", "-m", "zeroshelf"], ICON, "darwin")
    told = plistlib.loads(about.content)
    assert os.path.basename(program.path) == told["CFBundleExecutable"]
    assert program.is_program and program.text.startswith("#!/bin/sh\n")
    assert shlex.split(program.text.splitlines()[1]) == ["exec", "/a b/py", "-m", "zeroshelf"]
    shortcuts.install([about, program])
    shortcuts.remove([about, program])
    assert not list((tmp_path / "h" / "Applications").iterdir())


@pytest.mark.usefixtures("home_of_shortcuts")
def test_the_command_file_of_windows(tmp_path: Path) -> None:
    (file,) = shortcuts.files(["C:\\a b\\100%\\py.exe", "-m", "zeroshelf"], ICON, "win32")
    assert file.path.startswith(str(tmp_path / "a")) and file.path.endswith("zeroshelf.cmd")
    assert '"C:\\a b\\100%%\\py.exe" "-m" "zeroshelf"' in file.text
