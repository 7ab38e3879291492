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
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any, Literal, TypeAlias

from zeroshelf.actions import lock
from zeroshelf.actions.journal_entries import Entries, Entry, PictureEdit, Rewrite, Step
from zeroshelf.errors import UserError
from zeroshelf.records import Action
from zeroshelf.system import file_io, file_versions, folder_identity

NAME = "journal.jsonl"
_ACTION = [field.name for field in fields(Action)]
State: TypeAlias = Literal["planned", "applied", "partly", "undone"]


class Past:
    """What the journal at `path` says, as far as it was taken over line by line."""

    def __init__(self, path: str) -> None:
        self.entries = Entries(path)
        # that the run made, or took over from a run that was undone before it: to go when empty
        self.folders: dict[str, None] = {}
        self.times: dict[str, int] = {}  # mtime_ns of folders before any change
        self.instead: dict[str, str] = {}  # a planned target -> one that is allowed
        self.state: State = "planned"
        # what was begun last ("apply", "undo"), and if it ended
        self.last: tuple[str, bool] = "", True

    def see(self, event: dict[str, Any], at: int) -> None:
        """Take over a line, which begins at byte `at`. Raises KeyError for one about an action
        whose own line is damaged."""
        match event:
            case {"instead": target, "target": other}:
                self.instead[target] = other
            case _:
                self._see_folders(event)
                self.entries.see(event, at)

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
        self._makers: dict[str, _Maker] = {}  # other runs, whose results this one removed

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
        encoded = [json.dumps(event).encode("ascii") + b"\n" for event in lines]
        if self._named and not os.fstat(self._file.fileno()).st_nlink:
            raise OSError(errno.ENOENT, "it was removed while the run was at work", self._path)
        at = self._file.tell()
        view = memoryview(b"".join(encoded))
        while view:
            view = view[self._file.write(view) :]
        file_io.sync_open(self._file.fileno())
        for event, line in zip(lines, encoded, strict=True):
            self.past.see(event, at)
            at += len(line)
        self._waiting = []

    def is_undone_elsewhere(self, entry: Entry) -> bool:
        """True for the removal of what another run had made and by now took back itself."""
        maker = entry.action.made_in
        if maker is None:
            return False
        if maker not in self._makers:
            records = os.path.dirname(os.path.dirname(self._path))
            record = os.path.join(records, os.path.basename(maker))
            self._makers[maker] = _Maker(read(record).entries)
        return self._makers[maker].step(entry.action.target) == "reverted"

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


class _Maker:
    """Another run, asked for what became of its actions."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._folders: set[str] | None = None  # of all targets, when first needed
        self._same: dict[str, list[str]] = {}  # a folder -> the same one by the run's paths

    def step(self, target: str) -> Step | None:
        """How far the action with that target got; None if there is none. Also where the target's
        folder was named through a link then."""
        if target in self._entries:
            return self._entries.step(target)
        folder, name = os.path.split(target)
        if self._folders is None:
            found = (os.path.dirname(entry.action.target) for _, entry in self._entries.each())
            self._folders = set(found)
        if folder not in self._same:
            self._same[folder] = [
                other for other in self._folders if folder_identity.same(other, folder)
            ]
        paths = (os.path.join(other, name) for other in self._same[folder])
        return next((self._entries.step(path) for path in paths if path in self._entries), None)


def intent(action: Action) -> dict[str, Any]:
    row = {name: value for name in _ACTION if (value := getattr(action, name)) is not None}
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
    """What the journal in the folder `record` says."""
    path = os.path.join(record, NAME)
    past = Past(path)
    for at, event in _events(path):
        with contextlib.suppress(KeyError):  # of an action whose own line is damaged
            past.see(event, at)
    return past


def read_folders(record: str) -> Past:
    """The same without the entries, which are nearly all of it."""
    path = os.path.join(record, NAME)
    past = Past(path)
    for at, event in _events(path, _OF_FOLDERS):
        past.see(event, at)
    return past


def folders(record: str) -> tuple[str, str] | None:
    """The folder and the destination of a run that has begun."""
    for _, event in _events(os.path.join(record, NAME)):
        if "from" in event:
            return str(event["from"]), str(event["to"])
    return None


def endpoint(record: str) -> str | None:
    """The URL of the object store of a run that has begun; None: its provider's, or no store."""
    for _, event in _events(os.path.join(record, NAME), (b'{"begin"',)):
        if "from" in event:
            found = event.get("endpoint")
            return None if found is None else str(found)
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


def _events(
    path: str, beginnings: tuple[bytes, ...] = (b"",)
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The whole lines of the journal at `path` that begin so, each with the byte where it
    begins."""
    try:
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return
    with file:
        after = 0
        for line in file:
            at, after = after, after + len(line)
            if at == 0:
                _check(path, line)
            if not line.startswith(beginnings):
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if line.endswith(b"\n") and isinstance(event, dict):
                yield at, event


def _check(path: str, first: bytes) -> None:
    """Raises `UserError` where a newer zeroshelf wrote the journal that begins with this line."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        file_versions.JOURNAL.check(path, json.loads(first))


def _ends_whole(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
