"""Google Takeout: which JSON belongs to which picture. Names only; none is read.

Google names the JSON of `IMG_1.jpg` in one of these ways, by the year of the export:

    IMG_1.jpg.json                      IMG_1.jpg.supplemental-metadata.json
    IMG_1.json                          IMG_1.supplemental-metadata.json   (a title without suffix)

What is in front of ".json" is cut to 46 characters, wherever that falls: `.supplemental-meta.json`,
`.s.json`, `..json`, and of a long name its beginning alone. The second `IMG_1.jpg` of an album is
`IMG_1(1).jpg`, and there the number moves: `IMG_1.jpg(1).json`,
`IMG_1.jpg.supplemental-metadata(1).json`. An edited picture, `IMG_1-edited.jpg`, has no JSON of its
own. All names here are in lower case.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zeroshelf.images import formats

_SUPPLEMENT = "supplemental-metadata"
_CUT = (
    40  # characters, or bytes, from which on a name may have been cut (46, less a number's place)
)
_NUMBER = re.compile(r"(?<! )\(\d+\)$")  # " (2)" is ours, or the system's
_MEDIA = formats.PICTURE_SUFFIXES | formats.VIDEO_SUFFIXES | formats.RAW_SUFFIXES

# What Google appends to an edited picture's name, in the language of the account.
_EDITED_WORDS = """edited effects smile mix bearbeitet bewerkt modifié modifie modificato editado
    editada editat edytowane edytowany upraveno upravené redigerad redigeret redigert muokattu
    szerkesztett düzenlendi editată izmenjeno отредактировано змінено 編集済み 编辑 已编辑
    已修改 已編輯 편집됨 수정됨"""
_EDITED = ("ha editado", *_EDITED_WORDS.split())

# How badly a JSON's name fits a picture's. Up to `_LOOSE` it may be one of several of the picture.
_EXACT, _TITLE, _BOTH_NUMBERED, _STEM, _CUT_SUFFIX, _CUT_TITLE = range(6)
_LOOSE, _OTHER_SUFFIX, _OTHER_NUMBER = 6, 7, 8
_OF_THE_ORIGINAL = 20  # and it is an edited copy of that picture


@dataclass(frozen=True, slots=True)
class _Media:
    """A picture or video: its name in the parts that Google handles one by one."""

    name: str
    stem: str  # without number and suffix
    number: str  # "(1)", or empty
    suffix: str

    @property
    def title(self) -> str:
        return self.stem + self.suffix


def matches(documents: Iterable[str], media: Iterable[str]) -> dict[str, str]:
    """JSON name -> the name of the one picture or video that it fits best, where it fits any. Of
    those that it fits alike, one that has none yet, the first in the order of `media`."""
    order = {name: at for at, name in enumerate(media)}
    names = _Names(order)
    fits = {name: sorted(names.fitting(name.removesuffix(".json"))) for name in documents}
    taken: Counter[str] = Counter()
    chosen: dict[str, str] = {}
    for document, ranked in sorted(fits.items(), key=lambda item: (item[1][:1], item[0])):
        open_to = [(rank, name) for rank, name in ranked if rank < _LOOSE or not taken[name]]
        if open_to:
            best = min(rank for rank, _ in open_to)
            chosen[document] = min(
                (name for rank, name in open_to if rank == best),
                key=lambda name: (taken[name], order[name]),
            )
            taken[chosen[document]] += 1
    return chosen


def original_of(name: str) -> str | None:
    """The name of the picture of which Google says that this is an edited copy; None for others.

    >>> original_of("img_1-edited(2).jpg"), original_of("a-bearbeitet.jpg"), original_of("a-b.jpg")
    ('img_1(2).jpg', 'a.jpg', None)
    """
    if "-" not in name:
        return None
    own = _parts(name)
    stem, dash, word = own.stem.rpartition("-")
    known = word in _EDITED
    if len(own.title) >= _CUT and len(word) > 1:  # then the word may be cut too
        known = any(whole.startswith(word) for whole in _EDITED)
    return stem + own.number + own.suffix if dash and stem and known else None


def _parts(name: str) -> _Media:
    stem, suffix = os.path.splitext(name)
    number = _NUMBER.search(stem) if stem.endswith(")") else None
    if number and number.start():
        return _Media(name, stem[: number.start()], number[0], suffix)
    return _Media(name, stem, "", suffix)


class _Names:
    """The pictures and videos of a folder, looked up by the part of a name that its JSON keeps."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._by_title: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        self._by_stem: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        self._long: list[tuple[str, str, int, str]] = []  # title, number, rank, name
        for name in self._names:
            self._add(_parts(name), 0, name)
            original = original_of(name)
            if original is not None:
                self._add(_parts(original), _OF_THE_ORIGINAL, name)
        self._long.sort()

    def _add(self, as_if: _Media, rank: int, name: str) -> None:
        self._by_title[as_if.title, as_if.number].append((rank, name))
        self._by_stem[as_if.stem, as_if.number].append((rank, name))
        if _may_be_cut(as_if.title):
            self._long.append((as_if.title, as_if.number, rank, name))

    def fitting(self, document: str) -> Iterator[tuple[int, str]]:
        """(rank, name) of all that a JSON may be about, the same name several times. `document`:
        the JSON's name without ".json"."""
        title, has_supplement = _without_supplement(document)
        if document in self._names:
            yield _EXACT, document
        if has_supplement and title in self._names:
            yield _TITLE, title
        found = _NUMBER.search(document)
        core, number = (document[: found.start()], found[0]) if found else (document, "")
        title, has_supplement = _without_supplement(core)
        if number and title in self._names and _parts(title).number == number:
            yield _BOTH_NUMBERED, title  # IMG_1(1).jpg.supp(1).json
        inner = None if number else _NUMBER.search(title)
        if inner:  # IMG_1(1).supplemental-metadata.json
            title, number = title[: inner.start()], inner[0]
        for part in {core, title}:
            yield from (
                (_TITLE + rank, name) for rank, name in self._by_title.get((part, number), ())
            )
            yield from (
                (_STEM + rank, name) for rank, name in self._by_stem.get((part, number), ())
            )
        stem, suffix = os.path.splitext(title)
        for rank, name in self._by_stem.get((stem, number), ()) if suffix else ():
            if has_supplement and os.path.splitext(name)[1].startswith(suffix):
                yield _CUT_SUFFIX + rank, name  # a_long_name.JP.supplemental-metadata.json
            elif suffix in _MEDIA:
                yield _OTHER_SUFFIX + rank, name  # IMG_1.HEIC.json, and only IMG_1.jpg is there
        if _may_be_cut(core):
            yield from self._cut(core, number)

    def _cut(self, core: str, number: str) -> Iterator[tuple[int, str]]:
        """Long titles of which `core` is the beginning."""
        start = bisect_left(self._long, (core,))
        for title, own, rank, name in self._long[start:]:
            if not title.startswith(core):
                return
            if own == number:
                yield _CUT_TITLE + rank, name
            elif not own or not number:
                yield _OTHER_NUMBER + rank, name


def _may_be_cut(name: str) -> bool:
    return max(len(name), len(os.fsencode(name))) >= _CUT


def _without_supplement(core: str) -> tuple[str, bool]:
    """The title in front of ".supplemental-metadata" or of what is left of that; was there any.

    >>> _without_supplement("a.jpg.suppl"), _without_supplement("a.jpg")
    (('a.jpg', True), ('a.jpg', False))
    """
    title, dot, end = core.rpartition(".")
    return (title, True) if dot and title and _SUPPLEMENT.startswith(end) else (core, False)
