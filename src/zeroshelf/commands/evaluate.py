"""`zeroshelf evaluate`: a run compared with the truth, on the screen, as a page and as data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zeroshelf.commands.options import showing
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.decisions.evaluate import Evaluation
    from zeroshelf.output.evaluation_data import Wrong
    from zeroshelf.run.evaluation import Comparison, Evaluated

SHOWN = 5  # names and paths in a warning
CONFUSIONS = 5  # on the screen


@click.command()
@click.argument("run")
@click.argument("truth", type=click.Path(), metavar="TRUTH.csv")
@click.option("--against", metavar="RUN2", help="Compare with this run on the pictures of both.")
@click.option("--html", type=click.Path(), metavar="FILE", help="Write a page to this new file.")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@showing
def command(
    run: str, truth: str, against: str | None, html: str | None, show: bool, screen: Screen
) -> int:
    """Compare RUN with the truth: which decisions are right.

    \b
      zeroshelf evaluate 20261127 truth.csv --open
      zeroshelf evaluate 20261127 truth.csv --against 20261120 --json

    TRUTH.csv has a picture's path (absolute, or below the run's folder) and its label in each row;
    "other" where no label is true, several labels with ";" between them where several are. Any of
    them is right then. --open without --html writes the page into the run's record.
    """
    from zeroshelf.run import reopen
    from zeroshelf.run.evaluation import compare, evaluated
    from zeroshelf.runs.truth import read

    if html is not None and os.path.lexists(html):
        raise UserError(f"{html} already exists; name another file")
    known = read(truth)
    with screen.progress() as progress:
        first = reopen(run, progress=progress)
        second = None if against is None else reopen(against, progress=progress)
    found = evaluated(first, known)
    compared = None if second is None else compare(first, second, known)
    data = _data(found, compared)
    _show(screen, found)
    if compared:
        _show_against(screen, compared)
    page = _page(html, found, compared) if html or show else None
    if page:
        screen.say(f"The page: {page}")
        if show:
            click.launch(Path(page).as_uri())
    screen.data({**data, "page": page})
    return 1 if found.missing else 0


def _wrong(found: Evaluated) -> list[Wrong]:
    from zeroshelf.output import evaluation_data

    run = found.run
    return evaluation_data.wrong(run.decisions, found.evaluation, run.embeddings.digests)


def _data(found: Evaluated, compared: Comparison | None) -> dict[str, Any]:
    from zeroshelf.output.evaluation_data import as_json

    made: dict[str, Any] = {"run": found.run.id, **as_json(found.evaluation, _wrong(found))}
    made |= {"missing": list(found.missing), "unknown_labels": dict(found.unknown)}
    made["against"] = None
    if compared:
        made["against"] = {
            "run": compared.second.run.id,
            "pictures": compared.first.evaluation.pictures,
            "first": as_json(compared.first.evaluation, _wrong(compared.first)),
            "second": as_json(compared.second.evaluation, _wrong(compared.second)),
            "gained": list(compared.gained),
            "lost": list(compared.lost),
        }
    return made


def _page(html: str | None, found: Evaluated, compared: Comparison | None) -> str:
    """Write the page, into the run's record if no file is named; its absolute path. Raises
    `UserError` if it can't be written."""
    from zeroshelf.output import evaluation_page
    from zeroshelf.output.evaluation_page import Against, Part

    run, wrong = found.run, _wrong(found)
    digests = [one.digest for one in wrong[: evaluation_page.WRONG]]
    about = (run.request.folder, f"model {run.model.id}", *_lines(found))
    part = Part(f"Run {run.id}", about, found.evaluation, wrong, run.thumbnails(digests))
    beside = None
    if compared:
        title = f"run {compared.second.run.id}"
        both = compared.first.evaluation, compared.second.evaluation
        beside = Against(title, *both, compared.gained, compared.lost)
    text = evaluation_page.page(part, beside)
    path = os.path.abspath(html or os.path.join(run.record or "", "evaluation.html"))
    try:
        with open(path, "x" if html else "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}") from None
    return path


