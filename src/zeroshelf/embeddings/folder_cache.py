"""Arrays that were computed of a whole folder's embeddings, in files beside the cache's own file.

A file has a name of its own for each state of a folder, so that it is never changed: the name is a
hash of all that the arrays depend on. Any of them may be deleted at any time; one that can't be
read or written is as good as none.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.system import content_hash

FOLDER = "folders"
MOST_BYTES = 512_000_000  # of all files; those that were not used for longest are removed first
_DAY = 86_400  # seconds

Arrays = Mapping[str, npt.NDArray[Any]]


def load(cache: str, key: bytes) -> Arrays | None:
    """The arrays that `save` wrote under `key`; None where there is no file that can be read.

    cache: the path of the cache's own file. key: stands for all that the arrays depend on.
    """
    path = _path(cache, key)
    try:
        with np.load(path) as file:
            found = {name: file[name] for name in file.files}  # zipfile compares the checksums
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile):
        return None
    with contextlib.suppress(OSError):  # in a folder that can't be written, no use is noted
        if os.path.getmtime(path) < time.time() - _DAY:
            os.utime(path)
    return found


def save(cache: str, key: bytes, arrays: Arrays) -> None:
    """Write the arrays as a whole, or nothing where the folder can't be written or they would take
    more than a quarter of the space for all."""
    if sum(one.nbytes for one in arrays.values()) > MOST_BYTES // 4:
        return
    path = _path(cache, key)
    beside = f"{path}.{uuid.uuid4().hex[:8]}.part"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(beside, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(beside)
        return
    _make_room(cache)


def size(cache: str) -> int:
    """The bytes of all files."""
    return sum(bytes for _, bytes, _ in _files(cache))


def prune(cache: str, unused_days: int) -> None:
    """Remove the files that were not used for so many days (0: all)."""
    for used, _, path in _files(cache):
        if used <= time.time() - unused_days * _DAY or unused_days <= 0:
            _remove(path)


def _make_room(cache: str) -> None:
    """Remove the files that were not used for longest, until the others take `MOST_BYTES`, and what
    a process that was killed has left."""
    files = _files(cache)
    total = sum(bytes for _, bytes, _ in files)
    for used, bytes, path in files:
        abandoned = path.endswith(".part") and used < time.time() - _DAY
        if total > MOST_BYTES or abandoned:
            _remove(path)
            total -= bytes


def _path(cache: str, key: bytes) -> str:
    name = content_hash.of_bytes(key).hex()[:32]
    return os.path.join(os.path.dirname(cache), FOLDER, f"{name}.npz")


def _files(cache: str) -> list[tuple[float, int, str]]:
    """When each file was last used, in seconds since 1970, its bytes and its path; the one that was
    not used for longest first."""
    found = []
    with (
        contextlib.suppress(OSError),
        os.scandir(os.path.join(os.path.dirname(cache), FOLDER)) as (entries),
    ):
        for entry in entries:
            with contextlib.suppress(OSError):  # another process may remove it
                if entry.name.endswith((".npz", ".part")):
                    at = entry.stat()
                    found.append((at.st_mtime, at.st_size, entry.path))
    return sorted(found)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
