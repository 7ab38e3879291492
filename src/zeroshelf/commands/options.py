"""The options that commands share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError
from zeroshelf.system.streams import interactive

if TYPE_CHECKING:
    from zeroshelf.records import LabelSet

DEFAULT_ACTION = "copy"
DECLINED = "Nothing was changed."  # shown to a user who answers no

Command = TypeVar("Command", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A number of a range. "nan" and "inf", which click takes, are none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


class ActionParameter(click.ParamType[str]):
    """A choice of the actions that a sort can do. They are imported when one is given or listed,
    not with the command."""

    name = "action"

    @property
    def _choice(self) -> click.Choice[str]:
        from zeroshelf.actions import kinds

        return click.Choice(kinds.offered())

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self._choice.get_metavar(param, ctx)

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str | None:
        return self._choice.get_missing_message(param, ctx)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return self._choice.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return self._choice.shell_complete(ctx, param, incomplete)


def check_homes(screen: Screen) -> None:
    """Say where runs and the cache are kept, if not in the usual folders. Raises `UserError` where
    a run couldn't be recorded: called before any picture is read."""
    from zeroshelf.system import app_folders

    if notice := app_folders.notice():
        screen.complain(notice)


def labelling(command: Command) -> Command:
    """Which labels: read by `given_labels`."""
    for decorate in reversed(
        (
            click.option(
                "-l",
                "--label",
                "labels",
                multiple=True,
                help='A label: a word or a phrase, "red car".',
            ),
            click.option(
                "--labels",
                "labels_file",
                type=click.Path(),
                help="A labels file: TOML, or a label per line.",
            ),
        )
    ):
        command = decorate(command)
    return command


def modelling(command: Command) -> Command:
    """Which model, and where it runs."""
    for decorate in reversed(
        (
            click.option("--model", help="A model's id or folder; see `zeroshelf models`."),
            click.option(
                "--device",
                help="Where the model runs: cpu, cuda, ...; automatic by default.",
            ),
        )
    ):
        command = decorate(command)
    return command


excluding = click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these paths out.")


def deciding(command: Command) -> Command:
    """How the scores of a picture become a label or "other"."""
    for decorate in reversed(
        (
            click.option(
                "--threshold",
                type=Number(0, 1),
                help="The least probability of a label; by default the model's own decision.",
            ),
            click.option(
                "--no-other",
                "other",
                is_flag=True,
                default=True,
                flag_value=False,
                help="Every picture fits one of the labels: none goes to other.",
            ),
        )
    ):
        command = decorate(command)
    return command


def acting(help: str) -> Callable[[Command], Command]:
    """What is done with each picture: the option --as, explained by `help`."""
    return click.option(
        "--as",
        "kind",
        type=ActionParameter(),
        default=DEFAULT_ACTION,
        show_default=True,
        help=help,
    )


def classifying(command: Command) -> Command:
    """Which labels and model, which pictures, and how they are decided."""
    for decorate in reversed(
        (
            labelling,
            modelling,
            excluding,
            deciding,
            click.option(
                "--no-corrections",
                "corrections",
                is_flag=True,
                default=True,
                flag_value=False,
                help="Don't follow the corrections that are stored for these labels (see teach).",
            ),
        )
    ):
        command = decorate(command)
    return command


def given_labels(given: Mapping[str, Any]) -> LabelSet:
    """The labels that -l or --labels give. Raises `UserError` where none or both do."""
    from zeroshelf.labels import labels_file, parse

    words, file = given["labels"], given["labels_file"]
    if words and file:
        raise UserError("--label and --labels both name labels: give one of the two")
    if not words and not file:
        raise UserError('no labels: add -l cat -l "red car", or --labels labels.toml')
    return labels_file.read(file) if file else parse.parse(words)


def placing(command: Command) -> Command:
    """Where the pictures go, and how."""
    for decorate in reversed(
        (
            click.option(
                "--to",
                type=click.Path(),
                help="The folder for the shelves, one subfolder per label.",
            ),
            acting("What is done with each picture; tag writes its label into its XMP sidecar."),
            click.option(
                "--shelf-path",
                metavar="PATH",
                default="{label}",
                show_default=True,
                help="Where a shelf lies below --to: {label}, with {year}, {month}, {day}, "
                "{camera} or {place} of each picture, as in {label}/{year}.",
            ),
            click.option(
                "--ambiguous",
                metavar="NAME",
                help="A shelf for pictures that two labels fit about equally.",
            ),
            click.option(
                "--several", is_flag=True, help="Onto every shelf that fits, not only the best."
            ),
            click.option(
                "--keep-earlier",
                is_flag=True,
                help="Leave what earlier runs with these labels put on another shelf.",
            ),
            click.option(
                "--prefix", help="Prefix of the tags that --as tag writes.  [default: zeroshelf]"
            ),
            click.option(
                "--in-files",
                is_flag=True,
                help="With --as tag: write them into JPEG, PNG and TIFF files themselves, through "
                "exiftool. The originals are kept.",
            ),
        )
    ):
        command = decorate(command)
    return command


def showing(command: Callable[..., Any]) -> Callable[..., Any]:
    """How much is said, and in which form: the command gets a `screen`."""

    @functools.wraps(command)
    def with_screen(*, quiet: bool, verbose: bool, as_json: bool, **given: Any) -> Any:
        context = click.get_current_context()
        if context.invoked_subcommand and (quiet or verbose or as_json):
            further = f"{context.command_path} {context.invoked_subcommand}"
            raise UserError(f"-q, -v and --json go behind the whole command: {further} ...")
        return command(screen=Screen(verbose - quiet, as_json=as_json), **given)

    for decorate in (
        click.option("-q", "--quiet", is_flag=True, help="Print errors only."),
        click.option("-v", "--verbose", is_flag=True, help="Print what happens to each picture."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
    ):
        with_screen = decorate(with_screen)
    return with_screen


def older_than(least: int, help: str) -> Callable[[Command], Command]:
    """The option --older-than of commands that prune: `days`, at least `least`, 90 by default."""
    return click.option(
        "--older-than",
        "days",
        type=click.IntRange(least),
        default=90,
        show_default=True,
        metavar="DAYS",
        help=help,
    )


yes = click.option("-y", "--yes", is_flag=True, help="Don't ask for confirmation.")


def check_confirmable(yes: bool, instead: str = "") -> None:
    """Raise `UserError` where a confirmation is needed and no user can give it. Call this before
    the work that leads to it; `instead` is added to the message as another way."""
    if not yes and not interactive():
        raise UserError(f"not running in a terminal: pass --yes to confirm{instead}")


def confirmed(screen: Screen, yes: bool, text: str) -> bool:
    """Whether to go on: with --yes, or because the user agrees. Where not, the command says that
    nothing was changed and ends with 0. Raises `UserError` where no user can be asked."""
    check_confirmable(yes)
    return yes or screen.confirm(text)
