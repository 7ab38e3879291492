"""What is to be embedded: a source -> a manifest, one row for each picture or container.

A container is a tar (WebDataset) or a Parquet file with the bytes of pictures: it is listed as one
row, and its pictures are found by the worker that opens it.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from zeroshelf.counting import counted
from zeroshelf.datasets import parts, versions
from zeroshelf.datasets.containers import PARQUET, TAR, TAR_SUFFIXES, picture_column
from zeroshelf.datasets.places import Place, local_path, place
from zeroshelf.datasets.versions import Version
from zeroshelf.errors import UserError, one_line
from zeroshelf.images import formats, scan
from zeroshelf.runs import earlier
from zeroshelf.system.path_spelling import slashed
from zeroshelf.system.uris import scheme_of

MANIFEST = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("earlier", pa.string()),  # the etag that versions before 0.2.0 recorded; "" if the same
        ("size", pa.int64()),  # bytes; null if unknown
        ("kind", pa.string()),  # "" for a picture, or the kind of a container
        ("error", pa.string()),  # why it is not to be read; null for nearly all
    ]
)
_SUFFIXES = formats.PICTURE_SUFFIXES | formats.RAW_SUFFIXES | formats.VIDEO_SUFFIXES
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")  # WebDataset's {00000..00150}
# How the scan's reasons begin that say nothing of the content: it may be there the next time.
_MAY_PASS = ("only a placeholder", "no data", "can't be read", "folder can't be read")
_MOST_SHARDS = 1_000_000


@dataclass(slots=True)
class _Found:
    """The files below a place, by what they are."""

    pictures: list[fs.FileInfo] = field(default_factory=list)
    tars: list[fs.FileInfo] = field(default_factory=list)
    parquet: list[fs.FileInfo] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # by suffix


def manifest(
    source: str,
    endpoint: str | None = None,
    *,
    exclude: Sequence[str] = (),
    leave_out: Collection[str] = (),
    warn: Callable[[str], object] = lambda line: None,
) -> pa.Table:
    """The rows of `MANIFEST` for a source, each uri once.

    source: a folder or file by its path or URI; "{000..150}" and "*" name several files.
    endpoint: as for `places.place`. exclude: glob patterns, as for `scan.scan`; only of a local
    folder. leave_out: absolute local folders. warn: called with each line that the user should see.

    Raises `UserError` where there is nothing to embed, or where the source can't be read.
    """
    if not scheme_of(source) and os.path.isdir(root := local_path(source)):
        return _of_folder(root, endpoint, exclude, leave_out, warn)
    here = place(source, endpoint)
    here.refresh()
    try:
        several = _RANGE.search(source) or re.search(r"[*?]", source.partition("://")[2] or source)
        if several and here.info().type == fs.FileType.NotFound:
            return _of_files(here, _named(here), endpoint, warn)
        kind = here.info().type
        if kind == fs.FileType.Directory and here.local:  # file:///home/Photos
            return _of_folder(local_path(source), endpoint, exclude, leave_out, warn)
        if kind == fs.FileType.Directory:
            return _of_files(here, _walked(here, source, warn), endpoint, warn)
        if kind == fs.FileType.File:
            return _of_files(here, _sorted_out([here.info()]), endpoint, warn)
    except OSError as error:
        raise UserError(f"{source} can't be read: {one_line(error)}") from None
    raise UserError(f"{source} doesn't exist")


def _of_folder(
    root: str,
    endpoint: str | None,
    exclude: Sequence[str],
    leave_out: Collection[str],
    warn: Callable[[str], object],
) -> pa.Table:
    """The pictures of a local folder, found as `sort` finds them; else the containers in it."""
    found = scan.scan(root, exclude=exclude, leave_out={*leave_out, *earlier.destinations(root)})
    for warning in found.warnings:
        warn(warning)
    if not found.pictures:
        here = place(root)
        containers = _walk(here, root, leave_out)
        containers.pictures.clear()
        if containers.tars or containers.parquet:
            return _of_files(here, containers, endpoint, warn)
    if not found.pictures and not found.skipped:
        raise UserError(f"no pictures in {root}: give a folder that contains some")
    paths = [picture.path for picture in found.pictures] + [one.path for one in found.skipped]
    reasons = [None] * len(found.pictures) + [_reason(one.reason) for one in found.skipped]
    at = [_local_version(path) for path in paths]
    etags, sizes = [Version(etag, "") for etag, _ in at], [size for _, size in at]
    return _table([Path(path).as_uri() for path in paths], etags, sizes, "", reasons)


def _reason(reason: str) -> str:
    """Why the scan has skipped a file; beginning with NOT_FETCHED where the next run should look
    again, though neither size nor time have changed."""
    return parts.NOT_FETCHED + reason if reason.startswith(_MAY_PASS) else reason


def _local_version(path: str) -> tuple[str, int | None]:
    """A local file's etag and size; ("", None) where it doesn't exist any more."""
    try:
        at = os.stat(path)
    except OSError:
        return "", None
    return f"{at.st_size}-{at.st_mtime_ns}", at.st_size


def _of_files(
    here: Place, found: _Found, endpoint: str | None, warn: Callable[[str], object]
) -> pa.Table:
    """The pictures among the files; without any, the tars; without these, the Parquet files."""
    if found.pictures:
        chosen, kind = found.pictures, ""
        others = [*found.tars, *found.parquet]
        if others:
            warn(
                f"{counted(len(others), 'tar or Parquet file')} beside the pictures left out: give "
                "their own folder or name to embed what they contain"
            )
    elif found.tars:
        chosen, kind = found.tars, TAR
    elif found.parquet:
        return _of_parquet(here, found.parquet, endpoint)
    else:
        seen = ", ".join(f"{count:,} {kind}" for kind, count in found.others.most_common(3))
        raise UserError(f"no pictures in {here.uri}" + (f": it has {seen}" if seen else ""))
    return _listed(here, chosen, kind, endpoint)


def _of_parquet(here: Place, files: Sequence[fs.FileInfo], endpoint: str | None) -> pa.Table:
    """A manifest of uris, or files with the bytes of pictures: the first file's columns say it."""
    first = Place(here.files, files[0].path, here.prefix)
    try:
        with first.open() as file:
            columns = pq.read_schema(file)
    except pa.ArrowException as error:
        raise UserError(f"{first.uri} is no Parquet file: {one_line(error)}") from None
    if picture_column(columns) is not None:
        return _listed(here, files, PARQUET, endpoint)
    if "uri" not in columns.names:
        raise UserError(
            f"{first.uri}: neither a manifest (a column uri) nor pictures (a column image with "
            f"their bytes) among {', '.join(columns.names[:8])}"
        )
    tables = [_read_manifest(Place(here.files, one.path, here.prefix)) for one in files]
    return _unique(pa.concat_tables(tables), first.uri)


