"""Which files have arrived whole, and which pictures can be sorted with all their companions."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from zeroshelf.images import scan
from zeroshelf.records import Folder, Picture, Skipped
from zeroshelf.watch.look import Look, State


class Unchanged:
    """Since when each file is as it is now. Times are seconds of a clock that never goes back."""

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._since: dict[str, tuple[State, float]] = {}

    def see(self, states: Mapping[str, State], now: float) -> None:
        """What a look found. A file that is missing begins anew when it comes back."""
        before = self._since
        self._since = {
            path: before[path] if path in before and before[path][0] == state else (state, now)
            for path, state in states.items()
        }

    def is_whole(self, path: str, now: float) -> bool:
        """Whether two looks, `quiet` seconds apart or more, saw the file in one state."""
        return path in self._since and now - self._since[path][1] >= self._quiet

    def left(self, paths: Collection[str], now: float) -> float | None:
        """Seconds until the first of those files that are not whole yet can be; None where all
        are."""
        rest = [self._quiet - now + self._since[path][1] for path in paths if path in self._since]
        rest = [one for one in rest if one > 0]
        return min(rest) if rest else None


@dataclass(slots=True)
class Ready:
    """What can be done now with the files that are whole."""

    folder: Folder  # the pictures to sort
    others: set[str] = field(default_factory=set)  # files that belong to none of these pictures


def find(
    root: str,
    seen: Look,
    whole: Collection[str],
    fresh: Collection[str],
    done: Collection[str] = (),
) -> Ready:
    """The pictures whose files, companions included, are all in `whole`, and one in `fresh`.

    Reads the first bytes of the files in each folder that has a fresh one.

    fresh: paths of whole files with which nothing was done yet. done: paths of files that are not
    to be sorted (again); a fresh companion of such a picture is one of the `others`.
    """
    pictures: list[Picture] = []
    skipped: list[Skipped] = []
    rest = set(fresh)
    for path in sorted({os.path.dirname(path) for path in fresh}, key=os.fsencode):
        found = scan.Found()
        scan.look_at(seen.folders.get(path, []), root, False, found)
        for picture in found.pictures:
            unit = {picture.path, *picture.companions}
            waiting = not unit <= set(whole) or not _is_as_seen(picture, seen)
            if waiting:
                rest -= unit
            elif not unit.isdisjoint(fresh) and picture.path not in done:
                pictures.append(picture)
                rest -= unit
        skipped += [one for one in found.skipped if one.path in fresh]
    rest -= {one.path for one in skipped}
    pictures.sort(key=lambda picture: os.fsencode(picture.path))
    return Ready(Folder(root, tuple(pictures), tuple(skipped)), rest)


def without(found: Ready, files: Collection[str]) -> Ready:
    """What is left where `files` are done with. A picture whose files are among them in part is
    looked at again later."""
    pictures = (one for one in found.folder.pictures if not {one.path, *one.companions} & {*files})
    skipped = (one for one in found.folder.skipped if one.path not in files)
    folder = replace(found.folder, pictures=tuple(pictures), skipped=tuple(skipped))
    return Ready(folder, found.others - {*files})


def _is_as_seen(picture: Picture, seen: Look) -> bool:
    """False where the file has changed between the look and now."""
    return seen.states[picture.path] == (picture.size, picture.mtime_ns, picture.ctime_ns)
