"""Models: a folder of files -> an encoder of pictures and texts.

This package can be called: `zeroshelf.models()` lists the models (listing.py).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroshelf.models.listing import ModelInfo


class _Callable(ModuleType):
    """`zeroshelf.models` is this package and a public function, whatever was imported first."""

    def __call__(self) -> list[ModelInfo]:
        """All models that zeroshelf knows; see `zeroshelf.models.listing.models`."""
        from zeroshelf.models import listing

        return listing.models()


sys.modules[__name__].__class__ = _Callable
