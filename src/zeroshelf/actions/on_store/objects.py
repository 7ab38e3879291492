"""An object store as plan, apply and undo see it: look at an object, copy it, delete the copy.

S3 and what speaks its protocol come through boto3, which has the conditions that a copy and a
deletion can be made under; any other store through fsspec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from zeroshelf.records import Action

# What fsspec tells of an object's version, the best first.
_VERSIONS = ("ETag", "etag", "md5", "LastModified", "last_modified", "mtime", "created")
_CONTENT = ("md5Hash", "md5", "ETag")  # of these, what two objects with one content may share
# What fsspec or pyarrow tells of an object's content, or at least of its version, without its time:
# a hash of the content first, as Google's, then S3's etag, and what Hugging Face and git have.
_ETAGS = ("md5Hash", "ETag", "etag", "md5", "Content-MD5", "blob_id", "sha")


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it is now."""

    size: int  # bytes
    etag: str  # the store's word for its version; without quotes; "" where the store has none
    second: int | None = None  # when it was written, in seconds since 1970
    version: str | None = None  # of a bucket that keeps versions: the id of this one
    content: str | None = None  # equal for equal contents; not always different for others

    def is_of_content(self, other: Found) -> bool:
        """Whether two objects surely have the same content. False where that is unknown."""
        return self.size == other.size and bool(self.content) and self.content == other.content


class Store(Protocol):
    """One object store. All methods may be called by several threads; they raise `OSError`."""

    endpoint: str | None  # URL of the server, where it is not the provider's own

    def uri_of(self, uri: str) -> str:
        """The one spelling of a URI that this store uses."""

    def look(self, uri: str) -> Found | None:
        """The object at a URI; None where there is none."""

    def names(self, folder: str) -> Iterator[str]:
        """The URIs of all objects below a folder."""

    def copy(self, source: str, target: str, found: Found) -> None:
        """Copy an object within the store, which moves its bytes by itself. found: the source, as
        it has to be still. Raises `FileExistsError` where the store says that the target is there,
        `Repeated` where that may be the work of this very call."""

    def delete(self, uri: str, found: Found) -> None:
        """Delete the object `found` at a URI, and no other one if the store can tell."""

    def digest(self, uri: str) -> bytes:
        """BLAKE3 of the content, which is read for it."""

    def missing_folders(self, folder: str) -> list[str]:
        """The URIs of the folders that a copy into `folder` makes, the uppermost first. An object
        store has none."""

    def remove_folder(self, folder: str) -> None:
        """Remove a folder if nothing is in it."""

    def tidy(self, target: str) -> None:
        """Remove what a copy to `target` that was killed may have left beside it."""

    def check(self, folder: str) -> None:
        """Raise `UserError` where the store can't be reached, or copies nothing by itself."""


class Repeated(OSError):
    """The target is there, and the request was sent more than once: the first may have made it."""


def is_original(store: Store, action: Action, source: Found | None) -> bool:
    """Whether the source of an action, as it is now, is what was planned. It is read only where
    another version of the same size is there. Raises `OSError`."""
    if source is None or source.size != action.size:
        return False
    return source.etag == action.etag or _has_digest(store, action.source, action)


def is_copy(store: Store, action: Action, source: Found | None, there: Found) -> bool:
    """Whether the object at the target of an action has the content of its source. It is read only
    where the store doesn't tell. Raises `OSError`."""
    if there.size != action.size:
        return False
    if source is not None and source.etag == action.etag and there.is_of_content(source):
        return True
    return _has_digest(store, action.target, action)


def _has_digest(store: Store, uri: str, action: Action) -> bool:
    return action.digest is not None and store.digest(uri) == action.digest


def etag_of(info: Mapping[str, Any]) -> str:
    """The etag of an object without quotes, from what fsspec or pyarrow tells of it; "" where that
    is only size and time."""
    found = (info[key] for key in _ETAGS if isinstance(info.get(key), str) and info[key])
    return str(next(found, "")).replace('"', "")


def version_of(info: Mapping[str, Any]) -> str:
    """The version of a file by its size and what fsspec tells of it: etag or time."""
    found = next((str(info[key]) for key in _VERSIONS if info.get(key)), "0")
    return f"{info.get('size')}-{found}"


def of_info(info: dict[str, Any]) -> Found:
    """What fsspec tells of an object."""
    etag = next((str(info[key]) for key in _VERSIONS if info.get(key)), "").strip('"')
    content = next((str(info[key]).strip('"') for key in _CONTENT if info.get(key)), None)
    times = (info.get(key) for key in ("LastModified", "last_modified", "mtime", "created"))
    second = next(filter(None, map(_second, times)), None)
    return Found(int(info["size"]), etag, second, None, content)


def _second(time: object) -> int | None:
    if isinstance(time, datetime):
        return int(time.timestamp())
    return int(time) if isinstance(time, int | float) else None
