"""What plan, apply and undo ask of an action: the class that each kind of action derives from."""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from zeroshelf.actions.disk_space import Room
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.journal_entries import Entry
from zeroshelf.actions.tags import tagging
from zeroshelf.actions.tags.exiftool import ExifTool
from zeroshelf.records import Action, Picture, Plan, PlanRequest

# A picture, its label, and the BLAKE3 digest of its content if that is known. A picture that goes
# onto several shelves comes once for each.
Placement: TypeAlias = tuple[Picture, str, bytes | None]
# What became of an undo, and why, where it is not done.
Answer: TypeAlias = tuple[Literal["done", "already", "refused"], str]
DONE: Answer = ("done", "")
ALREADY: Answer = ("already", "")
# A file's path, or that of a sidecar -> what runs made of it that are not undone.
Earlier: TypeAlias = "Mapping[str, Sequence[Made]]"


class Kind(abc.ABC):
    """One thing that can be done with a file. An object that never changes."""

    # --- words ------------------------------------------------------------------------------
    name: ClassVar[str]  # in plans and journals, and for --as
    done: ClassVar[str]  # "copied": "3 files copied, in /sorted."
    choice: ClassVar[str] = ""  # on the review page's button
    # what it means, on the review page; "{to}" is replaced by the destination
    meaning: ClassVar[str] = ""
    # where the files are when it is done; without "{to}" where that is outside of the destination
    place: ClassVar[str] = "in {to}"
    # why it takes no destination, where it takes none
    no_destination: ClassVar[str] = ""

    # --- what may be asked ------------------------------------------------------------------
    plannable: ClassVar[bool] = True  # a plan can be of this kind
    offered: ClassVar[bool] = True  # `sort --as` offers it
    needs_destination: ClassVar[bool] = True
    takes_several: ClassVar[bool] = True  # one picture can go onto several shelves
    # only pictures that are sure or likely to fit their label, or that the user gave it
    only_clear: ClassVar[bool] = False
    within_stores: ClassVar[bool] = False  # an object store can do it by itself: actions/on_store
    writes_tags: ClassVar[bool] = False  # below a prefix, and if asked into the pictures' own files
    # Which later plans replace its results: those of the same family. None: there is no result.
    family: ClassVar[str | None] = None

    # --- what it does to files --------------------------------------------------------------
    reads_through_links: ClassVar[bool] = False  # a source that is a symbolic link is followed
    is_symlink: ClassVar[bool] = False  # the result is a symbolic link
    takes_away: ClassVar[bool] = False  # the source leaves its folder
    names_files: ClassVar[bool] = False  # the result has a name of its own, which may be refused
    replaceable: ClassVar[bool] = False  # the result can be removed, and made again from the source
    last_of_unit: ClassVar[bool] = False  # only where nothing of the same picture has failed
    allows_other_names: ClassVar[bool] = False  # beside it, files of the picture may be renamed
    undone_last: ClassVar[bool] = False
    keeps_originals: ClassVar[bool] = False  # in files of their own, until `zeroshelf originals`
    # errno of a file system that can't do it, and what to do then
    unsupported: ClassVar[Collection[int]] = ()
    unsupported_advice: ClassVar[str] = ""

    def confirmation(self, files: str, plan: Plan) -> str:
        """What the user is asked before `plan` is carried out. `files`: "3 files"."""
        return f"{self.name} {files} to {plan.destination}?"

    def apply_question(self, run: str, destination: str, pictures: int) -> str:
        """What the user is asked before the plan of a run, by its id, is carried out. `pictures`:
        how many the plan has, their companions not counted."""
        return f"Carry out the plan of run {run} in {destination}?"

    def report(self, plan: Plan) -> str:
        """What was done, for "3 files ...": "copied, in /sorted"."""
        return f"{self.done}, {self.place.replace('{to}', plan.destination)}"

    def goes_to(self, action: Action) -> str:
        """Where the file of `action` goes, for the report and the results."""
        return action.target

    def undo_hint(self) -> str:
        """What an undo does, as the end of a sentence: "undo ..."."""
        return "puts everything back"

    def by_hand(self) -> str | None:
        """How the user takes back what no undo can: a sentence; None where an undo can."""
        return None

    # --- plan -------------------------------------------------------------------------------

    def check(self, request: PlanRequest) -> None:  # noqa: B027
        """Raise `UserError` where no plan for `request` can work. Cheap: no picture is read."""

    @abc.abstractmethod
    def plan(
        self, request: PlanRequest, placements: Iterable[Placement], earlier: Earlier | None
    ) -> Plan:
        """The plan for `placements`. `earlier`: what other runs made of the same pictures, to be
        removed where it is not wanted any more; None: leave all of it. Raises `UserError`."""

    def warning(self, source: str, shelf: str, folders: Folders) -> tuple[str, str] | None:
        """Why `source` probably can't go onto the shelf, in words for one file and for more."""
        return None

    def check_line(self, action: Action) -> None:  # noqa: B027
        """Raise `UserError` where the line of a plan lacks something."""

    # --- apply ------------------------------------------------------------------------------

    def room(self, action: Action, entry: Entry | None) -> Room | None:
        """The space that the action needs; None: none. `entry`: of an earlier, interrupted run."""
        return None

    def recover(self, entry: Entry) -> bool:
        """True where an earlier, interrupted run has done the action, which is finished first;
        False where it is to be done, after what was left of it is cleared away. Raises OSError."""
        raise NotImplementedError

    def is_needless(self, action: Action) -> bool:
        """True where there is nothing to do and nothing to undo, though no run has done it."""
        return False

    @abc.abstractmethod
    def why_not(self, action: Action, folders: Folders) -> str | None:
        """Why the action can't be carried out now, for the user; None where it can. The source is
        there and unchanged. Raises OSError where the system can't tell."""

    def prepare(self, action: Action, run: str) -> tagging.Changes | None:
        """New content for the target, where the action rewrites it. `run`: the run's id. Raises
        `Unreadable` and OSError."""
        return None

    def folders_of(self, change: tagging.Changes) -> list[str]:
        """The folders that a prepared change needs, apart from that of its target."""
        return []

    def intent_events(
        self, action: Action, change: tagging.Changes | None
    ) -> list[dict[str, object]]:
        """For the journal, beside the intent."""
        return []

    def stage(
        self, action: Action, change: tagging.Changes | None, exiftool: ExifTool | None
    ) -> str:
        """Do what a batch does together. Returns the path of the staged copy, which is synced next;
        "" where there is none. Raises `Unreadable` and OSError."""
        return ""

    def staged_events(
        self, action: Action, part: str, change: tagging.Changes | None
    ) -> list[dict[str, object]]:
        """For the journal, after all of a batch is staged and on the disk, and before `finish`."""
        return []

    @abc.abstractmethod
    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        """Do the last step; notes for the user on what is not as planned. Raises OSError."""

    def done_facts(self, action: Action) -> dict[str, Any]:
        """For the journal's line that says "done"."""
        return {}

    # --- undo -------------------------------------------------------------------------------

    @abc.abstractmethod
    def is_result(self, action: Action, path: str) -> bool:
        """True where `path` is what the action makes: asked when a shelf is planned again, when an
        interrupted run goes on, and before anything is taken back."""

    @abc.abstractmethod
    def revert(self, entry: Entry, lead: Entry | None = None) -> Answer:
        """Take the action back, if nothing has changed since. `lead`: of a companion, its picture's
        entry. Raises OSError where the file system can't."""

    def room_to_revert(self, entry: Entry) -> Room | None:
        """The space that `revert` needs; None: none."""
        return None

    def make_again(self, action: Action) -> None:
        """Make a result that a later run removed. Raises OSError. Only where `replaceable`."""
        raise NotImplementedError

    def room_to_make_again(self, action: Action) -> Room | None:
        """The space that `make_again` needs; None: none."""
        return None


@dataclass(frozen=True, slots=True)
class Made:
    """What a run made of one file, by its journal; `action` is that run's, of this kind."""

    run: str  # the run's id
    action: Action
    kind: Kind
