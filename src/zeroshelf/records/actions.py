"""What is to be done with the files, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

LABEL_ONLY = "{label}"  # the path of a shelf below the destination, where nothing else is asked for
ActionKind: TypeAlias = str  # a key of `actions.kinds.KINDS`: "copy", "move", ...


@dataclass(frozen=True, slots=True)
class Action:
    """One file to one place. Nothing here has happened yet.

    Of a "tag" the target is the picture's sidecar, or the picture itself, and the label is the
    whole tag, a line each where there are several. Of an "untag" source and target are the sidecar
    or the picture, and the label is the prefix of the tags that go. Of a "remove" the target is
    what an earlier run made of the source, and is removed (actions/kinds/remove.py). On an object
    store source and target are URIs.
    """

    kind: ActionKind
    source: str
    target: str
    label: str
    size: int  # of the source when the plan was made, with the next two: what changed is refused
    mtime_ns: int
    digest: bytes | None = None  # BLAKE3 of the content, where it is known
    companion_of: str | None = None  # the source of the picture with which this file stays
    made_by: ActionKind | None = None  # of a remove: how the earlier run made the target
    made_in: str | None = None  # of a remove: that run's id
    instead_of: str | None = None  # of a tag: tags of earlier runs that go, a line each
    etag: str | None = None  # of an object on a store: its version when the plan was made


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is to do, as the user asked for it. The rules on what goes together are in
    `actions/plan_request.py`."""

    folder: str  # of the pictures
    destination: str | None  # the folder for the shelves; None: the action needs none
    action: ActionKind = "copy"
    prefix: str = "zeroshelf"  # of the tags, where the action writes or removes some
    ambiguous: str | None = None  # the shelf of pictures that two labels fit, where one is wanted
    several: bool = False  # each picture onto every shelf that it fits
    replace: bool = True  # what earlier runs put onto other shelves is removed from there
    in_files: bool = False  # tags go into the pictures' own files where that can be done
    shelf_path: str = LABEL_ONLY  # "{label}/{year}": actions/shelf_paths.py
    unsure: str | None = None  # the shelf of pictures that are unsure of their label, if wanted


@dataclass(frozen=True, slots=True)
class Plan:
    """Every action with its target, collisions resolved. `apply` walks this very list."""

    folder: str
    destination: str
    kind: ActionKind
    actions: Sequence[Action]  # in a file where they are many; it equals a tuple
    notes: tuple[str, ...] = ()  # for the user, before confirming
    prefix: str = "zeroshelf"  # of the tags, where there are some
    ambiguous: str | None = None  # the shelf of what two labels fit, where one was asked for
    several: bool = False  # onto every shelf that fits
    replace: bool = True  # what earlier runs put on other shelves goes from there
    in_files: bool = False  # tags go into the pictures' own files where that can be done
    left_behind: tuple[str, ...] = ()  # files that a move leaves where their picture was
    shelf_path: str = LABEL_ONLY  # where the shelves lie below the destination
    unsure: str | None = None  # the shelf of what is unsure of its label, where one was asked for
    endpoint: str | None = None  # URL of the object store, where it is not its provider's own

    @property
    def request(self) -> PlanRequest:
        """What the plan was made for."""
        return PlanRequest(
            self.folder,
            self.destination,
            self.kind,
            self.prefix,
            self.ambiguous,
            self.several,
            self.replace,
            self.in_files,
            self.shelf_path,
            self.unsure,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action, in apply or undo."""

    action: Action
    status: Literal["done", "already", "refused", "failed"]
    reason: str = ""
    notes: tuple[str, ...] = ()  # of one that is done: what is not as planned, in words for many
