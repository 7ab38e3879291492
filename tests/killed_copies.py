"""Applies or undoes a run on `disk_store`, and kills itself at a given step: started by
test_store_kills.py as `python -m tests.killed_copies apply|undo RECORD STEP`."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from tests import disk_store
from zeroshelf.actions import apply, undo
from zeroshelf.actions.journal import Journal


def main(what: str, record: str, step: int) -> None:
    disk_store.register()
    steps, lock = itertools.count(), threading.Lock()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        """Each call is two steps: before and after."""

        def call(*given: Any, **named: Any) -> Any:
            at()
            found = function(*given, **named)
            at()
            return found

        return call

    def at() -> None:
        with lock:
            if next(steps) == step:
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    for owner, name in (
        (disk_store.DiskStore, "cp_file"),
        (disk_store.DiskStore, "rm_file"),
        (Journal, "sync"),
    ):
        setattr(owner, name, counted(getattr(owner, name)))
    {"apply": apply.carry_out, "undo": undo.carry_out}[what](record, lambda outcome: None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
