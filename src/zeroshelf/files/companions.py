"""Files that belong to a picture and go where it goes: RAW+JPEG, Live Photos, sidecars."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from zeroshelf.files import kinds
from zeroshelf.records import Picture

# Which picture of one stem leads. What a phone or camera shows comes before its RAW.
_RANK = {"HEIF": 0, "JPEG": 1, "AVIF": 2, "JXL": 3, "PNG": 4, "WEBP": 5, "TIFF": 6, "BMP": 7,
         "GIF": 8, kinds.RAW: 9, kinds.VIDEO: 10}  # fmt: skip
_LIVE = {"HEIF", "JPEG"}  # the still of a Live Photo or a motion photo
_BY_STEM = {".xmp", ".aae", ".thm", ".pp3", ".dop"}  # a.xmp beside a.cr2
_BY_NAME = {".xmp", ".pp3", ".dop", ".json"}  # a.cr2.xmp beside a.cr2; .json: Google's export
_FILM = {".mov", ".mp4"}


def gather(pictures: Sequence[Picture], others: Sequence[str]) -> tuple[list[Picture], int]:
    """The pictures of one folder with their companions, and how many of `others` are such.

    A RAW or film that belongs to a still is no picture of its own any more. Of two stills with one
    stem both stay pictures; the sidecar `a.xmp` goes with the first in `_RANK`.
    """
    by_stem: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_stem[_stem(picture.path)].append(picture)
    belongs: dict[str, list[str]] = defaultdict(list)  # leading picture -> companions
    leader: dict[str, str] = {}  # lower-case name of any file of the unit -> leading picture
    lead_of_stem: dict[str, str] = {}
    absorbed: set[str] = set()
    for stem, group in by_stem.items():
        group.sort(key=lambda p: (_RANK.get(p.format, 99), os.fsencode(p.path)))
        lead = group[0]
        lead_of_stem[stem] = lead.path
        for picture in group:
            goes_along = picture is not lead and (
                (picture.format == kinds.RAW and lead.format != kinds.RAW)
                or (picture.format == kinds.VIDEO and lead.format in _LIVE)
            )
            if goes_along:
                belongs[lead.path].append(picture.path)
                absorbed.add(picture.path)
            leader[_name(picture.path)] = lead.path if goes_along else picture.path
    formats = {picture.path: picture.format for picture in pictures}
    taken = 0
    for path in sorted(others, key=os.fsencode):
        base, suffix = os.path.splitext(_name(path))
        lead_path = None
        if suffix in _BY_NAME:
            lead_path = leader.get(base)
            if lead_path is None and base.endswith(".supplemental-metadata"):
                lead_path = leader.get(base.removesuffix(".supplemental-metadata"))
        if lead_path is None and suffix in _BY_STEM:
            lead_path = lead_of_stem.get(base)
        if lead_path is None and suffix in _FILM:
            still = lead_of_stem.get(base)
            lead_path = still if still and formats[still] in _LIVE else None
        if lead_path is not None:
            belongs[lead_path].append(path)
            taken += 1
    kept = [
        replace(p, companions=tuple(sorted(belongs[p.path], key=os.fsencode)))
        if p.path in belongs
        else p
        for p in pictures
        if p.path not in absorbed
    ]
    return kept, taken


def renamed(companion: str, picture: str, new_picture: str) -> str:
    """The companion's new name: the picture's new stem, and the rest as it was.

    >>> renamed("IMG_1.cr2.xmp", "IMG_1.jpg", "IMG_1 (2).jpg")
    'IMG_1 (2).cr2.xmp'
    """
    return os.path.splitext(new_picture)[0] + companion[len(os.path.splitext(picture)[0]) :]


def _name(path: str) -> str:
    return os.path.basename(path).lower()


def _stem(path: str) -> str:
    return os.path.splitext(_name(path))[0]
