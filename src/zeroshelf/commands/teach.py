"""`zeroshelf teach`: corrections and the suggestions from them, without the browser."""

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
    from zeroshelf.review.suggestions import Suggestions


@click.command()
@click.argument("run", required=False)
@click.option(
    "--correct",
    "corrected",
    nargs=2,
    multiple=True,
    metavar="PICTURE LABEL",
    help="A picture below the run's folder, and where it belongs.",
)
@click.option(
    "--ask",
    "asked",
    type=click.IntRange(1, 200),
    help="List N pictures whose correction helps most.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(),
    help="Follow the corrections in this file too. Accepting what they suggest stores them.",
)
@click.option(
    "--export", type=click.Path(), help="Write all corrections to this new file, and exit."
)
@click.option(
    "--forget", is_flag=True, help="Delete the corrections stored for these labels, and exit."
)
@yes
@showing
def command(
    run: str | None,
    corrected: tuple[tuple[str, str], ...],
    asked: int | None,
    source: str | None,
    export: str | None,
    forget: bool,
    yes: bool,
    screen: Screen,
) -> None:
    """Correct some pictures of RUN, and let the others follow.

    \b
      zeroshelf teach --ask 20                       which pictures would help most
      zeroshelf teach --correct a.jpg cat --correct b/c.jpg other
      zeroshelf teach --export cats.jsonl            for another folder: --from cats.jsonl

    Suggested changes are shown first. A picture that you corrected is never moved by them.
    Corrections are stored, and every later run with the same labels and model follows them.
    """
    from zeroshelf.corrections import stored
    from zeroshelf.review.session import Session
    from zeroshelf.run import reopen

    alone = {"--forget": forget, "--export": export, "--ask": asked}
    several = [name for name, given in alone.items() if given]
    if len(several) > 1:
        raise UserError(f"{' and '.join(several)} can't be combined: run them one after the other")
    if forget and (corrected or source):
        raise UserError("--forget deletes all stored corrections: leave --correct and --from out")
    if export and os.path.lexists(export):
        raise UserError(f"{export} already exists; name another file")
    with screen.progress() as progress:
        opened = reopen(run, edited=False, progress=progress)
    with Session(opened) as session:
        if forget:
            _forget(screen, session)
            return
        if source:
            labels, model = session.edited.labels, session.first.model
            session.import_corrections(stored.load(source, labels, model))
        session.place_each([([_row(session, picture)], label) for picture, label in corrected])
        if export:
            _export(screen, session, export)
        elif asked:
            _list(screen, session, asked)
        else:
            _suggest(screen, session, yes)


def _forget(screen: Screen, session: Session) -> None:
    """Delete the corrections stored for the session's labels and model."""
    from zeroshelf.corrections import stored

    labels, model = session.edited.labels, session.first.model
    stored.save(stored.path_for(labels, model), {}, model)
    screen.data({"run": session.first.id, "corrections": 0, "file": None})
    screen.say("The corrections stored for these labels and this model are deleted.")


def _export(screen: Screen, session: Session, path: str) -> None:
    """Write all corrections to the file `path`; no file if there are none."""
    from zeroshelf.corrections import stored

    known = session.all_corrections()
    if known:
        stored.save(path, known, session.first.model)
    file = path if known else None
    screen.data({"run": session.first.id, "corrections": len(known), "file": file})
    written = file or "nothing is corrected yet, so no file was written"
    screen.say(f"{counted(len(known), 'correction')}: {written}")


def _list(screen: Screen, session: Session, count: int) -> None:
    """List the pictures whose correction would help most."""
    from zeroshelf.review import suggestions

    paths = [session.paths[row] for row in suggestions.most_informative(session, count)]
    screen.data({"run": session.first.id, "ask": paths})
    for path in () if screen.as_json else paths:
        screen.say(path)


def _suggest(screen: Screen, session: Session, yes: bool) -> None:
    """Show the suggestions, offer them, and save what was decided."""
    from zeroshelf.commands.edits import save_edits
    from zeroshelf.review import suggestions

    suggested = suggestions.find(session)
    _show(screen, session, suggested)
    if suggested.moves:
        _offer(screen, session, suggested, yes)
    with screen.progress() as progress:
        updated = not session.edit_count or save_edits(session, progress)
    name = session.first.id
    if not updated:
        screen.say(f"This run was applied already: `zeroshelf undo {name}`, then apply it again.")
    elif session.edit_count:
        screen.say(f"`zeroshelf apply {name}` carries out the new plan.")


def _offer(screen: Screen, session: Session, suggested: Suggestions, yes: bool) -> None:
    """Accept the suggestions, if the user agrees."""
    from zeroshelf.review import suggestions

    if not yes and not interactive():
        screen.warn("not running in a terminal: pass --yes to accept the suggestions")
    elif yes or screen.confirm("Accept?"):
        moved = suggestions.accept(session, suggested, range(len(suggested.moves)))
        screen.say(f"{counted(moved, 'picture')} moved to another shelf of the plan.")
    elif session.edit_count:
        screen.say("Your corrections are saved; nothing else was changed.")
    else:
        screen.say(DECLINED)


def _row(session: Session, picture: str) -> int:
    """The row of a picture, by its path from here or from the run's folder. Raises `UserError`."""
    from_here = path_spelling.relative(os.path.abspath(picture), session.root)
    for path in map(path_spelling.slashed, (picture, os.path.normpath(picture), from_here)):
        if path in session.row_of:
            return session.row_of[path]
    raise UserError(f"{picture} is not a picture of this run, which is of {session.root}")


def _show(screen: Screen, session: Session, suggested: Suggestions) -> None:
    moves = [{"from": m.shelf, "to": m.to, "pictures": len(m.rows)} for m in suggested.moves]
    screen.data({"run": session.first.id, "corrections": suggested.corrections, "moves": moves})
    if not suggested.corrections:
        screen.say(
            "Nothing is corrected yet: add --correct PICTURE LABEL, or use `zeroshelf review`."
        )
    elif not suggested.moves:
        screen.say(
            f"From {counted(suggested.corrections, 'correction')}, nothing else would change shelf."
        )
    else:
        screen.table(
            ("from", "to", "pictures"), [(m.shelf, m.to, len(m.rows)) for m in suggested.moves]
        )
