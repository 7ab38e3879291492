"""`zeroshelf watch`: a folder that stays sorted, as a process that goes on or as a service."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from zeroshelf.commands.options import (
    DECLINED,
    Number,
    acting,
    check_confirmable,
    check_homes,
    classifying,
    confirmed,
    given_labels,
    showing,
    yes,
)
from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.system.services import Service
    from zeroshelf.watch.settings import Settings

UNSURE = "unsure"


@click.command()
@click.argument("folder", metavar="INBOX", type=click.Path())
@classifying
@click.option("--to", type=click.Path(), help="The folder for the shelves.", required=True)
@acting("What is done with each picture.")
@click.option(
    "--unsure-to",
    metavar="NAME",
    default=UNSURE,
    show_default=True,
    help='A shelf for pictures that are unsure of their label, to be looked at; "" for none.',
)
@click.option(
    "--settle",
    "pause",
    type=Number(0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="A file is taken once it has not changed for so long; 15 on a network drive.",
)
@click.option(
    "--every",
    type=Number(0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Look at least so often, also where the system tells of no change.",
)
@click.option("--once", is_flag=True, help="Sort what is there now, and end.")
@click.option("--log", "log_file", type=click.Path(), help="The log's file.")
@click.option(
    "--install", is_flag=True, help="Show, then write a service file that starts this watch."
)
@yes
@showing
def command(
    pause: float,
    every: float,
    once: bool,
    log_file: str | None,
    install: bool,
    yes: bool,
    screen: Screen,
    **given: Any,
) -> int:
    """Sort what arrives in INBOX, as soon as it has arrived whole, until the process ends.

    \b
      zeroshelf watch Inbox --labels labels.toml --to Sorted --as move
      zeroshelf watch Inbox --labels labels.toml --to Sorted --as move --install

    What is ready together is one run, which `zeroshelf undo` takes back. Half downloads are left
    alone; so is what an undo has put back, until it changes. Ctrl-C ends it: nothing is lost.
    """
    check_confirmable(yes, ", as a service does")
    settings = _settings(given, pause, every)
    if once and install:
        raise UserError("--once ends and --install goes on: give one of the two")
    log = _log(settings.folder, log_file)
    if install:
        return _install(screen, given, settings, log, yes)
    check_homes(screen)
    what = f"Sort what arrives in {settings.folder} ({settings.action} to {settings.destination})?"
    if not confirmed(screen, yes, what):
        screen.say(DECLINED)
        return 0
    return _watch(screen, settings, log, once)


def _settings(given: dict[str, Any], pause: float, every: float) -> Settings:
    from zeroshelf.images.scan import root_of
    from zeroshelf.models import select
    from zeroshelf.watch.settings import Settings, checked

    select.find(given["model"])  # a name that is wrong is told now, not with the first picture
    return checked(
        Settings(
            root_of(given["folder"]),
            given["to"],
            given_labels(given),
            given["kind"],
            given["unsure_to"] or None,
            pause,
            every,
            given["model"],
            given["device"],
            tuple(given["exclude"]),
            given["threshold"],
            given["other"],
            given["corrections"],
            root_of(given["labels_file"]) if given["labels_file"] else None,
        )
    )


def _log(folder: str, log_file: str | None) -> str | None:
    from zeroshelf.images.scan import root_of
    from zeroshelf.watch import log

    return log.path_for(folder) if log_file is None else root_of(log_file)


def _watch(screen: Screen, settings: Settings, log_path: str | None, once: bool) -> int:
    from zeroshelf.watch import log
    from zeroshelf.watch.wake import Waiter
    from zeroshelf.watch.watcher import Watcher

    write: Callable[[str], None] = log.to_file(log_path) if log_path else lambda line: None

    def tell(line: str) -> None:
        write(line)
        screen.say(line)

    if log_path:
        screen.say(f"The log: {log_path}")
    waiter = Waiter(settings.folder)
    watcher = Watcher(settings, tell, wait=waiter)
    try:
        watcher.run(once=once)
    except KeyboardInterrupt:
        tell("stopped")
    finally:
        waiter.stop()
    told = watcher.told
    screen.data(
        {
            "runs": told.runs,
            "pictures": told.pictures,
            "left": [{"path": path, "reason": reason} for path, reason in told.left.items()],
            "log": log_path,
        }
    )
    return 1 if told.left else 0


def _install(
    screen: Screen, given: dict[str, Any], settings: Settings, log_path: str | None, yes: bool
) -> int:
    """Show the service file, and write it once it is confirmed. Nothing is started."""
    found = _service(given, settings, log_path)
    screen.say(f"{found.path}:")
    screen.say()
    for line in found.text.splitlines():
        screen.say(line)
    if os.path.exists(found.path):
        with open(found.path, "rb") as file:
            same = file.read() == found.content
        screen.say("It is there already." if same else "It replaces another one that is there.")
    if not confirmed(screen, yes, f"Write {found.path}?"):
        screen.say(DECLINED)
        return 0
    try:
        os.makedirs(os.path.dirname(found.path), exist_ok=True)
        with open(found.path + ".part", "wb") as file:
            file.write(found.content)
        os.replace(found.path + ".part", found.path)
    except OSError as error:
        raise UserError(f"{found.path} can't be written: {error.strerror}") from None
    screen.say("Written, and not started yet. To start it, now and at each log-in:")
    for line in found.start:
        screen.say(f"  {line}")
    screen.say("To stop it for good:")
    for line in found.stop:
        screen.say(f"  {line}")
    if found.hint:
        screen.say(found.hint)
    screen.data({"service": found.path, "start": list(found.start), "stop": list(found.stop)})
    return 0


def _service(given: dict[str, Any], settings: Settings, log_path: str | None) -> Service:
    """The service that runs this same watch, with absolute paths."""
    import sys

    from zeroshelf.images.scan import root_of
    from zeroshelf.system import services
    from zeroshelf.watch import log

    words = [sys.executable, "-m", "zeroshelf", "watch", settings.folder]
    labels, file = given["labels"], given["labels_file"]
    words += ["--labels", root_of(file)] if file else [w for one in labels for w in ("-l", one)]
    words += ["--to", settings.destination, "--as", settings.action]
    words += ["--unsure-to", settings.unsure or ""]
    words += ["--settle", f"{settings.quiet:g}", "--every", f"{settings.every:g}"]
    if settings.model:
        folder = os.path.isdir(settings.model)
        words += ["--model", root_of(settings.model) if folder else settings.model]
    words += ["--device", settings.device] if settings.device else []
    words += [word for one in settings.exclude for word in ("--exclude", one)]
    words += [] if settings.threshold is None else ["--threshold", f"{settings.threshold}"]
    words += [] if settings.other else ["--no-other"]
    words += [] if settings.corrections else ["--no-corrections"]
    words += ["--log", log_path] if log_path else []
    words += ["--quiet", "--yes"]
    variables = ("RUNS", "CACHE", "MODELS", "MODEL")
    environment = {
        name: os.path.abspath(os.path.expanduser(value)) if os.sep in value else value
        for name in (f"ZEROSHELF_{part}" for part in variables)
        if (value := os.environ.get(name))
    }
    about = f"zeroshelf watch {settings.folder}"
    name = f"zeroshelf-{log.name_for(settings.folder)}"
    return services.service(name, about, words, environment)
