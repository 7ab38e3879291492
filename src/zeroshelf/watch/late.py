"""Files that belong to a picture and arrive after it was sorted: they follow it to its shelf.

Which file belongs to which picture is in the names (images/pairs_and_sidecars.py), so the pictures
that runs took from the folder are compared with what is there now as if they had arrived together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from zeroshelf.actions import names
from zeroshelf.images import formats, pairs_and_sidecars, video_length
from zeroshelf.images.companion_names import key
from zeroshelf.records import Action, ActionKind, Picture
from zeroshelf.system import file_names, mounts
from zeroshelf.watch.look import State
from zeroshelf.watch.past_runs import Placed

# A video, a RAW or another picture is of the same shot if their times are no further apart: cameras
# give names again. A sidecar may be as late as it likes.
SAME_SHOT_NS = 24 * 3600 * 1_000_000_000

_STILLS = {
    ".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF", ".jpg": "JPEG", ".jpeg": "JPEG",
    ".jpe": "JPEG", ".avif": "AVIF", ".jxl": "JXL", ".png": "PNG", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Late:
    """A file and the picture whose shelf it follows."""

    path: str
    picture: Placed


def find(
    units: Iterable[Picture],
    others: Iterable[str],
    placed: Mapping[str, Placed],
    states: Mapping[str, State],
    where_now: Callable[[Placed], Placed | None] = lambda one: one,
) -> dict[str, Late]:
    """The files of one folder that belong to a file that was sorted before, by path.

    units: pictures that are ready to be sorted. others: ready files that belong to none of them.
    placed: what runs put on shelves, by its path in the folder. states: of all that is there now.
    where_now: a file as it is on the shelves now, None where none is; asked only of those to
        which something belongs.
    """
    known = {path: one for path, one in placed.items() if _is_that(one, states.get(path))}
    new: dict[str, Picture | None] = dict.fromkeys(others)
    for unit in units:
        new |= dict.fromkeys(unit.companions)
        new[unit.path] = unit
    sizes = {path: states[path][0] for path in new if path in states}
    pictures, rest = [], {}
    for path, size in (*sizes.items(), *((path, one.size) for path, one in known.items())):
        picture = new.get(path)
        format_ = _format(path) if picture is None else picture.format
        if format_ is None:
            rest[path] = size
        else:
            pictures.append(Picture(path, format_, size, 0, 0))
    now = {path: one.target for path, one in known.items()}
    joined, _ = pairs_and_sidecars.gather(
        pictures, rest, lambda path, size: video_length.is_live(now.get(path, path), size)
    )
    found: dict[str, Late] = {}
    for unit in joined:
        files = (unit.path, *unit.companions)
        before = [known[path] for path in files if path in known]
        if before:
            lead = where_now(next((one for one in before if one.companion_of is None), before[0]))
            if lead is None:
                continue
            fresh = [path for path in files if path in sizes and path not in known]
            found |= {path: Late(path, lead) for path in fresh if _fits(path, lead, new, states)}
    return found


def actions(
    late: Iterable[Late], kind: ActionKind, states: Mapping[str, State]
) -> tuple[list[Action], list[Late]]:
    """The actions that put each file beside its picture, under a name that follows the picture's;
    and the files whose name is taken there."""
    made, left = [], []
    taken: set[str] = set()
    for one in late:
        lead = one.picture
        shelf, name = os.path.split(lead.target)
        sources = [os.path.basename(lead.source), os.path.basename(one.path)]
        target = os.path.join(shelf, names.of_unit(sources, name, mounts.rules(shelf))[1])
        if os.path.lexists(target) or file_names.key(target) in taken:
            left.append(one)
            continue
        taken.add(file_names.key(target))
        size, mtime_ns, _ = states[one.path]
        about = lead.companion_of or lead.source
        made.append(Action(kind, one.path, target, lead.label, size, mtime_ns, None, about))
    return made, left


def by_folder(paths: Collection[str]) -> dict[str, list[str]]:
    """Folder -> those of the paths that lie in it, in the order of their bytes."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths, key=os.fsencode):
        found.setdefault(os.path.dirname(path), []).append(path)
    return found


def _is_that(placed: Placed, state: State | None) -> bool:
    """Whether what lies in the folder by the old name of a sorted file, if anything, is its
    original, after a copy, and not another picture."""
    return state is None or state[:2] == (placed.size, placed.mtime_ns)


def _fits(
    path: str,
    picture: Placed,
    new: Mapping[str, Picture | None],
    states: Mapping[str, State],
) -> bool:
    if new[path] is None and _format(path) is None:
        return True  # a sidecar
    return abs(states[path][1] - picture.mtime_ns) <= SAME_SHOT_NS


def _format(path: str) -> str | None:
    """What a file is by the end of its name; None for what is no picture and no video."""
    suffix = os.path.splitext(key(os.path.basename(path)))[1]
    if suffix in formats.RAW_SUFFIXES:
        return formats.RAW
    if suffix in formats.VIDEO_SUFFIXES:
        return formats.VIDEO
    return _STILLS.get(suffix, suffix if suffix in formats.PICTURE_SUFFIXES else None)
