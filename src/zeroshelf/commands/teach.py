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
    "--from", "source", type=click.Path(), help="Follow the corrections in this file too."
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
    from zeroshelf.commands.review import save_edits
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
            stored.save(stored.path_for(labels, model), {}, model)
            screen.data({"run": session.run.id, "corrections": 0, "file": None})
            screen.say("The corrections stored for these labels and this model are deleted.")
            return
        if source:
            session.import_corrections(stored.load(source, labels, model))
        for picture, label in corrected:
            session.place([_row(session, picture)], label)
        if export:
            if session.all_corrections():
                stored.save(export, session.all_corrections(), model)
            count = len(session.all_corrections())
            screen.data(
                {"run": session.run.id, "corrections": count, "file": export if count else None}
            )
            written = export if count else "nothing is corrected yet, so no file was written"
            screen.say(f"{counted(count, 'correction')}: {written}")
            return
        if asked:
            paths = [session.paths[row] for row in suggestions.most_informative(session, asked)]
            screen.data({"run": session.run.id, "ask": paths})
            for path in () if screen.as_json else paths:
                screen.say(path)
            return
        suggested = suggestions.find(session)
        _show(screen, session, suggested)
        if suggested.moves:
            _offer(screen, session, suggested, yes)
        with screen.progress() as progress:
            updated = not session.edit_count or save_edits(session, progress)
        if not updated:
            name = session.run.id
            screen.say(
                f"This run was applied already: `zeroshelf undo {name}`, then apply it again."
            )
        elif session.edit_count:
            screen.say(f"`zeroshelf apply {session.run.id}` does what was decided.")


def _offer(screen: Screen, session: Session, suggested: Suggestions, yes: bool) -> None:
    """Accept the suggestions, if the user agrees."""
    from zeroshelf.review import suggestions

    if not yes and not interactive():
        screen.warn("not running in a terminal, so this is not accepted: pass --yes to accept")
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
    raise UserError(f"{picture} is no picture of this run, which is of {session.root}")


def _show(screen: Screen, session: Session, suggested: Suggestions) -> None:
    moves = [{"from": m.shelf, "to": m.to, "pictures": len(m.rows)} for m in suggested.moves]
    screen.data({"run": session.run.id, "corrections": suggested.corrections, "moves": moves})
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
