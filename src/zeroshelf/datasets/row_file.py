"""Tables of numbers in files, of which only some rows are in memory at once.

The rows are read and not mapped: mapped pages count as the process's memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt


class RowFile:
    """(N, C) numbers in an open file, without a header.

    file: open for reading, and for writing where rows are written; unbuffered.
    kind: the type of the numbers. columns: C.
    """

    def __init__(self, file: BinaryIO, kind: npt.DTypeLike, columns: int) -> None:
        self._file, self.dtype, self._columns = file, np.dtype(kind), columns
        self._width = columns * self.dtype.itemsize  # bytes of a row

    def __len__(self) -> int:
        return os.fstat(self._file.fileno()).st_size // self._width if self._width else 0

    @property
    def shape(self) -> tuple[int, int]:
        """(N, C)."""
        return len(self), self._columns

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        """The rows of a slice without a step, or of an array of row numbers."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            found = np.empty((max(stop - start, 0), self._columns), self.dtype)
            self._read(start, found)
            return found
        found = np.empty((len(rows), self._columns), self.dtype)
        for place, row in enumerate(np.asarray(rows).tolist()):
            self._read(row, found[place : place + 1])
        return found

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write (B, C) numbers behind those that are there. Raises `OSError`."""
        self.put(len(self), rows)

    def put(self, first: int, rows: npt.NDArray[Any]) -> None:
        """Write (B, C) numbers over the rows from `first` on. Raises `OSError`."""
        self._file.seek(first * self._width)
        data = memoryview(np.ascontiguousarray(rows, self.dtype).tobytes())
        while data:
            data = data[self._file.write(data) :]

    def _read(self, first: int, into: npt.NDArray[Any]) -> None:
        self._file.seek(first * self._width)
        data = memoryview(into.reshape(-1).view(np.uint8).data)
        while data:
            count = self._file.readinto(data)  # type: ignore[attr-defined]
            if not count:
                raise OSError(f"{self._file.name} is shorter than it was")
            data = data[count:]


@contextmanager
def scratch_files(folder: str) -> Iterator[Any]:
    """A function that makes empty tables of float32, of a given number of columns, in files below
    `folder` that are gone at the end."""
    made: list[Any] = []
    try:

        def scratch(columns: int) -> RowFile:
            made.append(tempfile.TemporaryFile(dir=folder, buffering=0))  # noqa: SIM115
            return RowFile(made[-1], np.float32, columns)

        yield scratch
    finally:
        for file in made:
            file.close()
