"""A server that answers as Immich's published API says, version 2 or 3, and takes nothing else.

Each request and each answer is compared with that version's schema (tests/immich_api.py). A request
that it doesn't describe is a 400, and `faults` lists it; an answer that it doesn't is an error of
this server.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.immich_api import Api
from tests.waiting import until

KEY = "k3y-for-tests"
_DAY = "2026-11-27T12:00:00.000Z"
_ME, _FRIEND = (
    {"id": str(uuid.UUID(int=at)), "name": name, "email": f"{name}@example.org",
     "avatarColor": "primary", "profileChangedAt": _DAY, "profileImagePath": ""}
    for at, name in ((1, "me"), (2, "friend"))
)  # fmt: skip


class Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass
class Immich:
    """What the server has. `assets`: id -> SHA-1 in hex."""

    schema: str = "2.7.5"  # the version whose schema it replays
    version: tuple[int, int, int] | None = None  # that it tells; None: that of the schema
    assets: dict[str, str] = field(default_factory=dict)
    trashed: set[str] = field(default_factory=set)
    tags: dict[str, tuple[str, set[str]]] = field(default_factory=dict)  # id -> value, assets
    albums: dict[str, tuple[str, set[str]]] = field(default_factory=dict)  # id -> name, assets
    of_friend: set[str] = field(default_factory=set)  # albums that are shared with this user
    calls: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    most: int = 10_000  # calls that are answered
    # Statuses of the next answers to an operation, and whether the request is carried out before.
    trouble: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    address: str = ""

    def __post_init__(self) -> None:
        self.api = Api(self.schema)
        if self.version is None:
            major, minor, patch = map(int, self.schema.split("."))
            self.version = major, minor, patch

    @property
    def is_old(self) -> bool:
        return self.schema.startswith("2.")

    def add(self, content: bytes) -> str:
        """An asset with that content; its id."""
        id = str(uuid.uuid4())
        self.assets[id] = hashlib.sha1(content).hexdigest()
        return id

    def of(self, kind: str, name: str) -> set[str]:
        """The assets of a tag or album by its name."""
        groups = self.tags if kind == "tag" else self.albums
        return next((assets for value, assets in groups.values() if value == name), set())

    # --- answers ----------------------------------------------------------------------------

    def answer(  # noqa: PLR0911
        self, what: str, id: str, body: dict[str, Any], query: dict[str, str] | None = None
    ) -> Any:
        query = query or {}
        match what:
            case "GET /server/version":
                assert self.version is not None
                names = ("major", "minor", "patch")
                more = {} if self.is_old else {"prerelease": None}
                return dict(zip(names, self.version, strict=True)) | more
            case "POST /assets/bulk-upload-check":
                return {"results": [self._check(one) for one in body["assets"]]}
            case "PUT /tags":
                return [self._tag(value) for value in body["tags"]]
            case "GET /albums":
                return [self._album(one) for one in self.albums if self._is_listed(one, query)]
            case "POST /albums":
                new = str(uuid.uuid4())
                self.albums[new] = (body["albumName"], set())
                return self._album(new)
            case "GET /albums/{id}":
                self._there(self.albums, id, "Album")
                return self._album(id)
            case "DELETE /albums/{id}":
                self._there(self.albums, id, "Album")
                del self.albums[id]
                return None
            case _:
                groups = self.tags if "/tags/" in what else self.albums
                self._there(groups, id, "Tag" if "/tags/" in what else "Album")
                return [self._change(what, groups[id][1], one) for one in body["ids"]]

    def _is_listed(self, album: str, query: dict[str, str]) -> bool:
        """Version 2 lists the user's own albums; version 3 those of others, too, if not told."""
        wanted = query.get("isOwned", "true" if self.is_old else None)
        return wanted is None or (wanted == "true") == (album not in self.of_friend)

    def _there(self, groups: dict[str, Any], id: str, what: str) -> None:
        if id not in groups:
            no_access = f"Not found or no {what.lower()}.update access"
            raise Refused(400, no_access if self.is_old else f"{what} not found")

    def _check(self, one: dict[str, str]) -> dict[str, Any]:
        wanted = one["checksum"]
        if not re.fullmatch("[0-9a-f]{40}", wanted):
            wanted = base64.b64decode(wanted, validate=True).hex()
        for id, checksum in self.assets.items():
            if checksum == wanted:
                found = {"action": "reject", "reason": "duplicate", "assetId": id}
                return {"id": one["id"], **found, "isTrashed": id in self.trashed}
        return {"id": one["id"], "action": "accept"}

    def _tag(self, value: str) -> dict[str, Any]:
        id = next((id for id, (there, _) in self.tags.items() if there == value), None)
        if id is None:
            id = str(uuid.uuid4())
            self.tags[id] = (value, set())
        name = value.rpartition("/")[2]
        return {"id": id, "name": name, "value": value, "createdAt": _DAY, "updatedAt": _DAY}

    def _album(self, id: str) -> dict[str, Any]:
        name, assets = self.albums[id]
        is_mine = id not in self.of_friend
        owner = _ME if is_mine else _FRIEND
        old = {"owner": owner, "ownerId": owner["id"], "assets": [], "albumUsers": []}
        return {
            "id": id, "albumName": name, "description": "", "assetCount": len(assets),
            "albumThumbnailAssetId": None, "createdAt": _DAY, "updatedAt": _DAY,
            "hasSharedLink": False, "isActivityEnabled": True, "shared": not is_mine,
            "albumUsers": [{"role": "owner", "user": owner}],
        } | (old if self.is_old else {})  # fmt: skip

    def _change(self, what: str, there: set[str], asset: str) -> dict[str, Any]:
        adds = what.startswith("PUT")
        if adds and asset not in self.assets:
            return {"id": asset, "success": False, "error": "no_permission"}
        if adds == (asset in there):
            error = "duplicate" if adds else "not_found"
            return {"id": asset, "success": False, "error": error}
        (there.add if adds else there.discard)(asset)
        return {"id": asset, "success": True}


