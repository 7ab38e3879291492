"""The loop: look, wait until what has arrived is whole, sort it as one run.

Nothing is remembered between two processes but the records of runs, so the process may be killed at
any instant: the next one finishes an apply that was interrupted, and looks again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from zeroshelf.actions import lock
from zeroshelf.counting import counted
from zeroshelf.errors import UserError
from zeroshelf.records import Encoder, Outcome
from zeroshelf.runs import earlier, registry
from zeroshelf.system import file_names, mounts
from zeroshelf.watch import past_runs, ready
from zeroshelf.watch.followers import Followers
from zeroshelf.watch.label_changes import LabelChanges
from zeroshelf.watch.look import Look, State, look
from zeroshelf.watch.settings import Settings
from zeroshelf.watch.sort import Planned, Sorter

LEAST_PAUSE = 1.0  # seconds between two looks, however many events there are
AGAIN = 600.0  # seconds until what failed, such as on a full disk, is tried again
LISTED = 20  # files that are named in the log, of those that a run left alone

Tell = Callable[[str], None]


@dataclass(slots=True)
class Told:
    """What was done since the start."""

    runs: list[str] = field(default_factory=list)  # ids, the oldest first
    pictures: int = 0  # that were sorted
    left: dict[str, str] = field(default_factory=dict)  # path -> why it stays, for now


class Watcher:
    """settings: as `settings.checked` returns them.
    tell: called with each line of the log.
    clock: seconds, never going back. wait: sleeps so many seconds, or less.
    encoder: used in place of the model, in tests.
    """

    def __init__(
        self,
        settings: Settings,
        tell: Tell,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        encoder: Encoder | None = None,
    ) -> None:
        self.settings, self.told = settings, Told()
        self._tell, self._clock, self._wait = tell, clock, wait
        self._sorter = Sorter(settings, tell, encoder)
        self._label_changes = LabelChanges(settings)
        self._past = past_runs.PastRuns(settings.folder, settings.destination)
        self._followers = Followers(lambda: self.settings, self._past)
        self._unchanged = ready.Unchanged(settings.quiet)
        self._done: dict[str, State] = {}  # what needs no look until it changes
        self._later: dict[str, tuple[State, float]] = {}  # path -> when it is tried again, as it is
        self._leave_out: set[str] = {settings.destination}
        self._away = ""  # why nothing can be done now; "" where it can
        self._place: str | None = None  # the mount on which the destination lies
        self._resumed = False

    def run(self, *, once: bool = False) -> None:
        """Look and sort until the process ends; with `once`, until all that is there now is sorted
        or left. Raises `UserError` while another process watches the folder."""
        folder = self.settings.folder
        places = os.path.join(registry.root(), "watches")
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(lock.hold(places, "watch", folder))
            except UserError:
                raise UserError(f"{folder} is watched by another process already") from None
            self._tell(f"started: {folder} -> {self.settings.destination}")
            self._loop(once)

    def _loop(self, once: bool) -> None:
        looked = 0
        while True:
            pause = self.step()
            looked += 1
            if once and (looked > 1 or pause >= self.settings.every):
                return
            self._wait(max(pause, self.settings.quiet if once else LEAST_PAUSE))

    def step(self) -> float:
        """One look, and a run if something is ready; how many seconds the next look can wait."""
        self._follow_labels()
        settings = self.settings
        try:
            seen = look(settings.folder, exclude=settings.exclude, leave_out=self._leave_out)
        except UserError as error:
            self._unchanged.see({}, self._clock())  # nothing was removed: it isn't there to be seen
            return self._wait_for(str(error))
        now = self._clock()
        self._unchanged.see(seen.states, now)
        self._done = {p: s for p, s in self._done.items() if seen.states.get(p) == s}
        fresh = {
            path
            for path, state in seen.states.items()
            if self._done.get(path) != state and not self._is_for_later(path, state, now)
        }
        try:
            if not self._resumed:
                self._resume(seen)
            if any(self._unchanged.is_whole(path, now) for path in fresh):
                self._act(seen, fresh, now)
        except (UserError, OSError) as error:
            return self._wait_for(str(error))
        if self._away:
            self._tell("going on")
            self._away = ""
        rest = {path for path in fresh if path not in self._done}
        left = self._unchanged.left(rest, now)
        return settings.every if left is None else min(left, settings.every)

    def _follow_labels(self) -> None:
        """Take over a labels file that was changed. What is sorted already stays where it is."""
        try:
            changed = self._label_changes.look(self.settings)
        except UserError as error:
            self._tell(f"the labels stay as they were: {error}")
            return
        if changed is not None:
            self.settings = self._sorter.settings = changed
            self._tell(f"the labels are now: {', '.join(changed.labels.names)}")

    # --- what is ready ----------------------------------------------------------------------

    def _act(self, seen: Look, fresh: Collection[str], now: float) -> None:
        """Sort the pictures that are ready. Raises `UserError` and OSError where that can't be done
        now."""
        self._check_destination()
        self._leave_out = {
            self.settings.destination,
            *earlier.destinations(self.settings.folder),
        }
        known = self._past.dealt_with()
        for path, (size, mtime_ns, _) in seen.states.items():
            inside = any(file_names.inside(path, folder) for folder in self._leave_out)
            if inside or (path, size, mtime_ns) in known:
                self._done[path] = seen.states[path]
        whole = {path for path in seen.states if self._unchanged.is_whole(path, now)}
        found = ready.find(
            self.settings.folder,
            seen,
            whole,
            {path for path in fresh if path in whole and path not in self._done},
            self._done,
        )
        found = self._follow(found, seen)
        for one in found.folder.skipped:
            self._leave(one.path, one.reason)
        self._done |= {
            path: seen.states[path]
            for path in (*found.others, *(one.path for one in found.folder.skipped))
        }
        if found.folder.pictures:
            self._check_alone()
            self._sort(found, seen)

    def _follow(self, found: ready.Ready, seen: Look) -> ready.Ready:
        """Put files beside the pictures that they belong to and that were sorted before, as a run
        of their own; what is left to sort."""
        made, taken = self._followers.plan(found, seen)
        for path, picture in taken.items():
            self._leave(path, f"a file of that name is beside its picture already, {picture}")
        if not made.actions:
            return found
        self._check_alone()
        id, outcomes = self._followers.apply(made)
        failed = self._failed(outcomes, seen)
        files = {action.source for action in made.actions}
        self._done |= {path: seen.states[path] for path in files - failed}
        self.told.runs.append(id)
        if count := sum(one.status in ("done", "already") for one in outcomes):
            files_ = counted(count, "file follows its picture", "files follow their pictures")
            self._tell(f"{files_} to the shelf (zeroshelf undo {id})")
        return ready.without(found, files)

    def _sort(self, found: ready.Ready, seen: Look) -> None:
        planned = self._sorter.plan(found.folder)
        for one in planned.left:
            self._leave(one.path, one.reason)
        outcomes: list[Outcome] = []
        if planned.plan.actions:
            planned.run.save(planned.plan)
            outcomes = planned.run.apply(planned.plan)
        failed = self._failed(outcomes, seen)
        for picture in found.folder.pictures:
            for path in (picture.path, *picture.companions):
                if path not in failed:
                    self._done[path] = seen.states[path]
        if planned.plan.actions:
            self._told(planned, outcomes)

    def _failed(self, outcomes: Iterable[Outcome], seen: Look) -> set[str]:
        """The files that are tried again; each is told. What isn't there any more, as with a drive
        that was unplugged meanwhile, is tried as soon as it is back, and all else later."""
        failed = set()
        for outcome in outcomes:
            if outcome.status in ("refused", "failed"):
                path = outcome.action.source
                failed.add(path)
                if path in seen.states and os.path.lexists(path):
                    self._later[path] = seen.states[path], self._clock() + AGAIN
                self._leave(path, outcome.reason)
        return failed

    def _is_for_later(self, path: str, state: State, now: float) -> bool:
        """Whether a file failed a short while ago and has not changed since."""
        before, until = self._later.get(path, (state, now))
        return before == state and now < until

    def _told(self, planned: Planned, outcomes: Iterable[Outcome]) -> None:
        """Tell what a run did."""
        done = Counter(
            outcome.action.label
            for outcome in outcomes
            if outcome.status in ("done", "already") and outcome.action.companion_of is None
        )
        self.told.pictures += done.total()
        assert planned.run.id is not None
        self.told.runs.append(planned.run.id)
        if done:
            shelves = ", ".join(f"{name} {count}" for name, count in done.most_common())
            self._tell(
                f"sorted {counted(done.total(), 'picture')}: {shelves} "
                f"(zeroshelf undo {planned.run.id})"
            )

    def _leave(self, path: str, reason: str) -> None:
        name = os.path.relpath(path, self.settings.folder)
        if self.told.left.get(path) != reason:
            self._tell(f"left alone: {name}: {reason}")
        self.told.left[path] = reason

    # --- before a run -----------------------------------------------------------------------

    def _resume(self, seen: Look) -> None:
        """Finish what an earlier process was killed in."""
        for run in self._past.unfinished():
            self._check_destination()
            outcomes = past_runs.resume(run)
            self._failed(outcomes, seen)
            done = sum(
                one.status in ("done", "already") and one.action.companion_of is None
                for one in outcomes
            )
            self.told.runs.append(run.id)
            self.told.pictures += done
            self._tell(f"finished run {run.id}, which was interrupted: {counted(done, 'picture')}")
        self._resumed = True

    def _check_destination(self) -> None:
        """Raise `UserError` while the drive of the shelves is away: they would be made anew in the
        empty folder on which it is mounted."""
        to = self.settings.destination
        if not os.path.isdir(to):
            if self._place is not None or self._past.was_used():
                raise UserError(
                    f"{to} is not there: connect its drive, or make the folder if you removed it"
                )
            return
        place = mounts.point(to)
        if self._place is not None and place != self._place:
            raise UserError(f"the drive of {to} is not mounted: connect it")
        self._place = place

    def _check_alone(self) -> None:
        """Raise `UserError` while another run is at work on one of the two folders, before a record
        is made that would have to wait."""
        locks = os.path.join(registry.root(), "locks")
        with lock.hold(locks, "watch", self.settings.folder, self.settings.destination):
            pass

    def _wait_for(self, why: str) -> float:
        if why != self._away:
            self._tell(f"waiting: {why}")
            self._away = why
        return self.settings.every
