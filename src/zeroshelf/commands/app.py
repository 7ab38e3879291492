"""`zeroshelf app`: everything that a user needs, in the browser."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import Any

import click

from zeroshelf.commands import options
from zeroshelf.commands.review import listen
from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError


@click.command()
@click.argument("folder", required=False, type=click.Path())
@click.option(
    "--allow",
    multiple=True,
    metavar="DIR",
    type=click.Path(),
    help="A folder that the app may open, and all in it; your home folder by default.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="By default any that is free."
)
@click.option("--no-open", is_flag=True, help="Only print the address.")
@options.showing
def command(
    screen: Screen, folder: str | None, allow: tuple[str, ...], port: int, no_open: bool
) -> int:
    """Open the app in the browser: choose a folder, type labels, and watch the shelves fill.

    \b
      zeroshelf app                            the folders of your home folder
      zeroshelf app Photos                     with this folder open
      zeroshelf app --allow /mnt/nas/Pictures  these folders only

    It shows no folder but the allowed ones, and answers this machine's browser only. Closing the
    tab ends nothing: what is at work goes on. Ctrl-C, or Quit on the page, ends the app.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError:
        raise UserError(
            "the app needs two more packages: pip install 'zeroshelf[review]'"
        ) from None
    from zeroshelf.app.server import make
    from zeroshelf.app.state import App
    from zeroshelf.embeddings.cache import EmbeddingCache

    options.check_homes(screen)
    allowed, first = _allowed(folder, allow)
    with listen(port) as listening, EmbeddingCache.open() as store:
        token = secrets.token_urlsafe(24)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/{token}/"
        app = App(allowed, store)
        config = uvicorn.Config(
            make(app, token),
            log_level="critical",
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        server = uvicorn.Server(config)
        app.quit_now = lambda: setattr(server, "should_exit", True)
        if first is not None:
            app.open({"path": first})
        screen.say(f"The app: {address}")
        screen.say("Ctrl-C ends it.")
        screen.data({"address": address, "roots": list(allowed.roots)})
        if not no_open:
            click.launch(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
        whole = _finish(app, screen)
        for line in app.close():
            screen.say(f"{line}: undo it, then apply it again.")
    return 0 if whole else 130


def _allowed(folder: str | None, allow: tuple[str, ...]) -> tuple[Any, str | None]:
    """What the app may open, and the folder to begin with. Raises `UserError` for a folder that
    does not exist."""
    from zeroshelf.app.allowed import Allowed
    from zeroshelf.images.scan import root_of

    roots = [root_of(one) for one in allow] or [os.path.expanduser("~")]
    first = None if folder is None else root_of(folder)
    for root in (*roots, *([] if first is None else [first])):
        if not os.path.isdir(root):
            raise UserError(f"{root} is no folder: name one that exists")
    allowed = Allowed(roots)
    if first is not None:
        try:
            allowed.check(first)
        except UserError:
            allowed = Allowed((first, *roots))
    return allowed, first


def _finish(app: Any, screen: Screen) -> bool:
    """Wait for an apply or undo that is at work. False where another Ctrl-C stopped it."""
    if app.jobs.running("apply", "undo"):
        screen.say("Files are being changed: the command ends when that is done.")
        screen.say("Press Ctrl-C again to stop after the current files.")
        try:
            with screen.progress() as progress:
                app.jobs.wait("apply", "undo", tell=progress)
        except KeyboardInterrupt:
            for kind in ("apply", "undo"):
                app.jobs.stop(kind)
            app.jobs.wait("apply", "undo")
            return False
    return True
