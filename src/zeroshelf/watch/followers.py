"""The run that puts late companions beside their pictures."""

from __future__ import annotations

from collections.abc import Callable

from zeroshelf.actions import apply
from zeroshelf.records import Outcome, Plan, Request
from zeroshelf.runs import registry, request
from zeroshelf.watch import late
from zeroshelf.watch.look import Look
from zeroshelf.watch.past_runs import PastRuns
from zeroshelf.watch.ready import Ready
from zeroshelf.watch.settings import Settings


class Followers:
    """settings: gives those that hold now. past: the runs that sorted the pictures."""

    def __init__(self, settings: Callable[[], Settings], past: PastRuns) -> None:
        self._settings, self._past = settings, past

    def plan(self, found: Ready, seen: Look) -> tuple[Plan, dict[str, str]]:
        """The plan for the files of `found` that belong to pictures on the shelves, and those whose
        name is taken there: path -> their picture. A picture whose name is taken is in neither: it
        is sorted as any other."""
        settings = self._settings()
        units = {picture.path: picture for picture in found.folder.pictures}
        others = {*found.others, *(one.path for one in found.folder.skipped)}
        belong: dict[str, late.Late] = {}
        for folder, paths in late.by_folder({*units, *others}).items():
            if placed := self._past.placed(folder):
                pictures = [units[path] for path in paths if path in units]
                rest = [path for path in paths if path in others]
                belong |= late.find(pictures, rest, placed, seen.states, self._past.where_now)
        made, taken = late.actions(belong.values(), settings.action, seen.states)
        alone = {one.path for one in taken if one.path in units}
        stay = {file for path in alone for file in (path, *units[path].companions)}
        plan = Plan(
            settings.folder,
            settings.destination,
            settings.action,
            tuple(action for action in made if action.source not in stay),
            replace=False,
            unsure=settings.unsure,
        )
        return plan, {one.path: one.picture.target for one in taken if one.path not in stay}

    def apply(self, plan: Plan) -> tuple[str, list[Outcome]]:
        """Carry out the plan as a run; its id, and what became of each file. Raises `UserError`
        where that can't be done now."""
        settings = self._settings()
        id, record = registry.new(plan)
        with registry.writing(record):
            request.save(
                record,
                Request(settings.folder, settings.labels, settings.model or "", in_context=True),
            )
        return id, apply.apply(record)
