"""The terminal: progress, tables and confirmations. The only module that prints.

Data goes to stdout; all else, and with --json everything but the JSON, goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from zeroshelf.errors import printable
from zeroshelf.system.streams import Stream, encodable

if TYPE_CHECKING:
    from rich.table import Table

    from zeroshelf.records import Progress

Cell: TypeAlias = str | int | Sequence[str]  # several texts are a line each
NAME = 24  # characters; names up to that long stay whole in a table, so that they can be copied


class Screen:
    """How much is shown: `level` is -1 for errors only, 0 as usual, 1 for everything. Each line is
    written at once, also into a pipe: of the app, the review and `watch` another program reads the
    first lines long before the end."""

    def __init__(self, level: int = 0, *, as_json: bool = False) -> None:
        self.level = level
        self.as_json = as_json
        self._out = sys.stderr if as_json else sys.stdout

    def say(self, line: str = "") -> None:
        if self.level >= 0:
            print(printable(line), file=self._out, flush=True)

    def detail(self, line: str) -> None:
        if self.level >= 1:
            self.say(line)

    def warn(self, line: str) -> None:
        """A warning on stderr; left out with --quiet."""
        if self.level >= 0:
            self.complain(line)

    def complain(self, line: str) -> None:
        """An error on stderr, also with --quiet."""
        print("zeroshelf:", printable(line), file=sys.stderr, flush=True)

    def data(self, record: Mapping[str, Any]) -> None:
        """One JSON object on stdout; a path that is no valid UTF-8 keeps its escapes."""
        if self.as_json:
            print(json.dumps(record), file=sys.stdout, flush=True)

    def paths(self, paths: Sequence[str], *, null: bool) -> None:
        """Paths on stdout and nothing else there, for other programs: the bytes of each, and a line
        feed or with `null` a NUL behind it. A terminal gets them in printable characters."""
        if sys.stdout.isatty() and not null:
            for path in paths:
                print(printable(path))
            return
        data = b"".join(os.fsencode(path) + (b"\0" if null else b"\n") for path in paths)
        if isinstance(sys.stdout, Stream):
            sys.stdout.write_bytes(data)
        else:
            print(os.fsdecode(data), end="")

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        *,
        whole: Collection[str] = (),
    ) -> None:
        """Numbers to the right, words to the left.

        `whole` names the columns whose cells are never broken into lines: paths, to be copied. On a
        terminal that is too narrow for them, each row becomes a list, a line for each column. What
        goes to a pipe or a file is as wide as it needs to be.
        """
        if self.level < 0:
            return
        from rich.console import Console
        from rich.measure import Measurement

        console = Console(file=self._out, highlight=False)
        lines = [[self._lines(cell, console.encoding) for cell in row] for row in rows]
        table = _table(columns, rows, lines, whole)
        wide = Console(file=self._out, width=100_000, height=25)  # both, or TERM=dumb means 80
        needed = Measurement.get(wide, wide.options, table)
        if not console.is_terminal:
            console.width = needed.maximum
        elif whole and needed.minimum > console.width:
            self._list(columns, lines)
            return
        console.print(table)

    def _lines(self, cell: Cell, encoding: str) -> list[str]:
        """A cell as it is shown; what `encoding` lacks is escaped before the widths are found."""
        if isinstance(cell, int):
            return [f"{cell:,}"]
        texts = [cell] if isinstance(cell, str) else cell
        return [encodable(printable(text), encoding) for text in texts]

    def _list(self, columns: Sequence[str], rows: Sequence[Sequence[Sequence[str]]]) -> None:
        width = max(map(len, columns))
        for number, row in enumerate(rows):
            if number:
                self.say()
            for column, lines in zip(columns, row, strict=True):
                for index, line in enumerate(lines):
                    self.say(f"{'' if index else column:<{width}}  {line}")

    def confirm(self, text: str) -> bool:
        """Whether the user answers yes to `text`. Input that can't be decoded counts as no."""
        try:
            return click.confirm(printable(text), default=False, err=True)
        except UnicodeDecodeError:
            return False

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A callback that shows rate and time left on stderr, if that is a terminal."""
        if self.level < 0 or not sys.stderr.isatty():
            yield lambda stage, done, total: None
            return
        with _bars() as advance:
            yield advance


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    lines: Sequence[Sequence[Sequence[str]]],  # of the same cells, as they are shown
    whole: Collection[str],
) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for index, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[index], int) for row in rows)
        width = max((cell_len(line) for row in lines for line in row[index]), default=0)
        keep = column in whole or (index == 0 and width <= NAME)
        table.add_column(
            column,
            justify="right" if numbers else "left",
            overflow="fold",
            no_wrap=keep,
            min_width=max(width, len(column)) if keep else None,
        )
    for row in lines:
        table.add_row(*(Text("\n".join(cell)) for cell in row))
    return table


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
                    if before.total is None:  # its total was unknown; it has ended
                        bars.update(before.id, visible=False)
                tasks[stage] = bars.add_task(stage, total=total or None, completed=done, rate="")
            task = bars.tasks[tasks[stage]]
            rate = f"{task.speed:.0f}/s" if task.speed else ""
            bars.update(tasks[stage], completed=done, total=total or None, rate=rate, visible=True)

        yield advance
