"""Files that belong to a picture and go where it goes: RAW+JPEG, Live Photos, sidecars."""

from __future__ import annotations

import os
import re
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
_ORIGINAL = re.compile(r"(img_)o(\d+)", re.IGNORECASE)  # IMG_O1234.AAE: the edits of IMG_1234.HEIC


def gather(pictures: Sequence[Picture], others: Sequence[str]) -> tuple[list[Picture], set[str]]:
    """The pictures of one folder with their companions, and which of `others` are such.

    A RAW or film that belongs to a still is no picture of its own any more, and one whose content
    is in a cloud goes along too. Of two stills with one stem both stay pictures; the sidecar
    `a.xmp` goes with the first in `_RANK`.
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
    taken: set[str] = set()
    for path in sorted(others, key=os.fsencode):
        base, suffix = os.path.splitext(_name(path))
        lead_path = None
        if suffix in _BY_NAME:
            lead_path = leader.get(base)
            if lead_path is None:
                name, _, end = base.rpartition(".")
                if "supplemental-metadata".startswith(end):  # which Google cuts short
                    lead_path = leader.get(name)
        if lead_path is None and suffix in _BY_STEM:
            lead_path = lead_of_stem.get(base)
            if lead_path is None and suffix == ".aae":
                lead_path = lead_of_stem.get(_ORIGINAL.sub(r"\1\2", base))
        if lead_path is None and (suffix in _FILM or suffix in kinds.RAW_SUFFIXES):
            still = lead_of_stem.get(base)
            films = _LIVE if suffix in _FILM else _RANK.keys() - {kinds.RAW, kinds.VIDEO}
            lead_path = still if still and formats[still] in films else None
        if lead_path is not None:
            belongs[lead_path].append(path)
            taken.add(path)
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
    >>> renamed("IMG_O1.AAE", "IMG_1.HEIC", "IMG_1 (2).HEIC")
    'IMG_O1 (2).AAE'
    """
    old, new = os.path.splitext(picture)[0], os.path.splitext(new_picture)[0]
    if companion[: len(old)].lower() == old.lower():
        return new + companion[len(old) :]
    return new[:4] + companion[4] + new[4:] + os.path.splitext(companion)[1]  # IMG_O1234.AAE


def _name(path: str) -> str:
    return os.path.basename(path).lower()


def _stem(path: str) -> str:
    return os.path.splitext(_name(path))[0]
