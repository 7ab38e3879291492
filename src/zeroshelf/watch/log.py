"""The log of a watched folder: a line for each event, with its time, in a file that is rotated."""

from __future__ import annotations

import hashlib
import logging
import logging.handlers
import os
import re
from collections.abc import Callable

from zeroshelf.errors import UserError
from zeroshelf.system import app_folders

BYTES, FILES = 1_000_000, 5  # of a file; older ones that are kept


def path_for(folder: str) -> str | None:
    """The usual log of a watched folder; None where there is no place for logs."""
    place = app_folders.logs()
    return None if place is None else os.path.join(place, f"{name_for(folder)}.log")


def name_for(folder: str) -> str:
    """A name for the log and the service of a watched folder: letters, digits and dashes."""
    name = re.sub(r"[^A-Za-z0-9-]+", "-", os.path.basename(folder)).strip("-") or "folder"
    which = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    return f"watch-{name}-{which}"


def to_file(path: str) -> Callable[[str], None]:
    """A function that writes a line into the log at `path`. Raises `UserError` where that can't be
    written."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=BYTES, backupCount=FILES, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise UserError(f"the log {path} can't be written: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.Logger("zeroshelf.watch", logging.INFO)  # apart from what programs set up
    logger.addHandler(handler)

    def tell(line: str) -> None:
        logger.info("%s", line.replace("\n", "\\n").replace("\r", "\\r"))

    return tell
