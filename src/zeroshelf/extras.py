"""Which optional decoders are installed. Asked of the import system, so that nothing is loaded."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec


@cache
def has_raw() -> bool:
    return find_spec("rawpy") is not None


@cache
def has_video() -> bool:
    return find_spec("av") is not None


@cache
def has_jxl() -> bool:
    return find_spec("pillow_jxl") is not None
