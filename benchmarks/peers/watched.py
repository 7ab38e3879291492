"""One command, watched: how long it takes, and how much memory it and all that it starts need."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY = 1.0  # seconds between two looks at the memory, which take processor time themselves


class Failed(Exception):
    """The command's last line of error."""


@dataclass(frozen=True, slots=True)
class Used:
    wall: float  # seconds
    cpu: float  # seconds of all its processes
    memory: float  # MB: the most that all its processes had at once; shared pages count once
    out: str

    def __add__(self, other: Used) -> Used:
        """One command after the other."""
        return Used(
            self.wall + other.wall,
            self.cpu + other.cpu,
            max(self.memory, other.memory),
            self.out + other.out,
        )


def run(
    words: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    errors: Path,
    service: int | None = None,
) -> Used:
    """Run one command in `folder` to its end.

    `errors`: a file that its standard error is appended to. `service`: a process that works for
    the command, such as its database: its CPU time and memory count too. Raises `Failed`.
    """
    before = _cpu(service)
    start = time.perf_counter()
    with (
        open(errors, "ab") as trouble,
        subprocess.Popen(
            words,
            cwd=folder,
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=trouble,
            start_new_session=True,
        ) as process,
    ):
        peak = _Peak(process.pid, service)
        assert process.stdout is not None
        out = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    memory = max(peak.stop(), usage.ru_maxrss / 1024 if service is None else 0.0)
    if process.returncode:
        last = errors.read_text(errors="replace").strip().splitlines() or [out[-300:]]
        raise Failed(f"{Path(words[0]).name} ends with {process.returncode}: {last[-1]}")
    cpu = usage.ru_utime + usage.ru_stime + _cpu(service) - before
    return Used(wall, cpu, memory, out)


class _Peak:
    """Looks at the memory of a session's processes until it is stopped."""

    def __init__(self, session: int, service: int | None) -> None:
        self._session, self._service = session, service
        self._most = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._end.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._end.wait(_EVERY):
            pids = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]
            mine = [pid for pid in pids if _session(pid) == self._session]
            if self._service is not None:
                mine.append(self._service)
            self._most = max(self._most, sum(map(_memory, mine)))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, from the state on; [] once it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else -1


def _cpu(pid: int | None) -> float:
    fields = [] if pid is None else _stat(pid)
    ticks = int(fields[11]) + int(fields[12]) if fields else 0
    return float(ticks / os.sysconf("SC_CLK_TCK"))


def _memory(pid: int) -> float:
    """MB. A page that n processes share counts as 1/n for each."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
