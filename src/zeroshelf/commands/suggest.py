"""`zeroshelf suggest`: labels for a folder that has none."""

from __future__ import annotations

import os

import click

from zeroshelf.commands import options
from zeroshelf.commands.sort import show_skipped
from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError


@click.command()
@click.argument("folder", type=click.Path())
@click.option("--to", type=click.Path(), help="Write a labels file (TOML) here; never over one.")
@click.option("--count", type=click.IntRange(1, 100), help="How many groups; automatic by default.")
@options.modelling
@options.excluding
@options.showing
def command(
    screen: Screen,
    folder: str,
    to: str | None,
    count: int | None,
    model: str | None,
    device: str | None,
    exclude: tuple[str, ...],
) -> int:
    """Propose labels for FOLDER: groups of pictures that look alike, each with a name.

    \b
      zeroshelf suggest Photos --to labels.toml     then look at the file and change it
      zeroshelf sort Photos --labels labels.toml --to Sorted
    """
    from zeroshelf.embeddings import compute
    from zeroshelf.embeddings.cache import Store
    from zeroshelf.images import ignored, near_duplicates
    from zeroshelf.images.scan import root_of, scan
    from zeroshelf.labels import labels_file, suggest
    from zeroshelf.models import select

    if to and os.path.lexists(to):
        raise UserError(f"{to} already exists; name another file")
    if to and not os.access(os.path.dirname(os.path.abspath(to)), os.W_OK):
        raise UserError(f"{to} can't be written: name a file in a folder that you can write to")
    found = scan(root_of(folder), exclude=exclude)
    for warning in found.warnings:
        screen.warn(warning)
    encoder = select.load(select.find(model), device, warn=screen.warn)
    with Store.open() as store, screen.progress() as progress:
        embedded = compute.embed(found, encoder, store, progress=progress)
        if not len(embedded):
            passed_by = "; ".join(("give a folder with pictures", *ignored.lines(found.ignored)))
            raise UserError(f"no pictures in {folder}: {passed_by}")
        once = near_duplicates.groups(embedded, store.hashes, progress)
        texts = compute.text_embedder(encoder, store, progress)
        shelves = suggest.suggest(embedded, texts, count=count, once=once)
    names = [os.path.relpath(picture.path, found.root) for picture in embedded.pictures]
    if shelves:
        screen.table(
            ["label", "pictures", "for example", "looks like"],
            [
                [s.name, len(s.rows), [names[row] for row in s.examples], ", ".join(s.words)]
                for s in shelves
            ],
            whole=("for example",),
        )
    show_skipped(screen, embedded.skipped, found.root)
    for line in ignored.lines(embedded.ignored):
        screen.say(line)
    proposed = suggest.label_set(shelves)
    if not len(proposed):
        screen.say("There are too few pictures to find groups in them: name labels yourself.")
    elif to:
        with open(to, "x", encoding="utf-8") as file:
            file.write(labels_file.write(proposed))
        screen.say(f"{to}: change it as you like, then `zeroshelf sort --labels {to} ...`")
    screen.data(
        {
            "labels": {s.name: [names[row] for row in s.rows] for s in shelves},
            "near_duplicates": [[names[row] for row in group] for group in once],
            "file": to if len(proposed) else None,
        }
    )
    return 1 if embedded.skipped else 0
