"""The state of the app, whatever pages are open: a method for each `Operation`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from starlette.responses import FileResponse, PlainTextResponse, Response

from zeroshelf.actions import kinds
from zeroshelf.app import model_list, openapi, planning, wording
from zeroshelf.app.allowed import Allowed
from zeroshelf.app.folder import OpenFolder
from zeroshelf.app.jobs import Jobs
from zeroshelf.app.operations import Given
from zeroshelf.app.run_pages import RunPages
from zeroshelf.app.settings import Settings
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.records import PlanRequest, Progress
from zeroshelf.run import plans
from zeroshelf.run.run import Run
from zeroshelf.runs import registry
from zeroshelf.system import file_names

_KEEP = {"Cache-Control": "private, max-age=86400, immutable"}  # a digest names one picture
_REPORT = {  # the report has all in itself, and may ask for nothing
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
_DONE = {"done": True}


class App:
    """The methods that `OPERATIONS` names take checked values and return what becomes JSON, or a
    `Response`. They are called from several threads.

    quit: called when the user ends the app on its page.
    """

    def __init__(
        self, allowed: Allowed, store: EmbeddingCache, quit: Callable[[], None] = lambda: None
    ) -> None:
        self.allowed, self.store = allowed, store
        self.settings, self.jobs = Settings(), Jobs()
        self.pages = RunPages(allowed)
        self.folder: OpenFolder | None = None
        self.quit_now = quit
        self._lock = threading.RLock()

    def close(self) -> list[str]:
        """End what is at work in the folder, and close the runs. Lines for the user."""
        for kind in ("look", "read", "plan"):
            self.jobs.stop(kind)
        return self.pages.close()

    @property
    def busy(self) -> bool:
        """Whether files are being changed, by an apply or undo of either page."""
        return self.jobs.running("apply", "undo") or self.pages.busy()

    def wait(self, tell: Progress = lambda *_: None) -> None:
        """Return when no file is being changed."""
        self.jobs.wait("apply", "undo", tell=tell)
        self.pages.wait(tell)

    def stop_changes(self) -> None:
        """Stop an apply or undo after its current files; it can be resumed."""
        for kind in ("apply", "undo"):
            self.jobs.stop(kind)
        self.pages.stop()
        self.jobs.wait("apply", "undo")

    # --- the folder -------------------------------------------------------------------------

    def state(self, given: Given) -> Any:
        for changed in self.pages.changed_folders():
            self._changed(changed)
        folder = self.folder
        return {
            "folder": None if folder is None else folder.facts(),
            "jobs": {
                kind: {
                    "about": job.about, "state": job.state, "stage": job.stage, "done": job.done,
                    "total": job.total, "result": job.result, "error": wording.in_app(job.error),
                    "number": job.number,
                }
                for kind, job in list(self.jobs.now.items())
            },
            "recent": [one for one in self.settings.now.recent if self._is_there(one)],
            "roots": list(self.allowed.roots),
        }  # fmt: skip

    def _is_there(self, folder: str) -> bool:
        try:
            self.allowed.folder(folder)
        except UserError:
            return False
        return True

    def folders(self, given: Given) -> Any:
        found = self.allowed.listing(given["path"] or self.allowed.roots[0])
        return {
            "path": found.path,
            "above": found.above,
            "folders": [
                {"name": name, "path": os.path.join(found.path, name)} for name in found.folders
            ],
            "pictures": found.pictures,
            "cut": found.cut,
            "roots": list(self.allowed.roots),
        }

    def open(self, given: Given) -> Any:
        path = self.allowed.folder(given["path"])
        with self._lock:
            self.jobs.stop("look")
            self.jobs.stop("read")
            self.jobs.wait("look", "read")
            folder = OpenFolder(path, self.settings.now.model, self.store, self.settings)
            self.jobs.start("look", path, folder.look)
            self.folder = folder
            self.settings.opened(path)
        return _DONE

    def close_folder(self, given: Given) -> Any:
        with self._lock:
            for kind in ("look", "read"):
                self.jobs.stop(kind)
                self.jobs.wait(kind)
                self.jobs.dismiss(kind)
            self.folder = None
        return _DONE

    def forget(self, given: Given) -> Any:
        self.settings.forget(given["path"])
        return _DONE

    def read(self, given: Given) -> Any:
        folder = self._opened()
        self.jobs.start("read", folder.path, folder.read)
        return _DONE

    def stop(self, given: Given) -> Any:
        self.jobs.stop(given["kind"])
        return _DONE

    def dismiss(self, given: Given) -> Any:
        self.jobs.dismiss(given["kind"])
        return _DONE

    def _opened(self) -> OpenFolder:
        if self.folder is None:
            raise UserError("no folder is open: choose one first")
        return self.folder

    # --- labels -----------------------------------------------------------------------------

    def labels(self, given: Given) -> Any:
        return self._opened().cards()

    def set_labels(self, given: Given) -> Any:
        folder = self._opened()
        folder.set_labels(given["labels"], closed=given.get("closed", False))
        return folder.cards()

    def shelf(self, given: Given) -> Any:
        return self._opened().shelf(given["name"], given["start"], given["count"])

    def thumbnail(self, given: Given) -> Response:
        jpeg = None if self.folder is None else self.folder.thumbnail(given["digest"])
        if jpeg is None:
            return PlainTextResponse("no thumbnail\n", 404)
        return Response(jpeg, media_type="image/jpeg", headers=_KEEP)

    # --- runs -------------------------------------------------------------------------------

    def actions(self, given: Given) -> Any:
        folder = self._opened()
        destination = folder.destination or self._default_destination(folder.path)
        return planning.choices(folder.path, destination)

    def _default_destination(self, path: str) -> str:
        """Beside the folder; in it, where only the folder itself is allowed."""
        beside = f"{path}-sorted"
        try:
            return self.allowed.check(beside)
        except UserError:
            return os.path.join(path, "Sorted")

    def plan(self, given: Given) -> Any:
        folder = self._opened()
        run, action = folder.to_plan(), given["action"]  # each plan has a run and a record
        destination = None
        if kinds.of(action).needs_destination:
            wanted = given["destination"] or self._default_destination(folder.path)
            destination = self.allowed.check(wanted)
            folder.check_destination(destination)
        wanted = planning.wanted(given, folder.path, destination, run.labels)
        self.jobs.start("plan", folder.path, lambda tell: self._make_plan(run, wanted, tell))
        return _DONE

    def _make_plan(self, run: Run, wanted: PlanRequest, tell: Progress) -> str:
        tell("planning", 0, 0)
        made = plans.make(run, wanted)
        self.pages.drop_unused(wanted.folder)
        return self.pages.save(run, made, tell)

    def untag(self, given: Given) -> Any:
        path, in_files = self._opened().path, given.get("in_files", False)
        self.jobs.start("plan", path, lambda tell: planning.untag(path, in_files, tell))
        return _DONE

    def runs(self, given: Given) -> Any:
        return {"runs": self.pages.listing(given["count"])}

    def run(self, given: Given) -> Any:
        return self.pages.facts(given["id"])

    def report(self, given: Given) -> Response:
        return self._html(given["id"], "report.html")

    def report_page(self, given: Given) -> Response:
        """A further page of a large run's report, to which its first page leads."""
        return self._html(given["id"], "report-pages", given["page"])

    def _html(self, id: str, *name: str) -> Response:
        """A page of a run's report. Its own policy admits its one script alone."""
        path = self.pages.file(id, *name)
        return FileResponse(path, media_type="text/html", headers=_REPORT)

    def table(self, given: Given) -> Response:
        path = self.pages.file(given["id"], "results.csv")
        return FileResponse(path, media_type="text/csv", filename=f"{given['id']}.csv")

    def prune_runs(self, given: Given) -> Any:
        removed, left = self.pages.prune()
        return {"removed": removed, "left": left}

    def apply(self, given: Given) -> Any:
        id, kind = given["id"], given["action"] or None
        self.pages.facts(id)  # refused now, not in the job
        self.jobs.start("apply", id, lambda tell: self._moved(self.pages.apply(id, kind, tell)))
        return _DONE

    def undo(self, given: Given) -> Any:
        id = given["id"]
        self.pages.facts(id)
        self.jobs.start("undo", id, lambda tell: self._moved(self.pages.undo(id, tell)))
        return _DONE

    def _moved(self, id: str) -> str:
        self._changed(registry.find(id).folder)
        return id

    def _changed(self, folder: str) -> None:
        """Close the open folder where a run has changed what lies in it. Its labels are kept."""
        with self._lock:
            if self.folder is None:
                return
            here = self.folder.path
            if here == folder or file_names.inside(here, folder) or file_names.inside(folder, here):
                self.folder = None

    def remove_run(self, given: Given) -> Any:
        self.pages.remove(given["id"])
        return _DONE

    # --- models, cache ----------------------------------------------------------------------

    def models(self, given: Given) -> Any:
        return model_list.facts(self.settings.now.model)

    def model_offer(self, given: Given) -> Any:
        return model_list.offer(given["id"])

    def get_model(self, given: Given) -> Any:
        id = given["id"]
        if not given["licence"]:
            raise UserError("read the model's licence first, and agree to it")
        self.jobs.start("model", id, lambda tell: model_list.get(id, tell))
        return _DONE

    def use_model(self, given: Given) -> Any:
        self.settings.set_model(model_list.check_installed(given["id"]))
        self.close_folder(given)  # its vectors are another model's
        return _DONE

    def remove_model(self, given: Given) -> Any:
        if self.jobs.running("model"):
            raise UserError("a model is being downloaded: wait until that is done")
        model_list.remove(given["id"])
        if self.settings.now.model == given["id"]:
            self.settings.set_model(None)
        self.close_folder(given)
        return _DONE

    def cache(self, given: Given) -> Any:
        size = self.store.size()
        return {
            "path": size.path,
            "bytes": size.bytes,
            "embeddings": size.embeddings,
            "thumbnails": size.thumbnails,
            "models": size.models,
            "trouble": self.store.trouble,
        }

    def clear_cache(self, given: Given) -> Any:
        def clear(tell: Progress) -> str:
            tell("clearing", 0, 0)
            self.store.prune(given["days"])
            return ""

        if not given["days"]:
            self.close_folder(given)  # its thumbnails are in the cache
        self.jobs.start("cache", self.store.size().path, clear)
        return _DONE

    def quit(self, given: Given) -> Any:
        if self.busy:
            raise UserError("files are being changed: wait until that is done")
        self.quit_now()
        return _DONE

    def openapi(self, given: Given) -> Any:
        return openapi.described()
