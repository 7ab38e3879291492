"""Glob patterns of what a scan leaves out."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from zeroshelf.system import machine, path_spelling


class Excluder:
    """Matches paths below the root with glob patterns, and remembers which never matched."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = {pattern: _regex(pattern) for pattern in patterns}
        self._unmatched = dict.fromkeys(patterns)
        names = [regex for p, regex in self._patterns.items() if not _is_of_path(p)]
        paths = [regex for p, regex in self._patterns.items() if _is_of_path(p)]
        self._case = re.IGNORECASE if machine.WINDOWS else re.NOFLAG
        self._name = re.compile("|".join(names) or r"(?!)", self._case)
        self._path = re.compile("|".join(paths) or r"(?!)", self._case)

    def __call__(self, path: str) -> bool:
        if not self._patterns:
            return False
        slashed = path_spelling.slashed(path)
        name = slashed.rpartition("/")[2]
        if not (self._name.match(name) or self._path.match(slashed)):
            return False
        for pattern in tuple(self._unmatched):
            held = slashed if _is_of_path(pattern) else name
            if re.match(self._patterns[pattern], held, self._case):
                del self._unmatched[pattern]
        return True

    def unmatched(self) -> tuple[str, ...]:
        return tuple(self._unmatched)


def _regex(pattern: str) -> str:
    return fnmatch.translate(path_spelling.slashed(pattern).strip("/"))


def _is_of_path(pattern: str) -> bool:
    return "/" in path_spelling.slashed(pattern).strip("/")
