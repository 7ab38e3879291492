"""A watched folder under a clock of its own: what happens there is a script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.colours import ColourEncoder
from zeroshelf.labels import parse
from zeroshelf.watch.settings import Settings, checked
from zeroshelf.watch.watcher import Watcher

Event = Callable[[], object]


class Ended(Exception):
    """The script is over."""


@dataclass
class Clock:
    """Seconds that pass only while the watcher waits. `script`: what happens when."""

    now: float = 0.0
    script: list[tuple[float, Event]] = field(default_factory=list)
    end: float | None = None

    def __call__(self) -> float:
        return self.now

    def at(self, second: float, event: Event) -> None:
        self.script.append((second, event))
        self.script.sort(key=lambda each: each[0])

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        until = self.now + seconds
        while self.script and self.script[0][0] <= until:
            self.now, event = max(self.now, self.script[0][0]), self.script[0][1]
            del self.script[0]
            event()
        self.now = until
        if self.end is not None and self.now > self.end:
            raise Ended


def names(folder: Path) -> list[str]:
    """Every file below a folder, by its path there."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def settings(inbox: Path, to: Path, **given: object) -> Settings:
    labels = parse.parse(["red", "blue"])
    return checked(Settings(str(inbox), str(to), labels, **{"action": "move", **given}))  # type: ignore[arg-type]


@dataclass
class Watched:
    """A watcher and what it has told. `go` lets time pass."""

    given: Settings
    clock: Clock = field(default_factory=Clock)
    encoder: ColourEncoder = field(default_factory=ColourEncoder)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """As a new process: nothing is remembered."""
        self.watcher = Watcher(
            self.given,
            self.lines.append,
            clock=self.clock,
            wait=self.clock.wait,
            encoder=self.encoder,
        )

    def go(self, seconds: float) -> list[str]:
        """So many seconds pass; the lines that were told meanwhile."""
        before, end = len(self.lines), self.clock.now + seconds
        while self.clock.now < end:
            self.clock.wait(max(1.0, min(self.watcher.step(), end - self.clock.now)))
        return self.lines[before:]
