"""The digest of a file's content: BLAKE3, 32 bytes. Pictures, cached vectors and files that were
written are all known by it."""

from __future__ import annotations

from typing import Protocol

from blake3 import blake3

_BLOCK = 1 << 20  # bytes that are read at once


class Readable(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int, /) -> bytes | None: ...


def of_bytes(content: bytes) -> bytes:
    """The digest of `content`."""
    return blake3(content).digest()


def of_file(file: Readable) -> bytes:
    """The digest of an open file's content from its position to its end, in bounded memory. Raises
    `OSError` where it can't be read."""
    hasher = blake3()
    while block := file.read(_BLOCK):
        hasher.update(block)
    return hasher.digest()
