"""`zeroshelf review`: the page over a run, a plan, or a folder that is sorted for it."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from typing import TYPE_CHECKING, Any

import click

from zeroshelf.commands.edits import save_edits
from zeroshelf.commands.options import check_homes, classifying, placing, showing
from zeroshelf.commands.sort import plan_folder
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import NothingToSort, UserError
from zeroshelf.system import machine

if TYPE_CHECKING:
    from zeroshelf.review.jobs import Jobs
    from zeroshelf.review.session import Session
    from zeroshelf.run import Run
    from zeroshelf.run.shown import ShownRun


@click.command()
@click.argument("what", required=False, metavar="[RUN | PLAN | FOLDER]")
@classifying
@placing
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="By default any that is free.",
)
@click.option("--no-open", is_flag=True, help="Only print the address.")
@showing
def command(what: str | None, port: int, no_open: bool, screen: Screen, **sorting: Any) -> int:
    """Look through a run in the browser, and correct it.

    \b
      zeroshelf review                          the newest run
      zeroshelf review Photos -l cat -l frog    a folder; nothing is touched
      zeroshelf review --port 8400 --no-open    elsewhere, by ssh -L 8400:127.0.0.1:8400

    A FOLDER takes the options of `zeroshelf plan`; its shelves go to FOLDER-sorted without --to.
    Every edit is saved at once. `zeroshelf apply` then does exactly what the page shows. Ctrl-C
    ends the review and says what is saved; the exit code is 0. A second one stops an apply.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError:
        raise UserError(
            'the review page needs two more packages: pip install "zeroshelf[review]"'
        ) from None
    from zeroshelf.review.app import make
    from zeroshelf.review.jobs import Jobs
    from zeroshelf.review.session import Session

    try:
        run = _run(what, screen, sorting)
    except NothingToSort as nothing:
        screen.say(str(nothing))
        screen.data({"run": None, "record": None, "address": None})
        return 0
    with listen(port) as listening, Session(run) as session:
        token = secrets.token_urlsafe(24)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/{token}/"
        jobs = Jobs(session)
        config = uvicorn.Config(
            make(session, jobs, token),
            log_level="critical",
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        screen.say(f"Review {counted(len(session), 'picture')}: {address}")
        screen.say("Every edit is saved at once. Ctrl-C ends.")
        screen.data({"run": run.id, "record": run.record, "address": address})
        if not no_open:
            click.launch(address)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
        whole = _finish(jobs, screen)
        if not whole:
            screen.say(f"Stopped. `zeroshelf apply {run.id}` carries out the rest,")
            screen.say(f"`zeroshelf undo {run.id}` puts everything back.")
        _part(session, screen)
    return 0 if whole else 130


def _finish(jobs: Jobs, screen: Screen) -> bool:
    """Wait for an apply or undo that is at work. False where another Ctrl-C stopped it."""
    if jobs.busy:
        screen.say(f"Still {jobs.progress.state}: the command ends when it is done.")
        screen.say("Press Ctrl-C again to stop after the current files.")
        try:
            with screen.progress() as progress:
                jobs.wait(progress)
        except KeyboardInterrupt:
            return not jobs.stop()
    return True


def _part(session: Session, screen: Screen) -> None:
    """Save the plan and the report, and say what is saved."""
    name = session.first.id
    if not session.edit_count:
        screen.say("Nothing was edited.")
        return
    count = session.edit_count
    saved = f"{counted(count, 'edit is', 'edits are')} saved in {session.record}."
    with screen.progress() as progress:
        updated = save_edits(session, progress)
    if updated:
        screen.say(f"{saved} `zeroshelf apply {name}` carries out what the page showed.")
    else:
        screen.say(f"{saved} This run was applied before the last edit:")
        screen.say(f"run `zeroshelf undo {name}`, then `zeroshelf apply {name}`.")


def _run(what: str | None, screen: Screen, sorting: dict[str, Any]) -> Run | ShownRun:
    """The run to review: one that was saved, or a new one over a folder."""
    from zeroshelf.actions import kinds
    from zeroshelf.run import shown

    if what is not None and os.path.isdir(what):
        to = sorting["to"]
        if to is None and kinds.of(sorting["kind"]).needs_destination:
            to = os.path.abspath(what) + "-sorted"
        check_homes(screen)
        run, planned = plan_folder(screen, {**sorting, "folder": what, "to": to})
        with screen.progress() as progress:
            run.save(planned, progress)
        return run
    if given := _given(sorting):
        found = "no folder is named" if what is None else f"{what} is not a folder"
        raise UserError(f"{given} needs a folder of pictures, but {found}")
    if what is not None and what.endswith(".jsonl"):
        what = os.path.basename(os.path.dirname(os.path.abspath(what)))
    with screen.progress() as progress:
        return shown.open_saved(what, progress=progress, warn=screen.warn)


def _given(sorting: dict[str, Any]) -> str | None:
    """The first option that says how to sort a folder, as it was written."""
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in sorting and source is click.core.ParameterSource.COMMANDLINE:
            return max(option.opts, key=len)
    return None


def listen(port: int) -> socket.socket:
    listening = socket.socket()
    machine.exclusive_port(listening)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(128)  # before the browser is told: it may be quicker than the server
    except OSError as error:
        listening.close()
        raise UserError(
            f"port {port} can't be used ({error.strerror}): give another --port"
        ) from None
    return listening
