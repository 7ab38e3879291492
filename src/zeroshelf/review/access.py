"""Access to the review server: only this machine's own page is let through.

A page from elsewhere in the same browser is refused three times over: it doesn't know the token,
which is the first part of every address; its Origin is another; and a name of its own that leads
to 127.0.0.1 (DNS rebinding) is no known Host. A tunnel (ssh -L) passes, whatever its port.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = frozenset(("127.0.0.1", "localhost", "::1"))
LARGEST = 8 << 20  # bytes of a request: a list of a million pictures

POLICY = "Content-Security-Policy"
HEADERS = {
    POLICY: (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class AccessCheck:
    """An ASGI app that passes requests to `app` if their path begins with /TOKEN/, which it
    removes, and if Host and Origin are its own; all others are refused."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no web sockets here
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                own = headers.get(POLICY)  # a report's, which has its script in itself
                headers.update(HEADERS)
                if own is not None:
                    headers[POLICY] = own
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self._why_not(scope, Headers(scope=scope))
        if refused is not None:
            await refused(scope, receive, send_with_headers)
            return
        rest = scope["path"].removeprefix(f"/{self._token}")
        await self._app({**scope, "path": rest, "root_path": ""}, receive, send_with_headers)

    def _why_not(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        if _name(headers.get("host", "")) not in HOSTS:
            return PlainTextResponse("this page answers on 127.0.0.1 and localhost alone\n", 400)
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{headers['host']}":
            return PlainTextResponse("asked from another page\n", 403)
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return PlainTextResponse("asked from another page\n", 403)
        token, slash, _ = scope["path"].removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self._token.encode()):
            return PlainTextResponse("open the address that the command printed\n", 403)
        endless = "transfer-encoding" in headers  # a chunked body may go on for ever
        length = headers.get("content-length", "0")
        if endless or not length.isdecimal() or int(length) > LARGEST:
            return PlainTextResponse("too much at once\n", 411 if endless else 413)
        return None


def _name(host: str) -> str | None:
    """The name in a Host header, without its port; None where there is none to be read."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # a bracket that is not closed
        return None
