"""Which version of an object a dataset records: its store's etag, else its size and time.

An etag tells the same bytes that were uploaded again from changed bytes of equal size and time. A
listing by pyarrow has none: boto3 and fsspec list them for many objects at once, and pyarrow tells
that of one object when it is opened. Versions before 0.2.0 recorded size and time, or fsspec's
etag behind the size; these count too, so that nothing is embedded again for another spelling.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from zeroshelf.actions.on_store import objects, through_fsspec
from zeroshelf.actions.on_store.s3 import S3
from zeroshelf.datasets.places import Place, place
from zeroshelf.errors import UserError, one_line

_FEW = 32  # named objects that are looked at one by one, not in a listing of all beside them
_AT_ONCE = 16  # requests
_BY_FSSPEC = {"gcs": "gs"}  # pyarrow's name -> the scheme under which fsspec lists the same store
_STAMP = r"^\d+-\d+$"  # size and time, as pyarrow tells them


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, in both forms."""

    etag: str  # what is recorded: the store's etag without quotes; where it tells none, `earlier`
    earlier: str  # what versions before 0.2.0 recorded


def of_files(here: Place, files: Sequence[Any], endpoint: str | None) -> list[Version]:
    """The version of each of some files of one file system, in their order.

    here: the folder of which they were listed, or what they were named by. files: pyarrow's
    FileInfo. Raises `OSError` where fsspec can't tell.
    """
    if here.files.type_name.startswith("py::fsspec+"):
        told = _told(here.files.handler.fs, here, [one.path for one in files])
        return [_of_info(told.get(one.path)) or _stamp(one) for one in files]
    stamps = [_stamp(one) for one in files]
    if here.local:
        return stamps
    etags = _listed(here, [one.path for one in files], endpoint)
    pairs = zip(files, stamps, strict=True)
    return [Version(etags.get(one.path) or of.etag, of.earlier) for one, of in pairs]


def of_open(file: Any) -> str:
    """The etag of an open file of pyarrow without quotes; "" where its store tells none."""
    told: dict[str, bytes] = file.metadata() or {}
    return objects.etag_of({name: value.decode(errors="replace") for name, value in told.items()})


def asked(rows: pa.Table, known: pa.Table, endpoint: str | None) -> pa.Table:
    """The rows of a manifest, with the etags of the objects that have none yet though they are
    needed: those that a dataset knows by an etag, and tars and Parquet files. Each is asked for.

    known: uri and etag of the dataset's rows. Raises `UserError` where the store can't be asked.
    """
    by_etag = known.filter(pc.invert(pc.match_substring_regex(known["etag"], _STAMP)))
    unsure = pc.and_(pc.equal(rows["etag"], rows["earlier"]), pc.not_equal(rows["earlier"], ""))
    needed = pc.or_(
        pc.not_equal(rows["kind"], ""),
        pc.is_in(rows["uri"], value_set=by_etag["uri"].combine_chunks()),
    )
    numbers = pc.indices_nonzero(pc.and_(unsure, needed)).to_pylist()
    if not numbers:
        return rows
    uris, etags = rows["uri"].to_pylist(), rows["etag"].to_pylist()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="etags") as pool:
        answers = pool.map(lambda row: _ask(uris[row], endpoint), numbers)
        for row, answer in zip(numbers, answers, strict=True):
            etags[row] = answer or etags[row]
    at = rows.schema.get_field_index("etag")
    return rows.set_column(at, rows.schema.field(at), pa.array(etags, pa.string()))


def are_among(rows: pa.Table, known: pa.Table) -> Any:
    """Which rows of a manifest are known in their present version, in either form: booleans."""
    have = _pairs(known, "etag").combine_chunks()
    now = pc.is_in(_pairs(rows, "etag"), value_set=have)
    earlier = pc.is_in(_pairs(rows, "earlier"), value_set=have)
    return pc.or_(now, pc.and_(earlier, pc.not_equal(rows["earlier"], "")))


def _pairs(rows: pa.Table, column: str) -> Any:
    return pc.binary_join_element_wise(rows["uri"], _plain(rows[column]), "\0")


def members(packed: pa.Table, done: pa.Table) -> dict[str, list[str]]:
    """Container's uri -> the uris of its pictures that are finished in its present version."""
    columns = (packed["uri"], _plain(packed["etag"]), _plain(packed["earlier"]))
    etags = {
        uri: (etag, earlier or etag)
        for uri, etag, earlier in zip(*(one.to_pylist() for one in columns), strict=True)
    }
    found: dict[str, list[str]] = {}
    if not etags:
        return found
    members = done.filter(pc.match_substring(done["uri"], "#"))
    known = _plain(members["etag"]).to_pylist()
    for uri, etag in zip(members["uri"].to_pylist(), known, strict=True):
        for at in (one.start() for one in re.finditer("#", uri)):  # names have "#" too
            if etag in etags.get(uri[:at], ()):
                found.setdefault(uri[:at], []).append(uri)
    return found


def _plain(etags: Any) -> Any:
    """Etags without quotes, which some programs write and others don't."""
    return pc.replace_substring(etags, '"', "")


def _ask(uri: str, endpoint: str | None) -> str:
    file = place(uri, endpoint)
    if file.files.type_name.startswith("py::"):
        return ""
    try:
        with file.open() as opened:
            return of_open(opened)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UserError(f"{uri} can't be looked at: {one_line(error)}") from None


def _stamp(info: Any) -> Version:
    written = f"{info.size}-{info.mtime_ns or 0}"
    return Version(written, written)


def _of_info(info: Mapping[str, Any] | None) -> Version | None:
    if not info:
        return None
    earlier = objects.version_of(info).replace('"', "")
    return Version(objects.etag_of(info) or earlier, earlier)


def _listed(here: Place, paths: Sequence[str], endpoint: str | None) -> dict[str, str]:
    """path -> etag on a store that pyarrow opens; {} where no installed library lists them, or
    where it can't: pyarrow's keys and settings need not be those of boto3."""
    kind = here.files.type_name
    try:
        if kind == "s3":
            return _by_boto3(here, paths, endpoint)
        if kind in _BY_FSSPEC and endpoint is None:
            files, _ = through_fsspec.file_system(f"{_BY_FSSPEC[kind]}://{here.path}")
            files.invalidate_cache()
            return {path: objects.etag_of(info) for path, info in _told(files, here, paths).items()}
    except (OSError, UserError):
        return {}
    return {}


def _by_boto3(here: Place, paths: Sequence[str], endpoint: str | None) -> dict[str, str]:
    store, found = S3(endpoint), {}
    if _are_below(here, paths) or len(paths) > _FEW:
        start = f"{here.path}/" if _are_below(here, paths) else posixpath.commonpath(paths)
        for uri, etag in store.etags(here.prefix + start):
            found[uri.removeprefix(here.prefix)] = etag
        return found
    for path in paths:
        if (there := store.look(here.uri_of(path))) is not None:
            found[path] = there.etag
    return found


def _told(files: Any, here: Place, paths: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """path -> what a file system of fsspec tells of it."""
    if _are_below(here, paths) or len(paths) > _FEW:
        folder = here.path if _are_below(here, paths) else posixpath.commonpath(paths)
        with through_fsspec.errors(here.uri_of(folder)):
            found: dict[str, Mapping[str, Any]] = files.find(folder, detail=True)
        return found
    with through_fsspec.errors(here.uri), ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(paths, pool.map(files.info, paths), strict=True))


def _are_below(here: Place, paths: Iterable[str]) -> bool:
    folder = f"{here.path.rstrip('/')}/"
    return all(path.startswith(folder) for path in paths)
