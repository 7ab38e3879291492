"""Runs on disk: their records, found again and reopened.

This package can be called: `zeroshelf.runs()` lists the runs (listing.py).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroshelf.runs.registry import NewerRun, RunRecord


class _Callable(ModuleType):
    """`zeroshelf.runs` is this package and a public function, whatever was imported first."""

    def __call__(self) -> list[RunRecord | NewerRun]:
        """The saved runs, newest first; see `zeroshelf.runs.listing.runs`."""
        from zeroshelf.runs import listing

        return listing.runs()


sys.modules[__name__].__class__ = _Callable
