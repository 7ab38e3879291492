"""`zeroshelf score`: labels over the embeddings that `zeroshelf embed` wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zeroshelf.commands.options import given_labels, labelling, modelling, showing
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.datasets.score import Scored


@click.command()
@click.argument("dataset", type=click.Path())
@labelling
@modelling
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="The least probability of a label; by default the model's own decision.",
)
@click.option(
    "--no-other",
    "other",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Every picture fits one of the labels: none goes to other.",
)
@click.option(
    "--independent",
    is_flag=True,
    help="Decide about each picture by itself, without the others in the data set.",
)
@click.option(
    "--out", type=click.Path(), required=True, help="A new folder for the results, as Parquet."
)
@showing
def command(dataset: str, out: str, screen: Screen, **given: Any) -> int:
    """Decide for every picture in DATASET, the folder that `zeroshelf embed` wrote, which label
    fits it.

    \b
      zeroshelf embed Photos --out Embeddings
      zeroshelf score Embeddings -l cat -l frog --out Results

    The answers are those of `zeroshelf sort` on the same pictures; they are written as Parquet.
    DATASET and --out may lie on an object store (s3://...).
    """
    labels = given_labels(given)
    del given["labels"], given["labels_file"]
    places, score = _imported()
    where, to = places.place(dataset), places.place(out)
    try:
        with screen.progress() as progress:
            scored = score.score(where, labels, to, progress=progress, **given)
    except OSError as error:
        raise UserError(f"the results can't be written: {error.strerror or error}") from error
    show(screen, scored)
    screen.say(f"The results: {to.uri if not to.local else to.path}")
    screen.data(
        {
            "dataset": dataset,
            "results": out,
            "files": scored.files,
            "counts": scored.counts,
            "without_embedding": scored.unread,
            "notes": list(scored.notes),
        }
    )
    return 1 if scored.unread else 0


def show(screen: Screen, scored: Scored) -> None:
    """The counts as a table, and warnings for the user."""
    screen.table(
        ("shelf", "pictures", "sure", "likely", "unsure"),
        [(name, sum(each.values()), *each.values()) for name, each in scored.confidences.items()],
    )
    if scored.unread:
        without = "picture has no embedding", "pictures have no embedding"
        screen.complain(f"{counted(scored.unread, *without)}: the results have the reasons")
    for note in scored.notes:
        screen.warn(note)


def _imported() -> tuple[Any, Any]:
    """The modules that need pyarrow. Raises `MissingPackage` without it."""
    from zeroshelf.output.tables import required

    required("pyarrow")
    from zeroshelf.datasets import places, score

    return places, score
