"""`zeroshelf labels`: advice on labels before a run."""

from __future__ import annotations

import click

from zeroshelf.commands import options
from zeroshelf.commands.terminal import Screen


@click.group()
def group() -> None:
    """Check labels before a run."""


@group.command()
@click.argument("words", nargs=-1, metavar="[LABEL]...")
@options.labelling
@options.modelling
@options.showing
def check(
    screen: Screen,
    words: tuple[str, ...],
    labels: tuple[str, ...],
    labels_file: str | None,
    model: str | None,
    device: str | None,
) -> int:
    """Say what is likely to go wrong with these labels, and what would help.

    \b
      zeroshelf labels check crane "no people"
      zeroshelf labels check --labels labels.toml

    Labels are arguments, or given as for `zeroshelf sort`: with -l, or in a labels file.
    """
    from zeroshelf.embeddings import compute
    from zeroshelf.embeddings.cache import EmbeddingCache
    from zeroshelf.labels import check
    from zeroshelf.labels.resolve import resolve
    from zeroshelf.models import select

    wanted = options.given_labels({"labels": (*words, *labels), "labels_file": labels_file})
    encoder = select.load(select.find(model), device, warn=screen.warn)
    with EmbeddingCache.open() as store, screen.progress() as progress:
        texts = compute.text_embedder(encoder, store, progress)
        found = check.check(resolve(wanted, texts), encoder.model, texts)
    screen.data(
        {
            "labels": list(wanted.names),
            "advice": [
                {"labels": list(a.labels), "problem": a.problem, "suggestion": a.suggestion}
                for a in found
            ],
        }
    )
    for advice in found:
        screen.say(f"{advice.names}: {advice.problem}.")
        screen.say(f"  {advice.suggestion}")
    if not found:
        screen.say("no problem found with these labels")
    return 0
