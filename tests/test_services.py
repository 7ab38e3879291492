"""Service files: read back by their own formats, shown before they are written."""

from __future__ import annotations

import plistlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.colours import RED, paint
from tests.program import command
from zeroshelf.system import app_folders, services
from zeroshelf.watch import log

WORDS = ["/opt/py thon/python", "-m", "zeroshelf", "watch", "/In 100%/$HOME", "-l", 'a "b" \\c']
PLACES = {"ZEROSHELF_RUNS": "/data/$x 50%/runs"}


def test_a_unit_of_systemd_has_every_word_as_it_was() -> None:
    unit = services.unit("zeroshelf-in", "watch 100%\nof it", WORDS, PLACES)
    lines = dict(line.split("=", 1) for line in unit.text.splitlines() if "=" in line)
    assert lines["Description"] == "watch 100%% of it"
    words = shlex.split(lines["ExecStart"].replace("$$", "\0").replace("%%", "%"))
    assert [word.replace("\0", "$") for word in words] == WORDS
    assert lines["Environment"] == '"ZEROSHELF_RUNS=/data/$x 50%%/runs"'
    assert unit.path.endswith("systemd/user/zeroshelf-in.service")
    assert "enable --now zeroshelf-in.service" in unit.start[1]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = services.unit("zeroshelf-in", "about", ["/bin/true", "100%", "$HOME"], PLACES)
    path = tmp_path / "zeroshelf-in.service"
    path.write_bytes(unit.content)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", path], check=False, capture_output=True
    )
    assert b"zeroshelf-in" not in done.stderr


def test_an_agent_of_launchd_has_every_word_as_it_was() -> None:
    agent = services.agent("zeroshelf-in", WORDS, PLACES)
    read = plistlib.loads(agent.content)
    assert read["ProgramArguments"] == WORDS and read["EnvironmentVariables"] == PLACES
    assert read["Label"] == "zeroshelf-in" and agent.path.endswith("zeroshelf-in.plist")
    assert agent.text.startswith("<?xml")


@pytest.mark.parametrize("places", [PLACES, {}], ids=["with variables", "without"])
def test_a_task_of_windows_is_xml_in_utf16(places: dict[str, str]) -> None:
    task = services.task("zeroshelf-in", "of <this> & that", WORDS, places)
    root = ElementTree.fromstring(task.content.decode("utf-16").split("\n", 1)[1])
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    assert root.findtext(".//t:Description", namespaces=space) == "of <this> & that"
    program = root.findtext(".//t:Command", namespaces=space)
    arguments = root.findtext(".//t:Arguments", namespaces=space) or ""
    assert program == ("cmd.exe" if places else WORDS[0])
    assert '"/In 100%/$HOME"' in arguments or "/In 100%/$HOME" in arguments
    assert ("ZEROSHELF_RUNS=/data/$x 50%/runs" in arguments) == bool(places)
    assert task.text.startswith("<?xml") and "/Create /TN zeroshelf-in" in task.start[0]


@pytest.fixture
def unit_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(services, "service", services.unit)
    return tmp_path / "config" / "systemd" / "user"


def test_install_shows_the_file_and_writes_nothing_without_a_yes(
    tmp_path: Path, unit_of_systemd: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert command("watch", tmp_path / "in", "-l", "cat", "--to", tmp_path / "s", "--install") == 0
    assert "[Service]\nExecStart=" in capsys.readouterr().out
    assert not unit_of_systemd.exists()


def test_install_writes_the_same_watch(tmp_path: Path, unit_of_systemd: Path, capsys) -> None:
    labels = tmp_path / "labels.toml"
    labels.write_text('[labels]\ncat = ["cat"]\n')
    given = ["watch", tmp_path / "in", "--labels", labels, "--to", tmp_path / "s", "--as", "move"]
    more = ["--exclude", "*.gif", "--threshold", "0.7", "--no-corrections", "--settle", "15"]
    assert command(*given, *more, "--install", "-y") == 0
    (path,) = unit_of_systemd.iterdir()
    words = shlex.split(re.findall("ExecStart=(.*)", path.read_text())[0])
    assert words[3:] == [
        "watch", str(tmp_path / "in"), "--labels", str(labels), "--to", str(tmp_path / "s"),
        "--as", "move", "--unsure-to", "unsure", "--settle", "15", "--every", "10",
        "--exclude", "*.gif", "--threshold", "0.7", "--no-corrections",
        "--log", str(log.path_for(str(tmp_path / "in"))), "--quiet", "--yes",
    ]  # fmt: skip
    assert "ZEROSHELF_RUNS=" in path.read_text()
    assert "systemctl --user enable --now" in capsys.readouterr().out
    assert command(*given, *more, "--install", "-y") == 0
    assert "It is there already." in capsys.readouterr().out


def test_watch_once_by_the_command(tmp_path: Path, colours: None, capsys) -> None:
    inbox = tmp_path / "in"
    paint(inbox / "a.jpg", RED)
    (inbox / "broken.jpg").write_bytes((inbox / "a.jpg").read_bytes()[:60])
    given = ["watch", inbox, "-l", "red", "--to", tmp_path / "s", "--as", "move", "--once", "-y"]
    assert command(*given, "--settle", "0.2", "--log", tmp_path / "log" / "watch.log") == 1
    assert (tmp_path / "s" / "red" / "a.jpg").exists()
    lines = (tmp_path / "log" / "watch.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \w", line) for line in lines)
    assert [line.split("  ", 1)[1].split(":")[0] for line in lines] == [
        "started", "left alone", "sorted 1 picture",
    ]  # fmt: skip


def test_watch_refuses_what_does_not_go_together(tmp_path: Path, capsys) -> None:
    given = ["watch", tmp_path / "in", "-l", "cat", "--to", tmp_path / "s"]
    assert command(*given) == 2  # not in a terminal, and no --yes
    assert command(*given, "--once", "--install", "-y") == 2
    assert command(*given, "--as", "trash", "-y", "--once") == 2
    assert command(*given, "--model", "no such model", "-y", "--once") == 2
    assert "no model" in capsys.readouterr().err


def test_the_log_is_rotated_and_keeps_one_line_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BYTES", 1000)
    tell = log.to_file(str(tmp_path / "w.log"))
    for number in range(300):
        tell(f"left alone: a\n{number}\udcff.jpg")
    files = list(tmp_path.iterdir())
    assert len(files) == 1 + log.FILES
    assert all(path.stat().st_size <= 1000 for path in files)
    assert all("left alone: a\\n" in line for path in files for line in path.open())


def test_each_folder_has_a_log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert log.path_for("/a/In box") != log.path_for("/b/In box")
    assert re.fullmatch(r"watch-In-box-[0-9a-f]{8}", log.name_for("/a/In box"))
    monkeypatch.setattr(app_folders, "logs", lambda: None)
    assert log.path_for("/a/In box") is None
