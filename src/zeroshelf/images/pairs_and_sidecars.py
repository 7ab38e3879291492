"""Companions, the files that belong to a picture and go where it goes: pairs such as RAW+JPEG, Live
Photos, sidecars, backups.

The relation is in the names alone, for that is how other programs find them again. `gather` finds
the companions, and `renamed` gives them new names when their picture is renamed.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zeroshelf.images import formats, google_takeout, video_length
from zeroshelf.images.companion_names import key, renamed
from zeroshelf.records import Picture

__all__ = ["gather", "renamed"]

# Which picture of one stem leads. What a phone or camera shows comes before its RAW.
_RANK = {"HEIF": 0, "JPEG": 1, "AVIF": 2, "JXL": 3, "PNG": 4, "WEBP": 5, "TIFF": 6, "BMP": 7,
         "GIF": 8, formats.RAW: 10, formats.VIDEO: 11, formats.UNREAD_VIDEO: 12}  # fmt: skip
_OTHERS_RANK = 9
_NO_STILLS = {formats.RAW, formats.VIDEO, formats.UNREAD_VIDEO}
_LIVE = {"HEIF", "JPEG"}  # the still of a Live Photo or a motion photo
LIVE_SUFFIXES = {".mov", ".mp4", ".m4v", ".qt"}

# What other programs keep beside a picture `a.jpg`, as `a.xmp` or as `a.jpg.xmp`.
_SIDECAR_SUFFIXES = """
    .xmp .aae .acr .pp3 .arp .dop .vrd .dr4 .on1 .nksc .nxd .cos .cop .cof .cot .rrdata .spd .ufraw
    .rpp .lmask .photo-edit .cfg .exv .mie .wav .mp3 .m4a .amr .ctg .modd .moff
    .txt .json .xml .csv .caption .captions .tags .npz .yaml .yml"""
_SIDECARS = frozenset(_SIDECAR_SUFFIXES.split())
_OF_VIDEOS = frozenset([".thm", ".lrv", ".lrf", ".srt", ".vtt", ".sub", ".idx"])  # of a video first
_BACKUPS = ("_original", "~", ".bak", ".orig", ".old", ".backup")  # exiftool's and editors'

_VERSION = re.compile(r"_\d{2,}$")  # darktable: a_01.jpg.xmp is the second version of a.jpg
_ORIGINAL = re.compile(r"(img_)o(\d+)")  # IMG_O1234.AAE: the edits of IMG_1234.HEIC
# Pixel's PXL_1.MP.jpg, PXL_2.MP~2.jpg, PXL_3.MP.COVER.jpg and PXL_4.RAW-01.COVER.jpg, also numbered
_MOTION = re.compile(r"\.mp(~\d+)?( ?\(\d+\))?(?:\.cover)?( \(\d+\))?$")
_PIXEL_RAW = re.compile(r"\.raw-\d+(?:\.mp)?(?:\.cover|\.original)?( \(\d+\))?$")
_LIVE_ENDINGS = ("_hevc", "_live")  # icloudpd: IMG_1_HEVC.MOV
_GOPRO = re.compile(
    r"gl(\d{6}.*)"
)  # GL010123.LRV is the small copy of GX010123.MP4 or GH010123.MP4
_SONY = re.compile(r"m\d\d$")  # C0001M01.XML is about C0001.MP4


@dataclass(slots=True)
class _Unit:
    """A picture with all that goes where it goes, by path."""

    lead: Picture
    along: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)  # about it too, and goes with another one


def gather(
    pictures: Sequence[Picture],
    others: Mapping[str, int],
    is_live: Callable[[str, int], bool] = video_length.is_live,
) -> tuple[list[Picture], set[str]]:
    """The pictures of one folder with their companions, and which of `others` are such.

    `pictures` includes the videos, also those that can't be read; `others` are all other files,
    with their size in bytes. A RAW, a video or a backup that belongs to another picture is no
    picture of its own any more. Of two stills with one stem both stay pictures: what is about the
    stem goes with the first in `_RANK`, and is `shared` by the other. `is_live` tells of a video's
    path and size whether it may be the moving part of a photo.
    """
    found = _Folder(pictures)
    backups = found.set_backups_apart()
    found.join_by_stem(is_live)
    found.join_by_other_names(is_live)
    rest = sorted(others, key=os.fsencode)
    taken = {path for path in rest if found.join_video_or_raw(path, others[path], is_live)}
    rest = [path for path in rest if path not in taken]
    taken |= found.join_google([path for path in rest if path.lower().endswith(".json")])
    taken |= {path for path in rest if path not in taken and found.join_sidecar(path)}
    rest += [picture.path for picture in backups]
    for path in rest:
        if path not in taken and found.join_backup(path):
            taken.add(path)
    found.bring_back(picture for picture in backups if picture.path not in taken)
    return found.units(), taken & others.keys()


class _Folder:
    """The units of one folder while they come together. Names are compared as `key` makes them."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._pictures = sorted(pictures, key=lambda picture: os.fsencode(picture.path))
        self._units: dict[str, _Unit] = {}  # path of the leading picture -> unit
        self._owner: dict[str, _Unit] = {}  # name of any file of a unit -> unit
        self._by_stem: dict[str, list[Picture]] = {}  # of pictures that lead, the first one first
        self._motion: dict[str, _Unit] = {}
        self._raw: dict[str, _Unit] = {}
        self._late: list[Picture] = []  # videos and RAW files whose still may go by another stem

    # --- pictures, videos and RAW files ------------------------------------------------------

    def set_backups_apart(self) -> list[Picture]:
        """Pictures by content that are named like the backup of another file of the folder, or like
        what a camera makes for a video or a picture (.thm)."""
        names = {_name(picture.path): picture for picture in self._pictures}
        stems = {os.path.splitext(name)[0] for name in names if not name.endswith(".thm")}
        apart = {
            picture.path: picture
            for name, picture in names.items()
            if name.endswith((*_BACKUPS, *_OF_VIDEOS))
            and (
                any(name.endswith(end) and name[: -len(end)] in names for end in _BACKUPS)
                or (name[-4:] in _OF_VIDEOS and not stems.isdisjoint(_video_stems(name[:-4])))
            )
        }
        self._pictures = [p for p in self._pictures if p.path not in apart]
        return list(apart.values())

    def join_by_stem(self, is_live: Callable[[str, int], bool]) -> None:
        by_stem: dict[str, list[Picture]] = defaultdict(list)
        for picture in self._pictures:
            stem, suffix = os.path.splitext(_name(picture.path))
            if picture.format == formats.VIDEO and suffix and _is_named_video(suffix):
                self._late.append(picture)
            else:
                by_stem[stem].append(picture)
        for stem, group in by_stem.items():
            group.sort(key=lambda p: (_rank(p), os.fsencode(p.path)))
            lead = group[0]
            unit = self._lead(lead, stem)
            for picture in group:
                if picture is not lead:
                    if _is_raw_of(picture, lead) or _is_video_of(picture, lead, is_live):
                        self._add(unit, picture.path)
                        continue
                    self._lead(picture, stem)
                if picture.format in (formats.RAW, formats.VIDEO):
                    self._late.append(picture)

    def join_by_other_names(self, is_live: Callable[[str, int], bool]) -> None:
        for picture in self._late:
            if picture.format == formats.RAW:
                still = self._raw.get(_PIXEL_RAW.sub(r"\1", _stem(picture.path)))
            else:
                still = self._still_of_video(picture.path, picture.size, is_live)
            if still is not None:
                self._unlead(picture)
                self._add(still, picture.path)
            elif picture.path not in self._units:
                self._lead(picture, _stem(picture.path))

    def join_video_or_raw(self, path: str, size: int, is_live: Callable[[str, int], bool]) -> bool:
        """The same for files whose content tells nothing: it is in a cloud, or broken."""
        stem, suffix = os.path.splitext(_name(path))
        if suffix in formats.RAW_SUFFIXES:
            leads = self._by_stem.get(stem, ())
            stills = [p for p in leads if p.format not in _NO_STILLS]
            unit = self._units[stills[0].path] if stills else None
        elif suffix in LIVE_SUFFIXES:
            unit = self._still_of_video(path, size, is_live)
        else:
            return False
        return unit is not None and self._add(unit, path)

    def _still_of_video(
        self, path: str, size: int, is_live: Callable[[str, int], bool]
    ) -> _Unit | None:
        name = _name(path)
        stem, suffix = os.path.splitext(name)
        stems = [name, stem, *(stem.removesuffix(end) for end in _LIVE_ENDINGS)]
        stills = [p for s in stems for p in self._by_stem.get(s, ()) if p.format in _LIVE]
        unit = self._units[stills[0].path] if stills else None
        if unit is None:  # PXL_1.MP4 or PXL_1.MP beside PXL_1.MP.jpg or PXL_1.MP.COVER.jpg
            unit = self._motion.get(_motion_key(name)) or self._motion.get(_motion_key(stem))
        if unit is None or _is_named_video(suffix) or _stem(unit.lead.path) == name:
            return unit
        return unit if suffix in LIVE_SUFFIXES and is_live(path, size) else None

    # --- sidecars ---------------------------------------------------------------------------

    def join_google(self, paths: Sequence[str]) -> set[str]:
        """JSON files as Google Takeout names them, and those of other programs by name or stem."""
        by_name = {_name(path): path for path in paths}
        media = sorted(self._owner, key=lambda name: (_rank(self._owner[name].lead), name))
        found = google_takeout.matches(by_name, media) if by_name else {}
        edited: dict[str | None, list[_Unit]] = defaultdict(list)  # name of the original -> copies
        for unit in self._units.values() if found else ():
            edited[google_takeout.original_of(_name(unit.lead.path))].append(unit)
        for name, owner in found.items():
            self._add(self._owner[owner], by_name[name])
            for copy in edited.get(owner, ()):
                copy.shared.append(by_name[name])
        return {by_name[name] for name in found}

    def join_sidecar(self, path: str) -> bool:
        base, suffix = os.path.splitext(_name(path))
        unit = self._owner.get(base)  # a.jpg.xmp, and whatever else has the whole name in front
        if unit is None and suffix not in _SIDECARS and suffix not in _OF_VIDEOS:
            return False
        if unit is None and suffix == ".xmp":
            stem, inner = os.path.splitext(base)
            unit = self._owner.get(_VERSION.sub("", stem) + inner)  # a_01.jpg.xmp
        if unit is None and (leads := self._leads_of(base, suffix)):
            unit = self._units[leads[0].path]  # a.xmp
            for other in leads[1:]:
                if other.format not in _NO_STILLS and suffix not in _OF_VIDEOS:
                    self._units[other.path].shared.append(path)
        return unit is not None and self._add(unit, path)

    def _leads_of(self, stem: str, suffix: str) -> list[Picture]:
        if suffix in _OF_VIDEOS:
            leads = [p for s in _video_stems(stem) for p in self._by_stem.get(s, ())]
            return sorted(
                leads, key=lambda p: p.format not in (formats.VIDEO, formats.UNREAD_VIDEO)
            )
        if suffix == ".aae" and stem not in self._by_stem:
            stem = _ORIGINAL.sub(r"\1\2", stem)
        if suffix == ".xml" and stem not in self._by_stem:
            stem = _SONY.sub("", stem)
        return self._by_stem.get(stem, [])

    def join_backup(self, path: str) -> bool:
        """`a.jpg_original` beside `a.jpg`, and thumbnails that are pictures by their content."""
        name = _name(path)
        for end in _BACKUPS:
            unit = self._owner.get(name[: -len(end)]) if name.endswith(end) else None
            if unit is not None:
                return self._add(unit, path)
        return os.path.splitext(name)[1] in _OF_VIDEOS and self.join_sidecar(path)

    # --- inside -----------------------------------------------------------------------------

    def bring_back(self, pictures: Iterator[Picture]) -> None:
        for picture in pictures:
            self._lead(picture, _stem(picture.path))

    def units(self) -> list[Picture]:
        return [
            unit.lead
            if not unit.along and not unit.shared
            else replace(
                unit.lead,
                companions=tuple(sorted(unit.along, key=os.fsencode)),
                shared=tuple(sorted(unit.shared, key=os.fsencode)),
            )
            for unit in sorted(self._units.values(), key=lambda unit: os.fsencode(unit.lead.path))
        ]

    def _lead(self, picture: Picture, stem: str) -> _Unit:
        unit = _Unit(picture)
        self._units[picture.path] = self._owner[_name(picture.path)] = unit
        self._by_stem.setdefault(stem, []).append(picture)
        if picture.format in _LIVE:
            if _MOTION.search(stem):
                self._motion.setdefault(_motion_key(stem), unit)
            if _PIXEL_RAW.search(stem):
                self._raw.setdefault(_PIXEL_RAW.sub(r"\1", stem), unit)
        return unit

    def _unlead(self, picture: Picture) -> None:
        if self._units.pop(picture.path, None) is not None:
            del self._owner[_name(picture.path)]
            self._by_stem[_stem(picture.path)].remove(picture)

    def _add(self, unit: _Unit, path: str) -> bool:
        unit.along.append(path)
        self._owner.setdefault(_name(path), unit)
        return True


