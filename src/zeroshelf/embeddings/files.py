"""Files -> vectors without folder and cache, for programs: `zeroshelf.embed_batch`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from zeroshelf import checks
from zeroshelf.embeddings import compute
from zeroshelf.errors import ArgumentError, Unreadable
from zeroshelf.images import decode
from zeroshelf.records import Encoder

File: TypeAlias = str | os.PathLike[str] | tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """What came of one file."""

    digest: bytes  # BLAKE3 of its content, 32 bytes
    vector: npt.NDArray[np.float16]  # (D,), of length 1
    thumbnail: bytes  # a small JPEG of the picture, or of the first frame
    note: str | None = None  # "cut short: ...", "dark picture" or "blurred picture"


def embed_batch(files: Iterable[File], encoder: Encoder) -> list[EmbeddedFile | Unreadable]:
    """Embed N files at once, in this thread: for programs that bring their own workers.

    files: paths, or pairs of a name (of which the suffix counts: "a.jpg") and the file's content.
    encoder: as `load_model` returns it.

    Returns: N answers in the order of `files`: a vector, or an `Unreadable` that says why there is
    none. The vector of a video or of a document of many pages is the mean over its frames. Vectors
    are in half precision, bit by bit those that `classify` and `index` have.

    Raises `ArgumentError` for an argument of a wrong type; a picture that can't be read never
    raises.
    """
    checks.encoder(encoder, optional=False)
    answers: list[EmbeddedFile | Unreadable] = []
    at: list[int] = []  # of each readable file in `answers`
    read: list[tuple[str, decode.Content]] = []
    digests: list[bytes] = []
    for name, given in checks.each(files, "files", _file, "a list of paths"):
        try:
            content = decode.read(name) if given is None else given
            digests.append(decode.digest(content))
        except Unreadable as trouble:
            answers.append(trouble)
            continue
        at.append(len(answers))
        read.append((os.path.splitext(name)[1].lower(), content))
        answers.append(Unreadable())  # until it is embedded
    made = compute.embed_batch(read, encoder) if read else []
    for row, digest, one in zip(at, digests, made, strict=True):
        if isinstance(one, Unreadable):
            answers[row] = one
            continue
        assert one.derived is not None  # always made with the vector
        answers[row] = EmbeddedFile(digest, one.vector, one.derived.thumbnail, one.derived.note)
    return answers


def _file(value: object, what: str) -> tuple[str, decode.Content | None]:
    """A name and its content; None for a path, whose file is to be read."""
    if not isinstance(value, tuple):
        return checks.path(value, what), None
    if len(value) != 2 or not isinstance(value[1], bytes):
        raise ArgumentError(f'{what} must be a path, or a pair ("a.jpg", b"its content")')
    return checks.path(value[0], what), value[1]
