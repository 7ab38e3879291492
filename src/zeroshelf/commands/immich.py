"""`zeroshelf immich tag` and `undo`: a run's labels as tags and albums on an Immich server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import click

from zeroshelf.commands.options import DECLINED, check_confirmable, confirmed, showing, yes
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.integrations.immich.assets import Hashed
    from zeroshelf.integrations.immich.client import Client
    from zeroshelf.integrations.immich.tagging import Done
    from zeroshelf.records import Confidence
    from zeroshelf.run import Run

KEY = "ZEROSHELF_IMMICH_KEY"

server_option = click.option(
    "--server", required=True, metavar="URL", help="The server's address, http://nas:2283."
)
key_option = click.option(
    "--key-file",
    type=click.Path(),
    help=f"A file with the API key alone; else the key is in {KEY}.",
)


@click.group(name="immich")
def group() -> None:
    """Hand the labels of a run to Immich, as tags and albums.

    The API key is in ZEROSHELF_IMMICH_KEY, of the environment, or in a file, never among the
    arguments, which other users of the machine can read.
    """


@group.command()
@click.argument("run", required=False)
@server_option
@key_option
@click.option(
    "--prefix", default="zeroshelf", show_default=True, help='Tags are "PREFIX/LABEL"; "" for none.'
)
@click.option("--albums", is_flag=True, help="Put the pictures into an album a label, too.")
@click.option(
    "--least",
    type=click.Choice(["unsure", "likely", "sure"]),
    default="unsure",
    show_default=True,
    help="Leave out pictures that are less sure of their label.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Look which pictures are there, and end.")
@yes
@showing
def tag(
    run: str | None,
    server: str,
    key_file: str | None,
    prefix: str,
    albums: bool,
    least: str,
    dry_run: bool,
    yes: bool,
    screen: Screen,
) -> int:
    """Tag the pictures of RUN, or of the newest run, that are on an Immich server.

    They are found by their content (SHA-1), so it is no matter where they lie or what their names
    are there. Nothing is uploaded. Pictures on "other" get no tag. Once more, it changes nothing.
    """
    from zeroshelf.integrations.immich import tagging
    from zeroshelf.integrations.immich.ledger import Ledger

    check_confirmable(yes or dry_run, ", or --dry-run to look first")
    client = _client(screen, server, key_file)
    opened, found, wanted = _pictures(screen, run, client, least)
    missing = len(found.checksums) - sum(map(len, wanted.values()))
    what = f"Tag {counted(len(found.checksums) - missing, 'picture')} on {client.server}?"
    if dry_run or not wanted or not confirmed(screen, yes, what):
        screen.say("A dry run: nothing was changed." if dry_run else DECLINED)
        screen.data(_data(opened.id, client, tagging.Done(), missing, len(found.left)))
        return 0
    assert opened.record is not None
    with screen.progress() as progress:
        done = tagging.tag(
            client,
            Ledger(opened.record, client.server),
            wanted,
            prefix=prefix.strip("/"),
            albums=albums,
            progress=progress,
        )
    _told(screen, done, "tagged")
    screen.say(f"`zeroshelf immich undo {opened.id} --server {client.server}` takes it back.")
    screen.data(_data(opened.id, client, done, missing, len(found.left)))
    return 1 if done.refused or found.left else 0


@group.command()
@click.argument("run", required=False)
@server_option
@key_option
@yes
@showing
def undo(run: str | None, server: str, key_file: str | None, yes: bool, screen: Screen) -> int:
    """Take back the tags and albums that `immich tag` added for RUN, or for the newest run.

    What a picture had before stays, and so does an album into which you put something since.
    """
    from zeroshelf.integrations.immich import tagging
    from zeroshelf.integrations.immich.ledger import Ledger
    from zeroshelf.runs import registry

    check_confirmable(yes)
    found = registry.find(run)
    client = _client(screen, server, key_file)
    ledger = Ledger(found.record, client.server)
    if not ledger.groups:
        screen.say(f"Run {found.id} added nothing on {client.server}.")
        screen.data(_data(found.id, client, tagging.Done(), 0, 0))
        return 0
    what = f"Take back what run {found.id} added on {client.server}?"
    if not confirmed(screen, yes, what):
        screen.say(DECLINED)
        screen.data(_data(found.id, client, tagging.Done(), 0, 0))
        return 0
    with screen.progress() as progress:
        done = tagging.undo(client, ledger, progress)
    _told(screen, done, "taken back")
    if done.unclear:
        screen.warn(
            f"{counted(done.unclear, 'picture')} left as they are: an earlier call was interrupted "
            "before the server's answer came, and the tag may have been there before"
        )
    screen.data(_data(found.id, client, done, 0, 0))
    return 1 if done.refused else 0


def _pictures(
    screen: Screen, run: str | None, client: Client, least: str
) -> tuple[Run, Hashed, dict[str, list[str]]]:
    """The run, its pictures, and label -> assets of those that are on the server; told as a table.
    Two files of one content are one asset there, and are counted twice."""
    from zeroshelf.actions import plan_file
    from zeroshelf.integrations.immich import assets
    from zeroshelf.output.run_files import targets_of
    from zeroshelf.run import reopen

    with screen.progress() as progress:
        opened = reopen(run, progress=progress)
        assert opened.record is not None
        planned = plan_file.load(os.path.join(opened.record, "plan.jsonl"))
        places = targets_of(opened, planned)
        found = assets.hashed(opened, places, cast("Confidence", least), progress)
    wanted: dict[str, list[str]] = {}
    for path, id in client.assets(found.checksums).items():
        wanted.setdefault(found.labels[path], []).append(id)
    for path, why in found.left.items():
        screen.complain(f"left alone: {path}: {why}")
    screen.table(
        ("label", "pictures there"), [(label, len(each)) for label, each in wanted.items()]
    )
    if missing := len(found.checksums) - sum(map(len, wanted.values())):
        screen.say(f"Not on the server: {counted(missing, 'picture')}.")
    return opened, found, wanted


def _client(screen: Screen, server: str, key_file: str | None) -> Client:
    """The server, after its version was asked for. Raises `UserError`."""
    from zeroshelf.integrations.immich.client import Client

    client = Client(server, _key(key_file))
    if client.is_open:
        screen.warn(f"the key goes to {client.server} in readable form: use https, or a tunnel")
    version = client.version()
    screen.detail(f"{client.server}: Immich {'.'.join(map(str, version))}")
    return client


def _key(key_file: str | None) -> str:
    if key_file is None:
        if not (key := os.environ.get(KEY, "").strip()):
            raise UserError(f"no API key: put it into {KEY}, or into a file for --key-file")
        return key
    from zeroshelf.system import text_files

    key = text_files.read(os.path.expanduser(key_file)).strip()
    if not key.isascii() or not key.isprintable():
        raise UserError(f"{key_file} has more than a key, or another text: write the key alone")
    return key


def _told(screen: Screen, done: Done, what: str) -> None:
    screen.table(("tag or album", what), list(done.changed.items()))
    if not done.total:
        screen.say("Nothing to do: all was so already.")
    for why, count in done.refused.items():
        screen.complain(f"left alone: {counted(count, 'picture')}: {why}")


def _data(run: str | None, client: Client, done: Done, missing: int, left: int) -> dict[str, Any]:
    return {
        "run": run,
        "server": client.server,
        "changed": done.changed,
        "refused": done.refused,
        "unclear": done.unclear,
        "not_there": missing,
        "left": left,
    }
