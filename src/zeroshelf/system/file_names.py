"""Names that every file system takes, and when two names are the same one.

Linux tells "Café" composed from "Café" decomposed and "A" from "a"; macOS, Windows and most NAS
shares don't. So two names are the same here when they would be the same anywhere.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias, get_args

MAX_BYTES = 255  # of one name on ext4, APFS, NTFS (in UTF-8 no less than theirs)
SHORT = 140  # bytes that encrypting file systems take too: eCryptfs 143, gocryptfs 175
_MAX_LABEL = 120  # of one folder's name: leaves room in paths that Windows cuts at 260

_CHARACTERS = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\]')
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
# zero-width, direction and line separator characters: they make one name look like another
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_NUMBER = re.compile(r" \(([1-9][0-9]{0,8})\)$")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)


def key(name: str) -> str:
    """Equal for names that any common file system takes for the same."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def of_folder(part: str) -> str:
    """A part of a label made the name of one folder, visible and taken by every file system."""
    name = unicodedata.normalize("NFC", part)
    name = _CHARACTERS.sub("_", _NOT_UTF8.sub("_", name))
    name = _INVISIBLE.sub("", name).strip().rstrip(". ")
    if name.startswith("."):
        name = "_" + name.lstrip(".")  # neither "..", nor hidden from the next run
    name = _cut(name, _MAX_LABEL).rstrip(". ") or "_"
    return _not_reserved(name)


# What some file system refuses in a file's name, though others take it.
Fault: TypeAlias = Literal["characters", "encoding", "ending", "reserved"]
FAULTS: frozenset[Fault] = frozenset(get_args(Fault))


@dataclass(frozen=True, slots=True)
class Rules:
    """Which file names a file system takes. The default is what Linux takes everywhere."""

    refused: frozenset[Fault] = frozenset()
    longest: int = MAX_BYTES  # bytes of one name


def portable(name: str, rules: Rules) -> str:
    """A file's name made such that a file system with these rules takes it; the suffix stays.

    >>> portable('a:b?.jpg', Rules(FAULTS)), portable("con.jpg", Rules(FAULTS))
    ('a_b_.jpg', 'con_.jpg')
    """
    if "characters" in rules.refused:
        name = _CHARACTERS.sub("_", name)
    if "encoding" in rules.refused:
        name = _NOT_UTF8.sub("_", name)
    if "ending" in rules.refused:
        name = name.rstrip(". ") or "_"
    if "reserved" in rules.refused:
        name = _not_reserved(name)
    if len(os.fsencode(name)) <= rules.longest:
        return name
    return next(numbered(name, limit=rules.longest))[1]


def faults(name: str) -> frozenset[Fault]:
    """What a file system could have against a file's name, its length left aside."""
    long = 4 * len(name)  # bytes of a name of so many characters, at most
    mended = {fault: portable(name, Rules(frozenset({fault}), long)) for fault in FAULTS}
    return frozenset(fault for fault in FAULTS if mended[fault] != name)


def numbered(name: str, first: int = 1, limit: int = MAX_BYTES) -> Iterator[tuple[int, str]]:
    """Names to try, from number `first` on; number 1 is `name` itself, cut where it is too long.
    `limit`: bytes of each.

    >>> from itertools import islice
    >>> list(islice(numbered("a.jpg"), 3))
    [(1, 'a.jpg'), (2, 'a (2).jpg'), (3, 'a (3).jpg')]
    """
    if first == 1 and len(os.fsencode(name)) <= limit:
        yield 1, name
        first = 2
    stem, suffix = os.path.splitext(name)
    limit = min(limit, MAX_BYTES)  # also where more is allowed, as of UTF-16 on FAT
    suffix = _cut(suffix, limit // 2)  # of "a.very-long-text" the beginning: the number must fit
    for number in count(first):
        end = suffix if number == 1 else f" ({number}){suffix}"
        yield number, _cut(stem, limit - len(os.fsencode(end))) + end


def numbered_in_front(name: str, first: int, limit: int = MAX_BYTES) -> Iterator[tuple[int, str]]:
    """The same with the number in front of all suffixes, for names with several.

    >>> from itertools import islice
    >>> list(islice(numbered_in_front("PXL_1.MP.jpg", 2), 2))
    [(2, 'PXL_1 (2).MP.jpg'), (3, 'PXL_1 (3).MP.jpg')]
    """
    stem, dot, suffixes = name.partition(".")
    for number in count(first):
        end = f" ({number}){dot}{suffixes}"
        yield number, _cut(stem, min(limit, MAX_BYTES) - len(os.fsencode(end))) + end


def is_numbered(name: str, base: str) -> bool:
    """True for "a.jpg" and "a (7).jpg" where `base` is "a.jpg", and where a long name was cut."""
    front, dot, suffixes = name.partition(".")
    number = _NUMBER.search(front)
    if number and int(number[1]) > 1 and front[: number.start()] + dot + suffixes == base:
        return True
    if name == base:
        return True
    stem, suffix = os.path.splitext(name)
    match = _NUMBER.search(stem)
    if match and int(match[1]) > 1:
        stem = stem[: match.start()]
    whole, end = os.path.splitext(base)
    if len(os.fsencode(base)) <= SHORT // 2:  # never cut
        return (stem, suffix) == (whole, end)
    return whole.startswith(stem) and end.startswith(suffix)


def inside(path: str, folder: str) -> bool:
    """True for a path strictly below `folder`; both absolute and normalised."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _not_reserved(name: str) -> str:
    stem, dot, rest = name.partition(".")
    return _on_disk(f"{stem}_{dot}{rest}" if _RESERVED.fullmatch(stem.rstrip()) else name)


def _on_disk(name: str) -> str:
    """`name`, or where the encoding of file names lacks one of its characters (LC_ALL=C, Latin-1),
    what that encoding makes of its bytes in UTF-8."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8"))
    return name


def _cut(name: str, limit: int) -> str:
    """At most `limit` bytes, never in the middle of a character."""
    while name and (excess := _size(name) - limit) > 0:
        name = name[: -max(1, excess // 4)]  # a character has four bytes at most
    return name


def _size(name: str) -> int:
    try:
        return len(os.fsencode(name))
    except UnicodeEncodeError:
        return len(name.encode("utf-8", "surrogatepass"))
