"""`zeroshelf score`: labels over the embeddings that `zeroshelf embed` wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zeroshelf.commands.options import (
    DEFAULT_ACTION,
    acting,
    check_homes,
    deciding,
    given_labels,
    labelling,
    modelling,
    showing,
)
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.datasets.score import Scored
    from zeroshelf.records import Request

PLANNING = ("to", "kind", "several", "keep_earlier")


@click.command()
@click.argument("dataset")
@labelling
@modelling
@deciding
@click.option(
    "--independent",
    is_flag=True,
    help="Decide about each picture by itself, without the others in the data set.",
)
@click.option("--out", metavar="DIR", required=True, help="A new folder for the results, or a URI.")
@click.option(
    "--to",
    type=click.Path(),
    help="Plan the pictures, if they are files, onto shelves in this folder; `zeroshelf apply`.",
)
@acting("With --to: what is done with each picture.")
@click.option(
    "--several", is_flag=True, help="With --to: onto every shelf that fits, not only the best."
)
@click.option(
    "--keep-earlier",
    is_flag=True,
    help="With --to: leave what earlier runs with these labels put on another shelf.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    help="A server that speaks S3's or Google's protocol.  [default: AWS_ENDPOINT_URL]",
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
    endpoint, planning = given.pop("endpoint"), {name: given.pop(name) for name in PLANNING}
    _check(planning, given["other"])
    if planning["to"]:
        check_homes(screen)
    modules = _imported()
    where, results = (modules.places.place(name, endpoint) for name in (dataset, out))
    answers = modules.file_plan.Answers() if planning["to"] else None
    try:
        with screen.progress() as progress:
            take = None if answers is None else answers.add
            scored = modules.score.score(
                where, labels, results, endpoint=endpoint, progress=progress, take=take, **given
            )
    except OSError as error:
        raise UserError(f"the results can't be written: {error.strerror or error}") from error
    show(screen, scored)
    screen.say(f"The results: {results.path if results.local else results.uri}")
    run = None
    if answers is not None:
        from zeroshelf import records

        asked = records.Request(dataset, labels, "", given["threshold"], other=given["other"])
        run = _plan(screen, modules.file_plan, answers, asked, planning)
    screen.data(
        {
            "dataset": dataset,
            "results": out,
            "files": scored.files,
            "counts": scored.counts,
            "without_embedding": scored.unread,
            "notes": list(scored.notes),
            "run": run,
        }
    )
    return 1 if scored.unread else 0


def _check(planning: dict[str, Any], other: bool) -> None:
    """Raise `UserError` for options of a plan that don't go together."""
    from zeroshelf.actions import kinds, plan

    kind = kinds.of(planning["kind"])
    if not planning["to"]:
        if planning["kind"] != DEFAULT_ACTION or planning["several"] or planning["keep_earlier"]:
            raise UserError("--as, --several and --keep-earlier need --to: add it")
        return
    if not kind.needs_destination:
        raise UserError(f"--as {kind.name} needs a sort: score plans copies, moves and links")
    if planning["several"] and not kind.takes_several:
        raise UserError("one file can't be moved onto several shelves: copy or link it")
    plan.check_closed(kind.name, not other)


def _plan(
    screen: Screen, file_plan: Any, answers: Any, asked: Request, planning: dict[str, Any]
) -> str:
    """Make the plan, say what it would do, and return the id of its run."""
    from zeroshelf.images.scan import root_of

    planned, run = file_plan.make(
        answers,
        asked,
        root_of(planning["to"]),
        planning["kind"],
        several=planning["several"],
        replace_earlier=not planning["keep_earlier"],
    )
    for note in planned.notes:
        screen.warn(note)
    files = counted(len(planned.actions), "file")
    screen.say(f"The plan: {planned.kind} {files} to {planned.destination}. Nothing was moved yet.")
    screen.say(f"`zeroshelf apply {run}` carries it out, and `zeroshelf undo {run}` takes it back.")
    return str(run)


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


def _imported() -> Any:
    """The modules that need pyarrow. Raises `MissingPackage` without it."""
    from zeroshelf.output.tables import required

    required("pyarrow")
    from zeroshelf import datasets
    from zeroshelf.datasets import file_plan, places, score

    assert file_plan and places and score  # they are attributes of the package from here on
    return datasets
