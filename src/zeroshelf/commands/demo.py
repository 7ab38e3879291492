"""`zeroshelf demo`: the main job on the pictures that come with the program, or on one's own."""

from __future__ import annotations

import os
from typing import Any

import click

from zeroshelf.commands.options import showing
from zeroshelf.commands.terminal import Screen


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
def demo(to: str, pictures: str | None, labels: str | None, screen: Screen) -> int:
    """Sort the pictures that come with the program: offline, in a few seconds."""
    from zeroshelf.commands.sort import sort_folder
    from zeroshelf.images.demo import BROKEN, demo_labels, demo_pictures

    folder = pictures or demo_pictures(os.path.join(to, "pictures"))
    words = labels.split(",") if labels else demo_labels()
    shelves = os.path.join(to, "sorted")
    said = " ".join(f'-l "{word}"' if " " in word else f"-l {word}" for word in words)
    screen.say(f"$ zeroshelf sort {folder} {said} --to {shelves}")
    given: dict[str, Any] = {
        "folder": folder,
        "labels": words,
        "labels_file": None,
        "to": shelves,
        "kind": "copy",
        "ambiguous": None,
        "several": False,
        "prefix": None,
        "keep_earlier": False,
        "in_files": False,
        "shelf_path": "{label}",
    }
    meant = () if pictures else (os.path.join(folder, BROKEN),)
    return sort_folder(screen, given, dry_run=False, yes=True, broken=meant)
