"""The edits of a review: an append-only log beside the plan, and its replay.

A line is on disk before an edit is confirmed, and counts only if it ends with a line break. Replay
is pure: the same run and the same lines give the same shelves. Pictures are named by their path
below the run's folder. The lines, under the names that version 0.1.0 gave them:

    {"do": "place", "shelf": "cat", "pictures": ["a.jpg"]}          corrections by the user
    {"do": "learn", "shelves": {"cat": ["b.jpg"]}}                  suggestions that were accepted
    {"do": "label", "labels": {...}, "renamed": {"old": "new"}}     other labels from here on
    {"do": "bold", "by": 1.5}                                       the threshold offset, in logits
    {"do": "undo", "edit": 7}                                       edit 7 (from 0) does not count
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

from zeroshelf.actions import lock
from zeroshelf.corrections.follow import renamed
from zeroshelf.errors import UserError
from zeroshelf.records import Corrections, Label, LabelSet, Request
from zeroshelf.runs.request import tuples
from zeroshelf.system import file_io, file_versions, path_spelling

NAME = "edits.jsonl"
_EDITS = frozenset(("place", "learn", "label", "bold", "undo"))
_PLANNED = "edits.settled"  # how many edits the plan beside the log includes
Event: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Edited:
    """The result of all edits."""

    labels: LabelSet
    corrected: Mapping[str, str] = field(default_factory=dict)  # path -> shelf, by the user
    accepted: Mapping[str, str] = field(default_factory=dict)  # path -> shelf, from a suggestion
    offset: float = 0.0  # of the threshold, in logits
    last: int | None = None  # the edit that the next undo takes back
    renamed: Mapping[str, str] = field(default_factory=dict)  # a first label -> its present name

    @property
    def asked(self) -> tuple[object, ...]:
        """All by which the pictures are decided about: where it differs, they are anew."""
        return self.labels, self.offset, self.renamed

    def request(self, first: Request) -> Request:
        """The present request of a run that was saved with the request `first`."""
        return replace(first, labels=self.labels, offset=self.offset)

    def corrections(self, first: Corrections, folder: str) -> Corrections:
        """The present corrections of a run of `folder` that was saved with those in `first`."""
        before = renamed(first, self.renamed)
        corrected, accepted = (
            {path_spelling.below(folder, path): shelf for path, shelf in moves.items()}
            for moves in (self.corrected, self.accepted)
        )
        earlier = {path: shelf for path, shelf in before.reviewed.items() if path not in accepted}
        return replace(
            before,
            reviewed={**earlier, **corrected},
            accepted={**before.accepted, **accepted},
        )


def place(shelf: str, pictures: Sequence[str]) -> Event:
    return {"do": "place", "shelf": shelf, "pictures": list(pictures)}


def accept(shelves: Mapping[str, Sequence[str]]) -> Event:
    return {"do": "learn", "shelves": {name: list(paths) for name, paths in shelves.items()}}


def label(labels: LabelSet, names: Mapping[str, str]) -> Event:
    """`names`: renamed labels, old -> new; the pictures on their shelves stay on them."""
    return {"do": "label", "labels": asdict(labels), "renamed": dict(names)}


def offset(by: float) -> Event:
    """`by`: logits."""
    return {"do": "bold", "by": by}


def undo(edit: int) -> Event:
    return {"do": "undo", "edit": edit}


def replay(labels: LabelSet, events: Sequence[Event]) -> Edited:
    """labels: those that the run was saved with. Event i is edit i."""
    gone = {event["edit"] for event in events if event["do"] == "undo"}
    corrected: dict[str, str] = {}
    accepted: dict[str, str] = {}
    offset, last = 0.0, None
    now: dict[str, str] = {}
    for number, event in enumerate(events):
        if number in gone or event["do"] == "undo":
            continue
        last = number
        match event:
            case {"do": "place", "shelf": shelf, "pictures": pictures}:
                for path in pictures:
                    corrected[path] = shelf
                    accepted.pop(path, None)
            case {"do": "learn", "shelves": shelves}:
                accepted |= {path: shelf for shelf, paths in shelves.items() for path in paths}
            case {"do": "label", "labels": given, "renamed": names}:
                labels = _labels(given)
                fresh = {old: new for old, new in names.items() if old not in now.values()}
                now = fresh | {first: names.get(name, name) for first, name in now.items()}
                corrected, accepted = (
                    {path: names.get(shelf, shelf) for path, shelf in moves.items()}
                    for moves in (corrected, accepted)
                )
            case {"do": "bold", "by": by}:
                offset = float(by)
    return Edited(labels, corrected, accepted, offset, last, now)


def _labels(given: dict[str, Any]) -> LabelSet:
    labels = tuple(Label(**tuples(own)) for own in given["labels"])
    return LabelSet(**{**tuples(given), "labels": labels})


@contextlib.contextmanager
def only_review(record: str) -> Iterator[None]:
    """A run has one review at a time: the one of `record`, while this is open. Raises `UserError`
    if another has begun."""
    with contextlib.ExitStack() as held:
        try:
            locks = os.path.join(os.path.dirname(record), "reviews")
            held.enter_context(lock.hold(locks, os.path.basename(record), record))
        except UserError:
            raise UserError("this run is already open for review: close that page first") from None
        yield


class Log:
    """The edits of the run in `record`, in memory and on disk. Safe to use from several threads."""

    def __init__(self, record: str) -> None:
        self.path = os.path.join(record, NAME)
        self._lock = threading.Lock()
        self.events, whole = _read(self.path)
        try:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
            if self._file.tell() != whole:  # an unfinished last line, from a kill
                self._file.truncate(whole)
        except OSError as error:
            raise UserError(
                f"{self.path} can't be written: {error.strerror}; no edit could be saved"
            ) from None

    def add(self, *events: Event) -> int:
        """Append edits; the number of the last one. All are on disk when this returns; none if it
        raises `UserError`."""
        with self._lock:
            start = self._file.tell()
            header = () if start else (file_versions.EDITS.header,)
            lines = memoryview(
                "".join(json.dumps(e) + "\n" for e in (*header, *events)).encode("ascii")
            )
            try:
                while lines:
                    lines = lines[self._file.write(lines) :]
                file_io.sync_open(self._file.fileno())
            except OSError as error:
                self._file.truncate(start)
                raise UserError(
                    f"the edit could not be saved in {self.path}: {error.strerror}"
                ) from None
            self.events += events
            return len(self.events) - 1

    def close(self) -> None:
        self._file.close()


def read(record: str) -> list[Event]:
    return _read(os.path.join(record, NAME))[0]


def _read(path: str) -> tuple[list[Event], int]:
    """The events and how many bytes they take. Raises `UserError` for a line that is not
    an edit, or an edit that only a later version knows."""
    try:
        with open(path, "rb") as file:
            lines: Iterable[bytes] = file.readlines()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    events: list[Event] = []
    whole = 0
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            break
        try:
            event = json.loads(line)
            if number == 1 and file_versions.EDITS.key in event:
                file_versions.EDITS.check(path, event)
            elif event["do"] in _EDITS:
                events.append(event)
            else:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}, line {number}: not an edit; remove the line") from None
        whole += len(line)
    return events, whole


def note_planned(record: str, count: int) -> None:
    """Note that the plan beside the log includes the first `count` edits."""
    path = os.path.join(record, _PLANNED)
    with open(path + ".part", "w", encoding="ascii") as file:
        file.write(str(count))
    os.replace(path + ".part", path)


def plan_is_outdated(record: str) -> bool:
    """Whether the plan lacks edits of the log beside it."""
    events = read(record)
    try:
        with open(os.path.join(record, _PLANNED), encoding="ascii") as file:
            return int(file.read()) != len(events)
    except (FileNotFoundError, ValueError):
        return bool(events)
