"""`zeroshelf sort` and `zeroshelf plan`: plan a folder, and apply the plan once it is confirmed."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import click

from zeroshelf.commands.files import Told, finish
from zeroshelf.commands.options import (
    DECLINED,
    check_confirmable,
    check_homes,
    classifying,
    confirmed,
    given_labels,
    placing,
    showing,
    yes,
)
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import NothingToSort

if TYPE_CHECKING:
    from zeroshelf.decisions.diagnose import WordsToAdd
    from zeroshelf.records import LabelSet, Plan, Skipped
    from zeroshelf.run import Run

SHOWN = 20  # skipped files on the screen; the results of a sort have them all
WORDS = 3  # suggestions to count words as a label
SHELVES = 100  # of more, those without a picture are not listed on the screen
# the options of `placing`
PLACING = (
    "to", "kind", "ambiguous", "several", "prefix", "keep_earlier", "in_files", "shelf_path",
)  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path())
@classifying
@placing
@click.option("-n", "--dry-run", is_flag=True, help="Show the plan and write nothing.")
@yes
@showing
def sort(dry_run: bool, yes: bool, screen: Screen, **given: Any) -> int:
    """Sort the pictures below FOLDER onto one shelf a label.

    \b
      zeroshelf sort Photos -l cat -l frog --to Sorted
      zeroshelf sort Photos --labels labels.toml --to Sorted --as move

    What fits no label goes to Sorted/other. The plan is shown before anything happens.
    """
    check_confirmable(yes or dry_run, ", or --dry-run to look first")
    return sort_folder(screen, given, dry_run=dry_run, yes=yes)


@click.command()
@click.argument("folder", type=click.Path())
@classifying
@placing
@showing
def plan(screen: Screen, **given: Any) -> int:
    """Make the plan and its report. `zeroshelf apply` carries it out, at once or another day."""
    check_homes(screen)
    try:
        run, planned = plan_folder(screen, given)
    except NothingToSort as nothing:
        return _nothing(screen, given, nothing)
    with screen.progress() as progress:
        written = run.save(planned, progress)
    screen.say(f"The plan: {run.record}")
    screen.say(f"The report: {written.report}")
    screen.say(f"Nothing was changed yet. `zeroshelf apply {run.id}` carries out the plan.")
    screen.data(_summary(run, planned, written.report, written.results))
    return 1 if run.skipped else 0


def sort_folder(
    screen: Screen,
    given: dict[str, Any],
    *,
    dry_run: bool,
    yes: bool,
    broken: Collection[str] = (),
) -> int:
    """Plan, ask, apply, report; the exit code. Pictures in `broken` are expected to be skipped, and
    don't count as trouble."""
    from zeroshelf.actions import apply, kinds

    if not dry_run:
        check_homes(screen)
    try:
        run, planned = plan_folder(screen, given)
    except NothingToSort as nothing:
        return _nothing(screen, given, nothing)
    trouble = int(any(one.path not in broken for one in run.skipped))
    if dry_run:
        screen.say("A dry run: nothing was written.")
        screen.data(_summary(run, planned, None, None))
        return trouble
    with screen.progress() as progress:
        written = run.save(planned, progress)
    screen.say(f"The report: {written.report}")
    if not planned.actions:
        screen.say("Nothing to do: no file would change.")
        screen.data(_summary(run, planned, written.report, written.results))
        return trouble
    kind = kinds.of(planned.kind)
    files = counted(sum(kinds.of(a.kind).plannable for a in planned.actions), "file")
    if not confirmed(screen, yes, kind.confirmation(files, planned)):
        screen.say(f"{DECLINED} `zeroshelf apply {run.id}` carries out the plan later.")
        screen.data(_summary(run, planned, written.report, written.results))
        return 0
    told = Told()
    assert run.record is not None
    with screen.progress() as progress:
        apply.carry_out(run.record, told.take, progress)
    code = finish(screen, told, done=kind.report(planned))
    screen.say(f"The run's record: {run.record}")
    screen.say(f"`zeroshelf undo {run.id}` {kind.undo_hint()}.")
    screen.data(_summary(run, planned, written.report, written.results))
    return trouble or code


def _nothing(screen: Screen, given: dict[str, Any], nothing: NothingToSort) -> int:
    """Say that every picture is sorted already: what a script that runs daily takes for success."""
    from zeroshelf.records import OTHER

    screen.say(str(nothing))
    names = (*given_labels(given).names, *((OTHER,) if given.get("other", True) else ()))
    screen.data(
        {
            "run": None,
            "record": None,
            "report": None,
            "results": None,
            "destination": given["to"],
            "model": None,
            "device": None,
            "counts": {"skipped": 0} | dict.fromkeys(names, 0),
            "skipped": 0,
            "not_pictures": {},
            "left_out": {},
            "left_behind": [],
        }
    )
    return 0


