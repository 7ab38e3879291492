"""What a move leaves behind: files that share a name with a moved picture and don't go along.

It is not known whether they belong to it: an `a.html` beside `a.jpg`, a video of ten minutes,
settings that a program keeps in a folder of its own. So they stay, and are listed.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence

from zeroshelf.counting import counted
from zeroshelf.images.companion_names import beginnings, key
from zeroshelf.records import Action, Picture

NAMED = 3  # files in a line

# Folders beside the pictures in which programs keep what they know of each, by its name: Nikon,
# Silkypix, Capture One, Exposure, ACDSee, Picasa.
_SETTINGS = ("NKSC_PARAM", "SILKYPIX_DS", "CaptureOne", "Exposure Software", "[Originals]",
             ".picasaoriginals")  # fmt: skip
_MOST_DEEP = 2  # folders in those: CaptureOne/Settings/a.jpg.cos


def find(pictures: Iterable[Picture], actions: Sequence[Action]) -> tuple[str, ...]:
    """The paths of what stays, where all of `actions` take some of `pictures` away."""
    places: dict[str, array[int]] = {}  # a folder -> places of its files in `actions`
    for place, action in enumerate(actions):
        places.setdefault(os.path.dirname(action.source), array("L")).append(place)
    left = {
        path
        for folder, here in places.items()
        for path in _alike(folder, [actions[place] for place in here])
    }
    if left:  # of what is left beside them, some may be pictures too
        for picture in pictures:
            left.difference_update((picture.path, *picture.companions))
        left.difference_update(action.source for action in actions)
    return tuple(sorted(left, key=os.fsencode))


def _alike(folder: str, gone: Sequence[Action]) -> Iterator[str]:
    """The paths of a folder's files whose name begins as that of a picture in `gone`, and that
    aren't in it themselves."""
    names: set[str] = set()  # and stems
    for action in gone:
        if action.companion_of is None:
            whole = key(os.path.basename(action.source))
            names.update((whole, os.path.splitext(whole)[0]))
    known = {action.source for action in gone}
    for name, path in _files(folder) if names else ():
        if path not in known and not names.isdisjoint(beginnings(key(name))):
            yield path


def notes(left: Sequence[str]) -> list[str]:
    """What `find` found, in a line."""
    if not left:
        return []
    what = counted(
        len(left),
        "file shares its name with a picture that moves, and stays",
        "files share their name with a picture that moves, and stay",
    )
    return [f"{what}: {_first(left)}"]


def shared_notes(pictures: Sequence[Picture], actions: Sequence[Action]) -> list[str]:
    """A line where files are about two pictures that part, by their place or by a number that one
    of them gets: each goes with the first of the two."""
    sharing = [picture for picture in pictures if picture.shared]
    if not sharing:
        return []
    asked = {path for picture in sharing for path in (picture.path, *picture.shared)}
    target = {action.source: action.target for action in actions if action.source in asked}
    parted: dict[str, None] = {}
    for picture in sharing:
        place, name = os.path.split(target.get(picture.path, picture.path))
        numbered = name != os.path.basename(picture.path)
        for path in picture.shared:
            if numbered or os.path.dirname(target.get(path, path)) != place:
                parted[path] = None
    if not parted:
        return []
    what = counted(
        len(parted),
        "file is about two pictures that part, and goes with the first of them",
        "files are about two pictures that part, and go with the first of them",
    )
    return [f"{what}: {_first(list(parted))}"]


def _first(paths: Sequence[str]) -> str:
    """The names of the first few."""
    names = [os.path.basename(path) for path in paths[:NAMED]]
    return ", ".join(names) + (", ..." if len(paths) > NAMED else "")


def _files(folder: str, deep: int = 0) -> Iterator[tuple[str, str]]:
    """(name, path) of the files of a folder, and of the settings in it. A folder that can't be read
    has none."""
    try:
        with os.scandir(folder) as entries:
            listing = list(entries)
    except OSError:
        return
    for entry in listing:
        if entry.is_file(follow_symlinks=False):
            yield entry.name.removeprefix("._"), entry.path  # macOS keeps "._a.jpg" for a.jpg
        elif (deep or entry.name in _SETTINGS) and deep <= _MOST_DEEP and not entry.is_symlink():
            yield from _files(entry.path, deep + 1)
