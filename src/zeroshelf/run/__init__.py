"""The public object: `classify` and `reopen` make a `Run`, which is corrected, planned and applied.

The command line, the notebook and other programs use these same functions. A search needs
`sources` alone: the others are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroshelf.run.run import Labels, Run
    from zeroshelf.run.sources import Sources
    from zeroshelf.run.start import classify, reopen

__all__ = ["Labels", "Run", "Sources", "classify", "reopen"]
_HOMES = {
    "Labels": "run",
    "Run": "run",
    "Sources": "sources",
    "classify": "start",
    "reopen": "start",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'zeroshelf.run' has no attribute {name!r}")
    return getattr(import_module(f"zeroshelf.run.{_HOMES[name]}"), name)
