"""The command line: names, options and exit codes. Each command has a module beside this one.

Exit codes: 0 done or declined, 1 some pictures were skipped or failed or the output could not be
written, 2 a mistake that the user can correct, 3 a bug, 130 interrupted (but Ctrl-C is how a review
ends: 0). Data goes to stdout, progress and warnings to stderr. Nothing here imports numpy, Pillow
or ONNX Runtime before a command runs: `zeroshelf --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from zeroshelf import __version__
from zeroshelf.errors import UserError, printable
from zeroshelf.system import streams

COMMANDS = {  # in the order of the help page: module and function, and the line of help
    "app": ("app:command", "Do all of this in the browser."),
    "sort": ("sort:sort", "Sort FOLDER onto shelves: plan, ask, apply, report."),
    "plan": ("sort:plan", "Make the plan and its report, and touch nothing else."),
    "apply": ("files:apply", "Carry out a plan, or resume an interrupted run."),
    "undo": ("files:undo", "Put everything back as it was before a run."),
    "untag": ("files:untag", "Remove the tags that a sort has written."),
    "originals": ("files:originals", "List or drop the originals of pictures that got tags."),
    "runs": ("runs:group", "List the runs, newest first, and remove old records."),
    "report": ("files:report", "Print the path of a run's report, or open it."),
    "export": ("export:command", "Write a run's decisions for another program."),
    "evaluate": ("evaluate:command", "Compare a run with the truth, or with another run."),
    "immich": ("immich:group", "Hand a run's labels to an Immich server."),
    "watch": ("watch:command", "Keep a folder sorted: take in what arrives."),
    "review": ("review:command", "Look through a run in the browser, and correct it."),
    "teach": ("teach:command", "Correct some pictures, and let the others follow."),
    "score": ("score:command", "Sort the embeddings of a data set, millions too."),
    "labels": ("labels:group", "Check labels before a run."),
    "search": ("search:command", "Find pictures by words or by a picture."),
    "embed": ("embed:command", "Embed a folder or a bucket into Parquet files."),
    "suggest": ("suggest:command", "Propose labels for a folder."),
    "models": ("models:group", "List, download, show, verify and remove models."),
    "cache": ("cache:group", "Show and prune the embedding cache."),
    "demo": ("demo:demo", "Sort the pictures that come with the program."),
    "playground": ("playground:command", "Copy the notebooks and open them in Jupyter."),
}


OLD_OPTIONS = {"no-marks": "no-corrections", "mark": "correct"}  # names of 0.1.0 -> of today


class Lazy(click.Group):
    """A group whose commands are imported when they are used, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(f"zeroshelf.commands.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Lazy,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: OLD_OPTIONS.get(name, name),
    },
)
@click.version_option(__version__, prog_name="zeroshelf")
def cli() -> None:
    """Put every picture of a folder on the right shelf.

    \b
      zeroshelf sort Photos -l cat -l "red car" --to Sorted

    Pictures stay on this machine, nothing is overwritten, and `zeroshelf undo` takes a run back.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    with streams.tolerant() as out:
        code = _run(arguments)
        out.flush()
        if out.trouble is None or out.unread:
            return code
        reason = getattr(out.trouble, "strerror", None) or out.trouble
        _complain(f"the output can't be written ({reason}); the command itself has ended as usual")
        return code or 1


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(arguments, prog_name="zeroshelf", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as trouble:
        trouble.show()
        return 2
    except (click.ClickException, UserError) as trouble:
        told = trouble.format_message() if isinstance(trouble, click.ClickException) else trouble
        _complain(str(told))
        return 2
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted. No file is partially written; run the same command again to resume")
        return 130
    except Exception as bug:
        _complain(f"a bug: {type(bug).__name__}: {bug}. Please report it with {_log(bug)}")
        return 3


def _complain(message: str) -> None:
    print("zeroshelf:", printable(message), file=sys.stderr)


def _log(bug: Exception) -> str:
    """Write the traceback to a file of its own and return the file's path."""
    from zeroshelf.system import app_folders

    try:
        folder = app_folders.logs()
        if folder is None:
            raise OSError
        path = os.path.join(folder, f"bug-{os.getpid()}.log")
        os.makedirs(folder, exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"zeroshelf {__version__}, Python {sys.version}\n")
            log.writelines(traceback.format_exception(bug))
    except OSError:
        traceback.print_exception(bug)
        return "the lines above"
    return path
