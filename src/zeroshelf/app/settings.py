"""What the app remembers from one start to the next, in app.json beside the runs. None of it is
needed for an undo: where the file is damaged, the app begins anew."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

from zeroshelf.errors import UserError
from zeroshelf.runs import registry
from zeroshelf.system import file_versions

NAME = "app.json"
MOST_RECENT = 12  # folders that are remembered

Words = dict[str, list[str]]  # label -> other words for it


@dataclass(frozen=True, slots=True)
class Remembered:
    recent: list[str] = field(default_factory=list)  # folders, the last opened first
    labels: dict[str, Words] = field(default_factory=dict)  # folder -> its labels
    destinations: dict[str, str] = field(default_factory=dict)  # folder -> where its shelves go
    closed: list[str] = field(default_factory=list)  # folders whose labels are a closed set
    model: str | None = None  # the chosen model's id; None: the best that is installed


class Settings:
    """Read once, and written at every change. May be used from several threads."""

    def __init__(self) -> None:
        self._path = os.path.join(registry.root(), NAME)
        self._lock = threading.Lock()
        self.now = _read(self._path)

    def opened(self, folder: str) -> None:
        """Note that `folder` was opened."""
        with self._changing() as now:
            recent = [folder, *(one for one in now.recent if one != folder)][:MOST_RECENT]
            self.now = replace(
                now,
                recent=recent,
                labels={one: now.labels[one] for one in recent if one in now.labels},
                destinations={
                    one: now.destinations[one] for one in recent if one in now.destinations
                },
                closed=[one for one in recent if one in now.closed],
            )

    def forget(self, folder: str) -> None:
        """Remove `folder` from the recent ones."""
        with self._changing() as now:
            self.now = replace(now, recent=[one for one in now.recent if one != folder])

    def set_labels(self, folder: str, labels: Words, *, closed: bool = False) -> None:
        with self._changing() as now:
            others = [one for one in now.closed if one != folder]
            self.now = replace(
                now,
                labels={**now.labels, folder: labels},
                closed=[folder, *others] if closed else others,
            )

    def set_destination(self, folder: str, destination: str) -> None:
        with self._changing() as now:
            self.now = replace(now, destinations={**now.destinations, folder: destination})

    def set_model(self, model: str | None) -> None:
        with self._changing() as now:
            self.now = replace(now, model=model)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Remembered]:
        """What is remembered now, alone; what the block makes of it is written."""
        with self._lock:
            yield self.now
            with registry.writing(os.path.dirname(self._path)):
                os.makedirs(os.path.dirname(self._path), exist_ok=True)
                beside = f"{self._path}.part"
                with open(beside, "w", encoding="ascii") as file:
                    json.dump(file_versions.APP.header | asdict(self.now), file, indent=1)
                os.replace(beside, self._path)


def _read(path: str) -> Remembered:
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, UserError):
        with open(path, encoding="ascii") as file:
            given = json.load(file)
        file_versions.APP.check(path, given)
        recent = [str(one) for one in given["recent"]] if "recent" in given else []
        labels = {
            str(folder): {str(name): [str(one) for one in more] for name, more in words.items()}
            for folder, words in given.get("labels", {}).items()
        }
        destinations = {str(k): str(v) for k, v in given.get("destinations", {}).items()}
        closed = [str(one) for one in given.get("closed", [])]
        model = given.get("model")
        model = None if model is None else str(model)
        return Remembered(recent, labels, destinations, closed, model)
    return Remembered()