def _lines(found: Evaluated) -> list[str]:
    """What was compared, and what was not."""
    from zeroshelf.run.evaluation import encoding_advice

    run, count = found.run, found.evaluation.pictures
    every = counted(len(run.decisions), "picture")
    lines = [f"compared: {counted(count, 'picture')} with a known truth, of {every}"]
    if found.missing:
        some = ", ".join(found.missing[:SHOWN])
        lines.append(
            f"{counted(len(found.missing), 'path is', 'paths are')} no picture of the run, and not "
            f"counted: {some}{' ...' if len(found.missing) > SHOWN else ''}"
            f"{encoding_advice(found.missing)}"
        )
    if found.unknown:
        most = sorted(found.unknown.items(), key=lambda one: (-one[1], one[0]))[:SHOWN]
        some = ", ".join(f"{name} ({count:,})" for name, count in most)
        lines.append(
            "not labels of the run, and so taken for other: "
            f"{some}{' ...' if len(found.unknown) > SHOWN else ''}"
        )
    return lines


def _show(screen: Screen, found: Evaluated) -> None:
    from zeroshelf.output.evaluation_data import confused
    from zeroshelf.output.evaluation_page import percent

    one = found.evaluation
    told, *doubts = _lines(found)
    screen.say(f"{told[0].upper()}{told[1:]}.")
    for line in doubts:
        screen.warn(line)
    screen.table(
        ("label", "pictures", "on its shelf", "precision", "recall"),
        [
            (name, each.pictures, each.decided, percent(each.precision), percent(each.recall))
            for name, each in one.labels.items()
            if each.pictures or each.decided
        ],
    )
    screen.say(f"On the right shelf: {percent(one.accuracy)}; {_parts(one)}.")
    for word, each in (one.confidences or {}).items():
        screen.say(f"{word}: {counted(each.decisions, 'decision')}, {percent(each.accuracy)} right")
    screen.say(f"Expected calibration error: {percent(one.calibration_error)}")
    for pair in confused(one)[:CONFUSIONS]:
        is_ = counted(pair.pictures, "picture is", "pictures are")
        screen.say(f"{is_} {pair.truth}, but on {pair.label}")
    screen.table(
        ("threshold", "on a shelf", "precision", "recall", "right of other"),
        [
            (
                f"{at.threshold:.2f}",
                at.kept,
                percent(at.precision),
                percent(at.recall),
                percent(at.other_accuracy),
            )
            for at in one.thresholds
        ],
    )


def _parts(one: Evaluation) -> str:
    from zeroshelf.output.evaluation_page import percent

    fits, none = percent(one.label_accuracy), percent(one.other_accuracy)
    return f"of the pictures that fit a label {fits}, of those that fit none {none}"


def _show_against(screen: Screen, compared: Comparison) -> None:
    from zeroshelf.output.evaluation_page import percent

    first, second = compared.first, compared.second
    count = counted(first.evaluation.pictures, "picture")
    screen.say(f"Against run {second.run.id}, on the {count} of both runs:")
    for line in _lines(second)[1:]:
        screen.warn(f"run {second.run.id}: {line}")
    screen.table(
        ("run", "on the right shelf", "of a label", "of none", "sure right"),
        [
            (
                each.run.id or "",
                percent(each.evaluation.accuracy),
                percent(each.evaluation.label_accuracy),
                percent(each.evaluation.other_accuracy),
                percent(each.evaluation.sure_accuracy),
            )
            for each in (first, second)
        ],
    )
    gained, lost = len(compared.gained), len(compared.lost)
    screen.say(f"Right in run {first.run.id} alone: {counted(gained, 'picture')}.")
    screen.say(f"Right in run {second.run.id} alone: {counted(lost, 'picture')}.")
