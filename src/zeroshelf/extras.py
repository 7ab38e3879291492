"""Which optional decoders are installed. Asked of the import system, so that nothing is loaded."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec


@cache
def has_video() -> bool:
    return find_spec("av") is not None
