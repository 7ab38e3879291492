"""The digest of a model's files: what tells one model's embeddings from another's in the cache.

Hashing a gigabyte takes a second, so the digest of a large file is remembered with its size and
times, in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3

from zeroshelf.system import app_folders
from zeroshelf.system.file_versions import MODEL_DIGESTS, NewerFile

LARGE = 50_000_000  # bytes; smaller files are hashed each time, in milliseconds
FILE = "model-digests.json"


def of(files: Iterable[Path], settings: str) -> str:
    """BLAKE3 over the contents of `files`, in their order, and over `settings`."""
    memory = _Memory()
    total = blake3(settings.encode())
    for file in files:
        total.update(bytes.fromhex(memory.digest(file)))
    memory.keep()
    return total.hexdigest()


class _Memory:
    """What the last runs hashed. A memory that can't be read or written only costs time; one that a
    newer zeroshelf wrote is neither used nor overwritten."""

    def __init__(self) -> None:
        self._file = Path(app_folders.cache(), FILE)
        self._new = False
        self._is_newer = False
        self._known: dict[str, str] = {}
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
            MODEL_DIGESTS.check(str(self._file), known)
            known.pop(MODEL_DIGESTS.key, None)
            self._known = dict(known)
        except NewerFile:
            self._is_newer = True
        except (OSError, ValueError, AttributeError):
            pass  # it is made anew

    def digest(self, file: Path) -> str:
        at = file.stat()
        key = f"{file.resolve()} {at.st_size} {at.st_mtime_ns} {at.st_ctime_ns}"
        known = self._known.get(key)
        if known is None:
            hasher = blake3(max_threads=blake3.AUTO)
            hasher.update_mmap(file)
            known = hasher.hexdigest()
            if at.st_size >= LARGE:
                self._known[key], self._new = known, True
        return known

    def keep(self) -> None:
        if not self._new or self._is_newer:
            return
        partial = self._file.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(MODEL_DIGESTS.header | self._known), encoding="utf-8")
            partial.replace(self._file)
