"""The actions of a journal: what each was about to do, and how far it got.

A run may have a million actions. Memory has only the places of their lines in the journal's file,
about 50 bytes an action; an action is read from the file when it is asked for.
"""

from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal, TypeAlias

from zeroshelf.actions.path_table import PathTable
from zeroshelf.records import Action

Step: TypeAlias = Literal["intent", "done", "revert", "reverted"]
_STEPS: tuple[Step, ...] = ("intent", "done", "revert", "reverted")
_REPLACED = len(_STEPS)  # by a later intent with the same target


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One as it lies on the disk: all that is needed to put it back."""

    content: bytes
    mtime_ns: int
    mode: int
    owner: tuple[int, int]
    attributes: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a tag or untag did to a sidecar."""

    before: Sidecar | None  # None: there was none
    after: bytes | None  # the digest of its content then; None: there is none


@dataclass(frozen=True, slots=True)
class PictureEdit:
    """What a tag or untag did to a picture's own file. Digests are BLAKE3 of the content; None: the
    action never got so far that the file could have been replaced."""

    backup: str  # where the original is
    before: bytes | None = None
    after: bytes | None = None


@dataclass(slots=True)
class Entry:
    """One action as far as it had got when it was read. `stamp`: size and mtime_ns of the target
    when it was done; None also where there is no target then. `ctime_ns`: of the target then; None
    in journals that don't say it. `fingerprint`: of the content, see
    `transfer`. `mode`: the original's, where what was moved doesn't have it any more. `trashed`:
    the path in a trash. `etag`, `version`: of an object on a store, those of the copy."""

    action: Action
    step: Step = "intent"
    stamp: tuple[int, int] | None = None
    ctime_ns: int | None = None
    rewrite: Rewrite | None = None
    edit: PictureEdit | None = None
    fingerprint: bytes | None = None
    mode: int | None = None
    trashed: str | None = None
    etag: str | None = None
    version: str | None = None

    def see(self, event: dict[str, Any]) -> None:
        """Take over what a line of the journal says beside the intent and the step."""
        match event:
            case {"rewrite": _, "before": before, "after": after}:
                self.rewrite = Rewrite(
                    None if before is None else _sidecar(before),
                    None if after is None else bytes.fromhex(after),
                )
            case {"edit": _, "backup": backup, "before": before, "after": after}:
                digests = (None if one is None else bytes.fromhex(one) for one in (before, after))
                self.edit = PictureEdit(backup, *digests)
            case {"staged": _, "fingerprint": found, "mode": mode}:
                self.fingerprint = None if found is None else bytes.fromhex(found)
                self.mode = mode
                self.trashed = event.get("trashed")
            case {"done": _, "stamp": stamp}:
                self.take_stamp(stamp)
                self.etag, self.version = event.get("etag"), event.get("version")
                if event.get("fingerprint"):
                    self.fingerprint = bytes.fromhex(event["fingerprint"])

    def take_stamp(self, stamp: Sequence[int] | None) -> None:
        """Take over what the target was like when it was done: size, mtime_ns and, since 0.2.0,
        ctime_ns."""
        self.stamp = None if stamp is None else (stamp[0], stamp[1])
        self.ctime_ns = None if stamp is None or len(stamp) < 3 else stamp[2]


