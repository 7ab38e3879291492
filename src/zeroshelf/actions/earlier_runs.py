"""The action remove: a copy or link that an earlier run made of a picture that goes elsewhere now.

It is removed only while it is still what that run made and its original is there, and undo makes it
again from the original. A picture that an earlier run moved is never removed: it is the original.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from zeroshelf.actions import transfer
from zeroshelf.errors import UserError
from zeroshelf.records import Action, ActionKind
from zeroshelf.system import file_io, links

KIND: Final = "remove"
# kinds whose results may be removed
REPLACED: tuple[ActionKind, ...] = ("copy", "symlink", "relative-symlink", "hardlink")


@dataclass(frozen=True, slots=True)
class Made:
    """What a run made of one file, by its journal; `action` is that run's."""

    run: str  # the run's id
    action: Action


# A file's path, or that of a sidecar -> what runs made of it that are not undone.
Earlier = Mapping[str, Sequence[Made]]


def removals(
    units: Iterable[tuple[Sequence[Action], str]], wanted: Collection[str], earlier: Earlier
) -> tuple[list[Action], int]:
    """What goes, and how many files stay because they have changed since a run made them.

    units: the planned actions of a picture and its companions, by whose sources `earlier` is asked,
    with the folder of a shelf where the picture is to lie; once for each such shelf.
    wanted: every path where some picture or companion is to lie: nothing there goes.
    """
    shelves: dict[str, set[str]] = {}  # of each source
    sources: dict[str, Action] = {}
    for unit, shelf in units:
        for one in unit:
            if one.source in earlier:
                shelves.setdefault(one.source, set()).add(shelf)
                sources[one.source] = one
    found: dict[str, Action] = {}
    changed: set[str] = set()
    for source, one in sources.items():
        for made in earlier[source]:
            old, target = made.action, made.action.target
            made_by = next((kind for kind in REPLACED if kind == old.kind), None)
            if made_by is None or target in wanted or target in found:
                continue
            if os.path.dirname(target) in shelves[source] or not transfer.exists(target):
                continue  # on the right shelf, or the user took it away
            action = replace(
                one, kind=KIND, target=target, label=old.label, made_by=made_by, made_in=made.run
            )
            if why_it_stays(action):
                changed.add(target)
            else:
                found[target] = action
    return list(found.values()), len(changed)


def why_it_stays(action: Action) -> str | None:
    """None where the target of a remove is what the earlier run made of the source as it is now.
    Reads both where they are files of their own. Raises OSError where nothing can be told."""
    if not transfer.exists(action.source):
        return "the original is gone: what was made of it stays"
    if not transfer.is_result(original(action), action.target):
        return "what the earlier run made has changed since"
    return None


def put_back(action: Action) -> str | None:
    """Make again what a remove took away. Why not, where that can't be; None when it is there."""
    made, target = original(action), action.target
    transfer.discard(transfer.part_of(target))
    if transfer.exists(target):
        return None if transfer.is_result(made, target) else "something else lies there now"
    if not transfer.exists(action.source):
        return "the original is gone, so it can't be made again"
    if made.digest is not None and transfer.digest(action.source) != made.digest:
        return "the original has changed since"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if made.kind in transfer.LINKS:
        links.symlink(transfer.link_text(made, target), target)
    elif made.kind == "hardlink":
        links.hard_link(action.source, target)
    else:
        part = transfer.stage(action.source, target)
        try:
            file_io.sync([part])
            transfer.publish(part, target)
        except OSError:
            transfer.discard(part)
            raise
    return None


def original(action: Action) -> Action:
    """The earlier run's action, from the remove that takes its result away."""
    if action.made_by is None or action.made_by not in REPLACED:
        raise UserError(f"{action.target}: a remove must say what made it: made_by is missing")
    return replace(action, kind=action.made_by, made_by=None, made_in=None)
