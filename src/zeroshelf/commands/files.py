"""`zeroshelf apply`, `undo`, `untag`, `runs` and `report`: what comes after a plan."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from zeroshelf.commands.options import showing, yes
from zeroshelf.errors import UserError
from zeroshelf.screen import Screen

if TYPE_CHECKING:
    from zeroshelf.records import Outcome


@click.command()
@click.argument("run", required=False)
@yes
@showing
def apply(run: str | None, yes: bool, screen: Screen) -> int:
    """Carry out the plan of RUN, or of the newest run.

    A run that was stopped goes on where it was; what is done already is left alone.
    """
    from zeroshelf import apply as application
    from zeroshelf import runs
    from zeroshelf.commands.review import catch_up

    found = runs.find(run)
    catch_up(found.id, screen)
    _agree(screen, yes, f"Carry out the plan of run {found.id} in {found.destination}?")
    with screen.progress() as progress:
        outcomes = application.apply(found.record, progress)
    screen.data({"run": found.id, "record": found.record, **tally(outcomes)})
    return finish(screen, outcomes, done="carried out")


@click.command()
@click.argument("run", required=False)
@yes
@showing
def undo(run: str | None, yes: bool, screen: Screen) -> int:
    """Put everything back as it was before RUN, or before the newest run that did something.

    What has changed since the run is left as it is and listed.
    """
    from zeroshelf import runs
    from zeroshelf import undo as undoing

    found = runs.find(run) if run else runs.newest_applied()
    _agree(screen, yes, f"Undo run {found.id} in {found.destination}?")
    with screen.progress() as progress:
        outcomes = undoing.undo(found.record, progress)
    screen.data({"run": found.id, "record": found.record, **tally(outcomes)})
    return finish(screen, outcomes, done="put back")


@click.command()
@click.argument("folder", type=click.Path())
@click.option("--prefix", default="zeroshelf", show_default=True, help="Of the tags that go.")
@click.option("-n", "--dry-run", is_flag=True, help="List the sidecars and write nothing.")
@yes
@showing
def untag(folder: str, prefix: str, dry_run: bool, yes: bool, screen: Screen) -> int:
    """Take the tags that `sort --as tag` wrote out of the sidecars below FOLDER.

    Only tags below the prefix go. A sidecar that was made for them and holds nothing else goes with
    them. `zeroshelf undo` brings everything back.
    """
    from zeroshelf import apply as application
    from zeroshelf import plan, runs

    if not (yes or dry_run or sys.stdin.isatty()):
        raise UserError("nobody is here to say yes: add --yes to untag, or --dry-run to look first")
    planned = plan.untags(folder, prefix)
    say = screen.say if dry_run else screen.detail
    for action in planned.actions:
        say(action.target)
    for note in planned.notes:  # what can't be read
        screen.complain(note)
    what = f"the tags below {planned.prefix} out of {len(planned.actions):,} sidecars"
    if dry_run or not planned.actions:
        screen.say(f"Would take {what}: nothing was written.")
        screen.data({"run": None, "record": None, "counts": {}, "trouble": []})
        return 1 if planned.notes else 0
    name, record = runs.new(planned)
    if not yes and not screen.ask(f"Take {what} in {planned.folder}?"):
        screen.say(f"Nothing was touched. `zeroshelf apply {name}` carries the plan out later.")
        screen.data({"run": name, "record": record, "counts": {}, "trouble": []})
        return 1 if planned.notes else 0
    with screen.progress() as progress:
        outcomes = application.apply(record, progress)
    code = finish(screen, outcomes, done="untagged")
    screen.say(f"`zeroshelf undo {name}` puts everything back.")
    screen.data({"run": name, "record": record, **tally(outcomes)})
    return 1 if planned.notes else code


@click.command()
@showing
def runs(screen: Screen) -> None:
    """List the runs, newest first."""
    from zeroshelf import runs as registry

    found = list(registry.all())
    if not found and not screen.as_json:
        screen.say("No runs yet: `zeroshelf sort FOLDER -l LABEL --to SORTED` makes the first.")
        return
    screen.data(
        {
            "runs": [
                {
                    "run": run.id,
                    "state": run.state,
                    "folder": run.folder,
                    "destination": run.destination,
                    "record": run.record,
                }
                for run in found
            ]
        }
    )
    if not screen.as_json:
        screen.table(
            ("run", "state", "as", "pictures", "from", "to"),
            [(r.id, r.state, r.kind, r.pictures, r.folder, r.destination) for r in found],
        )


@click.command()
@click.argument("run", required=False)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@showing
def report(run: str | None, show: bool, screen: Screen) -> None:
    """Print where the report of RUN, or of the newest run, lies."""
    import os
    from pathlib import Path

    from zeroshelf import runs as registry

    found = registry.find(run)
    path = os.path.join(found.record, "report.html")
    if not os.path.exists(path):
        raise UserError(f"run {found.id} has no report: {path} is gone")
    screen.data({"run": found.id, "report": path})
    if not screen.as_json:
        screen.say(path)
    if show:
        click.launch(Path(path).as_uri())


def tally(outcomes: Sequence[Outcome]) -> dict[str, object]:
    counts = Counter(outcome.status for outcome in outcomes)
    trouble = [
        {"source": o.action.source, "target": o.action.target, "reason": o.reason}
        for o in outcomes
        if o.status in ("refused", "failed")
    ]
    return {"counts": dict(counts), "trouble": trouble, "notes": notes(outcomes)}


def notes(outcomes: Sequence[Outcome]) -> list[str]:
    """What is done, but not as planned: a line each, for however many files."""
    counts = Counter(note for outcome in outcomes for note in outcome.notes)
    return [
        f"{count:,} {'file' if count == 1 else 'files'}: {note}" for note, count in counts.items()
    ]


def finish(screen: Screen, outcomes: Sequence[Outcome], *, done: str) -> int:
    """Say what became of each action; the exit code."""
    counts = Counter(outcome.status for outcome in outcomes)
    already = f", {counts['already']:,} were there already" if counts["already"] else ""
    screen.say(f"{counts['done']:,} files {done}{already}.")
    for note in notes(outcomes):
        screen.warn(note)
    trouble = [o for o in outcomes if o.status in ("refused", "failed")]
    for outcome in trouble:
        screen.complain(f"left alone: {outcome.action.source}: {outcome.reason}")
    return 1 if trouble else 0


def _agree(screen: Screen, yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody is here to say yes: add --yes")
    if not screen.ask(question):
        raise click.Abort
