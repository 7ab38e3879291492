"""The options that commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from zeroshelf.screen import Screen

# records.ActionKind without "untag", which is no sort; a test compares them
KINDS = ("copy", "move", "symlink", "relative-symlink", "hardlink", "tag")

Command = TypeVar("Command", bound=Callable[..., Any])


def classifying(command: Command) -> Command:
    """What to sort, by which words, with which model."""
    for decorate in reversed(
        (
            click.argument("folder", type=click.Path()),
            click.option(
                "-l",
                "--label",
                "labels",
                multiple=True,
                help='A label: a word or a phrase, "red car".',
            ),
            click.option(
                "--labels", "labels_file", type=click.Path(), help="A labels file (TOML)."
            ),
            click.option("--model", help="A model's id or folder; see `zeroshelf models`."),
            click.option("--device", help="Where the model runs: cpu, cuda, ...; else by itself."),
            click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these paths out."),
            click.option(
                "--threshold",
                type=click.FloatRange(0, 1),
                help="The least probability of a label; else the model's own decision.",
            ),
            click.option(
                "--no-marks",
                "marks",
                is_flag=True,
                default=True,
                flag_value=False,
                help="Don't follow the marks that were kept for these labels (see teach).",
            ),
        )
    ):
        command = decorate(command)
    return command


def placing(command: Command) -> Command:
    """Where the pictures go, and how."""
    for decorate in reversed(
        (
            click.option("--to", type=click.Path(), help="The folder that gets a folder a label."),
            click.option(
                "--as",
                "kind",
                type=click.Choice(KINDS),
                default="copy",
                show_default=True,
                help="What is done with each picture; tag writes its label into its XMP sidecar.",
            ),
            click.option("--ambiguous", metavar="NAME", help="A shelf for what two labels fit."),
            click.option(
                "--several", is_flag=True, help="Onto every shelf that fits, not only the best."
            ),
            click.option("--prefix", help="Of the tags of --as tag.  [default: zeroshelf]"),
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
        return command(screen=Screen(verbose - quiet, as_json=as_json), **given)

    for decorate in (
        click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong."),
        click.option("-v", "--verbose", is_flag=True, help="Say what becomes of each picture."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
    ):
        with_screen = decorate(with_screen)
    return with_screen


yes = click.option("-y", "--yes", is_flag=True, help="Don't ask.")
