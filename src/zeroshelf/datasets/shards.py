"""The pictures of scored results as WebDataset shards, a folder for each label.

PLACE/<label>/000000.tar, 000001.tar, ...: of each picture its bytes and a .json with uri, label,
probability and confidence, under a key that is its number among the pictures of its label. The same
dataset, labels and options give the same shards. A shard appears as a whole; after a kill the ones
that are there are kept.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pyarrow import fs

from zeroshelf.counting import counted
from zeroshelf.datasets.containers import PARQUET, container_of
from zeroshelf.datasets.pictures import Labelled, contents
from zeroshelf.datasets.places import Place
from zeroshelf.errors import Unreadable, UserError, one_line
from zeroshelf.images import formats
from zeroshelf.records import Progress

FILE = "shards.json"
_FORMAT = 1
_NAME = re.compile(r"(\d{6,})\.tar")
_BLOCK = 512  # bytes: a tar's header, and what its files are padded to
_END = 10_240  # a tar's length is a multiple of it
_TOLD = 5  # pictures that are named to the user where many can't be read
_SUFFIXES = formats.PICTURE_SUFFIXES | formats.RAW_SUFFIXES | formats.VIDEO_SUFFIXES
_BY_FORMAT = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp", "TIFF": ".tif"}


@dataclass(slots=True)
class Written:
    """What came of writing shards."""

    pictures: Counter[str] = field(default_factory=Counter)  # label -> in this run
    earlier: Counter[str] = field(default_factory=Counter)  # label -> in shards that were there
    shards: int = 0  # by this run
    failed: int = 0  # pictures that are in no shard
    trouble: list[str] = field(default_factory=list)  # why, of the first of them


def check(to: Place, request: str, size: int) -> None:
    """Raise `UserError` where these shards can't go: a place that has something else in it.
    request: what names the dataset, the labels and the options. size: bytes of a shard at most."""
    known = _read(to)
    if known is None:
        selector = fs.FileSelector(to.path, recursive=True, allow_not_found=True)
        try:
            found = to.files.get_file_info(selector)
        except OSError as error:
            raise UserError(f"{to.uri} can't be listed: {one_line(error)}") from None
        if any(one.type == fs.FileType.File for one in found):
            raise UserError(f"{to.uri} has something in it already: name a new place for --shards")
    elif (known.get("request"), known.get("shard_size")) != (request, size):
        raise UserError(
            f"{to.uri} has shards of another data set, other labels or other options: name a new "
            "place for --shards"
        )


def write(
    rows: Iterable[tuple[str, str, float, str, str]],
    to: Place,
    folders: dict[str, str],
    request: str,
    size: int,
    *,
    endpoint: str | None = None,
    total: int = 0,
    progress: Progress | None = None,
) -> Written:
    """Write the shards that are not there yet.

    rows: uri, label, probability, confidence and digest of each picture, in the dataset's order.
    to: the place of the shards. folders: label -> its folder below. request, size: as for `check`.
    endpoint: as for `places.place`, for the pictures. total: of rows. progress: called with the
    stage "shards", how many pictures are done, and the total.

    Memory: a few pictures. Disk: a shard of each label, in the system's temporary folder. Raises
    `OSError` where a shard can't be written, and `UserError` as `check`.
    """
    check(to, request, size)
    about = _read(to) or {"format": _FORMAT, "request": request, "shard_size": size}
    labels = about.setdefault("labels", {name: {"folder": at} for name, at in folders.items()})

    def save() -> None:
        to.below(FILE).write(json.dumps(about, indent=1).encode())

    to.make_folder()
    save()
    written = Written()
    with tempfile.TemporaryDirectory(prefix="zeroshelf-shards-") as scratch:
        shards = {
            label: _Shards(to.below(known["folder"]), scratch, size, known, save)
            for label, known in labels.items()
        }
        for done, (row, content) in enumerate(contents(_todo(rows, shards, written), endpoint), 1):
            if isinstance(content, Unreadable):
                shards[row.label].miss(row.number)
                written.failed += 1
                if len(written.trouble) < _TOLD:
                    written.trouble.append(f"{row.uri}: {content}")
            else:
                shards[row.label].add(row, content)
                written.pictures[row.label] += 1
            if progress:
                progress("shards", done + written.earlier.total(), total)
        for one in shards.values():
            one.close()
        written.shards = sum(one.made for one in shards.values())
    save()
    return written


def _todo(
    rows: Iterable[tuple[str, str, float, str, str]], shards: dict[str, _Shards], written: Written
) -> Iterator[Labelled]:
    """The pictures that are in no shard yet, numbered label by label. Those of a Parquet file are
    numbered in the order of its rows, in which they are read: `_in_order`."""
    count: Counter[str] = Counter()
    for uri, label, probability, confidence, digest in _in_order(rows):
        number = count[label]
        count[label] += 1
        if shards[label].has(number):
            written.earlier[label] += 1
        else:
            yield Labelled(uri, label, probability, confidence, digest, number)


def _in_order(
    rows: Iterable[tuple[str, str, float, str, str]],
) -> Iterator[tuple[str, str, float, str, str]]:
    """The rows; those of one Parquet file by the number of its row, not by that number's text."""
    group: list[tuple[int, tuple[str, str, float, str, str]]] = []
    of = None
    for row in rows:
        found = container_of(row[0])
        parquet = found[0] if found is not None and found[1] == PARQUET else None
        if group and parquet != of:
            yield from (one for _, one in sorted(group))
            group = []
        of = parquet
        if parquet is None:
            yield row
        else:
            assert found is not None
            group.append((int(found[2]), row))
    yield from (one for _, one in sorted(group))


