"""The actions symlink, relative-symlink and hardlink: the picture stays, and a link to it lies on
the shelf."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile

from zeroshelf.actions import transfer
from zeroshelf.actions.folders import Folders
from zeroshelf.actions.kinds.shelved import Shelved, check_has_links
from zeroshelf.actions.tags import tagging
from zeroshelf.errors import UserError
from zeroshelf.records import Action, PlanRequest
from zeroshelf.system import folder_identity, links, mounts, path_spelling

_ACROSS = "hard links need one file system that has them: sort with --as copy or --as symlink"
_WILL_FAIL = (
    "lies on another file system than its shelf: a hard link can't lead there, so it will be "
    "refused; use --as copy or --as symlink",
    "lie on another file system than their shelf: hard links can't lead there, so they will be "
    "refused; use --as copy or --as symlink",
)


class Link(Shelved):
    """A link to the picture, made in one step and so made again."""

    done = "linked"
    replaceable = True

    def make_again(self, action: Action) -> None:
        self.finish(action, "", None)


class Symlink(Link):
    """A symbolic link with the picture's absolute path."""

    name = "symlink"
    choice = "Link"
    meaning = (
        "Each picture is linked to its shelf in {to}. The originals stay, and the links to them "
        "break if they are moved. Nothing is overwritten, and it can be undone."
    )
    is_symlink = True
    reads_through_links = True
    unsupported = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
    unsupported_advice = "a file system may have no symbolic links: sort with --as copy"

    def text(self, action: Action, path: str) -> str:
        """What the link at `path` says."""
        return action.source

    def check(self, request: PlanRequest) -> None:
        super().check(request)
        why_not = None
        with (
            contextlib.suppress(OSError),  # then the first link fails with the reason
            tempfile.TemporaryDirectory(prefix="zeroshelf-") as scratch,
        ):
            why_not = links.why_no_symlinks(scratch)
        if why_not:
            raise UserError(f"no links can be made: {why_not}")
        self.check_leads(request)
        check_has_links(request)

    def check_leads(self, request: PlanRequest) -> None:
        """Raise `UserError` where no such link leads from the destination to the folder."""

    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        links.symlink(self.text(action, action.target), action.target)
        return ()

    def is_result(self, action: Action, path: str) -> bool:
        try:
            if not os.path.islink(path):
                return False
            return _is_same_text(os.readlink(path), self.text(action, path))
        except OSError:
            return False


class RelativeSymlink(Symlink):
    """A symbolic link with the picture's path as seen from the shelf."""

    name = "relative-symlink"
    choice = "Relative link"
    meaning = (
        "Each picture is linked to its shelf in {to}. The originals stay, and the links hold as "
        "long as both folders are moved together. Nothing is overwritten, and it can be undone."
    )

    def text(self, action: Action, path: str) -> str:
        shelf = os.path.realpath(os.path.dirname(path))  # ".." leads up from the real folder
        folder, name = os.path.split(action.source)
        return os.path.join(path_spelling.relative(os.path.realpath(folder), shelf), name)

    def check_leads(self, request: PlanRequest) -> None:
        folder, destination = request.folder, request.destination or ""
        if not path_spelling.has_relative(folder, destination):
            raise UserError(
                f"no relative link leads from {destination} to {folder}: they lie on two drives; "
                "use --as symlink or --as copy"
            )


class HardLink(Link):
    """A second name for the picture's content."""

    name = "hardlink"
    choice = "Hard link"
    meaning = (
        "Each picture is linked to its shelf in {to}. The originals stay, and each gets a second "
        "name for the same content. Nothing is overwritten, and it can be undone."
    )
    unsupported = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
    unsupported_advice = _ACROSS

    def check(self, request: PlanRequest) -> None:
        super().check(request)
        check_has_links(request)
        folder, destination = request.folder, request.destination or ""
        if mounts.mount(folder) != mounts.mount(transfer.existing_parent(destination)):
            raise UserError(
                f"hard links can't lead from {folder} to {destination}: two file systems, or one "
                "that is mounted twice; use --as copy or --as symlink"
            )

    def warning(self, source: str, shelf: str, folders: Folders) -> tuple[str, str] | None:
        with contextlib.suppress(OSError):  # then apply fails with the reason
            if folders.are_across(os.path.dirname(source), shelf):
                return _WILL_FAIL
        return None

    def why_not(self, action: Action, folders: Folders) -> str | None:
        if found := super().why_not(action, folders):
            return found
        shelf = os.path.dirname(action.target)
        return _ACROSS if folders.are_across(os.path.dirname(action.source), shelf) else None

    def finish(self, action: Action, part: str, change: tagging.Changes | None) -> tuple[str, ...]:
        links.hard_link(action.source, action.target)
        return ()

    def is_result(self, action: Action, path: str) -> bool:
        try:
            return os.path.samestat(os.lstat(path), os.lstat(action.source))
        except OSError:
            return False


def _is_same_text(text: str, other: str) -> bool:
    """True for equal texts, and for two absolute paths of one file, where a link leads to its
    folder."""
    if text == other:
        return True
    (folder, name), (place, wanted) = os.path.split(text), os.path.split(other)
    return name == wanted and os.path.isabs(text) and folder_identity.same(folder, place)
