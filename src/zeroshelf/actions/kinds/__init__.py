"""Every kind of action. To add one, write its class in a module of its own and name it here.

The choices of `sort --as`, the words of the command line and of the review page, and what plan,
apply and undo do with a file all come from `KINDS`.
"""

from __future__ import annotations

from zeroshelf.actions.kinds.base import Kind
from zeroshelf.actions.kinds.copy import Copy
from zeroshelf.actions.kinds.links import HardLink, RelativeSymlink, Symlink
from zeroshelf.actions.kinds.move import Move
from zeroshelf.actions.kinds.remove import Remove
from zeroshelf.actions.kinds.tags import Tag, Untag
from zeroshelf.actions.kinds.trash import Trash
from zeroshelf.errors import UserError

__all__ = ["KINDS", "Kind", "of", "offered", "plannable"]

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (Copy(), Move(), Symlink(), RelativeSymlink(), HardLink(), Tag(), Trash(), Untag())
}
KINDS[Remove.name] = Remove(KINDS)  # undo makes what was removed by its own kind


def of(name: str) -> Kind:
    """The kind of action with that name. Raises `UserError` where there is none."""
    try:
        return KINDS[name]
    except (KeyError, TypeError):
        raise UserError(f"{name!r} is none of {', '.join(plannable())}") from None


def plannable() -> tuple[str, ...]:
    """The names of the kinds that a plan can be of."""
    return tuple(name for name, kind in KINDS.items() if kind.plannable)


def offered() -> tuple[str, ...]:
    """The names of the kinds that `sort --as` offers."""
    return tuple(name for name, kind in KINDS.items() if kind.offered)
