"""`zeroshelf cache`: how large the embedding cache is, and making it smaller."""

from __future__ import annotations

import click

from zeroshelf.commands import options
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted, megabytes


@click.group(invoke_without_command=True)
@click.pass_context
def group(context: click.Context) -> None:
    """Show and prune the embedding cache.

    \b
      zeroshelf cache                  where it is and how large
      zeroshelf cache prune            remove what no run used for 90 days
      zeroshelf cache prune --all      remove everything; the next run reads every picture again
    """
    if context.invoked_subcommand is None:
        context.invoke(size)


@group.command()
@options.showing
def size(screen: Screen) -> None:
    """Show where the cache is, and how large."""
    from zeroshelf.embeddings.cache import EmbeddingCache

    with EmbeddingCache.open() as store:
        now = store.size()
        trouble = store.trouble
    screen.data({"path": now.path, "bytes": now.bytes, "embeddings": now.embeddings,
                 "thumbnails": now.thumbnails, "models": now.models})  # fmt: skip
    if not screen.as_json:
        screen.say(f"{now.path}: {megabytes(now.bytes)}")
        screen.say(
            f"{counted(now.embeddings, 'embedding')} of {counted(now.models, 'model')}, "
            f"{counted(now.thumbnails, 'thumbnail')}"
        )
    if trouble:
        screen.warn(trouble)


@group.command()
@options.older_than(1, "Remove what no run used for this long.")
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
@options.showing
def prune(screen: Screen, days: int, everything: bool) -> None:
    """Remove what is not used any more, to free the space. No picture is touched."""
    from zeroshelf.embeddings.cache import EmbeddingCache

    with EmbeddingCache.open() as store:
        before = store.size()
        store.prune(0 if everything else days)
        after = store.size()
        trouble = store.trouble
    freed = before.bytes - after.bytes
    screen.data({"path": after.path, "freed": freed, "bytes": after.bytes,
                 "embeddings": after.embeddings})  # fmt: skip
    if not screen.as_json:
        screen.say(
            f"{counted(before.embeddings - after.embeddings, 'embedding')} removed, "
            f"{megabytes(freed)} freed; {megabytes(after.bytes)} left"
        )
    if trouble:
        screen.warn(trouble)
