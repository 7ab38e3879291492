"""Web addresses -> the methods of `App`, and the review page of each run."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from zeroshelf.app import operations, wording
from zeroshelf.app.operations import OPERATIONS, Given, Operation
from zeroshelf.app.run_pages import RunPages
from zeroshelf.app.state import App
from zeroshelf.errors import UserError
from zeroshelf.review.access import AccessCheck

FILES = {  # everything of the page; no address is ever made into a path
    "": ("index.html", "text/html"),
    "app.js": ("app.js", "text/javascript"),
    "app.css": ("app.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}


def make(app: App, token: str) -> AccessCheck:
    """The web application: `app` behind the access check of the review page."""
    routes: list[Any] = [Route(f"/{name}", _file(*which)) for name, which in FILES.items()]
    routes += [Route(one.path, _handler(app, one), methods=[one.method]) for one in OPERATIONS]
    routes.append(Mount("/runs/{id}/report-pages", _report_page(app)))
    routes.append(Mount("/review", _Reviews(app.pages)))
    handlers = {UserError: _refused, ValueError: _malformed, RecursionError: _malformed}
    return AccessCheck(Starlette(routes=routes, exception_handlers=handlers), token)


def _file(name: str, kind: str) -> Callable[[Request], Response]:
    content = (resources.files("zeroshelf") / "data" / "app" / name).read_bytes()
    return lambda _: Response(content, media_type=kind)


def _handler(app: App, one: Operation) -> Callable[[Request], Any]:
    act: Callable[[Given], Any] = getattr(app, one.name)

    async def answer(request: Request) -> Response:
        given = operations.from_text(one.parts, request.path_params)
        given |= operations.from_text(one.query, dict(request.query_params))
        if one.method == "POST":
            given |= operations.check(one.body, json.loads(await request.body() or b"{}"))
        found = await run_in_threadpool(act, given)
        # names that are no UTF-8 hold lone surrogates, which JSON in ASCII keeps
        return (
            found
            if isinstance(found, Response)
            else Response(json.dumps(found), media_type="application/json")
        )

    return answer


def _report_page(app: App) -> ASGIApp:
    """Part of a document, not of the API: its first page leads to it."""
    described = {"id": operations.RUN_ID, "page": operations.REPORT_PAGE}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        page = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix("/")
        given = operations.check(described, {"id": scope["path_params"]["id"], "page": page})
        found = await run_in_threadpool(app.report_page, given)
        await found(scope, receive, send)

    return answer


class _Reviews:
    """/review/RUN/... -> the review page of that run."""

    def __init__(self, pages: RunPages) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        below = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix("/")
        id, slash, rest = below.partition("/")
        try:
            operations.check({"id": operations.RUN_ID}, {"id": id})
            if not slash:
                raise ValueError("the address of a review page ends with a slash")
            page: ASGIApp = await run_in_threadpool(self._pages.page, id)
        except (UserError, ValueError) as trouble:
            code = 409 if isinstance(trouble, UserError) else 400
            await PlainTextResponse(f"{wording.in_app(str(trouble))}\n", code)(scope, receive, send)
            return
        await page({**scope, "path": f"/{rest}", "root_path": ""}, receive, send)


def _refused(_: Request, trouble: Exception) -> Response:
    return JSONResponse({"error": wording.in_app(str(trouble))}, 409)


def _malformed(_: Request, trouble: Exception) -> Response:
    return JSONResponse({"error": f"not understood: {trouble}"}, 400)
