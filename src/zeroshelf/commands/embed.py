"""`zeroshelf embed`: the pictures of a folder or a bucket as embeddings in Parquet files."""

from __future__ import annotations

from typing import Any

import click

from zeroshelf.commands import options
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted

ENGINES = ("local", "ray")
LAYOUTS = ("parquet", "clip-retrieval")


@click.command()
@click.argument("source")
@click.option(
    "--out", required=True, metavar="DIR", help="The folder for the embeddings, or a URI."
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="local",
    show_default=True,
    help="Threads on this machine, or the actors of a Ray cluster.",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default="parquet",
    show_default=True,
    help="With clip-retrieval: also img_emb/*.npy and metadata/*.parquet.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    help="A server that speaks S3's or Google's protocol.  [default: AWS_ENDPOINT_URL]",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Threads or actors.  [default: one per core, or one per GPU of a Ray cluster]",
)
@click.option(
    "--rows",
    type=click.IntRange(1),
    help="Pictures of a Parquet file at most.  [default: 16 to 512]",
)
@options.modelling
@options.excluding
@options.showing
def command(screen: Screen, source: str, out: str, **given: Any) -> int:
    """Embed the pictures of SOURCE into Parquet files in DIR.

    \b
      zeroshelf embed Photos --out Vectors
      zeroshelf embed s3://bucket/photos --out s3://bucket/vectors --engine ray
      zeroshelf embed manifest.parquet --out Vectors         columns uri, size, etag
      zeroshelf embed "shards/{000..150}.tar" --out Vectors  WebDataset
      zeroshelf embed train.parquet --out Vectors            Hugging Face: image {bytes, path}

    No picture is changed. The same command again goes on after an interruption, and embeds what is
    new or changed. A picture that can't be read is a row with its error.
    """
    from zeroshelf.datasets.embed import embed_dataset

    with screen.progress() as progress:
        made = embed_dataset(source, out, progress=progress, warn=screen.warn, **given)
    known = f" (earlier: {made.earlier:,})" if made.earlier else ""
    screen.say(f"{made.out}: {counted(made.embedded, 'picture')} embedded{known}.")
    if made.device:
        cosine = made.half_cosine
        half = "" if cosine is None else f" in half precision, cosine to float32 {cosine:.6f}"
        screen.say(f"Model: {made.model}, on {made.device.upper()}{half}")
    if made.failed:
        screen.complain(
            f"{counted(made.failed, 'picture')} without an embedding: the column error says why"
        )
    screen.data(
        {
            "out": made.out,
            "model": made.model,
            "embedded": made.embedded - made.failed,
            "failed": made.failed,
            "earlier": made.earlier,
        }
    )
    return 1 if made.failed else 0
