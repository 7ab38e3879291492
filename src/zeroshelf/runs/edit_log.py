"""What a person changed in a run: an append-only log beside the plan, and its replay.

A line is on the disk before an edit is confirmed, and counts if it is whole. Replay is pure: the
same run and the same lines give the same shelves. Pictures are named by their path below the run's
folder. The lines:

    {"do": "place", "shelf": "cat", "pictures": ["a.jpg"]}           a person's word
    {"do": "learn", "shelves": {"cat": ["b.jpg"]}}                    accepted from what was learnt
    {"do": "label", "labels": {...}, "renamed": {"old": "new"}}       other labels from here on
    {"do": "bold", "by": 1.5}                                         an offset: decisions.decide
    {"do": "undo", "edit": 7}                                         as if line 7 had never been
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

from zeroshelf.corrections.follow import renamed
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, Corrections, Label, LabelSet, Question
from zeroshelf.system import file_io, file_versions, path_spelling

NAME = "edits.jsonl"
_SETTLED = "edits.settled"
Event: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Edited:
    """What all edits together come to."""

    labels: LabelSet
    placed: Mapping[str, str] = field(default_factory=dict)  # path -> shelf, by a person
    learnt: Mapping[str, str] = field(default_factory=dict)  # path -> shelf, accepted
    offset: float = 0.0
    last: int | None = None  # the edit that `z` takes back
    renamed: Mapping[str, str] = field(default_factory=dict)  # a first label -> its name by now

    def question(self, first: Question) -> Question:
        """What is asked by now, of a run that began with `first`."""
        return replace(first, labels=self.labels, offset=self.offset)

    def corrections(self, first: Corrections, folder: str) -> Corrections:
        """All that was said by now, in a run of `folder` that began with `first`."""
        before = renamed(first, self.renamed)
        placed, accepted = (
            {path_spelling.below(folder, path): shelf for path, shelf in moves.items()}
            for moves in (self.placed, self.learnt)
        )
        kept = {path: shelf for path, shelf in before.placed.items() if path not in accepted}
        return replace(before, placed={**kept, **placed}, accepted={**before.accepted, **accepted})


def place(shelf: str, pictures: Sequence[str]) -> Event:
    return {"do": "place", "shelf": shelf, "pictures": list(pictures)}


def learn(shelves: Mapping[str, Sequence[str]]) -> Event:
    return {"do": "learn", "shelves": {name: list(paths) for name, paths in shelves.items()}}


def label(labels: LabelSet, names: Mapping[str, str]) -> Event:
    """`names`: labels that go on under another name, old -> new, their pictures with them."""
    return {"do": "label", "labels": asdict(labels), "renamed": dict(names)}


def bold(by: float) -> Event:
    return {"do": "bold", "by": by}


def undo(edit: int) -> Event:
    return {"do": "undo", "edit": edit}


def replay(labels: LabelSet, events: Sequence[Event]) -> Edited:
    """From the labels that the run began with. Event i is edit i."""
    gone = {event["edit"] for event in events if event["do"] == "undo"}
    placed: dict[str, str] = {}
    learnt: dict[str, str] = {}
    offset, last = 0.0, None
    now: dict[str, str] = {}
    for number, event in enumerate(events):
        if number in gone or event["do"] == "undo":
            continue
        last = number
        match event:
            case {"do": "place", "shelf": shelf, "pictures": pictures}:
                for path in pictures:
                    placed[path] = shelf
                    learnt.pop(path, None)
            case {"do": "learn", "shelves": shelves}:
                learnt |= {path: shelf for shelf, paths in shelves.items() for path in paths}
            case {"do": "label", "labels": given, "renamed": names}:
                labels = _labels(given)
                fresh = {old: new for old, new in names.items() if old not in now.values()}
                now = fresh | {first: names.get(name, name) for first, name in now.items()}
                placed, learnt = (_carried(moves, labels, names) for moves in (placed, learnt))
            case {"do": "bold", "by": by}:
                offset = float(by)
    return Edited(labels, placed, learnt, offset, last, now)


def _carried(
    moves: Mapping[str, str], labels: LabelSet, names: Mapping[str, str]
) -> dict[str, str]:
    """Placements under the labels that go on, by their new names."""
    known = {*labels.names, OTHER}
    return {
        path: name for path, shelf in moves.items() if (name := names.get(shelf, shelf)) in known
    }


def _labels(given: Mapping[str, Any]) -> LabelSet:
    """JSON knows no tuples: lists become what they were."""

    def tuples(table: Mapping[str, Any]) -> dict[str, Any]:
        return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}

    labels = tuple(Label(**tuples(own)) for own in given["labels"])
    return LabelSet(**{**tuples(given), "labels": labels})


class Log:
    """The edits of the run in `record`, in memory and on the disk. Safe from several threads."""

    def __init__(self, record: str) -> None:
        self.path = os.path.join(record, NAME)
        self._lock = threading.Lock()
        self.events, whole = _read(self.path)
        try:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
            if self._file.tell() != whole:  # what a kill left of a line never was an edit
                self._file.truncate(whole)
        except OSError as error:
            raise UserError(
                f"{self.path} can't be written: {error.strerror}; nothing could be kept"
            ) from None

    def add(self, *events: Event) -> int:
        """The last one's number. All are on the disk when this returns; none where it raises."""
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
                    f"the edit could not be kept in {self.path}: {error.strerror}"
                ) from None
            self.events += events
            return len(self.events) - 1

    def close(self) -> None:
        self._file.close()


def read(record: str) -> list[Event]:
    return _read(os.path.join(record, NAME))[0]


def _read(path: str) -> tuple[list[Event], int]:
    """The events and how many bytes they take."""
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
            else:
                events.append(event)
        except (ValueError, TypeError):
            raise UserError(f"{path}, line {number}: not an edit; remove the line") from None
        whole += len(line)
    return events, whole


def note_settled(record: str, count: int) -> None:
    """The plan beside the log holds the first `count` edits."""
    path = os.path.join(record, _SETTLED)
    with open(path + ".part", "w", encoding="ascii") as file:
        file.write(str(count))
    os.replace(path + ".part", path)


def unsettled(record: str) -> bool:
    """Whether the plan is older than the edits beside it."""
    events = read(record)
    try:
        with open(os.path.join(record, _SETTLED), encoding="ascii") as file:
            return int(file.read()) != len(events)
    except (FileNotFoundError, ValueError):
        return bool(events)
