"""The results of scoring a dataset of objects on a store -> a plan of copies within that store.

The plan's lines go to a file as the results come, so that memory doesn't grow with them but for a
hash of each name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from zeroshelf.actions import names, plan_file
from zeroshelf.actions.on_store import opened
from zeroshelf.actions.on_store.copy_within import THREADS
from zeroshelf.actions.on_store.objects import Found
from zeroshelf.actions.path_table import PathTable
from zeroshelf.counting import counted
from zeroshelf.datasets.containers import container_of
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, Action, LabelSet, Plan
from zeroshelf.runs import earlier, registry
from zeroshelf.system import file_names, uris

KIND = "copy"  # the only action within a store
_ROWS = 4096  # that are looked up before their lines are written
_LONGEST = 1024  # bytes of a key on S3
_STAMP = re.compile(r"(\d+)-(\d+)")  # size and time of an etag that `embed` made
_SAME = {"s3a": "s3", "gcs": "gs"}  # schemes with two names
_NOTES = {
    "there": (
        "is already on its shelf: nothing to do for it",
        "are already on their shelf: nothing to do for them",
    ),
    "numbered": (
        "gets a number, because its name is taken on the shelf",
        "get a number, because their name is taken on the shelf",
    ),
    "long": (
        "is left out: its key would have more than 1,024 bytes",
        "are left out: their keys would have more than 1,024 bytes",
    ),
    "own": (
        "is left out: an earlier run copied it there",
        "are left out: an earlier run copied them there",
    ),
    "gone": (
        "picture is left out: gone or changed since the embedding",
        "pictures are left out: gone or changed since the embedding",
    ),
}


@dataclass(frozen=True, slots=True)
class _Row:
    uri: str
    labels: tuple[str, ...]  # of the shelves, the best first
    digest: bytes | None
    etag: str  # as the dataset has it


class StorePlan:
    """A plan in the making. A context manager: the file of the lines goes with it.

    to: the URI for the shelves. endpoint: as for `places.place`. labels: those of the shelves.
    several: each picture onto every shelf that fits it.
    Raises `UserError` where the store can't be used.
    """

    def __init__(
        self, to: str, labels: LabelSet, endpoint: str | None = None, *, several: bool = False
    ) -> None:
        self._store = opened.store_of(to, endpoint)
        self._to, self._several = self._store.uri_of(to), several
        self._store.check(self._to)
        folders = shelf_folders((*labels.names, OTHER))
        self._folders = {label: uris.below(self._to, at) for label, at in folders.items()}
        self._taken = PathTable()  # keys of what is on the shelves, and of what is planned
        self._next = PathTable()  # of a name on a shelf: the first number to try
        self._own = PathTable()  # targets of earlier runs
        self._seen = PathTable()  # sources: "memory://a" and "memory:///a" name one object
        self._made = PathTable()  # source, its version and shelf, of copies that are there
        self._tally: Counter[str] = Counter()
        self._trouble = ""  # of the first object that could not be looked at
        self._common: str | None = None  # the folder of all sources
        self._count = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> StorePlan:
        with self._stack:
            self._lines = self._stack.enter_context(tempfile.TemporaryFile("w+", encoding="ascii"))
            self._pool = self._stack.enter_context(
                ThreadPoolExecutor(THREADS, thread_name_prefix="sources")
            )
            try:
                for folder in self._folders.values():
                    for uri in self._store.names(folder):
                        self._taken.put(file_names.key(uri), 1)
            except OSError as error:
                raise UserError(f"{self._to} can't be listed: {error.strerror}") from None
            self._see_earlier_runs()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _see_earlier_runs(self) -> None:
        """What runs that are not undone copied: never sorted again, nor copied twice."""
        for entry in earlier.store_entries():
            action = entry.action
            self._own.put(action.target, 1)
            if entry.step == "done" and self._is_there(action.target):
                shelf = action.target.rpartition("/")[0]
                self._made.put(_made_key(action.source, action.etag or "", shelf), 1)

    def _is_there(self, target: str) -> bool:
        return self._taken.get(file_names.key(target)) is not None

    def add(self, rows: pa.Table) -> None:
        """Take rows of results with the columns `digest` and `etag`. Raises `UserError` for a
        picture that is no object of its own on this store."""
        for start in range(0, len(rows), _ROWS):
            some = [*self._rows(rows.slice(start, _ROWS))]
            for row, found in zip(some, self._pool.map(self._look, some), strict=True):
                if found is None:
                    self._tally["gone"] += 1
                else:
                    self._place(row, found)

    def _rows(self, rows: pa.Table) -> Iterator[_Row]:
        names = ("uri", "label", "also", "digest", "etag")
        for uri, label, also, digest, etag in zip(
            *(rows[name].to_pylist() for name in names), strict=True
        ):
            if container_of(uri) is not None:
                raise UserError(
                    f"{uri} is in an archive: --to copies objects; --shards writes what is in "
                    "archives"
                )
            if _scheme(uri) != (wanted := _scheme(self._to)):
                raise UserError(
                    f"{uri} is not on {wanted}://: a store copies only what lies on it; name a "
                    "place there with --to"
                )
            own = self._store.uri_of(uri)
            if self._own.get(own) is not None:
                self._tally["own"] += 1
                continue
            if self._seen.put(own, 1) is not None:
                continue
            labels = (label, *(also or ())) if self._several else (label,)
            known = bytes.fromhex(digest) if digest else None
            yield _Row(own, tuple(dict.fromkeys(labels)), known, etag)

    def _look(self, row: _Row) -> Found | None:
        """The object of a row, if it is still what was embedded."""
        try:
            found = self._store.look(row.uri)
            if found is None:
                return None
            if _is_version(row.etag, found) or self._has_content(row, found):
                return found
        except OSError as error:
            self._trouble = self._trouble or f"{row.uri}: {error.strerror or error}"
        return None

    def _has_content(self, row: _Row, found: Found) -> bool:
        """By its content, where the etag doesn't tell: a manifest had versions of its own, or the
        time alone differs."""
        stamp = _STAMP.fullmatch(row.etag)
        if stamp is not None and int(stamp[1]) != found.size:
            return False
        return row.digest is not None and self._store.digest(row.uri) == row.digest

    def _place(self, row: _Row, found: Found) -> None:
        for label in row.labels:
            folder = self._folders[label]
            if self._made.get(_made_key(row.uri, found.etag, folder)) is not None:
                self._tally["there"] += 1
                continue
            target = uris.below(folder, self._free_name(row.uri.rpartition("/")[2], folder))
            if len(target.partition("://")[2].partition("/")[2].encode()) > _LONGEST:
                self._tally["long"] += 1
                continue
            self._taken.put(file_names.key(target), 1)
            self._write(row, found, label, target)

    def _free_name(self, name: str, folder: str) -> str:
        """The name of an object on a shelf: its own, with a number where that is taken. Names that
        differ in case alone count as one, as they do on other systems."""
        usual = name if name not in ("", ".", "..") else file_names.of_folder(name)
        seen = file_names.key(uris.below(folder, usual))
        first = self._next.get(seen) or 1
        for number, free in file_names.numbered(usual, first):
            if not self._is_there(uris.below(folder, free)):
                self._next.put(seen, number + 1)
                self._tally["numbered"] += number > 1
                return free
        raise AssertionError("numbers never end")

    def _write(self, row: _Row, found: Found, label: str, target: str) -> None:
        time = 1_000_000_000 * (found.second or 0)
        action = Action(KIND, row.uri, target, label, found.size, time, row.digest, etag=found.etag)
        common = row.uri if self._common is None else f"{self._common}/"
        self._common = uris.common_folder(common, row.uri)
        # Which folder all sources have in common comes out later: `_relative`.
        self._lines.write(plan_file.line(action, Plan("", self._to, KIND, ())))
        self._count += 1

    def _relative(self, folder: str) -> Iterator[str]:
        """The lines with their sources below the folder that all have in common."""
        self._lines.seek(0)
        for line in self._lines:
            row = json.loads(line)
            yield json.dumps(row | {"source": row["source"].removeprefix(folder)}) + "\n"

    def finish(self) -> tuple[Plan, str]:
        """The plan, without its actions, and the id of the run that was made for it. No object is
        written. Raises `UserError`."""
        notes = [counted(self._tally[name], *words) for name, words in _NOTES.items()]
        notes = [note for note, name in zip(notes, _NOTES, strict=True) if self._tally[name]]
        if self._trouble:
            notes.append(f"some of these could not be looked at: {self._trouble}")
        plan = Plan(
            self._common or self._to,
            self._to,
            KIND,
            (),
            notes=tuple(notes),
            several=self._several,
            replace=False,
            endpoint=self._store.endpoint,
        )
        lines = self._relative(uris.below(plan.folder, ""))
        name, _ = registry.new(plan, lines, self._count)
        return plan, name

    def __len__(self) -> int:
        return self._count


def _scheme(uri: str) -> str:
    scheme = uris.scheme_of(uri)
    return _SAME.get(scheme, scheme)


def _made_key(source: str, etag: str, folder: str) -> str:
    return f"{source}\0{etag}\0{folder}"


def shelf_folders(labels: Sequence[str]) -> dict[str, str]:
    """The folder of each label, with "/" between its parts. Two labels whose safe paths are the
    same get two."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for label in labels:
        safe = names.shelf(label).replace(os.sep, "/")
        number, path = 1, safe
        while file_names.key(path) in taken:
            number += 1
            path = f"{safe} ({number})"
        taken.add(file_names.key(path))
        found[label] = path
    return found


def _is_version(etag: str, found: Found) -> bool:
    """Whether an etag of a dataset names the version of an object as it is now: by the store's
    etag, or by size and time, in whole seconds as S3 tells it."""
    plain = etag.replace('"', "")
    for known in filter(None, (found.etag, found.content)):
        if plain in (known, f"{found.size}-{known}"):
            return True
    stamp = _STAMP.fullmatch(etag)
    return (
        stamp is not None
        and found.second is not None
        and (int(stamp[1]), int(stamp[2]) // 1_000_000_000) == (found.size, found.second)
    )
