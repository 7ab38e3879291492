"""The runs of this user, for programs: `zeroshelf.runs()`."""

from __future__ import annotations

from zeroshelf.runs import registry
from zeroshelf.runs.registry import RunRecord


def runs() -> list[RunRecord]:
    """The runs that were saved on this machine, newest first. `zeroshelf.reopen(run.id)` opens one.

    What is no run's record, or a broken one, is passed over. Raises `UserError` for the record of a
    newer zeroshelf.
    """
    return list(registry.all())
