"""Names that every file system takes: a label as a folder's name, and the next free file name.

Linux tells "Café" composed from "Café" decomposed and "A" from "a"; macOS, Windows and most NAS
shares don't. So two names are the same here when they would be the same anywhere.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from itertools import count

MAX_BYTES = 255  # of one name on ext4, APFS, NTFS (in UTF-8 no less than theirs)
_MAX_LABEL = 120  # of one folder's name: leaves room in paths that Windows cuts at 260

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\\ud800-\udfff]')
# zero width, direction and line marks: they make one name look like another
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_NUMBER = re.compile(r" \(([1-9][0-9]{0,8})\)$")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)


def key(name: str) -> str:
    """Equal for names that any common file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def shelf(label: str) -> str:
    """The folder of a label, below the destination. "/" in a label makes nested folders.

    >>> shelf("animals/cat"), shelf("../../etc"), shelf("con"), shelf("a: b?")
    ('animals/cat', '_/_/etc', 'con_', 'a_ b_')
    """
    parts = [_component(part) for part in label.split("/") if part.strip()]
    return os.sep.join(parts) if parts else "_"


def _component(part: str) -> str:
    name = unicodedata.normalize("NFC", part)
    name = _INVISIBLE.sub("", _FORBIDDEN.sub("_", name)).strip().rstrip(". ")
    if name.startswith("."):
        name = "_" + name.lstrip(".")  # neither "..", nor hidden from the next run
    name = _cut(name, _MAX_LABEL).rstrip(". ") or "_"
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


def numbered(name: str, first: int = 1) -> Iterator[tuple[int, str]]:
    """Names to try, from number `first` on; number 1 is `name` itself. All short enough.

    >>> from itertools import islice
    >>> list(islice(numbered("a.jpg"), 3))
    [(1, 'a.jpg'), (2, 'a (2).jpg'), (3, 'a (3).jpg')]
    """
    stem, suffix = os.path.splitext(name)
    for number in count(first):
        if number == 1:
            yield 1, name
        else:
            end = f" ({number}){suffix}"
            yield number, _cut(stem, MAX_BYTES - len(os.fsencode(end))) + end


def is_numbered(name: str, base: str) -> bool:
    """True for "a.jpg" and "a (7).jpg" where `base` is "a.jpg"."""
    match = _NUMBER.search(os.path.splitext(name)[0])
    number = int(match[1]) if match else 1
    return name == base or next(numbered(base, number))[1] == name


def _cut(name: str, limit: int) -> str:
    """At most `limit` bytes, never in the middle of a character."""
    while (excess := _size(name) - limit) > 0:
        name = name[: -max(1, excess // 4)]  # a character has four bytes at most
    return name


def _size(name: str) -> int:
    try:
        return len(os.fsencode(name))
    except UnicodeEncodeError:
        return len(name.encode("utf-8", "surrogatepass"))


def same_folder(one: str, other: str) -> bool:
    """True where both paths lead to one folder, or would if it were there."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def inside(path: str, folder: str) -> bool:
    """True for a path strictly below `folder`; both absolute and normalised."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)
