"""Work in the background: it goes on whether or not a page is open, and a page that comes back
asks how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from zeroshelf.errors import UserError
from zeroshelf.records import Progress

Work = Callable[[Progress], str]  # what it returns is the job's result


@dataclass(frozen=True, slots=True)
class Job:
    """How far some work is."""

    kind: str  # "look", "read", "plan", "apply", "undo", "model", "cache"
    about: str  # the folder, run or model
    state: Literal["running", "done", "failed", "stopped"]
    stage: str = ""  # as the work names it: "embedding"
    done: int = 0
    total: int = 0  # 0 if unknown
    result: str = ""  # of one that is done: the id of the new run
    error: str = ""  # of one that failed: one line for the user
    number: int = 0  # jobs begun before it: one that ends between two looks of a page is a new one


_GROUPS = {
    "look": "folder", "read": "folder", "plan": "folder", "apply": "files", "undo": "files",
    "model": "model", "cache": "cache",
}  # fmt: skip


class Stopped(Exception):
    """Raised out of `Progress` in work that the user stopped."""


class Jobs:
    """The newest job of each kind. Two jobs of one group never run at the same time: what reads the
    open folder is one group, what changes files another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopping: set[str] = set()
        self._begun = 0
        self._threads: dict[str, threading.Thread] = {}
        self.now: dict[str, Job] = {}

    def start(self, kind: str, about: str, work: Work) -> None:
        """Begin `work` in a thread. Raises `UserError` while another one of its group runs."""
        with self._lock:
            group = _GROUPS[kind]
            for other in self.now.values():
                if _GROUPS[other.kind] == group and other.state == "running":
                    raise UserError(f"{_WORDS[other.kind]} {other.about}: wait until that is done")
            for ended in [one for one in self.now if _GROUPS[one] == group]:
                del self.now[ended]
            self._stopping.discard(kind)
            self._begun += 1
            self.now[kind] = Job(kind, about, "running", number=self._begun)
            # a daemon, so that the process can end: nothing is lost, as after a kill
            thread = threading.Thread(target=self._run, args=(kind, work), name=kind, daemon=True)
            self._threads[kind] = thread
            thread.start()

    def running(self, *names: str) -> bool:
        """Whether a job of one of these names runs; without names: any."""
        return any(
            job.state == "running"
            for kind, job in list(self.now.items())
            if not names or kind in names
        )

    def stop(self, kind: str) -> None:
        """Let the job of this kind end at its next step."""
        self._stopping.add(kind)

    def dismiss(self, kind: str) -> None:
        """Forget a job that has ended."""
        with self._lock:
            if kind in self.now and self.now[kind].state != "running":
                del self.now[kind]

    def wait(self, *names: str, tell: Progress = lambda *_: None) -> None:
        """Return when no job of these names runs; `tell` is called with the progress meanwhile."""
        for kind in names:
            while (job := self.now.get(kind)) is not None and job.state == "running":
                tell(job.stage or kind, job.done, job.total)
                time.sleep(0.05)

    def _run(self, kind: str, work: Work) -> None:
        def tell(stage: str, done: int, total: int) -> None:
            if kind in self._stopping:
                raise Stopped
            self.now[kind] = replace(self.now[kind], stage=stage, done=done, total=total)

        try:
            result = work(tell)
            ended = replace(self.now[kind], state="done", result=result)
        except Stopped:
            ended = replace(self.now[kind], state="stopped")
        except (UserError, OSError) as trouble:
            ended = replace(self.now[kind], state="failed", error=str(trouble))
        except Exception as bug:  # shown on the page, which would wait for ever
            error = f"a bug: {type(bug).__name__}: {bug}. Please report it"
            ended = replace(self.now[kind], state="failed", error=error)
        self.now[kind] = ended


_WORDS = {
    "look": "looking through",
    "read": "reading",
    "plan": "planning",
    "apply": "applying",
    "undo": "undoing",
    "model": "getting",
    "cache": "clearing",
}
