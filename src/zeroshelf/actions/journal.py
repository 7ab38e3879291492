"""The journal of a run: what it is about to do to files, and what it has done.

Appended and synced ahead of every action. JSON Lines in ASCII; a line that a kill, a power cut or a
full disk left incomplete is ignored, those after it count. Undo needs nothing else: no plan.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from zeroshelf.actions import lock
from zeroshelf.errors import UserError
from zeroshelf.records import Action
from zeroshelf.system import file_io, file_versions, folder_identity

NAME = "journal.jsonl"
State: TypeAlias = Literal["planned", "applied", "partly", "undone"]


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
    """One action as far as it got. `stamp`: size and mtime_ns of the target when it was done; None
    also where there is no target then. `fingerprint`: of the content, see `transfer`. `mode`: the
    original's, where what was moved doesn't have it any more. `trashed`: the path in a trash."""

    action: Action
    step: Literal["intent", "done", "revert", "reverted"] = "intent"
    stamp: tuple[int, int] | None = None
    rewrite: Rewrite | None = None
    edit: PictureEdit | None = None
    fingerprint: bytes | None = None
    mode: int | None = None
    trashed: str | None = None


@dataclass(slots=True)
class Past:
    entries: dict[str, Entry] = field(default_factory=dict)  # by target, in the order of intents
    # that the run made, or took over from a run that was undone before it: to go when empty
    folders: dict[str, None] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)  # mtime_ns of folders before any change
    instead: dict[str, str] = field(default_factory=dict)  # a planned target -> one that is allowed
    state: State = "planned"
    last: tuple[str, bool] = "", True  # what was begun last ("apply", "undo"), and if it ended

    def see(self, event: dict[str, Any]) -> None:
        match event:
            case {"intent": row}:
                action = _action(row)
                self.entries.pop(action.target, None)  # again, after an undo: order matters
                self.entries[action.target] = Entry(action)
            case {"rewrite": target, "before": before, "after": after}:
                self.entries[target].rewrite = Rewrite(
                    None if before is None else _sidecar(before),
                    None if after is None else bytes.fromhex(after),
                )
            case {"edit": target, "backup": backup, "before": before, "after": after}:
                digests = (None if one is None else bytes.fromhex(one) for one in (before, after))
                self.entries[target].edit = PictureEdit(backup, *digests)
            case {"staged": target, "fingerprint": found, "mode": mode}:
                entry = self.entries[target]
                entry.fingerprint = None if found is None else bytes.fromhex(found)
                entry.mode = mode
                entry.trashed = event.get("trashed")
            case {"done": target, "stamp": stamp}:
                entry = self._step(target, "done")
                entry.stamp = None if stamp is None else (stamp[0], stamp[1])
                if event.get("fingerprint"):
                    entry.fingerprint = bytes.fromhex(event["fingerprint"])
            case {"instead": target, "target": other}:
                self.instead[target] = other
            case {"revert": target}:
                self._step(target, "revert")
            case {"reverted": target}:
                self._step(target, "reverted")
            case _:
                self._see_folders(event)

    def _see_folders(self, event: dict[str, Any]) -> None:
        """Folders, and how far the run is."""
        match event:
            case {"folder": path}:
                self.folders[path] = None
            case {"times": path, "mtime_ns": mtime_ns}:
                self.times.setdefault(path, mtime_ns)
            case {"inherited": path, "mtime_ns": mtime_ns}:
                self.times[path] = mtime_ns
            case {"begin": what}:
                self.state, self.last = "partly", (str(what), False)
            case {"end": state}:
                self.state, self.last = state, (self.last[0], True)
                if state == "undone":
                    self.folders, self.times = {}, {}

    def _step(self, target: str, step: Literal["done", "revert", "reverted"]) -> Entry:
        entry = self.entries[target]
        entry.step = step
        return entry


class Journal:
    """Open for one process at a time: hold the run's lock. `past` is kept up to date."""

    def __init__(self, record: str) -> None:
        self.run = os.path.basename(record)  # the run's id
        self.work = os.path.join(record, "work")  # a folder for what is needed on the way
        self._path = os.path.join(record, NAME)
        self.past = read(record)
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115
        self._named = os.fstat(self._file.fileno()).st_nlink > 0  # some shares count no names
        self._end_torn_line()
        self._waiting: list[dict[str, Any]] = []
        self._makers: dict[str, Past] = {}  # other runs, whose results this one removed

    def _end_torn_line(self) -> None:
        """A kill may have left a part of a line. One that is all there is goes: it is the header's,
        which is then written again."""
        if not self._file.tell():
            return
        with open(self._path, "rb") as file:
            if not file.readline().endswith(b"\n"):
                self._file.truncate(0)
                self._file.seek(0)
                return
        if not _ends_whole(self._path):
            self._file.write(b"\n")

    def note(self, event: dict[str, Any]) -> None:
        """Written with the next `sync`. For what a look at the files would tell as well."""
        self._waiting.append(event)

    def sync(self, events: Iterable[dict[str, Any]] = ()) -> None:
        """On the disk when this returns. Raises OSError where it can't be: then act on nothing."""
        self._waiting += events
        if not self._waiting:
            return
        begun = file_versions.JOURNAL.header if not self._file.tell() else None
        lines = [begun, *self._waiting] if begun else self._waiting
        data = "".join(json.dumps(event) + "\n" for event in lines).encode("ascii")
        if self._named and not os.fstat(self._file.fileno()).st_nlink:
            raise OSError(errno.ENOENT, "it was removed while the run was at work", self._path)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        file_io.sync_open(self._file.fileno())
        for event in self._waiting:
            self.past.see(event)
        self._waiting = []

    def is_undone_elsewhere(self, entry: Entry) -> bool:
        """True for the removal of what another run had made and by now took back itself."""
        maker = entry.action.made_in
        if maker is None:
            return False
        if maker not in self._makers:
            records = os.path.dirname(os.path.dirname(self._path))
            self._makers[maker] = read(os.path.join(records, os.path.basename(maker)))
        entries = self._makers[maker].entries
        before = entries.get(entry.action.target) or _by_place(entries, entry.action.target)
        return before is not None and before.step == "reverted"

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def working(record: str, folder: str, destination: str) -> Iterator[Journal]:
    """The journal of the run in `record`, alone on both folders. Raises `UserError` where another
    run is at work there, or the journal can't be written: then nothing more was touched."""
    locks = os.path.join(os.path.dirname(record), "locks")
    try:
        with lock.hold(locks, os.path.basename(record), folder, destination):
            book = Journal(record)
            try:
                yield book
            finally:
                book.close()
    except OSError as error:
        raise UserError(
            f"the journal in {record} can't be written: {error.strerror}. "
            "No file is partially written: make room, then apply or undo again"
        ) from error


