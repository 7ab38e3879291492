"""Finds the files that earlier runs made of the same pictures, and those that a plan removes.

A copy or link on another shelf than the new plan's is removed (`kinds/remove.py`), if it is still
what that run made.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zeroshelf.actions import transfer
from zeroshelf.records import Action

if TYPE_CHECKING:
    from zeroshelf.actions.kinds.base import Earlier, Kind

REMOVE: Final = "remove"  # the name of the action
ONLY_A_LINK: Final = "the original is only a link to it now, so it stays"


def removals(
    units: Iterable[tuple[Sequence[Action], str]], wanted: Container[str], earlier: Earlier
) -> tuple[list[Action], int]:
    """What goes, and how many files stay because they have changed since a run made them.

    units: the planned actions of a picture and its companions, by whose sources `earlier` is asked,
    with the folder of a shelf where the picture is to lie; once for each such shelf, one after the
    other.
    wanted: every path where some picture or companion is to lie: nothing there goes.
    """
    found: dict[str, Action] = {}
    changed: set[str] = set()
    for _, same in itertools.groupby(units, key=lambda unit: unit[0][0].source):
        placed = list(same)  # a picture's
        shelves = {shelf for _, shelf in placed}
        ours = ((one, made) for one in placed[-1][0] for made in earlier.get(one.source, ()))
        for one, made in ours:
            old, target = made.action, made.action.target
            if not made.kind.replaceable or target in wanted or target in found:
                continue
            if os.path.dirname(target) in shelves or not transfer.exists(target):
                continue  # on the right shelf, or removed by the user
            result = replace(one, kind=old.kind, target=target, label=old.label)
            if why_it_stays(result, made.kind):
                changed.add(target)
            else:
                found[target] = replace(result, kind=REMOVE, made_by=old.kind, made_in=made.run)
    return list(found.values()), len(changed)


def why_it_stays(made: Action, kind: Kind) -> str | None:
    """None where the target is what the earlier run's action `made` gives of the source as it is
    now. Reads both where they are files of their own. Raises OSError where the system can't tell.
    """
    if not transfer.exists(made.source) or transfer.leads_nowhere(made.source):
        return "the original no longer exists: what was made of it stays"
    if transfer.depends_on(made.source, made.target):
        return ONLY_A_LINK
    if not kind.is_result(made, made.target):
        return "what the earlier run made has changed since"
    return None
