"""Placements in the order of the pictures' paths, to be read several times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from zeroshelf.records import Picture
from zeroshelf.system import path_spelling
from zeroshelf.system.spooled import Spooled

if TYPE_CHECKING:
    from zeroshelf.actions.kinds.base import Placement

_NAMES = [field.name for field in fields(Picture)]
_VALUES = attrgetter(*_NAMES)


def of(placements: Iterable[Placement]) -> Sequence[Placement]:
    """All of them, those of one picture in the order in which they came. Where the pictures come in
    order, as those of a scan do, no more than a few are in memory at once."""
    kept, before, in_order = Spooled(_packed, _placement), "", True
    for placement in placements:
        key = path_spelling.in_order(placement[0].path)
        in_order, before = in_order and before <= key, key
        kept.append(placement)
    if in_order:
        return kept
    keys = [path_spelling.in_order(picture.path) for picture, _, _ in kept]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return Spooled(_packed, _placement, (kept[place] for place in order))


def _packed(placement: Placement) -> tuple[Any, ...]:
    picture, label, digest = placement
    return (label, digest, *_VALUES(picture))


def _placement(label: str, digest: bytes | None, *picture: Any) -> Placement:
    return Picture(*picture), label, digest
