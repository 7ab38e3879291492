"""How long a video is, from the header of its MOV or MP4 file. No decoder is needed for that."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from zeroshelf.system import file_io

# Live Photos last 1.5 to 3 seconds, Pixel's and Samsung's motion photos up to 4.
LIVE_SECONDS = 10.0
LIVE_BYTES = 30 << 20  # where no header tells the length
_MOST_BOXES = 64  # at each level: a file of nothing but headers ends some time


def is_live(path: str, size: int) -> bool:
    """True for a video that may be the moving part of a photo: a short one. `size` in bytes."""
    length = seconds(path)
    return size <= LIVE_BYTES if length is None else length <= LIVE_SECONDS


def seconds(path: str) -> float | None:
    """The length; None where the file can't be read or its header doesn't say."""
    try:
        with open(os.open(path, file_io.READ_FLAGS), "rb", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            movie = _box(file, b"moov", 0, end)
            header = movie and _box(file, b"mvhd", *movie)
            if not header:
                return None
            file.seek(header[0])
            content = file.read(32)
            scale, length = struct.unpack_from(
                ">20xIQ" if content[0] else ">12xII", content
            )  # version 1 counts in 64 bits
    except (OSError, struct.error, IndexError):
        return None
    unknown = length in (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # as in videos that are streamed
    return None if unknown or not scale else length / scale


def _box(file: BinaryIO, name: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Where the content of the first box of that name begins and ends."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return None
        file.seek(start)
        head = file.read(16)
        size, kind = struct.unpack_from(">I4s", head)
        content = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            content += 8
        size = size or end - start  # 0: up to the end
        if size < content - start:
            return None
        if kind == name:
            return content, min(start + size, end)
        start += size
    return None