def _is_raw_of(picture: Picture, lead: Picture) -> bool:
    return picture.format == formats.RAW and lead.format not in _NO_STILLS


def _is_video_of(video: Picture, still: Picture, is_live: Callable[[str, int], bool]) -> bool:
    """Of two with one stem."""
    if video.format != formats.VIDEO or still.format not in _LIVE:
        return False
    suffix = os.path.splitext(video.path)[1].lower()
    return _is_named_video(suffix) or (suffix in LIVE_SUFFIXES and is_live(video.path, video.size))


def _is_named_video(suffix: str) -> bool:
    """The end of a name that only a motion photo's video has: PXL_1.MP, PXL_2.MP~2, MVIMG_3."""
    return not suffix or _MOTION.fullmatch(suffix) is not None


def _motion_key(stem: str) -> str:
    """`pxl_1` of pxl_1.mp and pxl_1.mp.cover, `pxl_2~2` of pxl_2.mp~2."""
    return _MOTION.sub(r"\1\2\3", stem)


def _video_stems(stem: str) -> tuple[str, ...]:
    """The stems of videos that a video's small copy or thumbnail may belong to."""
    gopro = _GOPRO.match(stem)
    return (stem, f"gx{gopro[1]}", f"gh{gopro[1]}") if gopro else (stem,)


def _rank(picture: Picture) -> int:
    return _RANK.get(picture.format, _OTHERS_RANK)


def _name(path: str) -> str:
    return key(os.path.basename(path))


def _stem(path: str) -> str:
    return os.path.splitext(_name(path))[0]
