"""The edits of a review, put into the plan of its run and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.records import Progress
    from zeroshelf.review.session import Session


def save_edits(session: Session, progress: Progress | None = None) -> bool:
    """Store the corrections, and make the plan and the report those of the page. False if the run
    was applied already: it has to be undone before the plan can change."""
    session.complete(progress)
    session.store_corrections()
    if not session.update_plan():
        return False
    session.write(progress)
    return True


def catch_up(run: str, screen: Screen) -> None:
    """Before an apply: put into the plan the edits of a review that was killed before it could do
    so. Raises `UserError` if the run was applied before these edits."""
    from zeroshelf.actions import journal
    from zeroshelf.review.session import Session
    from zeroshelf.run import reopen
    from zeroshelf.runs import edit_log, registry

    found = registry.find(run)
    if not edit_log.plan_is_outdated(found.record):
        return
    if journal.state(found.record) == "applied":
        raise UserError(
            f"run {found.id} was carried out before its last edits: "
            f"`zeroshelf undo {found.id}`, then apply again"
        )
    with (
        screen.progress() as progress,
        Session(reopen(found.id, edited=False, progress=progress)) as session,
    ):
        save_edits(session, progress)
