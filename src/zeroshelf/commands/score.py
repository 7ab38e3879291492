"""`zeroshelf score`: labels over the embeddings that `zeroshelf embed` wrote."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
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
from zeroshelf.system import uris

if TYPE_CHECKING:
    from zeroshelf.datasets.places import Place
    from zeroshelf.datasets.score import Scored
    from zeroshelf.records import LabelSet, Request

MEGABYTE = 1 << 20
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
    help="Plan the pictures onto shelves in this folder, or objects below this URI.",
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
    "--shards",
    "to_shards",
    metavar="DIR",
    help="Write the pictures as WebDataset shards too, a folder for each label; or a URI.",
)
@click.option(
    "--shard-size",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    metavar="MB",
    help="With --shards: a shard's size at most.",
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
    DATASET and --out may lie on an object store (s3://...). With --to on the store where the
    pictures lie, the store copies them by itself; `zeroshelf apply` carries a plan out. --shards
    goes on after an interruption when the same command is run again.
    """
    labels = given_labels(given)
    del given["labels"], given["labels_file"]
    endpoint, planning = given.pop("endpoint"), {name: given.pop(name) for name in PLANNING}
    to_shards, size = given.pop("to_shards"), given.pop("shard_size") * MEGABYTE
    _check(planning, given["other"], to_shards)
    if planning["to"]:
        check_homes(screen)
    modules = _imported()
    if uris.scheme_of(planning["to"] or "") == "file":
        planning["to"] = modules.places.local_path(planning["to"])
    where, results = (modules.places.place(name, endpoint) for name in (dataset, out))
    job = _Job(screen, modules, labels, endpoint, where, results, given)
    scored, run, shards = None, None, None
    if to_shards:
        scored, shards = job.shards(modules.places.place(to_shards, endpoint), size)
    else:
        scored, run = job.score(planning)
    unread = scored.unread if scored else 0
    screen.data(
        {
            "dataset": dataset,
            "results": out,
            "files": scored.files if scored else None,
            "counts": scored.counts if scored else None,
            "without_embedding": unread,
            "notes": list(scored.notes) if scored else [],
            "run": run,
            "shards": shards,
        }
    )
    return 1 if unread or (shards and shards["failed"]) else 0


@dataclass(slots=True)
class _Job:
    """What the command was asked for."""

    screen: Screen
    modules: Any
    labels: LabelSet
    endpoint: str | None
    dataset: Place
    results: Place
    given: dict[str, Any]  # the other arguments of `score`

    def score(self, planning: dict[str, Any]) -> tuple[Scored, str | None]:
        """Score, and make a plan where one is wanted: the id of its run."""
        with contextlib.ExitStack() as stack:
            answers: Any = None
            if uris.is_uri(planning["to"] or ""):
                several = planning["several"]
                answers = stack.enter_context(
                    self.modules.store_plan.StorePlan(
                        planning["to"], self.labels, self.endpoint, several=several
                    )
                )
            elif planning["to"]:
                answers = self.modules.file_plan.Answers()
            scored = self._scored(None if answers is None else answers.add)
            if answers is None:
                return scored, None
            from zeroshelf import records

            threshold, other = self.given["threshold"], self.given["other"]
            asked = records.Request(self.dataset.uri, self.labels, "", threshold, other=other)
            return scored, _plan(self.screen, self.modules.file_plan, answers, asked, planning)

    def shards(self, to: Place, size: int) -> tuple[Scored | None, dict[str, Any]]:
        """Write shards of the results, which are made first if they are not there."""
        options = {name: self.given[name] for name in ("threshold", "other", "independent")}
        scored = None
        if self.modules.score.is_scored(self.dataset, self.labels, self.results, **options):
            self.screen.say(f"The results are there already: {_shown(self.results)}")
        else:
            scored = self._scored(None)
        chosen = {name: self.given[name] for name in ("model", "device")}
        with self._errors("shards"), self.screen.progress() as progress:
            written = self.modules.score_shards.write(
                self.dataset,
                self.labels,
                self.results,
                to,
                size,
                endpoint=self.endpoint,
                progress=progress,
                **chosen,
            )
        self.screen.say(self.modules.shards.summary(written, to))
        if written.failed:
            without = "picture is in no shard", "pictures are in no shard"
            self.screen.complain(counted(written.failed, *without))
        for line in written.trouble:
            self.screen.complain(line)
        return scored, {
            "pictures": dict(written.pictures),
            "earlier": dict(written.earlier),
            "shards": written.shards,
            "failed": written.failed,
        }

    def _scored(self, take: Any) -> Scored:
        with self._errors("results"), self.screen.progress() as progress:
            found: Scored = self.modules.score.score(
                self.dataset,
                self.labels,
                self.results,
                endpoint=self.endpoint,
                progress=progress,
                take=take,
                **self.given,
            )
        show(self.screen, found)
        self.screen.say(f"The results: {_shown(self.results)}")
        return found

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"the {what} can't be written: {error.strerror or error}") from error


def _shown(place: Place) -> str:
    return place.path if place.local else place.uri


def _check(planning: dict[str, Any], other: bool, shards: str | None) -> None:
    """Raise `UserError` for options that don't go together."""
    from zeroshelf.actions import kinds, plan

    kind = kinds.of(planning["kind"])
    if planning["to"] and shards:
        raise UserError("--to and --shards are two ways to go on: give one of the two")
    if not planning["to"]:
        if planning["kind"] != DEFAULT_ACTION or planning["several"] or planning["keep_earlier"]:
            raise UserError("--as, --several and --keep-earlier need --to: add it")
        return
    if not kind.needs_destination:
        raise UserError(f"--as {kind.name} needs a sort: score plans copies, moves and links")
    if uris.is_uri(planning["to"]) and not kind.within_stores:
        raise UserError(
            f"--as {kind.name} needs a folder on this machine: on an object store pictures can "
            "only be copied; leave --as out"
        )
    if planning["several"] and not kind.takes_several:
        raise UserError("one file can't be moved onto several shelves: copy or link it")
    plan.check_closed(kind.name, not other)


def _plan(
    screen: Screen, file_plan: Any, answers: Any, asked: Request, planning: dict[str, Any]
) -> str:
    """Make the plan, say what it would do, and return the id of its run."""
    from zeroshelf.images.scan import root_of

    if uris.is_uri(planning["to"]):
        planned, run = answers.finish()
        files = counted(len(answers), "object")
    else:
        planned, run = file_plan.make(
            answers,
            asked,
            root_of(planning["to"]),
            planning["kind"],
            several=planning["several"],
            replace_earlier=not planning["keep_earlier"],
        )
        files = counted(len(planned.actions), "file")
    for note in planned.notes:
        screen.warn(note)
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
    from zeroshelf.datasets import file_plan, places, score, score_shards, shards, store_plan

    # They are attributes of the package from here on.
    assert file_plan and places and score and score_shards and shards and store_plan
    return datasets
