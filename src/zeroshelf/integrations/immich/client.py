"""One Immich server: requests in JSON, to that server alone.

No redirect is followed and no proxy is used, so that the API key never goes anywhere else.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zeroshelf.errors import UserError

KNOWN = (2, 3)  # major versions of the API
SECONDS = 60  # that an answer may take
MOST_BYTES = 64 << 20  # of an answer
BATCH = 500  # assets in one request
PAUSES = (1.0, 4.0, 16.0)  # seconds before each further try of a request, if the server names none
MOST_PAUSE = 60.0  # seconds: a server that asks for more is told to the user
_NOT_DONE = {429, 503}  # answers to requests that were not carried out
_AGAIN = {429, 500, 502, 503, 504}  # answers after which a request is tried again
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a request to add assets to a tag or an album, or to remove some."""

    changed: tuple[str, ...]  # ids of the assets that it changed
    refused: Mapping[str, str]  # id -> why, without those that were as wanted before
    unclear: tuple[str, ...] = ()  # as wanted now: from before, or by a try without an answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None  # then the answer itself is an error


class Client:
    """server: "http://nas:2283", with or without "/api". key: of the Immich user, from Immich's
    account settings. Raises `UserError` for an address that is none."""

    def __init__(self, server: str, key: str) -> None:
        parts = urllib.parse.urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise UserError(f"{server!r} is no server: give its address, http://nas:2283")
        if parts.username or parts.password:
            raise UserError("the server's address must have no user and no password in it")
        if not key.isascii() or not key.isprintable() or not key.strip():
            raise UserError("the API key is empty or has characters that no key has")
        path = parts.path.rstrip("/").removesuffix("/api")
        self.server = f"{parts.scheme}://{parts.netloc}{path}"
        self._key = key.strip()
        self._major = 0  # of the server's version; 0: not asked yet
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect).open

    @property
    def is_open(self) -> bool:
        """Whether the key would go over a network in readable form."""
        parts = urllib.parse.urlsplit(self.server)
        return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")

    def version(self) -> tuple[int, int, int]:
        """The server's version. Raises `UserError` where it is not one of `KNOWN`."""
        found = self._call("GET", "/server/version")
        try:
            version = (int(found["major"]), int(found["minor"]), int(found["patch"]))
        except (TypeError, KeyError, ValueError):
            raise UserError(f"{self.server} doesn't answer as Immich does") from None
        if version[0] not in KNOWN:
            either = " and ".join(map(str, KNOWN))
            raise UserError(
                f"{self.server} is Immich {'.'.join(map(str, version))}; only versions {either} "
                "are known to work: nothing was changed"
            )
        self._major = version[0]
        return version

    def assets(self, checksums: Mapping[str, str]) -> dict[str, str]:
        """Name -> id of the asset with that content, where this user has one that is not in the
        trash. checksums: name -> SHA-1 in hex."""
        found: dict[str, str] = {}
        names = list(checksums)
        for some in _batches(names):
            asked = [{"id": str(row), "checksum": checksums[n]} for row, n in enumerate(some)]
            answer = self._call("POST", "/assets/bulk-upload-check", {"assets": asked})
            for one in _rows(answer, "results"):
                is_there = one.get("action") == "reject" and one.get("reason") == "duplicate"
                if is_there and not one.get("isTrashed"):
                    found[some[int(one["id"])]] = _checked(one.get("assetId"))
        return found

    def tags(self, values: Sequence[str]) -> dict[str, str]:
        """Value ("zeroshelf/cat") -> id of that tag, which is made if there is none yet."""
        answer = self._call("PUT", "/tags", {"tags": list(values)})
        found = {str(one.get("value")): _checked(one.get("id")) for one in _rows(answer)}
        missing = [value for value in values if value not in found]
        if missing:
            raise UserError(f"{self.server} made no tag {missing[0]!r}")
        return found

    def tag(self, id: str, assets: Sequence[str]) -> Added:
        """Give the tag to up to `BATCH` assets."""
        return self._change("PUT", f"/tags/{_checked(id)}/assets", assets)

    def untag(self, id: str, assets: Sequence[str]) -> Added:
        """Take the tag from up to `BATCH` assets."""
        return self._change("DELETE", f"/tags/{_checked(id)}/assets", assets)

    def albums(self) -> dict[str, str]:
        """Name -> id of this user's own albums; of several of one name, the first. Albums of other
        users that are shared with this one, which version 3 lists too, are left out."""
        found: dict[str, str] = {}
        own = "?isOwned=true" if self._is_3 else ""
        for one in _rows(self._call("GET", f"/albums{own}")):
            found.setdefault(str(one.get("albumName")), _checked(one.get("id")))
        return found

    def make_album(self, name: str) -> str:
        """A new, empty album; its id."""
        return _checked(self._call("POST", "/albums", {"albumName": name}).get("id"))

    def add_to_album(self, id: str, assets: Sequence[str]) -> Added:
        """Put up to `BATCH` assets into an album."""
        return self._change("PUT", f"/albums/{_checked(id)}/assets", assets)

    def remove_from_album(self, id: str, assets: Sequence[str]) -> Added:
        """Take up to `BATCH` assets out of an album; they stay in the library."""
        return self._change("DELETE", f"/albums/{_checked(id)}/assets", assets)

    def remove_album_if_empty(self, id: str) -> bool:
        """Whether the album is gone now: it was empty, or the user had removed it."""
        without = "" if self._is_3 else "?withoutAssets=true"  # version 3 lists none
        try:
            album = self._call("GET", f"/albums/{_checked(id)}{without}")
            if album.get("assetCount") != 0:
                return False
            self._call("DELETE", f"/albums/{_checked(id)}")
        except _NotThere:
            pass  # removed by the user, or by a try whose answer was lost
        return True

    # --- requests ---------------------------------------------------------------------------

    @property
    def _is_3(self) -> bool:
        if not self._major:
            self.version()
        return self._major >= 3

    def _change(self, method: str, path: str, assets: Sequence[str]) -> Added:
        body = {"ids": [_checked(one) for one in assets]}
        try:
            answer, is_repeat = self._ask(method, path, body)
        except _NotThere:
            gone = method == "DELETE"  # the tag or album, and so what is to be taken back
            return Added((), {} if gone else dict.fromkeys(assets, "not_found"))
        changed, unclear, refused = [], [], {}
        as_wanted = "duplicate" if method == "PUT" else "not_found"
        for one in _rows(answer):
            id = _checked(one.get("id"))
            if one.get("success"):
                changed.append(id)
            elif one.get("error") != as_wanted:
                refused[id] = str(one.get("error"))
            elif is_repeat:
                unclear.append(id)
        return Added(tuple(changed), refused, tuple(unclear))

    def _call(self, method: str, path: str, body: Json | None = None) -> Any:
        """The answer to a request. Raises `UserError` with what the server says."""
        return self._ask(method, path, body)[0]

    def _ask(self, method: str, path: str, body: Json | None) -> tuple[Any, bool]:
        """The answer to a request that is tried again while the server is busy or fails; and
        whether an earlier try may have been carried out, too. What must not be done twice, a new
        album, is tried again only where it was not carried out."""
        is_repeat = False
        for pause in (*PAUSES, None):
            try:
                return self._once(method, path, body), is_repeat
            except _Busy as busy:
                once = method == "POST" and path == "/albums" and busy.code not in _NOT_DONE
                wait = pause if busy.wait is None else busy.wait
                if pause is None or wait is None or wait > MOST_PAUSE or once:
                    raise
                is_repeat |= busy.code not in _NOT_DONE
                time.sleep(wait)
        raise AssertionError  # the last try returned or raised

    def _once(self, method: str, path: str, body: Json | None) -> Any:
        """The answer to one try. Raises `UserError`; `_Busy` where another may be answered."""
        headers = {"x-api-key": self._key, "Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(f"{self.server}/api{path}", data, headers, method=method)
        try:
            with self._open(request, timeout=SECONDS) as answer:
                text = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise _refused(self.server, method, path, error) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error
            raise UserError(f"{self.server} can't be reached: {why}") from None
        if len(text) > MOST_BYTES:
            raise UserError(f"{self.server}: the answer to {method} {path} is too long")
        try:
            return json.loads(text) if text else {}
        except ValueError:
            raise UserError(f"{self.server} doesn't answer as Immich does") from None


class _NotThere(UserError):
    """There is no tag or album of that id (any more)."""


class _Busy(UserError):
    """The server can't answer now. code: the answer's status. wait: seconds, if it names them."""

    def __init__(self, message: str, code: int, wait: float | None) -> None:
        super().__init__(message)
        self.code, self.wait = code, wait


def _refused(server: str, method: str, path: str, error: urllib.error.HTTPError) -> UserError:
    """What an answer that is an error means."""
    try:
        said = json.loads(error.read(10_000)).get("message", "")
        said = "; ".join(map(str, said)) if isinstance(said, list) else str(said)
    except (ValueError, AttributeError, OSError):
        said = ""
    what = f"{server}: {method} {path.partition('?')[0].split('/')[1]}: "
    if error.code in (401, 403):
        return UserError(
            f"{what}{said or 'refused'}: the API key needs the permissions asset.upload, tag.read, "
            "tag.create, tag.asset, and for albums album.read, album.create, album.delete and "
            "albumAsset.create and .delete"
        )
    if error.code in (301, 302, 303, 307, 308):
        return UserError(f"{server} sends on to another address: give that one")
    if error.code == 404 or (error.code == 400 and "not found" in said.lower()):
        return _NotThere(f"{what}{said or 'not found'}")
    if error.code in _AGAIN:
        named = error.headers.get("Retry-After") or ""
        wait = float(named) if named.isdecimal() else None
        return _Busy(f"{what}{error.code} {said}".rstrip(), error.code, wait)
    return UserError(f"{what}{error.code} {said}".rstrip())


def _rows(answer: Any, key: str | None = None) -> list[Json]:
    """A list of objects, or the one in `key`. Raises `UserError` for anything else."""
    rows = answer.get(key) if key and isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        raise UserError("the server doesn't answer as Immich does")
    return rows


def _checked(id: object) -> str:
    """An id that may stand in a path. Raises `UserError`."""
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise UserError("the server doesn't answer as Immich does: an id is none")
    return id


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]
