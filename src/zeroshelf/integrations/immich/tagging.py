"""Tags and albums for the assets of a run, and the undo of what the run added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zeroshelf.integrations.immich.client import BATCH, Client
from zeroshelf.integrations.immich.ledger import Group, Ledger
from zeroshelf.records import Progress


@dataclass(slots=True)
class Done:
    """What was changed on the server."""

    changed: dict[str, int] = field(default_factory=dict)  # tag or album -> assets
    refused: dict[str, int] = field(default_factory=dict)  # why -> assets
    unclear: int = 0  # assets of a request that was interrupted: they are left as they are

    @property
    def total(self) -> int:
        """Assets, each counted once for each tag and album."""
        return sum(self.changed.values())


def tag(
    client: Client,
    ledger: Ledger,
    assets: Mapping[str, Sequence[str]],
    *,
    prefix: str,
    albums: bool,
    progress: Progress | None = None,
) -> Done:
    """Give each asset the tag "PREFIX/LABEL", and with `albums` put it into an album of that name.
    Once more, it changes nothing. assets: label -> ids."""
    done = Done()
    names = {label: f"{prefix}/{label}" if prefix else label for label in assets}
    if not names:
        return done
    total = sum(map(len, assets.values())) * (2 if albums else 1)
    groups = [
        (label, ledger.group("tag", id, name))
        for (label, name), id in _with_ids(names, client.tags(list(names.values())))
    ]
    if albums:
        there = client.albums()
        for label, name in names.items():
            made = name not in there
            id = client.make_album(name) if made else there[name]
            groups.append((label, ledger.group("album", id, name, made=made)))
    count = 0
    for label, group in groups:
        ids = list(dict.fromkeys(assets[label]))  # two files of one content are one asset
        for start in range(0, len(ids), BATCH):
            some = ids[start : start + BATCH]
            _add(client, ledger, group, some, done)
            count += len(some)
            if progress:
                progress("tagging", count, total)
    return done


def undo(client: Client, ledger: Ledger, progress: Progress | None = None) -> Done:
    """Take back what `tag` added, and no more: a tag that an asset had before stays. Albums that it
    made go if they are empty; empty tags are left, which Immich itself removes."""
    done = Done()
    total, count = sum(len(group.added) for group in ledger.groups.values()), 0
    for group in ledger.groups.values():
        done.unclear += len({*group.open, *group.unclear})
        ids = list(group.added)
        for start in range(0, len(ids), BATCH):
            some = ids[start : start + BATCH]
            answer = (client.untag if group.place != "album" else client.remove_from_album)(
                group.id, some
            )
            ledger.removed(group, [one for one in some if one not in answer.refused])
            _count(done, group, answer.changed, answer.refused)
            count += len(some)
            if progress:
                progress("undoing", count, total)
        if group.place == "album" and group.made and not group.added:
            client.remove_album_if_empty(group.id)
    return done


def _with_ids(
    names: Mapping[str, str], ids: Mapping[str, str]
) -> list[tuple[tuple[str, str], str]]:
    return [((label, name), ids[name]) for label, name in names.items()]


def _add(client: Client, ledger: Ledger, group: Group, some: Sequence[str], done: Done) -> None:
    ledger.begin(group, some)
    add = client.tag if group.place != "album" else client.add_to_album
    answer = add(group.id, some)
    ledger.added(group, answer.changed, answer.unclear)
    _count(done, group, answer.changed, answer.refused)


def _count(done: Done, group: Group, changed: Sequence[str], refused: Mapping[str, str]) -> None:
    name = group.name if group.place != "album" else f"album {group.name}"
    if changed:
        done.changed[name] = done.changed.get(name, 0) + len(changed)
    for why in refused.values():
        done.refused[why] = done.refused.get(why, 0) + 1
