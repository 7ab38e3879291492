"""The plans of the actions tag and untag, which move no file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zeroshelf.actions.tags import metadata, picture_files, sidecars, tagging
from zeroshelf.counting import counted
from zeroshelf.errors import Unreadable, UserError
from zeroshelf.images import scan
from zeroshelf.records import OTHER, Action, Picture, Plan
from zeroshelf.system import content_hash, file_names

if TYPE_CHECKING:
    from zeroshelf.actions.kinds.base import Earlier

TAG, UNTAG = "tag", "untag"


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
    taken: set[str] = set()  # keys of sidecars
    tagged = 0  # pictures that have all their tags
    wanted = _wanted(placements, prefix)
    stems = Counter(map(_stem, wanted))
    for path in sorted(wanted, key=os.fsencode):
        one = wanted[path]
        made = [before.action for before in (earlier or {}).get(path, ())]
        if not one.tags and not made:
            continue
        sidecar = _sidecar(one.picture, taken, alone=stems[_stem(path)] == 1)
        if sidecar is not None:
            taken.add(file_names.key(sidecar))
        targets = _targets(one.picture, sidecar, in_files=in_files)
        if not targets:
            notes.append(f"left alone: {path}: its name is too long for a sidecar's beside it")
            continue
        own = _actions(one, targets, made)
        tagged += bool(one.tags) and not own
        actions += own
    have = (
        "has its tag already: nothing to do for it",
        "have their tag already: nothing to do for them",
    )
    other = "loses a tag that an earlier run wrote", "lose a tag that an earlier run wrote"
    if tagged:
        notes.append(counted(tagged, *have))
    if replaced := sum(action.instead_of is not None for action in actions):
        notes.append(f"{counted(replaced, *other)} (--keep-earlier: it stays)")
    notes += _about_originals(actions)
    return Plan(folder, folder, TAG, tuple(actions), tuple(notes), prefix, in_files=in_files)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The tags that a picture is to have, below the prefix."""

    picture: Picture
    digest: bytes | None  # of its content, if known
    tags: list[str] = field(default_factory=list)


def _wanted(
    placements: Iterable[tuple[Picture, str, bytes | None]], prefix: str
) -> dict[str, _Wanted]:
    """By the pictures' paths. "other" is no tag."""
    wanted: dict[str, _Wanted] = {}
    for picture, label, digest in placements:
        one = wanted.setdefault(picture.path, _Wanted(picture, digest))
        if label != OTHER:
            one.tags.append(sidecars.tag(label, prefix))
    return wanted


def _targets(picture: Picture, sidecar: str | None, *, in_files: bool) -> list[str]:
    """The files that the picture's tags are written into; none where there can't be one."""
    if in_files and _takes_tags(picture.path):
        return [picture.path] if sidecar not in picture.companions else [sidecar, picture.path]
    return [] if sidecar is None else [sidecar]


def _actions(one: _Wanted, targets: Sequence[str], made: Sequence[Action]) -> list[Action]:
    """What is missing in each target, and what in it an earlier run wrote and isn't wanted now.
    `made`: the actions of earlier runs on the same picture."""
    picture, actions = one.picture, []
    written = {(action.target, tag) for action in made for tag in action.label.splitlines()}
    for target in targets:
        there = _tags_in(target, picture.path)
        missing = "\n".join(tag for tag in one.tags if tag not in there)
        wrong = [tag for tag in sorted(there - set(one.tags)) if (target, tag) in written]
        if missing or wrong:
            known = (picture.size, picture.mtime_ns, one.digest)
            instead_of = "\n".join(wrong) or None
            actions.append(
                Action(TAG, picture.path, target, missing, *known, instead_of=instead_of)
            )
    return actions


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
    was made for them and has nothing else goes with them. With `in_files` they are taken out of
    the pictures' own files too."""
    folder, below = scan.root_of(folder), check_prefix(prefix)
    paths, unread = scan.sidecars(folder)
    actions = []
    notes = [f"left alone: {one.path}: {one.reason}" for one in unread]
    for path in paths:
        try:
            old = tagging.read(path)
            if sidecars.remove(old.content, below) != old.content:
                size, digest = len(old.content), content_hash.of_bytes(old.content)
                actions.append(Action(UNTAG, path, path, below, size, old.mtime_ns, digest))
        except (OSError, Unreadable) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            notes.append(f"left alone: {path}: {reason}")
    for picture in scan.scan(folder).pictures if in_files else ():
        if picture.format in metadata.FORMATS and _is_tagged(picture, below):
            path = picture.path
            actions.append(Action(UNTAG, path, path, below, picture.size, picture.mtime_ns, None))
    return Plan(folder, folder, UNTAG, tuple(actions), tuple(notes), prefix, in_files=in_files)


def _is_tagged(picture: Picture, prefix: str) -> bool:
    """True where the picture's own file has a tag below `prefix`."""
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


def check_prefix(prefix: str) -> str:
    """The path that all tags below `prefix` begin with. Raises `UserError` where there is none."""
    below = sidecars.tag("", prefix)
    if not below:
        raise UserError(
            "the prefix is empty, so its tags can't be told from your own: give --prefix"
        )
    return below
