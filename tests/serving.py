"""A page's server in this process, for tests that ask it or open it in a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.waiting import until


@contextmanager
def served(page: ASGIApp) -> Iterator[tuple[uvicorn.Server, str]]:
    """The server of `page` and its address, with a slash at the end. It ends with the block."""
    config = uvicorn.Config(page, port=0, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server, f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()
