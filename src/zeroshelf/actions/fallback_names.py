"""Replacement names for files whose name the shelf's file system refuses: "a:b.jpg" on NTFS.

The plan uses them where the file system is known to need them. Some network shares refuse a name
only when it is written, so `apply` calls this module after a refusal, and remembers for the rest of
the run what that file system refuses.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from zeroshelf.actions import kinds, names, transfer
from zeroshelf.actions.journal import Past
from zeroshelf.actions.path_table import PathTable
from zeroshelf.records import Action
from zeroshelf.system import file_names

# What a file system may say to a name that it doesn't take: shares differ in their answers.
_REFUSED = {
    errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG, errno.ENOENT, errno.EPERM, errno.EACCES,
    errno.EIO, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPROTO,
}  # fmt: skip


class Renaming:
    """The names of one run. `plan`: its actions, read several times. `past` is kept up to date by
    its journal."""

    def __init__(self, plan: Iterable[Action], past: Past) -> None:
        self._plan = plan
        self._past = past
        self._rules: dict[int, file_names.Rules] = {}  # device -> what it was found to refuse
        self._taken: PathTable | None = None  # keys of all targets, when first needed

    def actions(self) -> Iterator[Action]:
        """The plan's, those under another name that got one when they were first tried."""
        return map(self._latest, self._plan)

    def _latest(self, action: Action) -> Action:
        if not self._past.instead:
            return action
        target = action.target
        while target in self._past.instead:
            target = self._past.instead[target]
        return replace(action, target=target)

    def by_rules(self, unit: Sequence[Action]) -> Sequence[Action]:
        """A picture and its companions under names that their shelf's file system takes, as far as
        it was met. What was begun before keeps its names."""
        if not self._rules or any(self._is_begun(action) for action in unit):
            return unit
        rules = self._rules.get(_device(unit))
        return unit if rules is None else self._renamed(unit, rules)

    def other(self, unit: Sequence[Action], errors: Collection[int]) -> Sequence[Action] | None:
        """The unit, whose actions failed with these errors and left nothing behind, under names
        that every file system takes; None where the names can't be what was wrong."""
        if _REFUSED.isdisjoint(errors) or not all(map(_may_have_another_name, unit)):
            return None
        renamed = self._renamed(unit, file_names.Rules(file_names.FAULTS, _longest(unit, errors)))
        return None if renamed is unit else renamed

    def learn(self, unit: Sequence[Action], errors: Collection[int]) -> None:
        """What was wrong with the names of this unit is so with all names on that file system."""
        known = self._rules.get(_device(unit), file_names.Rules())
        found = {fault for a in unit for fault in file_names.faults(os.path.basename(a.target))}
        longest = min(known.longest, _longest(unit, errors))
        self._rules[_device(unit)] = file_names.Rules(known.refused | found, longest)

    def _is_begun(self, action: Action) -> bool:
        entries = self._past.entries
        return action.target in entries and entries.step(action.target) != "reverted"

    def _renamed(self, unit: Sequence[Action], rules: file_names.Rules) -> Sequence[Action]:
        """Under free names by `rules`; the unit itself where it has such names."""
        named = [action for action in unit if kinds.of(action.kind).names_files]
        now = [os.path.basename(action.target) for action in named]
        if all(file_names.portable(name, rules) == name for name in now):
            return unit
        made: dict[str, str] = {}
        for shelf in dict.fromkeys(os.path.dirname(action.target) for action in named):
            group = [action for action in named if os.path.dirname(action.target) == shelf]
            group.sort(key=lambda action: action.companion_of is not None)  # the picture first
            sources = [os.path.basename(action.source) for action in group]
            wanted = os.path.basename(group[0].target)
            if file_names.is_numbered(wanted, sources[0]):
                wanted = sources[0]  # a number of its own, which the next plan knows again

            def is_free(name: str, shelf: str = shelf) -> bool:
                return self._is_free(os.path.join(shelf, name))

            found = names.free_for_unit(sources, wanted, is_free, rules)[1]
            for action, name in zip(group, found, strict=True):
                made[action.target] = os.path.join(shelf, name)
                self._keys.put(file_names.key(made[action.target]), 0)
        return [replace(action, target=made.get(action.target, action.target)) for action in unit]

    def _is_free(self, path: str) -> bool:
        try:
            return self._keys.get(file_names.key(path)) is None and not transfer.exists(path)
        except OSError:
            return True  # the action itself will fail, and say why

    @property
    def _keys(self) -> PathTable:
        if self._taken is None:
            self._taken = PathTable()
            begun = (entry.action for _, entry in self._past.entries.each())
            for action in chain(self._plan, begun):
                self._taken.put(file_names.key(action.target), 0)
        return self._taken


def _longest(unit: Sequence[Action], errors: Collection[int]) -> int:
    """Bytes of a name: few where a file system, one that encrypts names, said too long."""
    if errno.ENAMETOOLONG in errors:
        return file_names.SHORT
    return max(file_names.MAX_BYTES, *(len(os.fsencode(os.path.basename(a.target))) for a in unit))


def _may_have_another_name(action: Action) -> bool:
    kind = kinds.of(action.kind)
    return kind.names_files or kind.allows_other_names


def _device(unit: Sequence[Action]) -> int:
    return os.stat(transfer.existing_parent(os.path.dirname(unit[0].target))).st_dev
