"""Which optional decoders are installed. Asked of the import system, so that nothing is loaded."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from zeroshelf.files import kinds

_LIBRARIES = {  # format: its library, the extra that brings it, what a person calls it
    kinds.RAW: ("rawpy", "raw", "RAW"),
    kinds.JXL: ("imagecodecs", "jxl", "JPEG XL"),
    kinds.VIDEO: ("av", "video", "video"),
}


@cache
def has(kind: str) -> bool:
    """True where pictures of this format can be read."""
    return kind not in _LIBRARIES or find_spec(_LIBRARIES[kind][0]) is not None


def advice(kind: str) -> str:
    """One line: what to install."""
    _, extra, name = _LIBRARIES[kind]
    return f"{name}: `pip install 'zeroshelf[{extra}]'` reads it"
