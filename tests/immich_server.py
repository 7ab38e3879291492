"""A server that answers as Immich's published API does, version 2 or 3, and takes nothing else.

Paths, methods, required and optional fields are those of the schema (`BulkIdsDto`, `TagUpsertDto`,
`AssetBulkUploadCheckDto`, `CreateAlbumDto` and their answers). A request that has a field more, a
field less or an id that is no UUID is a 400, and `faults` lists it.
"""

from __future__ import annotations

import base64
import hashlib
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

from tests.waiting import until

KEY = "k3y-for-tests"
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
SCHEMA: dict[str, tuple[dict[str, type], dict[str, type]]] = {  # required and optional fields
    "POST /assets/bulk-upload-check": ({"assets": list}, {}),
    "PUT /tags": ({"tags": list}, {}),
    "PUT /tags/{id}/assets": ({"ids": list}, {}),
    "DELETE /tags/{id}/assets": ({"ids": list}, {}),
    "POST /albums": (
        {"albumName": str},
        {"description": str, "assetIds": list, "albumUsers": list},
    ),
    "PUT /albums/{id}/assets": ({"ids": list}, {}),
    "DELETE /albums/{id}/assets": ({"ids": list}, {}),
}


class Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass
class Immich:
    """What the server has. `assets`: id -> SHA-1 in hex."""

    version: tuple[int, int, int] = (2, 4, 1)
    assets: dict[str, str] = field(default_factory=dict)
    trashed: set[str] = field(default_factory=set)
    tags: dict[str, tuple[str, set[str]]] = field(default_factory=dict)  # id -> value, assets
    albums: dict[str, tuple[str, set[str]]] = field(default_factory=dict)  # id -> name, assets
    calls: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    most: int = 10_000  # calls that are answered
    address: str = ""

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

    def answer(self, what: str, id: str, body: dict[str, Any]) -> Any:  # noqa: PLR0911
        match what:
            case "GET /server/version":
                names = ("major", "minor", "patch")
                more = {"prerelease": None} if self.version[0] > 2 else {}
                return dict(zip(names, self.version, strict=True)) | more
            case "POST /assets/bulk-upload-check":
                return {"results": [self._check(one) for one in body["assets"]]}
            case "PUT /tags":
                return [self._tag(value) for value in body["tags"]]
            case "GET /albums":
                return [self._album(one) for one in self.albums]
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

    def _there(self, groups: dict[str, Any], id: str, what: str) -> None:
        if id not in groups:
            no_access = f"Not found or no {what.lower()}.update access"
            raise Refused(400, no_access if self.version[0] < 3 else f"{what} not found")

    def _check(self, one: dict[str, str]) -> dict[str, Any]:
        if set(one) != {"id", "checksum"}:
            raise Refused(400, "assets: id and checksum")
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
        day = "2026-11-27T12:00:00.000Z"
        name = value.rpartition("/")[2]
        return {"id": id, "name": name, "value": value, "createdAt": day, "updatedAt": day}

    def _album(self, id: str) -> dict[str, Any]:
        name, assets = self.albums[id]
        return {"id": id, "albumName": name, "description": "", "assetCount": len(assets)}

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
    try:
        body = await request.json() if await request.body() else {}
        _check_request(immich, what, id, body, request)
        answer = immich.answer(what, id, body)
    except Refused as why:
        if why.status == 400 and "ound" not in str(why):
            immich.faults.append(f"{what}: {why}")
        message = [str(why)] if immich.version[0] == 2 else str(why)
        return JSONResponse({"message": message, "statusCode": why.status}, why.status)
    if answer is None:
        return Response(status_code=204)
    created = what == "POST /albums"
    return JSONResponse(answer, 201 if created else 200)


def _check_request(
    immich: Immich, what: str, id: str, body: dict[str, Any], request: Request
) -> None:
    if id and not _UUID.fullmatch(id):
        raise Refused(400, "id must be a UUID")
    if request.query_params:
        raise Refused(400, "no query was expected")
    required, optional = SCHEMA.get(what, ({}, {}))
    if required and request.headers.get("content-type") != "application/json":
        raise Refused(400, "JSON was expected")
    if body and what not in SCHEMA:
        raise Refused(400, "no body was expected")
    for name, type_ in (required | optional).items():
        if name in required and name not in body:
            raise Refused(400, f"{name} is missing")
        if name in body and not isinstance(body[name], type_):
            raise Refused(400, f"{name} is no {type_.__name__}")
    if unknown := set(body) - set(required) - set(optional):
        raise Refused(400, f"unknown: {unknown}")
    for one in body.get("ids", []):
        if not isinstance(one, str) or not _UUID.fullmatch(one):
            raise Refused(400, "each value in ids must be a UUID")


@contextmanager
def serving(immich: Immich) -> Iterator[Immich]:
    routes: dict[str, set[str]] = {}
    for what in [*SCHEMA, "GET /server/version", "GET /albums", "GET /albums/{id}",
                 "DELETE /albums/{id}"]:  # fmt: skip
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
