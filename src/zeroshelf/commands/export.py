"""`zeroshelf export`: a run's decisions for other programs."""

from __future__ import annotations

import click

from zeroshelf.commands.options import showing
from zeroshelf.commands.terminal import Screen

FORMATS = ("parquet", "csv", "fiftyone", "label-studio", "imagefolder")


@click.command()
@click.argument("run", required=False)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), required=True, help="Which program reads it."
)
@click.option("--to", type=click.Path(), required=True, help="The file or folder to write.")
@showing
def command(run: str | None, kind: str, to: str, screen: Screen) -> None:
    """Write the decisions of RUN, or of the newest run, for another program.

    \b
      parquet       a table for DuckDB, pandas and Polars, with the embeddings
      csv           a table for a spreadsheet
      fiftyone      labels.json of FiftyOneImageClassificationDataset; no picture is copied
      label-studio  tasks with predictions, for pictures served as local files
      imagefolder   Hugging Face's ImageFolder: a new folder with copies and metadata.jsonl; or,
                    in a folder where the run's pictures lie already, metadata.jsonl alone

    The edits of the run's review count. Nothing is overwritten.
    """
    from zeroshelf.images.scan import root_of
    from zeroshelf.run import reopen

    target = root_of(to)
    with screen.progress() as progress:
        opened = reopen(run, progress=progress)
        said = opened.export(kind, target)
    screen.say(f"{target}: {said}")
    screen.data(
        {"run": opened.id, "format": kind, "file": target, "pictures": len(opened), "about": said}
    )
