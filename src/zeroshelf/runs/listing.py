"""The runs of this user, for programs: `zeroshelf.runs()`."""

from __future__ import annotations

from zeroshelf.runs import registry
from zeroshelf.runs.registry import NewerRun, RunRecord


def runs() -> list[RunRecord | NewerRun]:
    """The runs that were saved on this machine, newest first. `zeroshelf.reopen(run.id)` opens one.

    What is no run's record, or a broken one, is passed over. A run that a newer version made is a
    `NewerRun`, which can't be reopened.
    """
    return list(registry.all())
