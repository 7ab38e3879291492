"""Writes docs/commands.md from the commands themselves: `python docs/make_commands.py`.

A test compares the two, so that no option is left undocumented.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from zeroshelf.commands.cli import cli

PAGE = Path(__file__).with_name("commands.md")
HEAD = """\
# Commands

Written from the program's own help by `python docs/make_commands.py`.

**Exit codes**: 0 done, or declined with "no" when asked to confirm, or nothing new to sort; 1 some
pictures were skipped or could not be placed, or the output could not be written; 2 a mistake
that you can correct, told in a line; 3 a bug, whose traceback lies in a file that is named; 130
interrupted (Ctrl-C, or the end of the input at a confirmation), with no file partially written.
Ctrl-C is how `review` ends: 0; 130 where a second one stopped an apply at work.

There is nothing new to sort (0) where earlier runs have sorted a folder and left no picture in it,
or every picture is on its shelf already. A folder that has no pictures and was never sorted is
a mistake (2). The broken picture of `demo` is broken on purpose and doesn't count.

**Streams**: data goes to stdout, progress and warnings to stderr. With `--json` stdout has one
JSON object in ASCII, with at least `run` (the run's id), `report` and `results` (paths, null where
none was written), `counts` (by label, and "skipped") and `skipped`. A character that the encoding
of stdout or stderr lacks is written as an escape (`\\u2615`), and tables get ASCII borders.
A run never stops because its output can't be written. On a full disk it ends with 1 instead of 0
and a line on stderr; where stdout is closed (`>&-`) or its reader has left (`| head`), the exit
code is the run's.

**Places**: the cache lies in the user's cache folder (`ZEROSHELF_CACHE` names another), runs in the
user's state folder (`ZEROSHELF_RUNS`), models in the user's data folder (`ZEROSHELF_MODELS`).
`ZEROSHELF_MODEL` names the model that is used where `--model` doesn't. `~` is expanded in all four.

**Completion**: `eval "$(_ZEROSHELF_COMPLETE=bash_source zeroshelf)"` in `~/.bashrc`, `zsh_source`
in `~/.zshrc`, or `_ZEROSHELF_COMPLETE=fish_source zeroshelf | source` in fish's configuration.
"""


def pages(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    settings = {**command.context_settings, "terminal_width": 88, "max_content_width": 88}
    context = click.Context(command, parent, name, **settings)
    path = context.command_path
    yield f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from pages(found, context, child)


def page() -> str:
    return "\n".join((HEAD, *pages(cli, None, "zeroshelf")))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