class _Shards:
    """The shards of one label. What is not complete lies in a file below `scratch`, which is opened
    for each picture: there may be more labels than a process can have open files.

    known: what `shards.json` says of the label. Of each shard, before the shard appears: the number
    of its last picture ("last"), and those of pictures that could not be read by an earlier run
    ("again"); and the numbers of all pictures that could not be read ("failed"). save: writes it.
    """

    def __init__(
        self,
        folder: Place,
        scratch: str,
        size: int,
        known: dict[str, Any],
        save: Callable[[], None],
    ) -> None:
        self._folder, self._limit, self._known, self._save = folder, size, known, save
        self._path = os.path.join(scratch, f"{len(os.listdir(scratch)):06d}")
        open(self._path, "wb").close()
        there = sorted(int(found[1]) for name in folder.names() if (found := _NAME.fullmatch(name)))
        before = known.setdefault("shards", [])
        if there != list(range(len(there))) or len(there) > len(before):
            raise UserError(
                f"{folder.uri}: its shards are not those that were written: name a new place"
            )
        del before[len(there) :]
        self._last = before[-1]["last"] if before else -1  # picture in the shards that are there
        self._missing = {*known.setdefault("failed", [])}.difference(*(s["again"] for s in before))
        self._again: list[int] = []  # of `_missing`, in the shard that is being made
        self._newest, self._size, self.made = self._last, 0, 0

    def has(self, number: int) -> bool:
        """Whether a picture is in a shard that an earlier run wrote."""
        return number <= self._last and number not in self._missing

    def miss(self, number: int) -> None:
        """Note that a picture can't be read: the next run tries it again."""
        if number not in self._missing:
            self._known["failed"].append(number)

    def add(self, row: Labelled, content: bytes) -> None:
        """Put a picture behind the others. Raises `OSError`."""
        key, told = f"{row.number:09d}", json.dumps(_told(row)).encode()
        data = _member(key + _suffix(row.uri, content), content) + _member(f"{key}.json", told)
        if self._size and _whole(self._size + len(data)) > self._limit:
            self._finish()
        with open(self._path, "ab") as file:
            file.write(data)
        self._size += len(data)
        self._newest = max(self._newest, row.number)
        if row.number in self._missing:
            self._again.append(row.number)

    def close(self) -> None:
        """Write the last shard."""
        if self._size:
            self._finish()

    def _finish(self) -> None:
        with open(self._path, "ab") as file:
            file.write(bytes(_whole(self._size) - self._size))
        number = len(self._known["shards"])
        self._known["shards"].append({"last": self._newest, "again": self._again})
        self._save()
        self._folder.make_folder()
        with open(self._path, "rb") as whole:
            self._folder.below(f"{number:06d}.tar").write_from(whole)
        open(self._path, "wb").close()
        self._again, self._size, self.made = [], 0, self.made + 1


def _whole(size: int) -> int:
    """The length of a tar of so many bytes, with its end."""
    return -(-(size + 2 * _BLOCK) // _END) * _END


def _member(name: str, content: bytes) -> bytes:
    """A file as it lies in a tar; nothing in it depends on when or where."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % _BLOCK)


def _told(row: Labelled) -> dict[str, object]:
    return {
        "uri": row.uri,
        "label": row.label,
        "probability": row.probability,
        "confidence": row.confidence,
    }


def _suffix(uri: str, content: bytes) -> str:
    """That of the picture's name; of one without, as of Parquet's rows, by its first bytes."""
    found = container_of(uri)
    suffix = os.path.splitext(uri if found is None else found[2])[1].lower()
    if suffix in _SUFFIXES:
        return suffix
    kind = formats.of(content[: formats.HEAD], "") or ""
    return _BY_FORMAT.get(kind, f".{kind.lower()}" if kind.isalnum() else ".bin")


def _read(to: Place) -> dict[str, Any] | None:
    """What `write` wrote about the shards; None where there is nothing of it."""
    if FILE not in to.names():
        return None
    try:
        found = json.loads(to.below(FILE).read())
        if found["format"] != _FORMAT:
            raise UserError(f"{to.below(FILE).uri} is of a newer zeroshelf: update this one")
        return dict(found)
    except OSError as error:
        raise UserError(f"{to.below(FILE).uri} can't be read: {one_line(error)}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{to.below(FILE).uri} is not zeroshelf's: name a new place") from None


def summary(written: Written, to: Place) -> str:
    """What was written, in a line for the user."""
    earlier = written.earlier.total()
    known = f" (earlier: {earlier:,})" if earlier else ""
    where = to.path if to.local else to.uri
    pictures, shards = written.pictures.total(), written.shards
    return f"{counted(pictures, 'picture')} in {counted(shards, 'shard')}{known}: {where}"