def plan_folder(screen: Screen, given: dict[str, Any]) -> tuple[Run, Plan]:
    """Classify and plan, by the options of `classifying` and `placing`, and show both."""
    from zeroshelf.actions import plan_request
    from zeroshelf.actions.plan import check_closed
    from zeroshelf.images.scan import root_of
    from zeroshelf.records import PlanRequest
    from zeroshelf.run import classify, plans

    what = {name: value for name, value in given.items() if name not in PLACING}
    to, kind, ambiguous, several, prefix, keep_earlier, in_files, shelf_path = (
        given[n] for n in PLACING
    )
    labels = given_labels(given)
    del what["labels"], what["labels_file"]
    folder = root_of(what.pop("folder"))
    wanted = PlanRequest(
        folder,
        to,
        kind,
        "zeroshelf" if prefix is None else prefix,
        ambiguous,
        several,
        replace=not keep_earlier,
        in_files=in_files,
        shelf_path=shelf_path,
    )
    wanted = plan_request.checked(wanted, labels)
    check_closed(wanted.action, not given.get("other", True))
    leave_out = set() if wanted.destination is None else {wanted.destination}
    with screen.progress() as progress:
        run = classify(
            folder, labels, leave_out=leave_out, progress=progress, warn=screen.warn, **what
        )
        run.find_near_duplicates(progress)
    planned = plans.make(run, wanted)
    show(screen, run, planned, given["labels_file"])
    return run, planned


def show(screen: Screen, run: Run, planned: Plan, labels_file: str | None = None) -> None:
    """The plan as a table, what was skipped, and warnings for the user. `labels_file`: where the
    labels come from, if not from the command line."""
    from zeroshelf.actions.plan import confidences
    from zeroshelf.decisions import diagnose
    from zeroshelf.images import ignored

    decisions = run.decisions
    for one in decisions if screen.level > 0 else ():
        sure = f"{one.confidence}, {100 * one.probability:.0f} %"
        screen.detail(f"{one.picture.path}: {one.label}, {sure} ({one.reason})")
    every = confidences(planned, decisions)
    shelves = {name: tally for name, tally in every.items() if any(tally.values())}
    if len(every) <= SHELVES:
        shelves = every
    screen.table(
        ("shelf", "pictures", "sure", "likely", "unsure"),
        [(name, sum(tally.values()), *tally.values()) for name, tally in shelves.items()],
    )
    if empty := len(every) - len(shelves):
        screen.say(f"Not listed: {counted(empty, 'shelf', 'shelves')} without a picture.")
    show_skipped(screen, run.skipped, planned.folder)
    for line in ignored.lines(run.ignored):
        screen.say(line)
    to_add = diagnose.words_to_add(decisions)
    for found_words in to_add[:WORDS]:
        screen.say(_count_them(found_words, run.labels, labels_file))
    counted_as = {word for them in to_add for word in them.words}
    shelves_to_add = [s for s in diagnose.shelves_to_add(decisions) if s[0] not in counted_as]
    for name, count in shelves_to_add[:3]:
        found = counted(count, "picture that looks", "pictures that look")
        screen.say(f'On "other": {found} like "{name}". Add a label for them?')
    warned = {(name, one.problem) for one in run.advice for name in one.labels}  # in the notes
    for advice in diagnose.diagnose(decisions):
        if not warned.issuperset((name, advice.problem) for name in advice.labels):
            screen.say(str(advice))
    where = f"on {run.device.upper()}" if run.device else "every picture was known already"
    screen.say(f"Model: {run.model.id}, {where}")
    if run.near_duplicates:
        screen.say(f"Groups of near-duplicates, shown in the report: {len(run.near_duplicates):,}.")
    for note in (*run.notes, *planned.notes):
        screen.warn(note)


def _count_them(one: WordsToAdd, labels: LabelSet, labels_file: str | None) -> str:
    """The suggestion to count words as a label, with how that is done."""
    looks = counted(len(one.rows), "picture on other looks", "pictures on other look")
    words = ", ".join(one.words)
    if labels_file is not None:
        how = f'add to the words of "{one.label}" in {labels_file}: {words}'
    else:
        own = next(label.words for label in labels if label.name == one.label)
        how = f'zeroshelf sort ... -l "{one.label}={", ".join((*own, *one.words))}"'
    return f"{looks} like {words}: count them as {one.label}? ({how})"


def show_skipped(screen: Screen, skipped: Sequence[Skipped], folder: str) -> None:
    for one in skipped[:SHOWN]:
        screen.complain(f"skipped {os.path.relpath(one.path, folder)}: {one.reason}")
    if len(skipped) > SHOWN:
        screen.complain(f"... and {len(skipped) - SHOWN:,} more skipped")


def _summary(run: Run, planned: Plan, report: str | None, results: str | None) -> dict[str, Any]:
    from zeroshelf.actions.plan import confidences

    counts = {n: sum(c.values()) for n, c in confidences(planned, run.decisions).items()}
    return {
        "run": run.id,
        "record": run.record,
        "report": report,
        "results": results,
        "destination": planned.destination,
        "model": run.model.id,
        "device": run.device,
        "counts": {"skipped": len(run.skipped)} | counts,  # of a label of that name, its own
        "skipped": len(run.skipped),
        "not_pictures": dict(run.ignored.not_pictures),
        "left_out": dict(run.ignored.left_out),
        "left_behind": list(planned.left_behind),
    }
