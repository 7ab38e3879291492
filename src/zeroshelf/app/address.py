"""Where the app that runs now is reached, so that a second start opens that one. The address has
the token in it: the file can be read by this user alone."""

from __future__ import annotations

import contextlib
import os
import urllib.request
from collections.abc import Iterator

from zeroshelf.runs import registry
from zeroshelf.system import file_io

NAME = "app-address"
_LONGEST = 200  # characters
_PATIENCE = 3.0  # seconds until an app that does not answer counts as ended


@contextlib.contextmanager
def noted(address: str) -> Iterator[None]:
    """The address is in the file as long as this lasts, unless another app notes its own."""
    path = os.path.join(registry.root(), NAME)
    with contextlib.suppress(OSError):  # a convenience: the app works without it
        os.makedirs(os.path.dirname(path), exist_ok=True)
        beside = f"{path}.{os.getpid()}"
        with open(os.open(beside, file_io.NEW_FILE_FLAGS, 0o600), "w", encoding="ascii") as file:
            file.write(address)
        os.replace(beside, path)
    try:
        yield
    finally:
        if _read(path) == address:
            with contextlib.suppress(OSError):
                os.remove(path)


def running() -> str | None:
    """The address of an app of this user that answers; None where there is none."""
    address = _read(os.path.join(registry.root(), NAME))
    if address is None or not address.startswith("http://127.0.0.1:"):
        return None
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError), direct.open(f"{address}state", timeout=_PATIENCE) as answer:
        return address if answer.status == 200 else None
    return None


def _read(path: str) -> str | None:
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        return file.read(_LONGEST)
    return None
