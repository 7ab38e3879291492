"""One run at a time on a folder, and on any folder inside it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import IO

from zeroshelf.errors import UserError
from zeroshelf.files import places

if sys.platform == "win32":
    import msvcrt

    def _try(file: IO[bytes], wait: bool = False) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try(file: IO[bytes], wait: bool = False) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def hold(locks: str, run: str, *folders: str) -> Iterator[None]:
    """Raises `UserError` while another run works on one of `folders`, above or below it.

    Every run holds a file in the folder `locks` locked; the system lets go when a process ends,
    however it ends. A file that nobody holds is what a killed run left.
    """
    os.makedirs(locks, exist_ok=True)
    mine = [os.path.realpath(folder) for folder in folders]
    path = os.path.join(locks, f"{run}-{os.getpid()}.lock")
    with open(os.path.join(locks, "gate"), "ab") as gate:
        _try(gate, wait=True)
        for name in sorted(os.listdir(locks)):
            other = os.path.join(locks, name)
            busy = _busy_folder(other, mine) if name.endswith(".lock") else None
            if busy:
                raise UserError(f"another run is at work in {busy}: wait until it is done")
        held = open(path, "wb")  # noqa: SIM115  # held open until the run ends
        _try(held)
        held.write(json.dumps(mine).encode())
        held.flush()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
        held.close()


def _busy_folder(path: str, mine: list[str]) -> str | None:
    """The folder in `path`'s lock that meets one of `mine`, while somebody holds that lock."""
    try:
        with open(path, "r+b") as file:
            if _try(file):
                os.unlink(path)
                return None
            theirs = json.loads(file.read() or b"[]")
    except (OSError, ValueError):
        return None
    for folder in theirs:
        for own in mine:
            if places.overlap(folder, own):
                return str(folder)
    return None
