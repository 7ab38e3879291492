"""decisions -> plan: where every picture goes, all collisions solved before anything happens.

Looks at the destination and writes nothing there. The same pictures, labels and destination make
the same plan; a second sort of the same folder finds its own work and plans nothing twice.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from zeroshelf.actions import left_behind, names, transfer
from zeroshelf.actions.alike_names import Kin
from zeroshelf.actions.earlier_runs import Earlier, removals
from zeroshelf.actions.plan_file import load, save
from zeroshelf.actions.tags import metadata, picture_files, sidecars, tagging
from zeroshelf.counting import counted
from zeroshelf.decisions import decide
from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import Unreadable, UserError
from zeroshelf.images import left_out, scan
from zeroshelf.records import OTHER, Action, ActionKind, Embeddings, Picture, Plan
from zeroshelf.system import file_names, folder_identity, links, mounts, path_spelling, users

__all__ = ["like", "load", "make", "save", "tags", "untags"]


def like(
    before: Plan,
    embeddings: Embeddings,
    decided: Decisions,
    by_hand: Collection[int] = frozenset(),
    earlier: Earlier | None = None,
) -> Plan:
    """Where every picture goes by these decisions, and as `before` says: how, where to, and onto
    which shelves. Rows `by_hand` are where a person put them, however unclear they look. `earlier`
    is what other runs made of the same pictures (`runs.earlier`): where it lies on another shelf
    now, it goes from there.
    """
    unclear = decide.ambiguous(decided) & (before.ambiguous is not None)
    unclear[list(by_hand)] = False
    also = decide.also(decided) & before.several
    labels = decided.scores.labels.names
    placements: list[tuple[Picture, str, bytes | None]] = []
    for row, (picture, own, digest) in enumerate(
        zip(embeddings.pictures, decided.labels, embeddings.digests, strict=True)
    ):
        best = before.ambiguous if before.ambiguous and unclear[row] else own
        for label in dict.fromkeys((best, *(labels[k] for k in np.flatnonzero(also[row])))):
            placements.append((picture, label, digest))
    made = make(
        placements,
        before.folder,
        before.destination,
        before.kind,
        prefix=before.prefix,
        earlier=earlier if before.replace else None,
        in_files=before.in_files,
    )
    notes = list(made.notes)
    if unclear.any():
        go = "fits two labels or more: it goes to", "fit two labels or more: they go to"
        notes.append(f'{counted(int(unclear.sum()), *go)} "{before.ambiguous}"')
    if also.any():
        go = "goes onto further shelves that fit too", "go onto further shelves that fit too"
        notes.append(counted(int(also.any(axis=1).sum()), *go))
    return replace(
        made,
        notes=tuple(notes),
        ambiguous=before.ambiguous,
        several=before.several,
        replace=before.replace,
    )


def make(
    # picture, label, digest if known; a picture with several labels comes several times
    placements: Iterable[tuple[Picture, str, bytes | None]],
    folder: str,
    destination: str,
    kind: ActionKind,
    *,
    prefix: str = "zeroshelf",
    earlier: Earlier | None = None,
    in_files: bool = False,
) -> Plan:
    """Raises `UserError` where `destination` can't take a shelf. Tags need no destination: they go
    beside the pictures, or with `in_files` into them, below `prefix`; to take them away needs no
    placements either. `earlier` is what other runs made of the pictures, and goes where they go
    elsewhere now."""
    if kind not in get_args(ActionKind):
        raise UserError(f"{kind!r} is none of {', '.join(get_args(ActionKind))}")
    if kind == "tag":
        return tags(placements, folder, prefix, earlier, in_files=in_files)
    if kind == "untag":
        return untags(folder, prefix, in_files=in_files)
    folder, destination = os.path.abspath(folder), os.path.abspath(destination)
    check_destination(folder, destination, kind)
    placed = sorted(placements, key=lambda placement: os.fsencode(placement[0].path))
    shelves = _shelves(sorted({label for _, label, _ in placed}), destination)
    actions: list[Action] = []
    tally: Counter[str] = Counter()
    wanted: set[str] = set()  # all paths where pictures and companions are to lie
    units: list[tuple[Sequence[Action], str]] = []  # each with its shelf
    folders = _Folders()
    for picture, label, digest in placed:
        shelf = shelves[label]
        unit = _unit(picture, label, digest, kind)
        units.append((unit, shelf.path))
        if folders.same(os.path.dirname(picture.path), shelf.path):
            tally["in place"] += 1
            continue
        there = shelf.copy_of(unit[0])
        if there is not None:
            tally["in place"] += 1
            names_of_unit = names.of_unit(_sources(unit), there, shelf.rules)
            fresh = [i for i in range(1, len(unit)) if shelf.is_free(names_of_unit[i])]
        else:
            names_of_unit = shelf.free_names(_sources(unit), os.path.dirname(picture.path))
            fresh = list(range(len(unit)))
            usual = file_names.portable(os.path.basename(picture.path), shelf.rules)
            tally["refused"] += usual != os.path.basename(picture.path)
            tally["renamed"] += names_of_unit[0] != usual
            tally["across"] += kind == "hardlink" and folders.across(picture.path, shelf.path)
            tally["stuck"] += kind == "move" and folders.is_closed(os.path.dirname(picture.path))
        wanted |= {os.path.join(shelf.path, name) for name in names_of_unit}
        for i in fresh:
            shelf.take(names_of_unit[i], os.path.dirname(picture.path))
            actions.append(_aimed(unit[i], os.path.join(shelf.path, names_of_unit[i])))
    gone, tally["changed"] = removals(units, wanted, earlier) if earlier else ([], 0)
    if gone:  # beside the other actions of the same picture
        actions = sorted([*actions, *gone], key=lambda a: os.fsencode(a.companion_of or a.source))
    tally["removed"] = len(gone)
    pictures = [picture for picture, _, _ in placed]
    left = left_behind.find(pictures, actions) if kind == "move" else ()
    notes = (
        *_notes(tally),
        *left_behind.shared_notes(pictures, actions),
        *left_behind.notes(left),
    )
    return Plan(folder, destination, kind, tuple(actions), notes, left_behind=left)


# What is special in a plan: how often, in words for one and for more.
_NOTES = {
    "in place": (
        "already lies on its shelf: nothing to do for it",
        "already lie on their shelf: nothing to do for them",
    ),
    "renamed": (
        "gets a number, because its name is taken on the shelf",
        "get a number, because their name is taken on the shelf",
    ),
    "refused": (
        "gets another name, because the file system there refuses its own",
        "get another name, because the file system there refuses theirs",
    ),
    "across": (
        "lies on another file system than its shelf: a hard link can't lead there, so it will be "
        "refused; use --as copy or --as symlink",
        "lie on another file system than their shelf: hard links can't lead there, so they will be "
        "refused; use --as copy or --as symlink",
    ),
    "stuck": (
        "lies in a folder that may not be changed, so it can't be moved; use --as copy",
        "lie in folders that may not be changed, so they can't be moved; use --as copy",
    ),
    "removed": (
        "file that an earlier run put on another shelf is removed from there (--keep-earlier: "
        "left)",
        "files that earlier runs put on other shelves are removed from there (--keep-earlier: "
        "left)",
    ),
    "changed": (
        "file that an earlier run put on another shelf is left there, because changed since",
        "files that earlier runs put on other shelves are left there, because changed since",
    ),
}


def _notes(tally: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(counted(tally[what], *words) for what, words in _NOTES.items() if tally[what])


def tags(
    placements: Iterable[tuple[Picture, str, bytes | None]],
    folder: str,
    prefix: str = "zeroshelf",
    earlier: Earlier | None = None,
    *,
    in_files: bool = False,
) -> Plan:
    """A plan that moves nothing: each label is written as a tag into the picture's sidecar, below
    `prefix`, by which all can be taken away again. "other" is no tag. With `in_files` it is written
    into the picture's own file where that can be done, and into a sidecar only if there is one.
    Tags that an earlier run wrote and that are not wanted any more go at once."""
    folder = os.path.abspath(folder)
    check_prefix(prefix)
    actions: list[Action] = []
    notes: list[str] = []
    taken: set[str] = set()
    tagged = 0
    wanted: dict[str, tuple[Picture, list[str], bytes | None]] = {}
    stems: Counter[str] = Counter()
    for picture, label, digest in placements:
        if picture.path not in wanted:
            wanted[picture.path] = (picture, [], digest)
            stems[_stem(picture.path)] += 1
        if label != OTHER:
            wanted[picture.path][1].append(sidecars.tag(label, prefix))
    replaced = 0
    for path, (picture, tags, digest) in sorted(wanted.items(), key=lambda w: os.fsencode(w[0])):
        made = [one.action for one in (earlier or {}).get(path, ())]
        if not tags and not made:
            continue
        target = _sidecar(picture, taken, alone=stems[_stem(path)] == 1)
        if target is not None:
            taken.add(file_names.key(target))
        targets = [target]
        if in_files and _takes_tags(path):
            targets = [target] if target in picture.companions else []
            targets.append(path)
        elif target is None:
            notes.append(f"left alone: {path}: its name is too long for a sidecar's beside it")
            continue
        written = {(one.target, tag) for one in made for tag in one.label.splitlines()}
        before = len(actions)
        for at in filter(None, targets):
            there = _tags_in(at, path)
            missing = "\n".join(tag for tag in tags if tag not in there)
            wrong = [tag for tag in sorted(there - set(tags)) if (at, tag) in written]
            replaced += bool(wrong)
            if missing or wrong:
                known = (picture.size, picture.mtime_ns, digest)
                gone = "\n".join(wrong) or None
                actions.append(Action("tag", path, at, missing, *known, instead_of=gone))
        tagged += bool(tags) and len(actions) == before
    have = (
        "has its tag already: nothing to do for it",
        "have their tag already: nothing to do for them",
    )
    other = "loses a tag that an earlier run wrote", "lose a tag that an earlier run wrote"
    if tagged:
        notes.append(counted(tagged, *have))
    if replaced:
        notes.append(f"{counted(replaced, *other)} (--keep-earlier: it stays)")
    notes += _about_originals(actions)
    return Plan(folder, folder, "tag", tuple(actions), tuple(notes), prefix, in_files=in_files)


def _sidecar(picture: Picture, taken: Collection[str], *, alone: bool) -> str | None:
    """Where the picture's sidecar is or goes; None where no name for it is short enough. `alone`:
    no other picture has its stem."""
    target = sidecars.path_for(picture)
    if file_names.key(target) in taken:  # a.cr2 beside a.nef: not both can have a.xmp
        target = picture.path + ".xmp"
    if (
        target in picture.companions
        or len(os.fsencode(os.path.basename(target))) <= file_names.MAX_BYTES
    ):
        return target
    short = os.path.splitext(picture.path)[0] + ".xmp"
    free = alone and file_names.key(short) not in taken and not os.path.lexists(short)
    return short if free else None


def _stem(path: str) -> str:
    return file_names.key(os.path.splitext(path)[0])


def _about_originals(actions: Sequence[Action]) -> list[str]:
    count = sum(map(tagging.is_in_file, actions))
    if not count:
        return []
    rewritten = (
        "picture is rewritten; its original is kept beside it",
        "pictures are rewritten; each original is kept beside it",
    )
    return [
        f"{counted(count, *rewritten)}, in {picture_files.ORIGINALS}, until `zeroshelf originals` "
        "drops it"
    ]


def untags(folder: str, prefix: str = "zeroshelf", *, in_files: bool = False) -> Plan:
    """A plan that takes the tags below `prefix` out of every sidecar below `folder`. A sidecar that
    was made for them and holds nothing else goes with them. With `in_files` they are taken out of
    the pictures' own files too."""
    folder, below = scan.root_of(folder), check_prefix(prefix)
    paths, unread = scan.sidecars(folder)
    actions = []
    notes = [f"left alone: {one.path}: {one.reason}" for one in unread]
    for path in paths:
        try:
            old = tagging.read(path)
            if sidecars.remove(old.content, below) != old.content:
                size, digest = len(old.content), transfer.digest_of(old.content)
                actions.append(Action("untag", path, path, below, size, old.mtime_ns, digest))
        except (OSError, Unreadable) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            notes.append(f"left alone: {path}: {reason}")
    for picture in scan.scan(folder).pictures if in_files else ():
        if picture.format in metadata.FORMATS and _is_tagged(picture, below):
            path = picture.path
            actions.append(Action("untag", path, path, below, picture.size, picture.mtime_ns, None))
    return Plan(folder, folder, "untag", tuple(actions), tuple(notes), prefix, in_files=in_files)


