"""What applying a run's plan would mean, before it is done: files, room on the disk, and notes."""

from __future__ import annotations

import os
import shutil
from typing import Any

from zeroshelf.actions import kinds, transfer
from zeroshelf.records import ActionKind
from zeroshelf.review.session import Session


def of(session: Session, name: ActionKind) -> dict[str, Any]:
    """For the plan that the action of that name would carry out: how many files, their companions
    among them, how many bytes they need, how many are free where they go, and the plan's notes. A
    move within one file system and a link need none. Changes nothing. Raises `UserError` where the
    plan can't be made."""
    planned = session.plan(name)
    needed, files = 0, 0
    devices: dict[str, int | None] = {}
    for action in planned.actions:
        kind = kinds.of(action.kind)
        files += kind.plannable
        folder = os.path.dirname(action.source)
        if kind.room(action, None) and not _is_rename(action.kind, folder, action.target, devices):
            needed += action.size
    return {
        "files": files,
        "needed": needed,
        "free": _free(planned.destination),
        "notes": list(planned.notes),
    }


def _is_rename(kind: ActionKind, source: str, target: str, devices: dict[str, int | None]) -> bool:
    """Whether a file that leaves its folder stays on its file system."""
    if not kinds.of(kind).takes_away:
        return False
    found = []
    for folder in (source, os.path.dirname(target)):
        if folder not in devices:
            try:
                devices[folder] = os.stat(transfer.existing_parent(folder)).st_dev
            except OSError:
                devices[folder] = None
        found.append(devices[folder])
    return found[0] is not None and found[0] == found[1]


def _free(destination: str) -> int | None:
    """Bytes free where the files go; None where the system can't tell."""
    try:
        return shutil.disk_usage(transfer.existing_parent(destination)).free
    except OSError:
        return None
