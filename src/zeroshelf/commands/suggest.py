"""`zeroshelf suggest`: labels for a folder that has none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from zeroshelf.commands import options
from zeroshelf.commands.sort import show_skipped
from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.labels.suggest import Shelf
    from zeroshelf.records import Embeddings, Encoder, Folder


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
    from zeroshelf.images.scan import root_of, scan
    from zeroshelf.models import select

    _check_writable(to)
    found = scan(root_of(folder), exclude=exclude)
    for warning in found.warnings:
        screen.warn(warning)
    encoder = select.load(select.find(model), device, warn=screen.warn)
    proposed = _propose(found, encoder, count, screen)
    _show(proposed, screen)
    written = _write(proposed, to, screen)
    screen.data(
        {
            "labels": {s.name: proposed.names_of(s.rows) for s in proposed.groups},
            "guesses": [s.name for s in proposed.groups if s.is_guess],
            "near_duplicates": [proposed.names_of(group) for group in proposed.near_duplicates],
            "file": written,
        }
    )
    return 1 if proposed.embeddings.skipped else 0


@dataclass(frozen=True, slots=True)
class _Proposed:
    """The groups found in a folder. A row is one of `embeddings`."""

    root: str  # the folder
    embeddings: Embeddings
    groups: Sequence[Shelf]
    near_duplicates: Sequence[Sequence[int]]  # groups of rows

    def names_of(self, rows: Sequence[int]) -> list[str]:
        """The paths of the pictures in these rows, below the folder."""
        pictures = self.embeddings.pictures
        return [os.path.relpath(pictures[row].path, self.root) for row in rows]


def _check_writable(to: str | None) -> None:
    """Raises `UserError` if a labels file at `to` exists or can't be written."""
    if to and os.path.lexists(to):
        raise UserError(f"{to} already exists; name another file")
    if to and not os.access(os.path.dirname(os.path.abspath(to)), os.W_OK):
        raise UserError(f"{to} can't be written: name a file in a folder that you can write to")


def _propose(found: Folder, encoder: Encoder, count: int | None, screen: Screen) -> _Proposed:
    """Embed the pictures of `found` and group them. Raises `UserError` if there are none."""
    from zeroshelf.decisions import likely_negatives
    from zeroshelf.embeddings import compute
    from zeroshelf.embeddings.cache import EmbeddingCache
    from zeroshelf.images import ignored, near_duplicates
    from zeroshelf.labels import suggest

    with EmbeddingCache.open() as store, screen.progress() as progress:
        embedded = compute.embed(found, encoder, store, progress=progress)
        if not len(embedded):
            passed_by = "; ".join(("give a folder with pictures", *ignored.lines(found.ignored)))
            raise UserError(f"no pictures in {found.root}: {passed_by}")
        once = near_duplicates.groups(embedded, store.hashes, progress)
        texts = compute.text_embedder(encoder, store, progress)
        negatives = likely_negatives.of_folder(embedded, store, progress)
        groups = suggest.suggest(embedded, texts, count=count, once=once, negatives=negatives)
    return _Proposed(found.root, embedded, groups, once)


def _show(proposed: _Proposed, screen: Screen) -> None:
    """The groups as a table, and what was left out of them."""
    from zeroshelf.images import ignored

    if proposed.groups:
        screen.table(
            ["label", "pictures", "for example", "looks like"],
            [
                [
                    f"perhaps {s.name}" if s.is_guess else s.name,
                    len(s.rows),
                    proposed.names_of(s.examples),
                    ", ".join(s.words),
                ]
                for s in proposed.groups
            ],
            whole=("for example",),
        )
    if any(s.is_guess for s in proposed.groups):
        screen.say('A name after "perhaps" is a guess: look at its pictures, name them yourself.')
    show_skipped(screen, proposed.embeddings.skipped, proposed.root)
    for line in ignored.lines(proposed.embeddings.ignored):
        screen.say(line)


def _write(proposed: _Proposed, to: str | None, screen: Screen) -> str | None:
    """Write the labels file `to`, if one is given and there are labels. Returns its path."""
    from zeroshelf.labels import labels_file, suggest

    labels = suggest.label_set(proposed.groups)
    if not len(labels):
        screen.say("There are too few pictures to find groups in them: name labels yourself.")
        return None
    if to:
        guesses = [shelf.name for shelf in proposed.groups if shelf.is_guess]
        with open(to, "x", encoding="utf-8") as file:
            if guesses:
                file.write(f"# guesses, to be looked at: {', '.join(guesses)}\n")
            file.write(labels_file.write(labels))
        screen.say(f"{to}: change it as you like, then `zeroshelf sort --labels {to} ...`")
    return to
