"""Waiting for another thread, process or browser: as long as a hang, never as long as a guess.

A machine may be busy with other things, so no test passes or fails by how long something took.
What must be bounded is counted instead (see `counting`). `HANG` only ends what never comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

HANG = 300.0  # seconds


def until(condition: Callable[[], object]) -> None:
    """Return as soon as `condition` is true."""
    end = time.monotonic() + HANG
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.002)
