"""One run at a time on a folder, and on any folder inside it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import warnings
from collections.abc import Iterator

from zeroshelf.errors import UserError
from zeroshelf.system import file_versions, folder_identity, machine, uris

with warnings.catch_warnings():  # where a system has no locks of its own, a marker file serves
    warnings.filterwarnings("ignore", "only soft file lock")
    from filelock import BaseFileLock, FileLock, Timeout, has_fcntl

# Marker files have names of their own: who makes them takes a file that a lock left for a lock.
_MARKERS = not has_fcntl and not machine.WINDOWS
_LOCK, _GATE = (".marker", "gate.markers") if _MARKERS else (".lock", "gate")
_LONGEST = 60  # seconds that a look at the locks may take


@contextlib.contextmanager
def hold(locks: str, run: str, *folders: str) -> Iterator[None]:
    """Hold `folders` for the run `run` while the block is at work. Raises `UserError` while another
    run has locked one of them, or a folder above or below it.

    Every run locks a file of its own in the folder `locks`, and lists its folders in a file beside
    it, because a locked file can't be read on Windows. The system releases a lock when its process
    ends, however it ends; the files of a killed run are removed here. A process that reads the
    locks of others, or makes one, locks the file "gate" meanwhile.
    """
    os.makedirs(locks, exist_ok=True)
    mine = [one if uris.is_uri(one) else os.path.realpath(one) for one in folders]
    path = os.path.join(locks, f"{run}-{os.getpid()}-{secrets.token_hex(4)}{_LOCK}")
    own = _lock(path)
    with _gate(os.path.join(locks, _GATE)):
        for name in sorted(os.listdir(locks)):
            other = os.path.join(locks, name)
            busy = _busy_folder(other, mine) if name.endswith(_LOCK) else None
            if busy:
                raise UserError(f"another run is working in {busy}: wait until it ends")
        with open(_list_of(path), "w", encoding="ascii") as file:
            json.dump(file_versions.LOCK.header | {"folders": mine}, file)
        try:
            own.acquire(timeout=0)
        except BaseException:
            _remove(path)
            raise
    try:
        yield
    finally:
        own.release()
        _remove(path)


@contextlib.contextmanager
def _gate(path: str) -> Iterator[None]:
    gate = _lock(path)
    try:
        gate.acquire(timeout=_LONGEST)
    except Timeout:
        raise UserError(
            f"another process has locked {path}: wait until it ends, or remove the file if there "
            "is no such process"
        ) from None
    try:
        yield
    finally:
        gate.release()


def _lock(path: str) -> BaseFileLock:
    # not of one thread: a page may end in another thread than it began in
    return FileLock(path, thread_local=False)


def _list_of(path: str) -> str:
    """The file that lists the folders of the lock at `path`."""
    return path.removesuffix(_LOCK) + ".json"


def _remove(path: str) -> None:
    """A lock file that no process has locked, and its list."""
    for gone in (path, _list_of(path)):
        with contextlib.suppress(OSError):
            os.unlink(gone)


def _busy_folder(path: str, mine: list[str]) -> str | None:
    """The folder of `path`'s lock that overlaps one of `mine`; None where it isn't locked."""
    for _ in range(2):
        other = _lock(path)
        try:
            other.acquire(timeout=0)
        except Timeout:
            theirs = _folders(path)
        except OSError:
            return None
        else:
            other.release()
            _remove(path)
            return None
        if theirs is not None:
            return next((t for t in theirs for own in mine if _overlap(t, own)), None)
    return os.path.dirname(path)  # locked, and its folders are unknown: all


def _overlap(one: str, other: str) -> bool:
    if uris.is_uri(one) or uris.is_uri(other):  # a store and a folder never overlap
        return uris.overlap(one, other)
    return folder_identity.overlap(one, other)


def _folders(path: str) -> list[str] | None:
    """Those that the lock at `path` is for; None where that can't be read, as when its holder has
    just let go. Version 0.1.0 wrote them into the lock itself."""
    for file in (_list_of(path), path):
        try:
            with open(file, encoding="ascii") as listed:
                found = json.load(listed)
            if isinstance(found, dict):
                file_versions.LOCK.check(file, found)
                found = found["folders"]
            return [str(folder) for folder in found]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
