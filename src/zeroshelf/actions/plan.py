"""decisions -> plan: where every picture goes, all collisions solved before anything happens.

Looks at the destination and writes nothing there. The same pictures, labels and destination make
the same plan; a second sort of the same folder finds its own work and plans nothing twice. What is
planned for a picture depends on the action: see `kinds/`, `plan_shelves` and `plan_tags`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import get_args

import numpy as np
import numpy.typing as npt

from zeroshelf import checks
from zeroshelf.actions import kinds, plan_request
from zeroshelf.actions.kinds.base import Earlier, Placement
from zeroshelf.counting import counted
from zeroshelf.decisions import decide
from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, ActionKind, Confidence, Embeddings, Plan, PlanRequest
from zeroshelf.system import folder_identity

__all__ = ["by_decisions", "check", "check_closed", "confidences", "make", "possible"]


def by_decisions(
    request: PlanRequest,
    embeddings: Embeddings,
    decided: Decisions,
    by_hand: Collection[int] = frozenset(),
    earlier: Earlier | None = None,
) -> Plan:
    """The plan for `request` that puts every picture onto the shelf of its label.

    by_hand: rows of pictures that the user placed: they go there, however ambiguous they are.
    earlier: what other runs made of the same pictures (`runs.earlier.made`): it is removed
        where it lies on another shelf now, if the request says so.
    Raises `UserError` where the destination can't take a shelf, or the action needs to know which
        pictures fit no label and the labels are a closed set.
    """
    unclear = _unclear(request, decided, by_hand)
    also = decide.also(decided) & request.several
    labels = decided.scores.labels.names
    only_clear = kinds.of(request.action).only_clear
    check_closed(request.action, decided.closed)
    given = {*by_hand, *decided.corrected}

    def placements() -> Iterator[Placement]:
        for row, (picture, own, digest) in enumerate(
            zip(embeddings.pictures, decided.labels, embeddings.digests, strict=True)
        ):
            best = request.ambiguous if request.ambiguous and unclear[row] else own
            if request.unsure and _is_unsure(decided, row, given):
                best = request.unsure
            if only_clear and (unclear[row] or not _is_clear(decided, row, given)):
                best = OTHER
            for label in dict.fromkeys((best, *(labels[k] for k in np.flatnonzero(also[row])))):
                yield picture, label, digest

    made = make(request, placements(), earlier if request.replace else None)
    notes = list(made.notes)
    if unclear.any() and not only_clear:
        go = "fits two labels about equally: it goes to", "fit two labels about equally: they go to"
        notes.append(f'{counted(int(unclear.sum()), *go)} "{request.ambiguous}"')
    if also.any():
        go = "goes onto further shelves that fit too", "go onto further shelves that fit too"
        notes.append(counted(int(also.any(axis=1).sum()), *go))
    return replace(made, notes=tuple(notes))


def confidences(plan: Plan, decided: Decisions) -> dict[str, dict[Confidence, int]]:
    """Shelf -> confidence -> number of pictures, as the plan for these decisions has them: with
    the shelf of the ambiguous ones, if they get one, and without those on the others."""
    apart = None if kinds.of(plan.kind).only_clear else plan.ambiguous
    extra = dict.fromkeys(name for name in (apart, plan.unsure) if name)
    names = (*decided.scores.labels.names, OTHER, *extra)
    tally: dict[str, dict[Confidence, int]] = {
        name: dict.fromkeys(get_args(Confidence), 0) for name in names
    }
    unclear = _unclear(plan.request, decided, ())
    for row, label in enumerate(decided.labels):
        shelf = apart if apart and unclear[row] else label
        if plan.unsure and _is_unsure(decided, row, decided.corrected):
            shelf = plan.unsure
        tally[shelf][decide.confidence_of(decided, row)] += 1
    if decided.closed and not any(tally[OTHER].values()):
        del tally[OTHER]
    return tally


def _unclear(
    request: PlanRequest, decided: Decisions, by_hand: Collection[int]
) -> npt.NDArray[np.bool_]:
    """(N,): the pictures for the shelf of the ambiguous ones, if the request has one."""
    unclear = decide.ambiguous(decided) & (request.ambiguous is not None)
    unclear[list(by_hand)] = False
    return np.asarray(unclear)


def check_closed(action: ActionKind, closed: bool) -> None:
    """Raise `UserError` for an action that takes only pictures of which it is clear that they fit
    their label, in a closed set: there, every picture is on a shelf, whether it fits or not."""
    if closed and kinds.of(action).only_clear:
        raise UserError(
            f"--as {action} needs to know which pictures fit no label: leave --no-other out"
        )


def _is_clear(decided: Decisions, row: int, given: Collection[int]) -> bool:
    """Whether a picture surely or likely fits its label, or the user gave it that label."""
    return row in given or decided[row].confidence != "unsure"


def _is_unsure(decided: Decisions, row: int, given: Collection[int]) -> bool:
    """Whether a picture is on the shelf of a label, unsure of it, and not put there by the user."""
    column = int(decided.chosen[row])
    on_shelf = column < len(decided.scores.labels)
    return on_shelf and row not in given and decide.confidence_of(decided, row) == "unsure"


def make(
    request: PlanRequest, placements: Iterable[Placement], earlier: Earlier | None = None
) -> Plan:
    """The plan for `request` that puts each of `placements` onto the shelf of its label; a picture
    with several labels comes several times. `earlier`: what other runs made of the pictures, to be
    removed where it is not wanted any more. Raises `UserError` where the destination can't take a
    shelf, or there is no such action."""
    kind = kinds.of(request.action)
    destination = request.destination
    request = replace(
        request,
        folder=os.path.abspath(request.folder),
        destination=None if destination is None else os.path.abspath(destination),
    )
    return replace(
        kind.plan(request, placements, earlier),
        ambiguous=request.ambiguous,
        several=request.several,
        replace=request.replace,
        shelf_path=request.shelf_path,
        unsure=request.unsure,
    )


def check(value: object, folder: str) -> Plan:
    """A plan for `folder` that can be carried out as far as types and names of actions tell. Raises
    `UserError` for anything else."""
    found = checks.plan(value)
    checks.choice(found.kind, "the plan: kind", kinds.plannable())
    for action in found.actions:
        checks.choice(action.kind, "the plan: an action", tuple(kinds.KINDS))
    if not folder_identity.same(found.folder, folder):
        raise UserError(
            f"the plan is for {found.folder}, and the run is of {folder}: use a plan that the same "
            "run made"
        )
    return found


def possible(plan: Plan) -> tuple[ActionKind, ...]:
    """The actions that can be applied to the pictures of a plan: its own, and those that its two
    folders and its shelves allow as well. A plan of an action without a destination
    has no other action. One that takes only some of the pictures away, as the trash does, is no
    other way to do the same and has to be asked for by itself."""
    if not kinds.of(plan.kind).needs_destination:
        return (plan.kind,)
    return tuple(name for name in kinds.offered() if _allows(plan, name))


def _allows(plan: Plan, name: ActionKind) -> bool:
    kind = kinds.of(name)
    if kind.only_clear or (plan.several and not kind.takes_several):
        return False
    try:
        kind.check(plan_request.without_unused(replace(plan.request, action=name)))
    except (UserError, OSError):
        return name == plan.kind  # apply fails with the reason
    return True
