"""`zeroshelf apply`, `undo`, `untag` and `report`: what comes after a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from zeroshelf.commands.options import (
    DECLINED,
    check_confirmable,
    check_homes,
    confirmed,
    showing,
    yes,
)
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.records import Outcome
    from zeroshelf.runs.registry import RunRecord


@click.command()
@click.argument("run", required=False)
@yes
@showing
def apply(run: str | None, yes: bool, screen: Screen) -> int:
    """Carry out the plan of RUN, or of the newest run.

    An interrupted run is resumed; what is done already is not done again.
    """
    from zeroshelf.actions import apply, kinds
    from zeroshelf.commands.edits import catch_up
    from zeroshelf.runs import registry

    found = registry.find(run)
    catch_up(found.id, screen)
    found = registry.find(found.id)  # its plan may be of another action by now
    what = kinds.of(found.kind).apply_question(found.id, found.destination, found.pictures)
    if not confirmed(screen, yes, what):
        return _declined(screen, found)
    told = Told()
    with screen.progress() as progress:
        apply.carry_out(found.record, told.take, progress)
    screen.data({"run": found.id, "record": found.record, **tally(told)})
    return finish(screen, told, done="carried out")


@click.command()
@click.argument("run", required=False)
@yes
@showing
def undo(run: str | None, yes: bool, screen: Screen) -> int:
    """Put everything back as it was before RUN, or before the newest run that did something.

    What has changed since the run is left as it is and listed.
    """
    from zeroshelf.actions import kinds, undo
    from zeroshelf.runs import registry

    found = registry.newest_applied() if run is None else registry.find(run)
    if not confirmed(screen, yes, f"Undo run {found.id} in {found.destination}?"):
        return _declined(screen, found)
    told = Told()
    with screen.progress() as progress:
        undo.carry_out(found.record, told.take, progress)
    told.trouble.reverse()  # undone from the end
    facts = tally(told)
    kind = kinds.KINDS.get(found.kind)  # None: only a newer version has it
    by_hand = kind.by_hand() if kind is not None and told.trouble else None
    if by_hand is not None:
        screen.complain(by_hand)
        facts["by_hand"] = by_hand
    screen.data({"run": found.id, "record": found.record, **facts})
    return finish(screen, told, done="put back")


@click.command()
@click.argument("folder", type=click.Path())
@click.option(
    "--prefix", default="zeroshelf", show_default=True, help="Prefix of the tags to remove."
)
@click.option(
    "--in-files", is_flag=True, help="Out of JPEG, PNG and TIFF files too, through exiftool."
)
@click.option("-n", "--dry-run", is_flag=True, help="List the files and write nothing.")
@yes
@showing
def untag(
    folder: str, prefix: str, in_files: bool, dry_run: bool, yes: bool, screen: Screen
) -> int:
    """Take the tags that `sort --as tag` wrote out of the sidecars below FOLDER.

    Only tags below the prefix go. A sidecar that was made for them and has nothing else goes with
    them. `zeroshelf undo` brings everything back.
    """
    from zeroshelf.actions import apply, plan_tags
    from zeroshelf.actions.tags import exiftool
    from zeroshelf.runs import registry

    check_confirmable(yes or dry_run, ", or --dry-run to look first")
    if in_files:
        exiftool.find()
    if not dry_run:
        check_homes(screen)
    planned = plan_tags.untags(folder, prefix, in_files=in_files)
    say = screen.say if dry_run else screen.detail
    for action in planned.actions:
        say(action.target)
    for note in planned.notes:  # what can't be read
        screen.complain(note)
    what = counted(len(planned.actions), "file" if in_files else "sidecar")
    what = f"the tags below {planned.prefix} out of {what}"
    if dry_run or not planned.actions:
        screen.say(f"Would take {what}: nothing was written.")
        screen.data({"run": None, "record": None, "counts": {}, "trouble": []})
        return 1 if planned.notes else 0
    name, record = registry.new(planned)
    if not confirmed(screen, yes, f"Take {what} in {planned.folder}?"):
        screen.say(f"{DECLINED} `zeroshelf apply {name}` carries out the plan later.")
        screen.data({"run": name, "record": record, "counts": {}, "trouble": []})
        return 0
    told = Told()
    with screen.progress() as progress:
        apply.carry_out(record, told.take, progress)
    code = finish(screen, told, done="untagged")
    screen.say(f"`zeroshelf undo {name}` puts everything back.")
    screen.data({"run": name, "record": record, **tally(told)})
    return 1 if planned.notes else code


@click.command()
@click.argument("run", required=False)
@click.option("--drop", is_flag=True, help="Remove the originals that RUN keeps.")
@yes
@showing
def originals(run: str | None, drop: bool, yes: bool, screen: Screen) -> int:
    """List the originals that `sort --as tag --in-files` and `untag --in-files` keep.

    With --drop those of RUN are removed: then its tags can't be undone any more. An original whose
    picture is gone stays.
    """
    from zeroshelf.actions import originals
    from zeroshelf.runs import registry

    if drop and run is None:
        raise UserError("name the run whose originals to remove: zeroshelf originals RUN --drop")
    every = [registry.find(run)] if run else list(registry.all())
    chosen = [one for one in every if isinstance(one, registry.RunRecord)]
    if newer := len(every) - len(chosen):
        screen.warn(f"{counted(newer, 'run')} of a newer zeroshelf left out: update to see them")
    found = [(one, files) for one in chosen if (files := originals.of(one.record))]
    screen.data(
        {
            "runs": [
                {
                    "run": one.id,
                    "folder": one.folder,
                    "files": len(files),
                    "bytes": sum(files.values()),
                }
                for one, files in found
            ]
        }
    )
    if not found:
        screen.say("No originals are kept.")
        return 0
    rows = [(one.id, len(files), sum(files.values()), one.folder) for one, files in found]
    if not drop:
        if not screen.as_json:
            screen.table(("run", "originals", "bytes", "folder"), rows)
        return 0
    many = counted(rows[0][1], "original")
    if not confirmed(screen, yes, f"Remove {many} of run {rows[0][0]}, for good?"):
        screen.say("Nothing was changed.")
        return 0
    gone, left = originals.drop(chosen[0].record)
    for path, reason in left:
        screen.complain(f"left alone: {path}: {reason}")
    screen.say(f"{counted(gone, 'original')} removed.")
    return 1 if left else 0


@click.command()
@click.argument("run", required=False)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@showing
def report(run: str | None, show: bool, screen: Screen) -> None:
    """Print the path of the report of RUN, or of the newest run."""
    import os
    from pathlib import Path

    from zeroshelf.runs import registry

    found = registry.find(run)
    path = os.path.join(found.record, "report.html")
    if not os.path.exists(path):
        raise UserError(f"run {found.id} has no report: {path} no longer exists")
    screen.data({"run": found.id, "report": path})
    if not screen.as_json:
        screen.say(path)
    if show:
        click.launch(Path(path).as_uri())


class Told:
    """What is said about outcomes: their numbers, and those that are trouble. The others are not
    kept, so that a million of them take no memory."""

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        self.counts: Counter[str] = Counter()  # by status
        self.removed = 0  # files of earlier runs
        self.notes: Counter[str] = Counter()
        self.trouble: list[Outcome] = []
        for outcome in outcomes:
            self.take(outcome)

    def take(self, outcome: Outcome) -> None:
        """Count one outcome."""
        from zeroshelf.actions import kinds

        self.counts[outcome.status] += 1
        self.notes.update(outcome.notes)
        if outcome.status == "done" and not kinds.of(outcome.action.kind).plannable:
            self.removed += 1
        if outcome.status in ("refused", "failed"):
            self.trouble.append(outcome)

    def lines(self) -> list[str]:
        """What is done, but not as planned: a line each, for however many files."""
        return [f"{counted(count, 'file')}: {note}" for note, count in self.notes.items()]


def tally(told: Told) -> dict[str, object]:
    trouble = [
        {"source": o.action.source, "target": o.action.target, "reason": o.reason}
        for o in told.trouble
    ]
    return {"counts": dict(told.counts), "trouble": trouble, "notes": told.lines()}


def notes(outcomes: Iterable[Outcome]) -> list[str]:
    """What is done, but not as planned: a line each, for however many files."""
    return Told(outcomes).lines()


def finish(screen: Screen, told: Told, *, done: str) -> int:
    """Say what became of the actions; the exit code."""
    counts = told.counts
    there = counted(counts["already"], "was", "were")
    already = f", {there} there already" if counts["already"] else ""
    screen.say(f"{counted(counts['done'] - told.removed, 'file')} {done}{already}.")
    if told.removed and done != "put back":
        screen.say(f"{counted(told.removed, 'file')} of earlier runs removed from other shelves.")
    for note in told.lines():
        screen.warn(note)
    for outcome in told.trouble:
        screen.complain(f"left alone: {outcome.action.source}: {outcome.reason}")
    return 1 if told.trouble else 0


def _declined(screen: Screen, run: RunRecord) -> int:
    screen.say(DECLINED)
    screen.data({"run": run.id, "record": run.record, "counts": {}, "trouble": []})
    return 0
