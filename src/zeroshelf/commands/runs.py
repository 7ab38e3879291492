"""`zeroshelf runs`: the list of runs, and removing the records of old ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from zeroshelf.commands import options
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted, megabytes

if TYPE_CHECKING:
    from zeroshelf.runs.registry import NewerRun, RunRecord


@click.group(invoke_without_command=True)
@options.showing
@click.pass_context
def group(context: click.Context, screen: Screen) -> None:
    """List the runs, newest first, and remove the records of old ones.

    \b
      zeroshelf runs             each run with its folder and destination
      zeroshelf runs prune       remove records that are no longer needed
    """
    if context.invoked_subcommand is not None:
        return
    from zeroshelf.runs import registry

    found = list(registry.all())
    screen.data({"runs": [_facts(run) for run in found]})
    if screen.as_json:
        return
    if found:
        _table(screen, found)
    else:
        screen.say("No runs yet: `zeroshelf sort FOLDER -l LABEL --to SORTED` makes the first.")


@group.command()
@options.older_than(0, "Only records of runs that began this long ago or earlier.")
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Keep the newest N of all runs.")
@click.option("--all", "everything", is_flag=True, help="Records of any age.")
@click.option(
    "--applied",
    is_flag=True,
    help="Also of runs that are applied: they can't be undone afterwards.",
)
@click.option("-n", "--dry-run", is_flag=True, help="List the records and remove nothing.")
@options.yes
@options.showing
def prune(
    screen: Screen,
    days: int,
    keep: int | None,
    everything: bool,
    applied: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Remove the records of runs that were undone or never carried out.

    A record is the run's plan, journal, report and results, and the edits of its review. A run
    whose files are in place keeps its record, because undo needs it; --applied removes that too.
    No picture is touched, and stored corrections stay.
    """
    from zeroshelf.runs import registry, removal

    options.check_confirmable(yes or dry_run, ", or --dry-run to look first")
    found = removal.removable(0 if everything else days, keep=keep or 0, applied=applied)
    size = sum(removal.size(run) for run in found)
    facts = {"runs": [_facts(run) for run in found], "bytes": size, "removed": 0}
    if not found:
        screen.say("No record to remove: see --older-than, --all and --applied.")
        screen.data(facts)
        return 0
    _table(screen, found)
    reviewed = sum(removal.has_edits(run) for run in found)
    if reviewed:
        screen.warn(f"{counted(reviewed, 'record has', 'records have')} edits of a review")
    if in_place := sum(run.state in registry.IN_PLACE for run in found):
        screen.complain(
            f"{counted(in_place, 'run', 'runs')} can't be undone afterwards, and the next sort "
            "takes the pictures on their shelves for new ones"
        )
    what = f"{counted(len(found), 'record')}, {megabytes(size)}"
    if dry_run:
        screen.say(f"Would remove {what}: nothing was changed.")
        screen.data(facts)
        return 0
    if not options.confirmed(screen, yes, f"Remove {what}?"):
        screen.say(options.DECLINED)
        screen.data(facts)
        return 0
    left = removal.remove(found)
    for run, reason in left:
        screen.complain(f"left alone: {run.record}: {reason}")
    screen.say(f"{counted(len(found) - len(left), 'record')} removed.")
    screen.data(facts | {"removed": len(found) - len(left)})
    return 1 if left else 0


def _facts(run: RunRecord | NewerRun) -> dict[str, object]:
    from zeroshelf.runs.registry import NewerRun

    known = None if isinstance(run, NewerRun) else run
    return {
        "run": run.id,
        "when": run.when.isoformat(),
        "state": known.state if known else "newer",
        "kind": known.kind if known else None,
        "pictures": known.pictures if known else None,
        "folder": run.folder,
        "destination": run.destination,
        "record": run.record,
    }


def _table(screen: Screen, found: Sequence[RunRecord | NewerRun]) -> None:
    """One row a run; a line below for each that a newer version made."""
    from zeroshelf.actions import kinds
    from zeroshelf.runs.registry import NewerRun

    # elsewhere than in a folder of the run's: "the system's trash"
    elsewhere = {
        kind.name: kind.place.removeprefix("in ")
        for kind in kinds.KINDS.values()
        if "{to}" not in kind.place
    }
    newer = [run for run in found if isinstance(run, NewerRun)]
    screen.table(
        ("run", "state", "as", "pictures", "from", "to"),
        [
            (run.id, "newer", "?", "?", run.folder or "?", run.destination or "?")
            if isinstance(run, NewerRun)
            else (
                run.id,
                run.state,
                run.kind,
                run.pictures,
                run.folder,
                elsewhere.get(run.kind, run.destination),
            )
            for run in found
        ],
        whole=("run", "from", "to"),
    )
    for run in newer:
        screen.warn(f"{run.id}: made by a newer version of zeroshelf: update to open it")
