"""Any store that fsspec opens, and that copies by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from zeroshelf.actions.on_store.objects import Found, of_info
from zeroshelf.errors import MissingPackage, UserError, one_line
from zeroshelf.system import content_hash, uris

# Where an object appears as a whole; elsewhere a copy gets its name when it is complete.
_WHOLE = {"memory", "s3", "s3a", "gcs", "gs", "abfs", "abfss", "az", "adl", "oss", "oci"}


def file_system(uri: str, **options: Any) -> tuple[Any, str]:
    """The fsspec file system of a URI, and the path in it. options: of that file system.

    Raises `MissingPackage` where a package for it isn't installed, `UserError` where it can't be
    opened.
    """
    scheme = uris.scheme_of(uri)
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingPackage(
            f"{scheme}:// is opened through fsspec: pip install fsspec, and its package for "
            f"{scheme} if that has one"
        ) from None
    try:
        files, path = url_to_fs(uri, **options)
    except ImportError as missing:
        raise MissingPackage(f"{scheme}:// needs one more package: {one_line(missing)}") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{uri} can't be opened: {one_line(error)}") from None
    return files, path


class Fsspec:
    """See `objects.Store`. fsspec has no condition under which a copy is made: what appears at the
    target between the last look at it and the copy would be replaced."""

    def __init__(self, uri: str, endpoint: str | None = None) -> None:
        scheme = uris.scheme_of(uri)
        options: dict[str, Any] = {"use_listings_cache": False}
        if endpoint is not None and scheme in ("gs", "gcs"):
            options["endpoint_url"] = endpoint
        self._files, _ = file_system(uri, **options)
        self.endpoint = endpoint
        protocol = self._files.protocol
        names = {protocol} if isinstance(protocol, str) else {*protocol}
        self._scheme, self._whole = scheme, not names.isdisjoint(_WHOLE)

    def uri_of(self, uri: str) -> str:
        path = self._path(uri).rstrip("/")
        return path if uris.is_uri(path) else f"{self._scheme}://{path}"

    def look(self, uri: str) -> Found | None:
        try:
            with errors(uri):
                info = self._files.info(self._path(uri))
        except FileNotFoundError:
            return None
        if info.get("type") == "directory":
            return None
        return of_info(info)

    def names(self, folder: str) -> Iterator[str]:
        try:
            with errors(folder):
                found = self._files.find(self._path(folder))
        except FileNotFoundError:
            return
        for path in found:
            yield path if uris.is_uri(path) else f"{self._scheme}://{path}"

    def copy(self, source: str, target: str, found: Found) -> None:
        one, other = self._path(source), self._path(target)
        with errors(target):
            if self._files.exists(other):
                raise FileExistsError(17, "it is there already", target)
            if self._whole:
                self._files.cp_file(one, other)
                return
            self._files.makedirs(other.rpartition("/")[0], exist_ok=True)
            part = _part(other)
            try:
                self._files.cp_file(one, part)
                if self._files.exists(other):
                    raise FileExistsError(17, "it is there already", target)
                self._files.mv(part, other)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._files.rm_file(part)
                raise

    def delete(self, uri: str, found: Found) -> None:
        with errors(uri):
            self._files.rm_file(self._path(uri))

    def digest(self, uri: str) -> bytes:
        with errors(uri), self._files.open(self._path(uri), "rb") as file:
            return content_hash.of_file(file)

    def missing_folders(self, folder: str) -> list[str]:
        missing: list[str] = []
        with errors(folder):
            while not self._whole and not self._files.isdir(self._path(folder)):
                missing.append(folder)
                above = folder.rpartition("/")[0]
                if above.endswith("/") or not uris.is_uri(above):
                    break
                folder = above
        return missing[::-1]

    def remove_folder(self, folder: str) -> None:
        with errors(folder):
            if not self._whole and not self._files.ls(self._path(folder), detail=False):
                self._files.rmdir(self._path(folder))

    def tidy(self, target: str) -> None:
        part = _part(self._path(target))
        with errors(target):
            if not self._whole and self._files.exists(part):
                self._files.rm_file(part)

    def check(self, folder: str) -> None:
        from fsspec import AbstractFileSystem

        kind = type(self._files)
        if kind.cp_file is AbstractFileSystem.cp_file and not hasattr(kind, "_cp_file"):
            raise UserError(f"{self._scheme}:// copies nothing by itself: name another store")

    def _path(self, uri: str) -> str:
        return str(self._files._strip_protocol(uri))


@contextlib.contextmanager
def errors(uri: str) -> Iterator[None]:
    """What a store's own library raises, as `OSError`."""
    try:
        yield
    except OSError:
        raise
    except NotImplementedError:
        raise OSError(95, "this store can't do that", uri) from None
    except Exception as error:  # each library has its own
        raise OSError(5, " ".join(str(error).split())[:200] or type(error).__name__, uri) from None


def _part(path: str) -> str:
    """Where a copy lies until it is complete: the same for every try, so that nothing is left."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.zeroshelf-{blake2b(name.encode(), digest_size=8).hexdigest()}.part"
