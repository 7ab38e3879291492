"""Tables keep a path whole, on any width and in a pipe."""

from __future__ import annotations

import io
import re

import pytest

from zeroshelf.commands.terminal import Screen

PATHS = [
    "/home/someone/a rather long name/of pictures",
    "/mnt/\u65e5\u672c\u8a9e/\u5199\u771f",
    "C",
]
ROWS = [(f"2026-{n}", n, path, [path, "b c.jpg"]) for n, path in enumerate(PATHS)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(
    monkeypatch: pytest.MonkeyPatch,
    out: io.StringIO,
    columns: int,
    *,
    whole: tuple[str, ...],
    terminal: str = "xterm",
) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setattr("sys.stdout", out)
    Screen().table(("run", "pictures", "from", "for example"), ROWS, whole=whole)
    return re.sub(r"\x1b\[\d*m", "", out.getvalue())


@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
@pytest.mark.parametrize("out", [Terminal, io.StringIO])
@pytest.mark.parametrize("columns", [1, 20, 40, 60, 80, 100, 120, 200])
def test_a_path_is_never_broken(
    out: type[io.StringIO], columns: int, terminal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ("from", "for example")
    said = shown(monkeypatch, out(), columns, whole=whole, terminal=terminal)
    for path in PATHS:
        lines = [line for line in said.splitlines() if path in line]
        assert lines, f"{path} is broken at {columns} columns"
    assert said.count("b c.jpg") == len(PATHS)
    assert all(f"2026-{n}" in said for n in range(len(PATHS)))


def test_a_narrow_terminal_gets_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown(monkeypatch, Terminal(), 40, whole=("from",))
    first = said.split("\n\n")[0].splitlines()
    assert first == [
        "run          2026-0",
        "pictures     0",
        f"from         {PATHS[0]}",
        f"for example  {PATHS[0]}",
        "             b c.jpg",
    ]
    wide = shown(monkeypatch, Terminal(), 200, whole=("from",))
    assert "\u2500" in wide and wide.count("\n") < 12


def test_other_tables_are_folded_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown(monkeypatch, Terminal(), 40, whole=())
    assert max(map(len, said.splitlines())) <= 40 and "\u2500" in said


def test_a_hostile_cell_stays_on_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    Screen().table(("from",), [("a\nb\x1b[2J",)], whole=("from",))
    assert "a\\nb\\x1b[2J" in out.getvalue()


def test_progress_shows_each_stage_with_its_count(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", out)
    with Screen().progress() as progress:
        progress("looking", 0, 0)  # its total is unknown
        progress("embedding", 3, 12)
        progress("embedding", 12, 12)
    said = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", out.getvalue())
    assert "embedding" in said and "12/12" in said
    assert "looking" not in said.rsplit("embedding", 1)[1], "what has ended is shown no more"


def test_there_is_no_progress_without_a_terminal_or_where_all_is_quiet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for out, level in ((io.StringIO(), 0), (Terminal(), -1)):
        monkeypatch.setattr("sys.stderr", out)
        with Screen(level=level).progress() as progress:
            progress("embedding", 3, 12)
        assert out.getvalue() == ""
