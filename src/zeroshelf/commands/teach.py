"""`zeroshelf teach`: what the marks of a review teach, without the browser."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from zeroshelf.commands.options import DECLINED, showing, yes
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import UserError
from zeroshelf.system import path_spelling
from zeroshelf.system.streams import interactive

if TYPE_CHECKING:
    from zeroshelf.review.session import Session
    from zeroshelf.review.suggestions import Lesson


@click.command()
@click.argument("run", required=False)
@click.option(
    "--mark",
    "marked",
    nargs=2,
    multiple=True,
    metavar="PICTURE LABEL",
    help="A picture below the run's folder, and where it belongs.",
)
@click.option(
    "--ask",
    "asked",
    type=click.IntRange(1, 200),
    help="List N pictures worth marking.",
)
@click.option("--from", "source", type=click.Path(), help="Learn from the marks in this file too.")
@click.option("--export", type=click.Path(), help="Write all marks to this new file, and exit.")
@click.option("--forget", is_flag=True, help="Delete the marks kept for these labels, and exit.")
@yes
@showing
def command(
    run: str | None,
    marked: tuple[tuple[str, str], ...],
    asked: int | None,
    source: str | None,
    export: str | None,
    forget: bool,
    yes: bool,
    screen: Screen,
) -> None:
    """Say where some pictures of RUN belong, and let the rest follow.

    \b
      zeroshelf teach --ask 20                       which pictures would help most
      zeroshelf teach --mark a.jpg cat --mark b/c.jpg other
      zeroshelf teach --export cats.jsonl            for another folder: --from cats.jsonl

    What would change is shown first. What you marked is never moved by what is learnt. Marks are
    kept for their labels and model, and teach in every other run with the same.
    """
    from zeroshelf.commands.review import keep
    from zeroshelf.corrections import stored
    from zeroshelf.review import suggestions
    from zeroshelf.review.session import Session
    from zeroshelf.run import reopen

    if export and os.path.lexists(export):
        raise UserError(f"{export} is there already; name another file")
    with screen.progress() as progress:
        opened = reopen(run, edited=False, progress=progress)
    with Session(opened) as session:
        labels, model = session.edited.labels, session.run.model
        if forget:
            stored.save(stored.home(labels, model), {}, model)
            screen.data({"run": session.run.id, "marks": 0, "file": None})
            screen.say("The marks kept for these labels and this model are dropped.")
            return
        if source:
            session.use(stored.load(source, labels, model))
        for picture, label in marked:
            session.place([_row(session, picture)], label)
        if export:
            if session.all_marks():
                stored.save(export, session.all_marks(), model)
            count = len(session.all_marks())
            screen.data({"run": session.run.id, "marks": count, "file": export if count else None})
            written = export if count else "nothing is marked yet, so no file was written"
            screen.say(f"{counted(count, 'mark')}: {written}")
            return
        if asked:
            paths = [session.paths[row] for row in suggestions.ask(session, asked)]
            screen.data({"run": session.run.id, "ask": paths})
            for path in () if screen.as_json else paths:
                screen.say(path)
            return
        learnt = suggestions.lesson(session)
        _show(screen, session, learnt)
        if learnt.moves:
            _offer(screen, session, learnt, yes)
        with screen.progress() as progress:
            settled = not session.edit_count or keep(session, progress)
        if not settled:
            name = session.run.id
            screen.say(f"This run is carried out: `zeroshelf undo {name}`, then apply it again.")
        elif session.edit_count:
            screen.say(f"`zeroshelf apply {session.run.id}` does what was decided.")


def _offer(screen: Screen, session: Session, learnt: Lesson, yes: bool) -> None:
    """Move what would move, if a person agrees."""
    from zeroshelf.review import suggestions

    if not yes and not interactive():
        screen.warn("not running in a terminal, so this is not accepted: pass --yes to accept")
    elif yes or screen.ask("Accept?"):
        moved = suggestions.accept(session, learnt, range(len(learnt.moves)))
        screen.say(f"{counted(moved, 'picture')} moved to another shelf of the plan.")
    elif session.edit_count:
        screen.say("Your corrections are kept; nothing else was changed.")
    else:
        screen.say(DECLINED)


def _row(session: Session, picture: str) -> int:
    """By its path, from here or from the run's folder."""
    from_here = path_spelling.relative(os.path.abspath(picture), session.root)
    for path in map(path_spelling.slashed, (picture, os.path.normpath(picture), from_here)):
        if path in session.row_of:
            return session.row_of[path]
    raise UserError(f"{picture} is no picture of this run, which is of {session.root}")


def _show(screen: Screen, session: Session, learnt: Lesson) -> None:
    moves = [{"from": m.shelf, "to": m.to, "pictures": len(m.rows)} for m in learnt.moves]
    screen.data({"run": session.run.id, "marks": learnt.marks, "moves": moves})
    if not learnt.marks:
        screen.say("Nothing is marked yet: add --mark PICTURE LABEL, or use `zeroshelf review`.")
    elif not learnt.moves:
        screen.say(f"From {counted(learnt.marks, 'mark')}, nothing else would change shelf.")
    else:
        screen.table(
            ("from", "to", "pictures"), [(m.shelf, m.to, len(m.rows)) for m in learnt.moves]
        )
