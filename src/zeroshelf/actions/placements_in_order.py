"""Placements in the order of the pictures' paths, to be read several times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zeroshelf.records import Picture
from zeroshelf.system import spooled

if TYPE_CHECKING:
    from zeroshelf.actions.kinds.base import Placement

_VALUES = spooled.values_of(Picture)


def of(placements: Iterable[Placement]) -> Sequence[Placement]:
    """All of them, those of one picture in the order in which they came. Where the pictures come in
    order, as those of a scan do, no more than a few are in memory at once."""
    return spooled.in_order(placements, lambda one: one[0].path, _packed, _placement)


def _packed(placement: Placement) -> tuple[Any, ...]:
    picture, label, digest = placement
    return (label, digest, *_VALUES(picture))


def _placement(label: str, digest: bytes | None, *picture: Any) -> Placement:
    return Picture(*picture), label, digest
