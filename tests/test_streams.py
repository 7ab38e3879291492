"""stdout and stderr that are closed, full or unread, or lack a character: no command stops."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.colours import RED, ColourEncoder, paint
from zeroshelf.commands import cli
from zeroshelf.commands.terminal import Screen
from zeroshelf.models import select
from zeroshelf.runs import registry
from zeroshelf.system import streams

LABEL = "blue \u2615"
NAME = "\u65e5\u672c \u00e9.png"
ENCODINGS = ["ascii", "cp1252", "latin-1", "cp437", "shift_jis", "koi8-r", "utf-8", "utf-16"]


class Failing(io.RawIOBase):
    """A file that takes `room` bytes and then raises `error`."""

    def __init__(self, error: OSError, room: int = 0) -> None:
        self.error, self.room, self.taken = error, room, b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        given = bytes(data)  # type: ignore[call-overload]
        if len(self.taken) + len(given) > self.room:
            raise self.error
        self.taken += given
        return len(given)


def failing(code: int, room: int = 0) -> io.TextIOWrapper:
    raw = Failing(OSError(code, os.strerror(code)), room)
    return io.TextIOWrapper(io.BufferedWriter(raw, 64), "utf-8", line_buffering=True)


def closed() -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    stream.close()
    return stream


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch, encoder: ColourEncoder) -> None:
    monkeypatch.setattr(select, "find", lambda name=None: encoder.model)
    monkeypatch.setattr(select, "load", lambda *_, **__: encoder)


def sort(to: Path, *words: str) -> int:
    paint(to.parent / "P" / NAME, RED)
    given = ["sort", str(to.parent / "P"), "-l", "red", "-l", LABEL, "--to", str(to), "-y", *words]
    return cli.main(given)


def check_sorted(to: Path) -> None:
    assert [path.name for path in (to / "red").iterdir()] == [NAME]
    assert registry.find(None).state == "applied"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_label_or_name_is_too_much_for_an_encoding(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    err = io.TextIOWrapper(io.BytesIO(), encoding)  # strict, which Python's own never is
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert sort(tmp_path / "S", "-v") == 0
    check_sorted(tmp_path / "S")
    said = out.buffer.getvalue().decode(encoding)
    escaped = NAME.encode(encoding, "backslashreplace").decode(encoding)
    assert escaped in said and LABEL.encode(encoding, "backslashreplace").decode(encoding) in said
    assert ("\u2500" in said) == encoding.startswith("utf")  # else borders of ASCII
    lines = [line for line in said.splitlines() if line.startswith(("|", "+"))]
    assert len(set(map(len, lines))) <= 1, "the escapes are wider than their column"


def test_json_is_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    assert sort(tmp_path / "S", "--json") == 0
    raw = out.buffer.getvalue()
    assert raw.isascii() and LABEL in json.loads(raw)["counts"]


@pytest.mark.parametrize("broken", ["stdout", "stderr"])
@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (lambda: failing(errno.ENOSPC), 1),
        (lambda: failing(errno.ENOSPC, room=100), 1),  # in the middle of the run
        (lambda: failing(errno.EIO), 1),
        (lambda: failing(errno.EPIPE), 0),  # `| head`: its reader has left
        (lambda: failing(errno.EPIPE, room=100), 0),
        (lambda: None, 0),  # closed from the start: `>&-`
        (closed, 1),
    ],
    ids=["full", "full later", "terminal gone", "pipe", "pipe later", "closed", "closed since"],
)
def test_a_run_goes_on_where_its_output_is_not_read(
    stream: Callable[[], io.TextIOWrapper | None],
    code: int,
    broken: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, broken, stream())
    assert sort(tmp_path / "S", "-v") == (code if broken == "stdout" else 0)
    check_sorted(tmp_path / "S")
    said = capsys.readouterr()
    if broken == "stdout":
        assert ("the output can't be written" in said.err) == (code == 1)
        assert "a bug" not in said.err and "Traceback" not in said.err
    monkeypatch.setattr(sys, broken, stream())
    assert cli.main(["undo", "--yes"]) in {0, code}  # its one line may still find room
    assert registry.find(None).state == "undone"


def test_a_mistake_stays_a_mistake_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", failing(errno.ENOSPC))
    assert cli.main(["report"]) == 2  # nothing was to be written yet
    assert cli.main(["--help"]) == 1


def test_without_stdin_no_confirmation_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "P" / "a.png", RED)
    for stdin in (None, closed(), io.StringIO("y\n")):
        monkeypatch.setattr(sys, "stdin", stdin)
        words = ["sort", str(tmp_path / "P"), "-l", "red", "--to", str(tmp_path / "S")]
        assert cli.main(words) == 2
        assert "pass --yes" in capsys.readouterr().err
        assert not (tmp_path / "S").exists()


def test_an_answer_that_is_no_text_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8"))
    assert Screen().confirm("go on?") is False


@pytest.mark.skipif(sys.platform == "win32", reason="the shell closes descriptors")
@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&- <&-", "<&-", ">/dev/full", "| true"])
def test_closed_descriptors_are_no_place_for_files(redirect: str, tmp_path: Path) -> None:
    """A file that is opened never gets the number 0, 1 or 2, and the exit code is the command's."""
    if "full" in redirect and not os.path.exists("/dev/full"):
        pytest.skip("this system has no full device")
    probe = (
        "import os, sys; from zeroshelf.commands import cli; from zeroshelf.system import streams\n"
        "with streams.tolerant():\n"
        f"    file = open({str(tmp_path / 'file')!r}, 'w'); low = file.fileno() < 3\n"
        "    file.close()\n"
        f"open({str(tmp_path / 'said')!r}, 'w').write(f'{{low}} {{cli.main([\"--help\"])}}')\n"
    )
    command = f'"{sys.executable}" -c "$0" {redirect}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command, probe], check=False, capture_output=True)
    low, code = (tmp_path / "said").read_text().split()
    assert low == "False"
    assert (code, done.returncode) == ("1" if "full" in redirect else "0", 0)
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always Unicode")
def test_a_label_is_a_folder_in_any_locale() -> None:
    """Where the encoding of file names is ASCII, labels become the same bytes as everywhere."""
    probe = (
        "import os, sys; from zeroshelf.labels.parse import parse\n"
        "from zeroshelf.actions import names\n"
        "assert sys.getfilesystemencoding() == 'ascii'\n"
        "typed = parse([sys.argv[1]]).names[0]\n"
        "shelves = [os.fsencode(names.shelf(name)) for name in (typed, chr(0x65e5) * 200)]\n"
        "print(ascii([typed, *shelves]))\n"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", probe, LABEL],
        env={**os.environ, **locale},
        capture_output=True,
        check=True,
    )
    shelves = [LABEL.encode(), ("\u65e5" * 40).encode()]  # 120 bytes, no character cut in two
    assert done.stdout.decode().strip() == ascii([LABEL, *shelves])


def test_the_streams_are_given_back() -> None:
    before = sys.stdout, sys.stderr
    with streams.tolerant() as out:
        assert sys.stdout is out and sys.stderr is not before[1]
    assert (sys.stdout, sys.stderr) == before
