"""The models: what is here, what would be better on this machine, and getting one."""

from __future__ import annotations

import threading
import time
from typing import Any

from zeroshelf.errors import UserError
from zeroshelf.models import catalogue, installation, installed, listing, select
from zeroshelf.records import Progress


def facts(chosen: str | None) -> dict[str, Any]:
    """All models. chosen: the id that the user chose; None: the best that is installed."""
    here, speed, begun = installed.ids(), select.gflops(), installed.begun()
    rows = catalogue.rows()
    best = catalogue.recommend(speed, select.memory_mb(), installed=here)
    models = []
    for one in listing.models():
        row = rows.get(one.id)
        models.append(
            {
                "id": one.id,
                "name": one.name,
                "here": one.installed,
                "may_get": bool(row and row.repo and not one.installed),
                "may_remove": one.id in here,
                "imagenet": one.imagenet,
                "megabytes": one.megabytes,
                "licence": one.licence,
                "languages": len(one.languages),
                "note": row.note if row else "",
                "pictures_per_second": catalogue.pictures_per_second(row, speed) if row else None,
                "begun": begun.get(one.id, 0),
            }
        )
    used = chosen or select.best_installed() or "starter"
    return {"used": used, "recommended": best.id if best else None, "models": models}


def offer(id: str) -> dict[str, Any]:
    """What getting a model would bring, asked of the hub. Raises `UserError`."""
    found = installation.offer(_known(id))
    return {
        "id": found.id,
        "bytes": found.size,
        "licence": found.licence,
        "repo": found.remote.repo,
        "note": found.row.note if found.row else "",
        "begun": installed.begun().get(found.id, 0),
    }


def get(id: str, tell: Progress) -> str:
    """Bring a model from its hub, from where an earlier download was cut off. Its id."""
    found = installation.offer(_known(id))
    trouble: list[Exception] = []
    stage = ["downloading"]

    def bring() -> None:
        try:
            installation.install(found, lambda line: stage.__setitem__(0, line))
        except Exception as error:  # raised below, in the job's own thread
            trouble.append(error)

    thread = threading.Thread(target=bring, name="install", daemon=True)
    thread.start()
    while thread.is_alive():
        so_far = installed.begun().get(found.id, 0)
        tell(stage[0], so_far, max(found.size, so_far))
        time.sleep(0.1)
    if trouble:
        raise trouble[0]
    return found.id


def remove(id: str) -> None:
    """Delete an installed model, or what a cut download left. Raises `UserError`."""
    if id not in (*installed.ids(), *installed.begun()):
        raise UserError(f"the model {id} is not installed")
    installation.remove(id)


def check_installed(id: str) -> str:
    """The id of a model that can be used. Raises `UserError` for any other."""
    if id not in (*select.starters(), *installed.ids()):
        raise UserError(f"the model {id} is not installed: get it first")
    return id


def _known(id: str) -> str:
    """Only the catalogue's models are got by the app: their licences and checksums are known."""
    if id not in catalogue.rows():
        raise UserError(f"the catalogue has no model {id}")
    return id
