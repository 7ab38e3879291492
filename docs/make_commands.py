"""Writes docs/commands.md from the commands themselves: `python docs/make_commands.py`.

A test compares the two, so that no option is left undocumented.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from zeroshelf.cli import cli

PAGE = Path(__file__).with_name("commands.md")
HEAD = """\
# Commands

Written from the program's own help by `python docs/make_commands.py`.

**Exit codes**: 0 done; 1 some pictures were skipped or could not be placed; 2 a mistake that you
can mend, told in a line; 3 a bug, whose traceback lies in a file that is named; 130 interrupted
(Ctrl-C), with nothing half done. Ctrl-C is how `review` ends: 0;
130 where a second one stopped an apply at work.

**Streams**: data goes to stdout, progress and warnings to stderr. With `--json` stdout holds one
JSON object, with at least `run` (the run's id), `report` and `results` (paths, null where none was
written), `counts` (by label, and "skipped") and `skipped`.

**Places**: the cache lies in the user's cache folder (`ZEROSHELF_CACHE` names another), runs in the
user's state folder (`ZEROSHELF_RUNS`), models in the user's data folder (`ZEROSHELF_MODELS`).
`ZEROSHELF_MODEL` names the model that is used where `--model` doesn't.

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
