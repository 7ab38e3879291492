"""The pictures that come with the program; data/demo/SOURCES.md lists their sources."""

from __future__ import annotations

import os
import shutil
from importlib import resources

BROKEN = "IMG_0436.jpg"  # cut short on purpose: it shows how a run tells what it can't read
_SHIPPED = resources.files("zeroshelf") / "data" / "demo"


def demo_pictures(to: str | os.PathLike[str]) -> str:
    """Lay the demo's pictures out in the folder `to` and return its path. What is there stays."""
    root = os.path.abspath(os.fspath(to))
    with resources.as_file(_SHIPPED / "pictures") as source:
        for folder, _, names in os.walk(source):
            there = os.path.normpath(os.path.join(root, os.path.relpath(folder, source)))
            os.makedirs(there, exist_ok=True)
            for name in names:
                target = os.path.join(there, name)
                if not os.path.exists(target):
                    shutil.copyfile(os.path.join(folder, name), target)
    return root


def demo_labels() -> list[str]:
    return (_SHIPPED / "labels.txt").read_text(encoding="utf-8").splitlines()
