"""`zeroshelf app`: everything that a user needs, in the browser."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from importlib import resources
from typing import TYPE_CHECKING

import click

from zeroshelf.commands import options
from zeroshelf.commands.review import listen
from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.app.allowed import Allowed
    from zeroshelf.app.state import App
    from zeroshelf.system.shortcuts import ShortcutFile


@click.command()
@click.argument("folder", required=False, type=click.Path())
@click.option(
    "--allow",
    multiple=True,
    metavar="DIR",
    type=click.Path(),
    help="A folder that the app may open, and all in it; home and plugged-in drives by default.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="By default any that is free."
)
@click.option("--no-open", is_flag=True, help="Only print the address.")
@click.option(
    "--install-shortcut", is_flag=True, help="Add the app to the system's menu of programs."
)
@click.option("--remove-shortcut", is_flag=True, help="Remove it from there.")
@options.yes
@options.showing
def command(
    screen: Screen,
    folder: str | None,
    allow: tuple[str, ...],
    port: int,
    no_open: bool,
    install_shortcut: bool,
    remove_shortcut: bool,
    yes: bool,
) -> int:
    """Open the app in the browser: choose a folder, type labels, and watch the shelves fill.

    \b
      zeroshelf app                            your home folder, and drives
      zeroshelf app Photos                     with this folder open
      zeroshelf app --allow /mnt/nas/Pictures  these folders only
      zeroshelf app --install-shortcut         to start it without a terminal

    It opens no folder but the allowed ones, and answers this machine's browser only. Closing the
    tab ends nothing: what is at work goes on. Ctrl-C, or Quit on the page, ends the app. Without
    options, an app that runs already is opened again.
    """
    if install_shortcut or remove_shortcut:
        if folder is not None or allow or port or (install_shortcut and remove_shortcut):
            raise UserError("--install-shortcut and --remove-shortcut go alone")
        return _shortcut(screen, install_shortcut, yes)
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise UserError(
            'the app needs two more packages: pip install "zeroshelf[review]"'
        ) from None
    from zeroshelf.app import address

    options.check_homes(screen)
    if folder is None and not allow and not port and (found := address.running()):
        screen.say(f"The app runs already: {found}")
        screen.data({"address": found, "roots": None})
        if not no_open:
            click.launch(found)
        return 0
    allowed, first = _allowed(folder, allow)
    return _serve(screen, allowed, first, port, no_open)


def _serve(screen: Screen, allowed: Allowed, first: str | None, port: int, no_open: bool) -> int:
    """Run the app until it is ended; the exit code."""
    import uvicorn

    from zeroshelf.app import address
    from zeroshelf.app.server import make
    from zeroshelf.app.state import App
    from zeroshelf.embeddings.cache import EmbeddingCache

    with listen(port) as listening, EmbeddingCache.open() as store:
        token = secrets.token_urlsafe(24)
        here = f"http://127.0.0.1:{listening.getsockname()[1]}/{token}/"
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
        screen.say(f"The app: {here}")
        screen.say("Ctrl-C ends it.")
        screen.data({"address": here, "roots": list(allowed.roots)})
        if not no_open:
            click.launch(here)
        with address.noted(here), contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
        whole = _finish(app, screen)
        for line in app.close():
            screen.say(f"{line}: undo it, then apply it again.")
    return 0 if whole else 130


def _allowed(folder: str | None, allow: tuple[str, ...]) -> tuple[Allowed, str | None]:
    """What the app may open, and the folder to begin with. Raises `UserError` for a folder that
    does not exist."""
    from zeroshelf.app.allowed import Allowed
    from zeroshelf.images.scan import root_of
    from zeroshelf.system import drives

    roots = [root_of(one) for one in allow] or [os.path.expanduser("~"), *drives.folders()]
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


def _finish(app: App, screen: Screen) -> bool:
    """Wait for an apply or undo that is at work. False where another Ctrl-C stopped it."""
    if app.busy:
        screen.say("Files are being changed: the command ends when that is done.")
        screen.say("Press Ctrl-C again to stop after the current files.")
        try:
            with screen.progress() as progress:
                app.wait(progress)
        except KeyboardInterrupt:
            app.stop_changes()
            return False
    return True


# --- the shortcut ---------------------------------------------------------------------------------


def _shortcut(screen: Screen, install: bool, yes: bool) -> int:
    """Show which files the shortcut takes, ask, and write or remove them; the exit code."""
    from zeroshelf.system import shortcuts

    icon = (resources.files("zeroshelf") / "data" / "app" / "icon.svg").read_bytes()
    files = shortcuts.files([sys.executable, "-m", "zeroshelf", "app"], icon)
    options.check_confirmable(yes)
    for file in files:
        screen.say(_said(file))
        if install and not file.path.endswith(".svg"):
            for line in file.text.splitlines():
                screen.say(f"    {line}")
    screen.data({"files": [file.path for file in files]})
    what = "Write these files?" if install else "Remove these files?"
    if not options.confirmed(screen, yes, what):
        screen.say(options.DECLINED)
        return 0
    try:
        if install:
            shortcuts.install(files)
            screen.say("zeroshelf is among your programs now.")
            return 0
        gone, left = shortcuts.remove(files)
    except OSError as error:
        raise UserError(
            f"{error.filename}: {error.strerror}: the shortcut is not complete"
        ) from None
    for path in left:
        screen.complain(f"left alone, because it was changed: {path}")
    screen.say("Removed." if gone else "There was no shortcut.")
    return 1 if left else 0


def _said(file: ShortcutFile) -> str:
    from zeroshelf.system import shortcuts

    now = shortcuts.content_of(file)
    if now is None:
        return file.path
    return f"{file.path} (there already{'' if now == file.content else ', with another content'})"
