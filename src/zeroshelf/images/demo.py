"""The pictures that come with the program; data/demo/SOURCES.md lists their sources."""

from __future__ import annotations

import os
import shutil
from importlib import resources

from zeroshelf.errors import UserError
from zeroshelf.images.scan import root_of

BROKEN = "IMG_0436.jpg"  # cut short on purpose: it shows how a run tells what it can't read
_SHIPPED = resources.files("zeroshelf") / "data" / "demo"


def demo_pictures(to: str | os.PathLike[str]) -> str:
    """Copy the demo's pictures into the folder `to` and return its absolute path.

    What is there already stays as it is. Raises `UserError` where `to` is no path or can't be
    written.
    """
    root = root_of(to)
    try:
        with resources.as_file(_SHIPPED / "pictures") as source:
            _copy(source, root)
    except OSError as error:
        raise UserError(f"the demo can't be written to {root}: {error.strerror}") from None
    return root


def _copy(source: os.PathLike[str], root: str) -> None:
    for folder, _, names in os.walk(source):
        there = os.path.normpath(os.path.join(root, os.path.relpath(folder, source)))
        os.makedirs(there, exist_ok=True)
        for name in names:
            target = os.path.join(there, name)
            if not os.path.exists(target):
                shutil.copyfile(os.path.join(folder, name), target)


def demo_labels() -> list[str]:
    return (_SHIPPED / "labels.txt").read_text(encoding="utf-8").splitlines()
