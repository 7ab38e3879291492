"""The pictures of a run -> the SHA-1 by which Immich knows their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from blake3 import blake3

from zeroshelf.records import OTHER, Confidence, Progress
from zeroshelf.run.run import Run
from zeroshelf.system import file_io

_CONFIDENT: dict[Confidence, int] = {"unsure": 0, "likely": 1, "sure": 2}
_CHUNK = 1 << 20


@dataclass(slots=True)
class Hashed:
    """The pictures of a run that have a label."""

    labels: dict[str, str] = field(default_factory=dict)  # path now -> label
    checksums: dict[str, str] = field(default_factory=dict)  # path now -> SHA-1 in hex
    left: dict[str, str] = field(default_factory=dict)  # path in the run -> why it has none


def hashed(
    run: Run,
    places: Mapping[str, str],
    least: Confidence = "unsure",
    progress: Progress | None = None,
) -> Hashed:
    """Read each picture that is on the shelf of a label, at least as confident as `least`.

    places: a picture's path in the run -> where the run's plan put it. A file whose content is not
    that of the run any more is left.
    """
    found = Hashed()
    wanted = [
        (decision, digest)
        for decision, digest in zip(run, run.embeddings.digests, strict=True)
        if decision.label != OTHER and _CONFIDENT[decision.confidence] >= _CONFIDENT[least]
    ]
    for count, (decision, digest) in enumerate(wanted, 1):
        before = decision.picture.path
        for path in _candidates(before, places.get(before)):
            answer = _sha1(path, digest)
            if answer is not None:
                found.labels[path], found.checksums[path] = decision.label, answer
                break
        else:
            found.left[before] = "not there any more, or changed since the run"
        if progress:
            progress("reading", count, len(wanted))
    return found


def _candidates(path: str, target: str | None) -> Iterator[str]:
    yield path
    if target is not None and target != path:
        yield target


def _sha1(path: str, digest: bytes) -> str | None:
    """The SHA-1 of a file in hex; None where it can't be read or its BLAKE3 is another."""
    sha1, same = hashlib.sha1(usedforsecurity=False), blake3()
    try:
        descriptor = os.open(path, file_io.READ_FLAGS)
        with open(descriptor, "rb", buffering=0) as file:
            while data := file.read(_CHUNK):
                sha1.update(data)
                same.update(data)
    except OSError:
        return None
    return sha1.hexdigest() if same.digest() == digest else None
