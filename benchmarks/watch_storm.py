"""A watched folder in a storm: many files, arriving in every way, while the watcher is killed.

    python -m benchmarks.watch_storm [--files 1000] [--kills 10] [--seed 0]

Files arrive slowly, with long pauses, by rename from temporary names, from outside, in bursts and
as whole folders; some get a sidecar later; the folder is away for a while; the process that watches
is killed with SIGKILL and started again. Afterwards each picture must be on one shelf, whole, with
its sidecar beside it, and the undo of all runs must bring every file back. The answers come from a
model that needs no time (tests/colours.py).
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tests.colours import ColourEncoder
from tests.waiting import until
from zeroshelf.actions import journal, undo
from zeroshelf.labels import parse
from zeroshelf.runs import registry
from zeroshelf.watch.settings import Settings, checked
from zeroshelf.watch.wake import Waiter
from zeroshelf.watch.watcher import Watcher

QUIET = 0.4  # seconds without a change; the writers' pauses are shorter, but for the long ones
TEMPORARY = ("{}.part", "{}.crdownload", ".{}.Xy12Zw", ".syncthing.{}.tmp", "~{}", "{}.!sync")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--watch", nargs=2, metavar=("INBOX", "SHELVES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.watch:
        watch(*given.watch)
        return
    with tempfile.TemporaryDirectory() as home:
        os.environ["ZEROSHELF_RUNS"] = os.path.join(home, "runs")
        os.environ["ZEROSHELF_CACHE"] = os.path.join(home, "cache")
        print(storm(Path(home), given.files, given.kills, given.seed))


def watch(inbox: str, shelves: str) -> None:
    """The process that is killed."""
    settings = checked(
        Settings(inbox, shelves, parse.parse(["red", "blue"]), "move", quiet=QUIET, every=QUIET)
    )
    told = lambda line: print(line, flush=True)  # noqa: E731
    Watcher(settings, told, wait=Waiter(inbox), encoder=ColourEncoder()).run()


@dataclass(frozen=True, slots=True)
class Outcome:
    files: int
    sidecars: int
    runs: int
    kills: int
    finished: int  # runs that a later process finished
    left: int  # times that a picture was left alone because its end was missing

    def __str__(self) -> str:
        return (
            f"{self.files} pictures, each sorted once and whole, {self.sidecars} with a sidecar "
            f"that came later, in {self.runs} runs, all undone; "
            f"{self.kills} kills, {self.finished} runs finished by a later process, {self.left} "
            "times a half picture was left alone"
        )


def storm(home: Path, files: int, kills: int, seed: int) -> Outcome:
    """Raises `AssertionError` where a promise is broken."""
    inbox, shelves, outside = (home / name for name in ("inbox", "shelves", "outside"))
    for folder in (inbox, outside):
        folder.mkdir()
    pictures = {f"{number:04}.png": _picture(number, seed) for number in range(files)}
    process = _Process(inbox, shelves)
    weather = _Weather(inbox, outside, random.Random(seed), process)
    writer = threading.Thread(target=weather.rage, args=(pictures,))
    writer.start()
    rng = random.Random(seed + 1)
    for number in range(kills):
        before = len(process.lines)
        until(lambda before=before: len(process.lines) > before or not writer.is_alive())  # type: ignore[misc]
        if number % 2:
            until(lambda: process.is_at_work() or not writer.is_alive())
        else:
            time.sleep(rng.uniform(0, 1.5))
        process.kill()
    writer.join()
    until(lambda: not [path for path in inbox.rglob("*") if path.is_file()])
    until(lambda: bool(weather.problems) or _is_complete(shelves, files))
    process.end()
    assert not weather.problems, weather.problems
    everything = pictures | weather.sidecars
    _check(shelves, everything)
    runs = [run for run in registry.all() if run.may_be_in_place]
    for run in runs:
        undo.undo(run.record)
    found = sorted(path.read_bytes() for path in inbox.rglob("*") if path.is_file())
    assert found == sorted(everything.values()), "an undo lost something"
    assert not [path for path in shelves.rglob("*") if path.is_file()]
    tally = [sum(text in line for line in process.lines) for text in ("finished run", "cut short")]
    return Outcome(files, len(weather.sidecars), len(runs), kills, *tally)


def _picture(number: int, seed: int) -> bytes:
    rng = np.random.default_rng((seed, number))
    pixels = rng.integers(0, 60, (24, 24, 3), np.uint8)
    pixels[:, :, 2 * (number % 2)] += 180
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _is_complete(shelves: Path, files: int) -> bool:
    return sum(path.is_file() for path in shelves.rglob("*.png")) >= files


def _check(shelves: Path, pictures: dict[str, bytes]) -> None:
    there = [path for path in shelves.rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in there) == sorted(pictures.values())
    for path in there:
        if path.suffix == ".xmp":
            assert path.with_suffix("").exists(), f"{path} is not beside its picture"
    sizes = {data: len(data) for data in pictures.values()}
    final = {str(path): sizes[path.read_bytes()] for path in there}
    for run in registry.all():
        if not run.may_be_in_place:
            continue  # killed before its first action: it has no journal
        done = (e for _, e in journal.read(run.record).entries.each() if e.step == "done")
        for action in (entry.action for entry in done):  # a file that grew meanwhile was refused
            taken = final.get(action.target, action.size)
            assert action.size == taken, f"{action.target} was taken half-written"


@dataclass
class _Process:
    """The watcher, started again whenever it is killed."""

    inbox: Path
    shelves: Path
    lines: list[str] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        self._start()

    def _start(self) -> None:
        words = [sys.executable, "-m", "benchmarks.watch_storm", "--watch"]
        self.process = subprocess.Popen(
            [*words, str(self.inbox), str(self.shelves)],
            cwd=Path(__file__).parent.parent,  # where the package benchmarks is found
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.lines += process.stdout.readline().splitlines()
        for line in process.stdout:
            self.lines.append(line)

    def is_at_work(self) -> bool:
        """Whether an apply has locked its folders: the most delicate moment for a kill. What a
        killed process left of its locks doesn't count."""
        locks, mine = os.path.join(registry.root(), "locks"), f"-{self.process.pid}-"
        there = os.listdir(locks) if os.path.isdir(locks) else []
        return any(mine in name and name.endswith(".json") for name in there)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._start()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class _Weather:
    """What happens in the folder."""

    inbox: Path
    outside: Path
    rng: random.Random
    process: _Process
    problems: list[str] = field(default_factory=list)
    sidecars: dict[str, bytes] = field(default_factory=dict)  # name -> content

    def rage(self, pictures: dict[str, bytes]) -> None:
        ways: list[Callable[[str, bytes], None]] = [
            self._slowly, self._with_a_pause, self._renamed, self._renamed, self._from_outside,
        ]  # fmt: skip
        left = list(pictures.items())
        middle = len(left) // 2
        try:
            while left:
                if len(left) < middle:
                    middle = 0
                    self._away()
                if self.rng.random() < 0.5:
                    burst, left = left[:20], left[20:]
                    self.rng.choice((self._burst, self._tree))(burst)
                else:
                    some, left = left[:4], left[4:]
                    each = [
                        threading.Thread(target=self.rng.choice(ways), args=one) for one in some
                    ]
                    for thread in each:
                        thread.start()
                    for thread in each:
                        thread.join()
                time.sleep(self.rng.uniform(0, 0.3))
        except Exception as trouble:
            self.problems.append(repr(trouble))

    def _write(self, path: Path, data: bytes, pauses: list[float]) -> None:
        size = len(data) // (len(pauses) + 1) + 1
        with path.open("wb") as file:
            for number, pause in enumerate([*pauses, 0.0]):
                file.write(data[number * size : (number + 1) * size])
                file.flush()
                time.sleep(pause)

    def _slowly(self, name: str, data: bytes) -> None:
        self._write(self.inbox / name, data, [QUIET / 3] * 6)

    def _with_a_pause(self, name: str, data: bytes) -> None:
        self._write(self.inbox / name, data, [5 * QUIET])

    def _renamed(self, name: str, data: bytes) -> None:
        before = self.inbox / TEMPORARY[len(data) % len(TEMPORARY)].format(name)
        self._write(before, data, [QUIET, 2 * QUIET])
        before.rename(self.inbox / name)

    def _from_outside(self, name: str, data: bytes) -> None:
        (self.outside / name).write_bytes(data)
        (self.outside / name).rename(self.inbox / name)

    def _burst(self, files: list[tuple[str, bytes]]) -> None:
        for name, data in files:
            (self.inbox / name).write_bytes(data)
        time.sleep(self.rng.uniform(0, 5 * QUIET))
        for name, _ in files[::4]:
            self.sidecars[f"{name}.xmp"] = f"about {name}".encode()
            (self.inbox / f"{name}.xmp").write_bytes(self.sidecars[f"{name}.xmp"])

    def _tree(self, files: list[tuple[str, bytes]]) -> None:
        folder = self.outside / f"t{files[0][0]}" / "deep"
        folder.mkdir(parents=True)
        for name, data in files:
            (folder / name).write_bytes(data)
        folder.parent.rename(self.inbox / folder.parent.name)

    def _away(self) -> None:
        """As a drive that is unplugged, in a run or between two."""
        gone = self.inbox.with_name("away")
        self.inbox.rename(gone)
        time.sleep(4 * QUIET)
        if self.inbox.exists():  # nothing may make it anew
            self.problems.append("the folder was made anew while it was away")
            shutil.rmtree(self.inbox)
        gone.rename(self.inbox)


if __name__ == "__main__":
    main()