def _by_place(entries: Mapping[str, Entry], target: str) -> Entry | None:
    """That of the same file by another path: the folder was named through a link then."""
    folder, name = os.path.split(target)
    found = (entry for path, entry in entries.items() if os.path.basename(path) == name)
    return next(
        (e for e in found if folder_identity.same(os.path.dirname(e.action.target), folder)), None
    )


def intent(action: Action) -> dict[str, Any]:
    row = {key: value for key, value in asdict(action).items() if value is not None}
    if action.digest is not None:
        row["digest"] = action.digest.hex()
    return {"intent": row}


def rewrite(target: str, made: Rewrite) -> dict[str, Any]:
    """Goes with the intent of a tag or untag."""
    before: dict[str, Any] | None = None
    if made.before is not None:
        before = asdict(made.before)
        before["content"] = base64.b64encode(made.before.content).decode()
        before["attributes"] = {
            name: base64.b64encode(value).decode() for name, value in made.before.attributes.items()
        }
    after = None if made.after is None else made.after.hex()
    return {"rewrite": target, "before": before, "after": after}


def edit(target: str, made: PictureEdit) -> dict[str, Any]:
    """Goes with the intent of a tag or untag in a picture's own file, and once more, with the
    digests, before the file is replaced."""
    digests = (None if one is None else one.hex() for one in (made.before, made.after))
    return {"edit": target, "backup": made.backup} | dict(
        zip(("before", "after"), digests, strict=True)
    )


def read(record: str) -> Past:
    past = Past()
    for event in _events(os.path.join(record, NAME)):
        with contextlib.suppress(KeyError):  # of an action whose own line is damaged
            past.see(event)
    return past


def read_folders(record: str) -> Past:
    """The same without the entries, which are nearly all of it."""
    past = Past()
    for event in _events(os.path.join(record, NAME), _OF_FOLDERS):
        past.see(event)
    return past


def folders(record: str) -> tuple[str, str] | None:
    """The folder and the destination of a run that has begun."""
    for event in _events(os.path.join(record, NAME)):
        if "from" in event:
            return str(event["from"]), str(event["to"])
    return None


def state(record: str) -> State:
    """How a run ended, from the journal's last line alone."""
    path = os.path.join(record, NAME)
    try:
        with open(path, "rb") as file:
            _check(path, file.readline())
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4096))
            end = file.read()
    except OSError:
        return "planned"
    end = end[: end.rfind(b"\n") + 1]  # what a kill left of a line counts for nothing
    if not end and size <= 4096:
        return "planned"  # not one whole line: nothing was begun
    try:
        last = json.loads(end.splitlines()[-1])
        if file_versions.JOURNAL.key in last:
            return "planned"  # the header alone
        found: State = last["end"]
    except (ValueError, KeyError, TypeError, IndexError):
        return "partly"
    return found


_OF_FOLDERS = (b'{"folder"', b'{"times"', b'{"inherited"', b'{"begin"', b'{"end"')


def _events(path: str, beginnings: tuple[bytes, ...] = (b"",)) -> Iterator[dict[str, Any]]:
    try:
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file):
            if number == 0:
                _check(path, line)
            if not line.startswith(beginnings):
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if line.endswith(b"\n") and isinstance(event, dict):
                yield event


def _check(path: str, first: bytes) -> None:
    """Raises `UserError` where a newer zeroshelf wrote the journal that begins with this line."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        file_versions.JOURNAL.check(path, json.loads(first))


def _ends_whole(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _sidecar(row: dict[str, Any]) -> Sidecar:
    attributes = {name: base64.b64decode(value) for name, value in row["attributes"].items()}
    owner = (row["owner"][0], row["owner"][1])
    content = base64.b64decode(row["content"])
    return Sidecar(content, row["mtime_ns"], row["mode"], owner, attributes)


def _action(row: dict[str, Any]) -> Action:
    digest = row.pop("digest", None)
    return Action(**row, digest=None if digest is None else bytes.fromhex(digest))
