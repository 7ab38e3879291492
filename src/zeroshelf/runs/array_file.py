"""A few facts and arrays in one file, read in one go: what was damaged or cut short is noticed.

The file's first line is JSON in ASCII: the version of its format, and the number and the BLAKE3
hash of all bytes that follow. The second line is JSON too: the facts, and the type, shape and place
of each array. The arrays follow, as they lie in memory, little-endian, each at a multiple of 64.

The whole file is read, not mapped: a mapped file that another process cuts short ends this one, and
Windows would not let the file be removed while it is open.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.system import content_hash
from zeroshelf.system.file_versions import FileFormat

_ALIGNED = 64  # bytes

Arrays = Mapping[str, npt.NDArray[Any]]


def write(path: str, of: FileFormat, facts: Mapping[str, object], arrays: Arrays) -> None:
    """Whole or not at all: written beside, then renamed. What a killed process or a full disk left
    beside is removed. facts: what JSON can say. Raises `OSError`."""
    parts = {
        name: np.ascontiguousarray(one, one.dtype.newbyteorder("<")) for name, one in arrays.items()
    }
    table, at = {}, 0
    for name, one in parts.items():
        table[name] = [one.dtype.str, list(one.shape), at]
        at += -(-one.nbytes // _ALIGNED) * _ALIGNED
    pieces = [json.dumps({"facts": facts, "arrays": table}).encode("ascii") + b"\n"]
    for one in parts.values():
        pieces += one.tobytes(), bytes(-one.nbytes % _ALIGNED)
    body = b"".join(pieces)
    head = of.header | {"bytes": len(body), "blake3": content_hash.of_bytes(body).hex()}
    _remove_parts(path)
    beside = f"{path}.{uuid.uuid4().hex[:8]}.part"
    try:
        with open(beside, "wb") as file:
            file.write(json.dumps(head).encode("ascii") + b"\n")
            file.write(body)
        os.replace(beside, path)
    except BaseException:
        _remove_parts(path)
        raise


def _remove_parts(path: str) -> None:
    for beside in glob.iglob(f"{glob.escape(path)}.*.part"):
        with contextlib.suppress(OSError):
            os.remove(beside)


def read(path: str, of: FileFormat) -> tuple[dict[str, Any], Arrays]:
    """The facts and the arrays, which can't be written to.

    Raises:
        OSError: there is no such file, or it can't be read.
        NewerFile: a newer zeroshelf wrote it.
        ValueError: it is not what `write` wrote, whole.
    """
    with open(path, "rb") as file:
        try:
            head = json.loads(file.readline(4096))
            of.check(path, head)
            size, digest = int(head["bytes"]), str(head["blake3"])
        except (KeyError, TypeError, AttributeError) as trouble:
            raise ValueError(f"its first line is damaged ({trouble})") from None
        body = file.read(size + 1)
    if len(body) != size or content_hash.of_bytes(body).hex() != digest:
        raise ValueError("its content is damaged or cut short")
    end = body.index(b"\n") + 1
    said = json.loads(body[:end])
    found = {}
    for name, (kind, shape, at) in said["arrays"].items():
        count = int(np.prod(shape, dtype=np.int64))
        found[name] = np.frombuffer(body, np.dtype(kind), count, end + at).reshape(shape)
    return said["facts"], found