def _read_manifest(file: Place) -> pa.Table:
    with file.open() as opened:
        given = pq.read_table(opened)
    if "uri" not in given.column_names:
        raise UserError(f"{file.uri}: no column uri, which the other files have")
    if {"generation", "model"} <= {*given.column_names}:
        raise UserError(f"{file.uri} is a part of a dataset, not a manifest")
    rows = given.num_rows
    uris = given["uri"].cast(pa.string())
    if uris.null_count:
        raise UserError(f"{file.uri}: {counted(uris.null_count, 'row')} without a uri")
    etags = pa.nulls(rows, pa.string())
    for name in ("etag", "mtime"):
        if name in given.column_names:
            etags = pc.coalesce(etags, given[name].cast(pa.string()))
    sizes = pa.nulls(rows, pa.int64())
    if "size" in given.column_names:
        sizes = given["size"].cast(pa.int64())
    packed = pa.array([_container(uri) for uri in uris.to_pylist()], pa.string())
    none, no_error = pa.array([""] * rows, pa.string()), pa.nulls(rows, pa.string())
    etags = pc.fill_null(etags, "")
    return pa.table([uris, etags, none, sizes, packed, no_error], schema=MANIFEST)


def _container(uri: str) -> str:
    """The kind of a container by its name; "" for a picture."""
    name = uri.lower()
    return TAR if name.endswith(TAR_SUFFIXES) else PARQUET if name.endswith(".parquet") else ""


def _unique(rows: pa.Table, name: str) -> pa.Table:
    """Each uri once. Raises `UserError` for one that is there with two etags."""
    if len(pc.unique(rows["uri"])) == rows.num_rows:
        return rows
    seen: dict[str, str] = {}
    kept = []
    pairs = zip(rows["uri"].to_pylist(), rows["etag"].to_pylist(), strict=True)
    for row, (uri, etag) in enumerate(pairs):
        if seen.setdefault(uri, etag) != etag:
            raise UserError(f"{name}: {uri} is there twice, with different etags")
        kept.append(row)
        if len(kept) != len(seen):
            kept.pop()
    return rows.take(kept)