def _is_tagged(picture: Picture, prefix: str) -> bool:
    """True where the picture's own file holds a tag below `prefix`."""
    try:
        found = metadata.read(picture.path, picture.format)
        return not picture_files.untagged(found, prefix).is_in(found)
    except (OSError, Unreadable):
        return False


def _takes_tags(path: str) -> bool:
    """True where tags can be written into the picture's own file. A run that was opened again
    doesn't know what its pictures are."""
    try:
        known = picture_files.format_of(path) in metadata.FORMATS
    except OSError:
        return False  # apply will say why
    return known and not path.lower().endswith(".xmp")


def _tags_in(path: str, picture: str) -> set[str]:
    """The tags in a sidecar, or in the picture itself."""
    try:
        if path == picture:
            xmp = metadata.read(path, picture_files.format_of(path) or "").xmp
            return set() if xmp is None else sidecars.tags(xmp)
        with open(path, "rb") as file:
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
    while not os.path.lexists(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise UserError(f"{above} is no folder: give one with --to")
    if kind in transfer.LINKS:
        _check_symlinks(folder, destination, kind)
    above = transfer.existing_parent(destination)
    if kind == "move" and (library := left_out.library_around(os.path.realpath(folder))):
        raise UserError(
            f"{library} belongs to a photo program, which would miss what is moved out of it: "
            "use --as copy"
        )
    if kind == "move" and mounts.is_read_only(folder):
        raise UserError(
            f"nothing can be moved out of {folder}: its file system is read-only; use --as copy"
        )
    if kind in ("hardlink", *transfer.LINKS) and mounts.kind(above) in mounts.WITHOUT_LINKS:
        raise UserError(
            f"the file system of {above} ({mounts.kind(above)}) has no links: use --as copy"
        )
    if kind == "hardlink" and mounts.mount(folder) != mounts.mount(above):
        raise UserError(
            f"hard links can't lead from {folder} to {destination}: two file systems, or one that "
            "is mounted twice; use --as copy or --as symlink"
        )


def _check_symlinks(folder: str, destination: str, kind: ActionKind) -> None:
    why_not = None
    with (
        contextlib.suppress(OSError),  # then the first link says it
        tempfile.TemporaryDirectory(prefix="zeroshelf-") as scratch,
    ):
        why_not = links.why_no_symlinks(scratch)
    if why_not:
        raise UserError(f"no links can be made: {why_not}")
    if kind == "relative-symlink" and not path_spelling.has_relative(folder, destination):
        raise UserError(
            f"no relative link leads from {destination} to {folder}: they lie on two drives; use "
            "--as symlink or --as copy"
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
        while file_names.key(path := _as_on_disk(safe, destination)) in taken:
            number += 1
            safe = f"{names.shelf(label)} ({number})"
        taken.add(file_names.key(path))
        shelves[label] = _Shelf(path, mounts.rules(transfer.existing_parent(path)))
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
            if not file_names.inside(os.path.realpath(path), inside):
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
    return next((other for other in there if file_names.key(other) == file_names.key(name)), name)


class _Folders:
    """What is asked of the pictures' folders again and again."""

    def __init__(self) -> None:
        self._identities: dict[str, folder_identity.Identity | None] = {}
        self._mounts: dict[str, mounts.Mount] = {}
        self._closed: dict[str, bool] = {}

    def same(self, one: str, other: str) -> bool:
        """True for two paths of one folder. A link may lead to it."""
        if one == other:
            return True
        found = self._identity(one)
        return found is not None and found == self._identity(other)

    def across(self, path: str, shelf: str) -> bool:
        """True where no hard link can lead from `path` onto the shelf."""
        try:
            return self._mount(os.path.dirname(path)) != self._mount(shelf)
        except OSError:
            return False  # apply will say why

    def is_closed(self, folder: str) -> bool:
        """True where nothing can be moved out of it."""
        if folder not in self._closed:
            self._closed[folder] = os.path.isdir(folder) and not users.may_write(folder)
        return self._closed[folder]

    def _identity(self, folder: str) -> folder_identity.Identity | None:
        if folder not in self._identities:
            self._identities[folder] = folder_identity.identity(folder)
        return self._identities[folder]

    def _mount(self, folder: str) -> mounts.Mount:
        if folder not in self._mounts:
            self._mounts[folder] = mounts.mount(transfer.existing_parent(folder))
        return self._mounts[folder]


@dataclass(slots=True)
class _Shelf:
    """What a shelf's folder holds on the disk and in the plan."""

    path: str
    rules: file_names.Rules
    _taken: dict[str, str] | None = None  # key -> name, looked up when first needed
    _by_size: dict[int, list[str]] = field(default_factory=dict)  # names of files on the disk
    _links: dict[folder_identity.Identity, list[str]] = field(
        default_factory=dict
    )  # by what they lead to
    _next: dict[str, int] = field(default_factory=dict)  # key of a name -> first number to try
    _kin: Kin = field(default_factory=Kin)

    def _look(self) -> dict[str, str]:
        if self._taken is None:
            self._taken = {}
            if os.path.isdir(self.path):
                with os.scandir(self.path) as entries:
                    for entry in sorted(entries, key=lambda e: os.fsencode(e.name)):
                        self._taken[file_names.key(entry.name)] = entry.name
                        self._kin.add(entry.name, None)
                        self._note(entry)
        return self._taken

    def _note(self, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink():
            leads_to = folder_identity.identity(entry.path)
            if leads_to is not None:
                self._links.setdefault(leads_to, []).append(entry.name)
        elif not entry.is_dir(follow_symlinks=False):
            size = entry.stat(follow_symlinks=False).st_size
            self._by_size.setdefault(size, []).append(entry.name)

    def is_free(self, name: str) -> bool:
        return file_names.key(name) not in self._look()

    def take(self, name: str, folder: str) -> None:
        """`folder` is where the file comes from."""
        self._look()[file_names.key(name)] = name
        self._kin.add(name, folder)

    def copy_of(self, action: Action) -> str | None:
        """The name under which an earlier run put this very picture here. Each counts once."""
        wanted = os.path.basename(action.source)
        other = file_names.portable(wanted, file_names.Rules(file_names.FAULTS, self.rules.longest))
        if (
            self.is_free(wanted)
            and self.is_free(other)
            and len(os.fsencode(wanted)) < file_names.SHORT
        ):
            return None
        candidates = self._candidates(action)
        for name in candidates:
            if not (file_names.is_numbered(name, wanted) or file_names.is_numbered(name, other)):
                continue
            path = os.path.join(self.path, name)
            if action.kind in transfer.LINKS or transfer.is_result(action, path):
                candidates.remove(name)
                return name
        return None

    def _candidates(self, action: Action) -> list[str]:
        """What lies here and may be the action's work; a link by where it leads."""
        self._look()
        if action.kind not in transfer.LINKS:
            return self._by_size.get(action.size, [])
        leads_to = folder_identity.identity(action.source)
        return self._links.get(leads_to, []) if leads_to else []

    def free_names(self, sources: Sequence[str], folder: str) -> list[str]:
        """Of a picture and its companions, by their names now, the picture's first. No file of
        another unit becomes their companion by its name. `folder` is where they come from."""

        def is_free(name: str) -> bool:
            return self.is_free(name) and not self._kin.has(name, folder, len(sources) > 1)

        key = file_names.key(sources[0])
        number, found = names.free_for_unit(
            sources, sources[0], is_free, self.rules, self._next.get(key, 1)
        )
        self._next[key] = number + 1
        return found


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


def _sources(unit: Sequence[Action]) -> list[str]:
    return [os.path.basename(action.source) for action in unit]


def _aimed(action: Action, target: str) -> Action:
    return Action(
        action.kind, action.source, target, action.label, action.size, action.mtime_ns,
        action.digest, action.companion_of,
    )  # fmt: skip