async def _serve(request: Request) -> Response:
    immich: Immich = request.app.state.immich
    path = request.scope["route"].path.removeprefix("/api")
    what, id = f"{request.method} {path}", request.path_params.get("id", "")
    immich.calls.append(what)
    if len(immich.calls) > immich.most:
        return JSONResponse({"message": "Internal server error"}, 500)
    if request.headers.get("x-api-key") != KEY:
        return JSONResponse({"message": "Invalid API key", "statusCode": 401}, 401)
    status, first = immich.trouble[what].pop(0) if immich.trouble.get(what) else (0, True)
    if status and not first:
        return JSONResponse({"message": "busy"}, status, {"Retry-After": "0"})
    try:
        body = _checked(immich, what, request, await request.body())
        answer = immich.answer(what, id, body or {}, dict(request.query_params))
    except Refused as why:
        message = [str(why)] if immich.is_old else str(why)
        return JSONResponse({"message": message, "statusCode": why.status}, why.status)
    if status:
        return JSONResponse({"message": "the answer is lost"}, status)
    assert not (wrong := immich.api.faults_of_answer(what, answer)), (what, wrong)
    code = immich.api.operations[what]["status"]
    return Response(status_code=code) if answer is None else JSONResponse(answer, code)


def _checked(immich: Immich, what: str, request: Request, content: bytes) -> Any:
    """The body of a request that the schema describes. Raises `Refused` for any other."""
    found = []
    if content and request.headers.get("content-type") != "application/json":
        found.append("JSON was expected")
    body = json.loads(content) if content else None
    if len(request.query_params.multi_items()) > len(request.query_params):
        found.append("a name of the query is there twice")
    ids = {name: str(id) for name, id in request.path_params.items()}
    found += immich.api.faults_of_request(what, ids, dict(request.query_params), body)
    if found:
        immich.faults += [f"{what}: {each}" for each in found]
        raise Refused(400, "; ".join(found))
    return body


@contextmanager
def serving(immich: Immich) -> Iterator[Immich]:
    routes: dict[str, set[str]] = {}
    for what in immich.api.operations:
        method, path = what.split()
        routes.setdefault(path, set()).add(method)
    app = Starlette(
        routes=[
            Route(f"/api{path}", _serve, methods=sorted(methods))
            for path, methods in routes.items()
        ]
    )
    app.state.immich = immich
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    immich.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield immich
    finally:
        server.should_exit = True
        thread.join()