class Entries:
    """The actions in the journal at `path`, in the order of their intents.

    An action is known by its target. An intent that has the target of an earlier one replaces it,
    and comes last.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._number = PathTable()  # by target: the number of the newest intent
        self._steps = array("B")  # of each intent: a place in `_STEPS`, or _REPLACED
        # name of a line -> of each intent: where its last such line begins, plus 1; 0: has none.
        # In the order in which the lines count; "fingerprint" is the last "done" that has one.
        self._lines = {
            name: array("Q")
            for name in ("intent", "rewrite", "edit", "staged", "fingerprint", "done")
        }

    def see(self, event: dict[str, Any], at: int) -> None:
        """The journal's line that begins at byte `at` says `event`. Raises KeyError for an action
        whose intent isn't known."""
        match event:
            case {"intent": row}:
                target = _action(row).target
                number = len(self._steps)
                before = self._number.put(target, number)
                if before is not None:
                    self._steps[before] = _REPLACED
                self._steps.append(0)
                self._note("intent", number, at)
            case {"rewrite": target, "before": _, "after": _}:
                self._note("rewrite", self._known(target), at)
            case {"edit": target, "backup": _, "before": _, "after": _}:
                self._note("edit", self._known(target), at)
            case {"staged": target, "fingerprint": _, "mode": _}:
                self._note("staged", self._known(target), at)
            case {"done": target, "stamp": _}:
                number = self._known(target)
                self._steps[number] = _STEPS.index("done")
                self._note("done", number, at)
                if event.get("fingerprint"):
                    self._note("fingerprint", number, at)
            case {"revert": target}:
                self._steps[self._known(target)] = _STEPS.index("revert")
            case {"reverted": target}:
                self._steps[self._known(target)] = _STEPS.index("reverted")

    def _known(self, target: str) -> int:
        number = self._number.get(target)
        if number is None:
            raise KeyError(target)
        return number

    def _note(self, name: str, number: int, at: int) -> None:
        lines = self._lines[name]
        if (missing := number + 1 - len(lines)) > 0:
            lines.frombytes(bytes(lines.itemsize * missing))
        lines[number] = at + 1

    def __contains__(self, target: str) -> bool:
        return self._number.get(target) is not None

    def __getitem__(self, target: str) -> Entry:
        return self.numbered(self._known(target))

    def get(self, target: str) -> Entry | None:
        """The action with that target; None if no intent of it was written."""
        number = self._number.get(target)
        return None if number is None else self.numbered(number)

    def step(self, target: str) -> Step:
        """How far an action got, without reading it. Raises KeyError."""
        return _STEPS[self._steps[self._known(target)]]

    def numbered(self, number: int) -> Entry:
        """The action of the intent with that number, as `each` gives it. Raises OSError where the
        journal can't be read any more."""
        with open(self._path, "rb") as file:
            return self._read(number, file, file)

    def each(
        self, *, newest_first: bool = False, edited: bool = False
    ) -> Iterator[tuple[int, Entry]]:
        """Number and action of every intent that was not replaced, as far as it has got by the time
        that it comes. edited: only those that wrote into a picture's own file."""
        if edited and not self._lines["edit"]:
            return
        numbers = range(len(self._steps))
        with open(self._path, "rb") as intents, open(self._path, "rb") as others:
            for number in reversed(numbers) if newest_first else numbers:
                if self._steps[number] == _REPLACED or (edited and not self._at("edit", number)):
                    continue
                yield number, self._read(number, intents, others)

    def count(self, *, but: Step) -> int:
        """How many actions have another step than `but`."""
        replaced = self._steps.count(_REPLACED)
        return len(self._steps) - replaced - self._steps.count(_STEPS.index(but))

    def _at(self, name: str, number: int) -> int:
        lines = self._lines[name]
        return lines[number] if number < len(lines) else 0

    def _read(self, number: int, intents: IO[bytes], others: IO[bytes]) -> Entry:
        entry: Entry | None = None
        for name in self._lines:
            if not (after := self._at(name, number)):
                continue
            file = others if entry else intents
            file.seek(after - 1)
            event = json.loads(file.readline())
            if entry is None:
                entry = Entry(_action(event["intent"]), _STEPS[self._steps[number]])
            else:
                entry.see(event)
        assert entry is not None
        return entry


def _sidecar(row: dict[str, Any]) -> Sidecar:
    attributes = {name: base64.b64decode(value) for name, value in row["attributes"].items()}
    owner = (row["owner"][0], row["owner"][1])
    content = base64.b64decode(row["content"])
    return Sidecar(content, row["mtime_ns"], row["mode"], owner, attributes)


def _action(row: dict[str, Any]) -> Action:
    digest = row.get("digest")
    others = {key: value for key, value in row.items() if key != "digest"}
    return Action(**others, digest=None if digest is None else bytes.fromhex(digest))
