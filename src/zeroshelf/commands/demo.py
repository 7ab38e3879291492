"""`zeroshelf demo`: the main job on the pictures that come with the program, or on one's own."""

from __future__ import annotations

import os
from typing import Any

import click

from zeroshelf.commands.options import showing
from zeroshelf.screen import Screen


@click.command()
@click.option(
    "--to",
    type=click.Path(),
    default="zeroshelf-demo",
    show_default=True,
    help="A folder for the demo's pictures and its shelves.",
)
@click.option("--pictures", type=click.Path(), help="A folder of your own instead.")
@click.option("--labels", help='Your own labels, "cat,frog".')
@showing
def demo(
    to: str, pictures: str | None, labels: str | None, quiet: bool, verbose: bool, as_json: bool
) -> int:
    """Sort the pictures that come with the program: offline, in a few seconds."""
    from importlib import resources

    from zeroshelf.commands.sort import sort_folder

    screen = Screen(verbose - quiet, as_json=as_json)
    shipped = resources.files("zeroshelf") / "data" / "demo"
    words = [word for word in (labels or "").split(",") if word.strip()]
    if not pictures:
        pictures = os.path.join(to, "pictures")
        with resources.as_file(shipped / "pictures") as source:
            _lay_out(str(source), pictures)
        words = words or (shipped / "labels.txt").read_text(encoding="utf-8").split("\n")
    what: dict[str, Any] = {
        "folder": pictures,
        "labels": [word for word in words if word],
        "labels_file": None,
    }
    sorted_to = os.path.join(to, "sorted")
    said = " ".join(f"-l {word!r}" if " " in word else f"-l {word}" for word in what["labels"])
    screen.say(f"$ zeroshelf sort {pictures} {said} --to {sorted_to}")
    return sort_folder(screen, what, sorted_to, "copy", dry_run=False, yes=True)


def _lay_out(source: str, to: str) -> None:
    """Copy the demo's pictures out of the package; files that are there already stay."""
    for folder, _, names in os.walk(source):
        there = os.path.join(to, os.path.relpath(folder, source))
        os.makedirs(there, exist_ok=True)
        for name in names:
            target = os.path.join(there, name)
            if not os.path.exists(target):
                with open(os.path.join(folder, name), "rb") as file, open(target, "xb") as copy:
                    copy.write(file.read())
