"""Sequences for millions of records: in memory while they take little, else in a temporary file.

In memory stays only where each record begins, 8 bytes. A record is made anew each time that it is
asked for, so that a loop over all of them needs no more memory than one does.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import IO, Any, TypeVar, overload

from zeroshelf.errors import UserError
from zeroshelf.system import app_folders, file_io, path_spelling

T = TypeVar("T")
MOST = 4_000_000  # bytes that are kept in memory before they go to the file
_AT_ONCE = 64  # records that are read together


class Spooled(Sequence[T]):
    """Reads like a tuple, and equals one with the same records. Only `append` changes it. Several
    threads may read it, and processes forked after it was filled.

    pack: a record -> a tuple of plain values. unpack: such values -> the record. most: bytes that
    are kept in memory. Raises `UserError` where the temporary file can't be written.
    """

    def __init__(
        self,
        pack: Callable[[T], tuple[Any, ...]],
        unpack: Callable[..., T],
        records: Iterable[T] = (),
        *,
        most: int = MOST,
    ) -> None:
        self._pack, self._unpack, self._most = pack, unpack, most
        self._starts = array("Q", [0])  # the byte where each record begins; the last one's end
        self._file: IO[bytes] | None = None
        self._in_file = 0  # how many records it has; those after it are in `_rest`
        self._rest = bytearray()
        self._read: tuple[int, int, bytes | bytearray] = 0, 0, b""  # from, to: read last
        for record in records:
            self.append(record)

    def append(self, record: T) -> None:
        self._rest += pickle.dumps(self._pack(record), pickle.HIGHEST_PROTOCOL)
        self._starts.append(self._starts[self._in_file] + len(self._rest))
        if len(self._rest) >= self._most:
            self._write()

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = _temporary()
                weakref.finalize(self, self._file.close)
            self._file.seek(self._starts[self._in_file])
            view = memoryview(self._rest)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise UserError(
                f"a list of files can't be kept in a temporary file ({error.strerror or error}): "
                "make room, or set ZEROSHELF_CACHE to a folder on another disk"
            ) from error
        self._in_file, self._rest = len(self), bytearray()
        self._read = 0, 0, b""

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        found = range(len(self))[place]
        return self._record(found) if isinstance(found, int) else tuple(map(self._record, found))

    def __iter__(self) -> Iterator[T]:
        return map(self._record, range(len(self)))

    def __reversed__(self) -> Iterator[T]:
        return map(self._record, reversed(range(len(self))))

    def _record(self, number: int) -> T:
        first, last, data = self._read
        if not first <= number < last:
            first, last, data = self._read = self._around(number)
        starts = self._starts
        at = starts[first]
        return self._unpack(*pickle.loads(data[starts[number] - at : starts[number + 1] - at]))

    def _around(self, number: int) -> tuple[int, int, bytes | bytearray]:
        """The records around that one: the first, the one after the last, and their bytes."""
        if self._file is None or number >= self._in_file:
            return self._in_file, len(self), self._rest
        first = number - number % _AT_ONCE
        last = min(first + _AT_ONCE, self._in_file)
        at, end = self._starts[first], self._starts[last]
        return first, last, file_io.read_at(self._file.fileno(), end - at, at)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (tuple, Spooled)):
            return NotImplemented
        return self is other or (
            len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        )

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also one in another process, is a tuple."""
        return tuple, (tuple(self),)


def records(kind: type[T], given: Iterable[T] = (), *, most: int = MOST) -> Spooled[T]:
    """Records of a dataclass."""
    return Spooled(values_of(kind), kind, given, most=most)


def values_of(kind: type[T]) -> Callable[[T], tuple[Any, ...]]:
    """A function: a record of a dataclass with several fields -> the values of its fields."""
    return attrgetter(*(field.name for field in fields(kind)))  # type: ignore[arg-type]


def in_order(
    given: Iterable[T],
    path_of: Callable[[T], str],
    pack: Callable[[T], tuple[Any, ...]],
    unpack: Callable[..., T],
) -> Spooled[T]:
    """Records in the order of their paths, those with the same path in the order in which they
    came. Only where they don't come so already are all paths in memory at once."""
    kept, before, ordered = Spooled(pack, unpack), "", True
    for record in given:
        key = path_spelling.in_order(path_of(record))
        ordered, before = ordered and before <= key, key
        kept.append(record)
    if ordered:
        return kept
    keys = [path_spelling.in_order(path_of(record)) for record in kept]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return Spooled(pack, unpack, map(kept.__getitem__, order))


def _temporary() -> IO[bytes]:
    """Beside the cache: the system's folder for temporary files is in memory on many a Linux."""
    try:
        folder = app_folders.cache()
        os.makedirs(folder, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    except (OSError, UserError):
        return tempfile.TemporaryFile(buffering=0)
