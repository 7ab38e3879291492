"""The files that are no pictures, counted by file type, so that every file is accounted for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from zeroshelf.counting import counted
from zeroshelf.images import formats
from zeroshelf.images.codecs import optional

NAMED = 6  # file types in one line; the rest is counted together
_MOST_TYPES = 50  # in a record: there could be as many suffixes as files
_OTHER = "other"

_VIDEO_SUFFIXES = """.3g2 .3gp .360 .asf .avi .braw .divx .dv .f4v .flv .insv .lrf .lrv .m2t .m2ts
    .m2v .m4v .mkv .mod .mov .mp .mp4 .mpe .mpeg .mpg .mts .mxf .ogm .ogv .qt .r3d .rm .rmvb .tod
    .ts .vob .webm .wmv"""
_VIDEOS = frozenset(_VIDEO_SUFFIXES.split())
_SUFFIX = re.compile(r"\.[a-z0-9_+-]{1,8}")


def kind_of(path: str, head: bytes = b"") -> str:
    """A short name: "PDF", "MTS video", or "other" where the name ends in nothing known."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".ts" and head[:1] != b"G":  # TypeScript
        return "TS"
    if suffix in _VIDEOS:
        return f"{suffix[1:].upper()} video"
    return suffix[1:].upper() if _SUFFIX.fullmatch(suffix) else _OTHER


def is_video(kind: str) -> bool:
    return kind.endswith(" video")


def counted_by(tally: Mapping[str, int]) -> dict[str, int]:
    """The same, the most frequent first, with what is rare among many types as "other"."""
    most = sorted(tally.items(), key=lambda item: (item[0] == _OTHER, -item[1], item[0]))
    kept, rest = dict(most[:_MOST_TYPES]), most[_MOST_TYPES:]
    if rest:
        kept[_OTHER] = kept.get(_OTHER, 0) + sum(number for _, number in rest)
    return kept


def line(counts: Mapping[str, int]) -> str | None:
    """One line for the user, naming the extra that reads some of them; None for no files."""
    if not counts:
        return None
    known = [(kind, number) for kind, number in counts.items() if kind != _OTHER]
    words = [
        counted(number, kind) if is_video(kind) else f"{number:,} {kind}"
        for kind, number in known[:NAMED]
    ]
    rest = sum(number for _, number in known[NAMED:]) + counts.get(_OTHER, 0)
    if rest:
        words.append(counted(rest, "other", "other"))
    readable = [
        kind for kind, _ in known if f".{kind.split()[0].lower()}" in formats.VIDEO_SUFFIXES
    ]
    words_for_video = ", ".join(kind.split()[0] for kind in readable)
    advice = ""
    if readable and not optional.has(formats.VIDEO):
        advice = f" ({optional.advice(formats.VIDEO, words_for_video)})"
    return f"Not pictures, left where they are: {', '.join(words)}{advice}"


def left_out_line(counts: Mapping[str, int]) -> str | None:
    """The same for what was left out, by reason."""
    if not counts:
        return None
    return f"Left out: {'; '.join(f'{reason} {number:,}' for reason, number in counts.items())}"
