"""Facts about folders that plan and apply need many times; each is looked up once."""

from __future__ import annotations

import os

from zeroshelf.actions import transfer
from zeroshelf.system import folder_identity, mounts, users


class Folders:
    """The identity, the mount and the access rights of folders. Facts are kept until the object
    goes, so make one for each plan and each apply."""

    def __init__(self) -> None:
        self._identities: dict[str, folder_identity.Identity | None] = {}
        self._mounts: dict[str, mounts.Mount] = {}
        self._closed: dict[str, bool] = {}

    def same(self, one: str, other: str) -> bool:
        """True for two paths of one folder, also where one of them leads through a link."""
        if one == other:
            return True
        found = self._identity(one)
        return found is not None and found == self._identity(other)

    def are_across(self, one: str, other: str) -> bool:
        """True where no hard link and no rename leads from folder `one` to folder `other`. A folder
        that does not exist yet counts as its nearest parent. Raises OSError where the system can't
        tell."""
        return self._mount(one) != self._mount(other)

    def is_closed(self, folder: str) -> bool:
        """True for an existing folder out of which nothing can be moved."""
        if folder not in self._closed:
            self._closed[folder] = os.path.isdir(folder) and not users.may_write(folder)
        return self._closed[folder]

    def _identity(self, folder: str) -> folder_identity.Identity | None:
        if folder not in self._identities:
            self._identities[folder] = folder_identity.identity(folder)
        return self._identities[folder]

    def _mount(self, folder: str) -> mounts.Mount:
        folder = transfer.existing_parent(folder)
        if folder not in self._mounts:
            self._mounts[folder] = mounts.mount(folder)
        return self._mounts[folder]
