"""decisions -> plan: where every picture goes, all collisions solved before anything happens.

Looks at the destination and writes nothing there. The same pictures, labels and destination make
the same plan; a second sort of the same folder finds its own work and plans nothing twice.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from zeroshelf import decisions as deciding
from zeroshelf import folder as scanning
from zeroshelf.decisions import Decisions
from zeroshelf.errors import Unreadable, UserError
from zeroshelf.files import companions, left_behind, names, sidecars, tagging, transfer
from zeroshelf.files.planfile import load, save
from zeroshelf.records import OTHER, Action, ActionKind, Embeddings, Picture, Plan

__all__ = ["like", "load", "make", "save", "tags", "untags"]


def like(
    before: Plan, embeddings: Embeddings, decided: Decisions, by_hand: Collection[int] = frozenset()
) -> Plan:
    """Where every picture goes by these decisions, and as `before` says: how, where to, and onto
    which shelves. Rows `by_hand` are where a person put them, however unclear they look.
    """
    unclear = deciding.ambiguous(decided) & (before.ambiguous is not None)
    unclear[list(by_hand)] = False
    also = deciding.also(decided) & before.several
    labels = decided.scores.labels.names
    placements: list[tuple[Picture, str, bytes | None]] = []
    for row, (picture, own, digest) in enumerate(
        zip(embeddings.pictures, decided.labels, embeddings.digests, strict=True)
    ):
        best = before.ambiguous if before.ambiguous and unclear[row] else own
        for label in dict.fromkeys((best, *(labels[k] for k in np.flatnonzero(also[row])))):
            placements.append((picture, label, digest))
    made = make(placements, before.folder, before.destination, before.kind, prefix=before.prefix)
    notes = list(made.notes)
    if unclear.any():
        notes.append(
            f'{int(unclear.sum()):,} fit two labels or more: they go to "{before.ambiguous}"'
        )
    if also.any():
        notes.append(f"{int(also.any(axis=1).sum()):,} go onto further shelves that fit too")
    return replace(made, notes=tuple(notes), ambiguous=before.ambiguous, several=before.several)


def make(
    # picture, label, digest if known; a picture with several labels comes several times
    placements: Iterable[tuple[Picture, str, bytes | None]],
    folder: str,
    destination: str,
    kind: ActionKind,
    *,
    prefix: str = "zeroshelf",
) -> Plan:
    """Raises `UserError` where `destination` can't take a shelf. Tags need no destination: they go
    beside the pictures, below `prefix`; to take them away needs no placements either."""
    if kind not in get_args(ActionKind):
        raise UserError(f"{kind!r} is none of {', '.join(get_args(ActionKind))}")
    if kind == "tag":
        return tags(placements, folder, prefix)
    if kind == "untag":
        return untags(folder, prefix)
    folder, destination = os.path.abspath(folder), os.path.abspath(destination)
    check_destination(folder, destination, kind)
    placed = sorted(placements, key=lambda placement: os.fsencode(placement[0].path))
    shelves = _shelves(sorted({label for _, label, _ in placed}), destination)
    actions: list[Action] = []
    in_place = renamed = 0
    for picture, label, digest in placed:
        shelf = shelves[label]
        if os.path.dirname(picture.path) == shelf.path:
            in_place += 1
            continue
        unit = _unit(picture, label, digest, kind)
        there = shelf.copy_of(unit[0])
        if there is not None:
            in_place += 1
            names_of_unit = _names(unit, there)
            fresh = [i for i in range(1, len(unit)) if shelf.is_free(names_of_unit[i])]
        else:
            names_of_unit = shelf.free_names(unit)
            fresh = list(range(len(unit)))
            renamed += names_of_unit[0] != os.path.basename(picture.path)
        for i in fresh:
            shelf.take(names_of_unit[i])
            actions.append(_aimed(unit[i], os.path.join(shelf.path, names_of_unit[i])))
    notes = []
    if in_place:
        notes.append(f"{in_place:,} already lie on their shelf: nothing to do for them")
    if renamed:
        notes.append(f"{renamed:,} get a number, because their name is taken on the shelf")
    pictures = [picture for picture, _, _ in placed]
    notes += left_behind.shared_notes(pictures, actions)
    left = left_behind.find(pictures, actions) if kind == "move" else ()
    notes += left_behind.notes(left)
    return Plan(folder, destination, kind, tuple(actions), tuple(notes), left_behind=left)


def tags(
    placements: Iterable[tuple[Picture, str, bytes | None]], folder: str, prefix: str = "zeroshelf"
) -> Plan:
    """A plan that moves nothing: each label is written as a tag into the picture's sidecar, below
    `prefix`, by which all can be taken away again. "other" is no tag."""
    folder = os.path.abspath(folder)
    check_prefix(prefix)
    actions: list[Action] = []
    taken: set[str] = set()
    tagged = 0
    wanted: dict[str, tuple[Picture, list[str], bytes | None]] = {}
    for picture, label, digest in placements:
        if label != OTHER:
            own = wanted.setdefault(picture.path, (picture, [], digest))[1]
            own.append(sidecars.tag(label, prefix))
    for _, (picture, tags, digest) in sorted(wanted.items(), key=lambda w: os.fsencode(w[0])):
        target = sidecars.path_for(picture)
        if names.key(target) in taken:  # a.cr2 beside a.nef: not both can have a.xmp
            target = picture.path + ".xmp"
        taken.add(names.key(target))
        there = _tags_in(target)
        if missing := "\n".join(tag for tag in tags if tag not in there):
            actions.append(
                Action("tag", picture.path, target, missing, picture.size, picture.mtime_ns, digest)
            )
        else:
            tagged += 1
    notes = (f"{tagged:,} have their tag already: nothing to do for them",) if tagged else ()
    return Plan(folder, folder, "tag", tuple(actions), notes, prefix)


def untags(folder: str, prefix: str = "zeroshelf") -> Plan:
    """A plan that takes the tags below `prefix` out of every sidecar below `folder`. A sidecar that
    was made for them and holds nothing else goes with them."""
    folder, below = scanning.root_of(folder), check_prefix(prefix)
    paths, unread = scanning.sidecars(folder)
    actions = []
    notes = [f"left alone: {one.path}: {one.reason}" for one in unread]
    for path in paths:
        try:
            old = tagging.read(path)
            if sidecars.remove(old.content, below) != old.content:
                size = len(old.content)
                actions.append(Action("untag", path, path, below, size, old.mtime_ns))
        except (OSError, Unreadable) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            notes.append(f"left alone: {path}: {reason}")
    return Plan(folder, folder, "untag", tuple(actions), tuple(notes), prefix)


def _tags_in(sidecar: str) -> set[str]:
    if not os.path.isfile(sidecar):
        return set()
    try:
        with open(sidecar, "rb") as file:
            return sidecars.tags(file.read())
    except (OSError, Unreadable):
        return set()  # apply will say why


def kinds(plan: Plan) -> tuple[ActionKind, ...]:
    """What may be done with the pictures of a plan: what it says, and what else its two folders and
    its shelves allow. Tags go to no folder, and nothing else goes without."""
    if plan.kind == "tag":
        return ("tag",)
    return tuple(kind for kind in get_args(ActionKind) if _allows(plan, kind))


def _allows(plan: Plan, kind: ActionKind) -> bool:
    if kind in ("tag", "untag") or (kind == "move" and plan.several):
        return False
    try:
        check_destination(plan.folder, plan.destination, kind)
    except (UserError, OSError):
        return kind == plan.kind  # apply says why
    return True


def check_destination(folder: str, destination: str, kind: ActionKind) -> None:
    """Raises `UserError` where no plan can work: cheap, so ask before the pictures are read."""
    above = destination
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise UserError(f"{above} is no folder: give one with --to")
    if kind == "hardlink":
        above = transfer.existing_parent(destination)
        if os.stat(folder).st_dev != os.stat(above).st_dev:
            raise UserError(
                f"hard links can't lead from {folder} to {destination}: two file systems; "
                "use --as copy or --as symlink"
            )


def check_prefix(prefix: str) -> str:
    """The path that all tags below `prefix` begin with. Raises `UserError` where there is none."""
    below = sidecars.tag("", prefix)
    if not below:
        raise UserError("without a prefix no tag can be told from your own: give --prefix")
    return below


# --- shelves ------------------------------------------------------------------------------------


def _shelves(labels: Sequence[str], destination: str) -> dict[str, _Shelf]:
    """One folder a label. Two labels whose safe names are the same get two folders."""
    shelves: dict[str, _Shelf] = {}
    taken: set[str] = set()
    for label in labels:
        safe = names.shelf(label)
        number = 1
        while names.key(path := _as_on_disk(safe, destination)) in taken:
            number += 1
            safe = f"{names.shelf(label)} ({number})"
        taken.add(names.key(path))
        shelves[label] = _Shelf(path)
    return shelves


def _as_on_disk(relative: str, destination: str) -> str:
    """The shelf's path, with the spelling of what is there already: "cat" finds the folder "Cat".

    A link on the way may not lead out of the destination.
    """
    path = destination
    for part in relative.split(os.sep):
        path = os.path.join(path, _spelling(path, part))
        if os.path.islink(path):
            inside = os.path.realpath(destination)
            if not names.inside(os.path.realpath(path), inside):
                raise UserError(f"{path} is a link that leads out of {destination}: remove it")
        if os.path.lexists(path) and not os.path.isdir(path):
            raise UserError(f"{path} is a file, and a shelf needs that name: move it away")
    return path


def _spelling(folder: str, name: str) -> str:
    if os.path.lexists(os.path.join(folder, name)):
        return name
    try:
        there = sorted(os.listdir(folder), key=os.fsencode)
    except OSError:
        return name
    return next((other for other in there if names.key(other) == names.key(name)), name)


@dataclass(slots=True)
class _Shelf:
    """What a shelf's folder holds on the disk and in the plan."""

    path: str
    _taken: dict[str, str] | None = None  # key -> name, looked up when first needed
    _by_size: dict[int, list[str]] = field(default_factory=dict)  # names on the disk
    _next: dict[str, int] = field(default_factory=dict)  # key of a name -> first number to try

    def _look(self) -> dict[str, str]:
        if self._taken is None:
            self._taken = {}
            if os.path.isdir(self.path):
                with os.scandir(self.path) as entries:
                    for entry in sorted(entries, key=lambda e: os.fsencode(e.name)):
                        self._taken[names.key(entry.name)] = entry.name
                        if not entry.is_dir(follow_symlinks=False):
                            size = entry.stat(follow_symlinks=False).st_size
                            self._by_size.setdefault(size, []).append(entry.name)
        return self._taken

    def is_free(self, name: str) -> bool:
        return names.key(name) not in self._look()

    def take(self, name: str) -> None:
        self._look()[names.key(name)] = name

    def copy_of(self, action: Action) -> str | None:
        """The name under which an earlier run put this very picture here. Each counts once."""
        wanted = os.path.basename(action.source)
        if self.is_free(wanted):
            return None
        size = action.size
        if action.kind in transfer.LINKS:
            text = transfer.link_text(action, os.path.join(self.path, wanted))
            size = len(os.fsencode(text))
        for name in self._by_size.get(size, ()):
            if names.is_numbered(name, wanted) and transfer.is_result(
                action, os.path.join(self.path, name)
            ):
                self._by_size[size].remove(name)
                return name
        return None

    def free_names(self, unit: Sequence[Action]) -> list[str]:
        wanted = os.path.basename(unit[0].source)
        key = names.key(wanted)
        for number, name in names.numbered(wanted, self._next.get(key, 1)):
            candidates = _names(unit, name)
            if all(self.is_free(candidate) for candidate in candidates):
                self._next[key] = number + 1
                return candidates
        raise AssertionError("numbers never end")


# --- units --------------------------------------------------------------------------------------


def _unit(picture: Picture, label: str, digest: bytes | None, kind: ActionKind) -> list[Action]:
    """The picture and its companions, not aimed at a place yet."""
    lead = Action(kind, picture.path, "", label, picture.size, picture.mtime_ns, digest)
    unit = [lead]
    for path in picture.companions:
        try:
            at = os.lstat(path)
        except OSError:
            continue  # gone since the scan
        unit.append(Action(kind, path, "", label, at.st_size, at.st_mtime_ns, None, picture.path))
    return unit


def _names(unit: Sequence[Action], name: str) -> list[str]:
    """The names of a unit whose picture gets `name`."""
    old = [os.path.basename(action.source) for action in unit]
    return [name, *(companions.renamed(other, old[0], name) for other in old[1:])]


def _aimed(action: Action, target: str) -> Action:
    return Action(
        action.kind, action.source, target, action.label, action.size, action.mtime_ns,
        action.digest, action.companion_of,
    )  # fmt: skip
