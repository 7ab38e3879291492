"""Paths -> numbers for millions of paths: about 30 bytes each, where a dict takes 200 and more."""

from __future__ import annotations

from array import array
from functools import lru_cache
from hashlib import blake2b

_BYTES = 16  # of a path's hash: two of a million paths share one with a probability of 1e-27
_LEAST = 64  # slots


class PathTable:
    """A hash table with open addressing that keeps a hash of each path, not the path."""

    def __init__(self) -> None:
        self._hashes = bytearray()  # `_BYTES` for each path, in the order in which they came
        self._numbers = array("I")  # of the same paths
        self._slots = array("I", bytes(4 * _LEAST))  # 0: free; else 1 + the path's place above

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.get(path) is not None

    def get(self, path: str) -> int | None:
        """The number of `path`; None if it has none."""
        place = self._slots[self._slot(_hash(path))]
        return self._numbers[place - 1] if place else None

    def put(self, path: str, number: int) -> int | None:
        """Give `path` a number, 0 to 2**32 - 1; returns the one that it had before, if any."""
        hashed = _hash(path)
        slot = self._slot(hashed)
        if place := self._slots[slot]:
            before = self._numbers[place - 1]
            self._numbers[place - 1] = number
            return before
        self._hashes += hashed
        self._numbers.append(number)
        self._slots[slot] = len(self._numbers)
        if 3 * len(self._numbers) > 2 * len(self._slots):
            self._grow()
        return None

    def _slot(self, hashed: bytes) -> int:
        """The slot of a path, or the free one where it belongs."""
        slots, hashes = self._slots, self._hashes
        last = len(slots) - 1  # a power of 2 less 1
        slot = int.from_bytes(hashed[:8], "little") & last
        while place := slots[slot]:
            if hashes[_BYTES * (place - 1) : _BYTES * place] == hashed:
                break
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        count, hashes = len(self._numbers), self._hashes
        last = 2 * len(self._slots) - 1
        self._slots = slots = array("I", bytes(4 * (last + 1)))
        for place in range(count):
            start = _BYTES * place
            slot = int.from_bytes(hashes[start : start + 8], "little") & last
            while slots[slot]:
                slot = (slot + 1) & last
            slots[slot] = place + 1


@lru_cache(maxsize=64)  # the names of a picture are asked for several times
def _hash(path: str) -> bytes:
    return blake2b(path.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()
