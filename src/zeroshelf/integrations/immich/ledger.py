"""What a run added on an Immich server: `immich.jsonl` in the run's record.

A line is on the disk before each request, and another one with what the request changed after it.
The first tells which assets an interrupted request was about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from zeroshelf.errors import UserError
from zeroshelf.system import file_io, file_versions

NAME = "immich.jsonl"
Place: TypeAlias = Literal["tag", "album"]


@dataclass(slots=True)
class Group:
    """A tag or an album, with what the run added to it."""

    place: Place
    id: str
    name: str
    made: bool = False  # by this run
    added: dict[str, None] = field(default_factory=dict)  # ids of assets
    open: tuple[str, ...] = ()  # assets of a request whose answer has not come
    unclear: dict[str, None] = field(default_factory=dict)  # of one whose answer never came

    def begin(self, assets: Sequence[str]) -> None:
        """A request about these assets is made."""
        self.unclear |= dict.fromkeys(self.open)
        self.open = tuple(assets)

    def end(self, added: Sequence[str], unclear: Sequence[str] = ()) -> None:
        """Its answer came."""
        self.open = ()
        self.unclear |= dict.fromkeys(one for one in unclear if one not in self.added)
        for asset in added:
            self.added[asset] = None
            self.unclear.pop(asset, None)


class Ledger:
    """Of one run and one server. Raises `UserError` where the record can't be read or written."""

    def __init__(self, record: str, server: str) -> None:
        self._path, self._server = os.path.join(record, NAME), server
        self.groups: dict[tuple[str, str], Group] = {}  # by place and id
        self._read()

    def group(self, place: Place, id: str, name: str, *, made: bool = False) -> Group:
        """The group, noted before anything is added to it."""
        key = place, id
        if key not in self.groups:
            self._write({"group": [place, id, name], "made": made})
            self.groups[key] = Group(place, id, name, made)
        return self.groups[key]

    def begin(self, group: Group, assets: Sequence[str]) -> None:
        """Before a request to add assets."""
        self._write({"begin": [group.place, group.id], "assets": list(assets)})
        group.begin(assets)

    def added(self, group: Group, assets: Sequence[str], unclear: Sequence[str] = ()) -> None:
        """After it: those that it added, and those that it may have added."""
        more = {"unclear": list(unclear)} if unclear else {}
        self._write({"added": [group.place, group.id], "assets": list(assets)} | more)
        group.end(assets, unclear)

    def removed(self, group: Group, assets: Sequence[str]) -> None:
        """Those that an undo has removed."""
        self._write({"removed": [group.place, group.id], "assets": list(assets)})
        for asset in assets:
            group.added.pop(asset, None)

    def _read(self) -> None:
        try:
            with open(self._path, encoding="ascii", errors="replace") as file:
                lines = file.readlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(f"{self._path} can't be read: {error.strerror}") from None
        for line in lines:
            try:
                event = json.loads(line)
                file_versions.IMMICH.check(self._path, event)
                if event["server"] == self._server:
                    self._see(event)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # a line that a kill left incomplete

    def _see(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"group": [place, id, name], "made": made}:
                self.groups[place, id] = Group(place, str(id), str(name), bool(made))
            case {"begin": [place, id], "assets": assets}:
                self.groups[place, id].begin(assets)
            case {"added": [place, id], "assets": assets}:
                self.groups[place, id].end(assets, event.get("unclear", ()))
            case {"removed": [place, id], "assets": assets}:
                for asset in assets:
                    self.groups[place, id].added.pop(asset, None)

    def _write(self, event: Mapping[str, Any]) -> None:
        line = json.dumps(file_versions.IMMICH.header | {"server": self._server} | dict(event))
        try:
            with open(self._path, "ab") as file:
                if file.tell() and not _ends_whole(self._path):
                    file.write(b"\n")
                file.write(line.encode("ascii") + b"\n")
                file.flush()
                file_io.sync_open(file.fileno())
        except OSError as error:
            raise UserError(
                f"{self._path} can't be written ({error.strerror}): nothing more was changed"
            ) from None


def _ends_whole(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