def _named(here: Place) -> _Found:
    """The files that a name with "{000..150}" or "*" stands for."""
    paths = list(itertools.islice(_expanded(here.path), _MOST_SHARDS))
    files: dict[str, fs.FileInfo] = {}
    for path in paths:
        if not re.search(r"[*?]", path):
            files[path] = here.files.get_file_info(path)
            continue
        fixed = re.split(r"[*?]", path, maxsplit=1)[0].rpartition("/")[0]
        selector = fs.FileSelector(fixed, recursive=True, allow_not_found=True)
        for info in here.files.get_file_info(selector):
            if fnmatch.fnmatchcase(info.path, path) and info.path.count("/") == path.count("/"):
                files[info.path] = info
    missing = [path for path, info in files.items() if info.type == fs.FileType.NotFound]
    if missing:
        raise UserError(f"{here.uri_of(missing[0])} doesn't exist")
    if not files:
        raise UserError(f"no file is named like {here.uri_of(here.path)}")
    return _sorted_out(files.values())


def _expanded(path: str) -> Iterable[str]:
    """ "a{08..10}.tar" -> a08.tar, a09.tar, a10.tar."""
    found = _RANGE.search(path)
    if found is None:
        yield path
        return
    for number in range(int(found[1]), int(found[2]) + 1):
        written = f"{number:0{len(found[1])}d}"
        yield from _expanded(path[: found.start()] + written + path[found.end() :])


def _walk(here: Place, source: str, leave_out: Collection[str] = ()) -> _Found:
    """The files below a place. Hidden files, folders and those whose name begins with "_" are left
    out, as Hadoop's and Spark's programs do, and `leave_out` too."""
    if not here.path and scheme_of(source):
        raise UserError(f"{source}: a bucket is missing")
    found = here.files.get_file_info(fs.FileSelector(here.path, recursive=True))
    start = len(here.path.rstrip("/")) + 1
    return _sorted_out(
        info
        for info in found
        if info.type == fs.FileType.File
        and not any(part[:1] in ("_", ".") for part in info.path[start:].split("/"))
        and not any(info.path.startswith(f"{slashed(one).rstrip('/')}/") for one in leave_out)
    )


def _walked(here: Place, source: str, warn: Callable[[str], object]) -> _Found:
    """The files below a place on a store, without what runs copied to their shelves there."""
    found = _walk(here, source)
    if own := earlier.copies(here.uri):
        before = len(found.pictures)
        found.pictures = [one for one in found.pictures if here.uri_of(one.path) not in own]
        if left := before - len(found.pictures):
            warn(f"{counted(left, 'copy', 'copies')} of earlier runs left out: shelved already")
    return found


def _sorted_out(files: Iterable[fs.FileInfo]) -> _Found:
    """By suffix: what has none may be a picture that is named by a number."""
    found = _Found()
    for info in sorted(files, key=lambda one: one.path):
        name = info.base_name.lower()
        suffix = os.path.splitext(name)[1]
        if name.endswith(TAR_SUFFIXES):
            found.tars.append(info)
        elif suffix == ".parquet":
            found.parquet.append(info)
        elif not suffix or suffix in _SUFFIXES:
            found.pictures.append(info)
        else:
            found.others[suffix] += 1
    return found


def _listed(here: Place, files: Sequence[fs.FileInfo], kind: str, endpoint: str | None) -> pa.Table:
    found = [
        Version(one.etag, "" if here.local else one.earlier)
        for one in versions.of_files(here, files, endpoint)
    ]
    return _table(
        [here.uri_of(info.path) for info in files],
        found,
        [info.size for info in files],
        kind,
        [None] * len(files),
    )


def _table(
    uris: Sequence[str],
    at: Sequence[Version],
    sizes: Sequence[int | None],
    kind: str,
    errors: Sequence[str | None],
) -> pa.Table:
    same = [kind] * len(uris)
    etags, earlier = [one.etag for one in at], [one.earlier for one in at]
    return pa.table([uris, etags, earlier, sizes, same, errors], schema=MANIFEST)


def unfinished(rows: pa.Table, folder: Place, endpoint: str | None = None) -> pa.Table:
    """The rows of a manifest that the dataset in `folder` lacks, or has with another etag; with a
    column `skip` (list of strings): the uris of a container's pictures that are there already."""
    done, whole = parts.finished(folder), parts.complete_files(folder)
    rows = versions.asked(rows, done, endpoint)
    packed = pa.table({"uri": [*whole], "etag": [*whole.values()]}, schema=done.schema)
    is_container = pc.not_equal(rows["kind"], "")
    there = pc.if_else(
        is_container, versions.are_among(rows, packed), versions.are_among(rows, done)
    )
    todo = rows.filter(pc.invert(there))
    inside = versions.members(todo.filter(pc.not_equal(todo["kind"], "")), done)
    skip = [inside.get(uri) for uri in todo["uri"].to_pylist()]
    return todo.append_column("skip", pa.array(skip, pa.list_(pa.string())))
