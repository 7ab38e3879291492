"""A picture and its companions: a unit, whose files go together or stay together."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping

from zeroshelf.records import Action, Outcome

BAD = ("failed", "refused")


def lead(action: Action) -> str:
    """The picture with which a file stays together."""
    return action.companion_of or action.source


def failure_beside(action: Action, outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """The first bad outcome so far of the files that stay together with this one."""
    beside = (one for one in outcomes.values() if lead(one.action) == lead(action))
    return next((one for one in beside if one.status in BAD), None)


def stays(action: Action, bad: Outcome) -> Outcome:
    """The outcome of an action that is not begun because another of its unit came to `bad`."""
    reason = f"stays with {os.path.basename(bad.action.source)}: {bad.reason}"
    return Outcome(action, "refused", reason)


def batches(actions: Iterable[Action], least: int) -> Iterator[list[list[Action]]]:
    """Units of a picture and its companions, in batches of at least `least` actions."""
    batch: list[list[Action]] = []
    size = 0
    for _, unit in itertools.groupby(actions, key=lead):
        batch.append(list(unit))
        size += len(batch[-1])
        if size >= least:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
