"""The terminal: progress, tables and questions. The only module that prints.

What is data goes to stdout; all else, and everything when the data is JSON, goes to stderr.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zeroshelf.records import Progress

NAME = 24  # characters; names up to that long stay whole in a table, so that they can be copied


def printable(text: str) -> str:
    """`text` on one line, without anything that a terminal would obey: names are hostile text."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class Screen:
    """How much a person wants to see: `level` is -1 quiet, 0 as usual, 1 everything."""

    def __init__(self, level: int = 0, *, as_json: bool = False) -> None:
        self.level = level
        self.as_json = as_json
        self._out = sys.stderr if as_json else sys.stdout

    def say(self, line: str = "") -> None:
        if self.level >= 0:
            print(printable(line), file=self._out)

    def detail(self, line: str) -> None:
        if self.level >= 1:
            self.say(line)

    def warn(self, line: str) -> None:
        """What a person should know, and can do without."""
        if self.level >= 0:
            self.complain(line)

    def complain(self, line: str) -> None:
        """What went wrong: said to the quiet too."""
        print("zeroshelf:", printable(line), file=sys.stderr)

    def data(self, record: Mapping[str, Any]) -> None:
        """One JSON object on stdout; a path that is no valid UTF-8 keeps its escapes."""
        if self.as_json:
            print(json.dumps(record), file=sys.stdout)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
        """Numbers to the right, words to the left."""
        if self.level < 0:
            return
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        cells = [
            [f"{cell:,}" if isinstance(cell, int) else printable(cell) for cell in row]
            for row in rows
        ]
        named = max((len(row[0]) for row in cells), default=0) <= NAME
        table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for index, column in enumerate(columns):
            numbers = bool(rows) and all(isinstance(row[index], int) for row in rows)
            table.add_column(
                column,
                justify="right" if numbers else "left",
                overflow="fold",
                no_wrap=named and index == 0,
            )
        for row in cells:
            table.add_row(*map(Text, row))
        Console(file=self._out, highlight=False).print(table)

    def ask(self, question: str) -> bool:
        return click.confirm(printable(question), default=False, err=True)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A callback that shows rate and time left on stderr; silent where nobody looks."""
        if self.level < 0 or not sys.stderr.isatty():
            yield lambda stage, done, total: None
            return
        with _bars() as advance:
            yield advance


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}
    with bars:

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                for before in bars.tasks:
                    if before.total is None:  # nobody could say how long: it is over now
                        bars.update(before.id, visible=False)
                tasks[stage] = bars.add_task(stage, total=total or None, completed=done, rate="")
            task = bars.tasks[tasks[stage]]
            rate = f"{task.speed:.0f}/s" if task.speed else ""
            bars.update(tasks[stage], completed=done, total=total or None, rate=rate, visible=True)

        yield advance
