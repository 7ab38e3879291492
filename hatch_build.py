"""Puts the notebooks and their pictures into the wheel, for `zeroshelf playground`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SUFFIXES = (".ipynb", ".md", ".jpg", ".png")  # those that commands/playground.py copies


class Notebooks(BuildHookInterface[Any]):
    """Adds them to the wheel; an editable installation finds them in the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        notebooks = Path(self.root) / "notebooks"
        for path in sorted(notebooks.rglob("*")):
            relative = path.relative_to(notebooks)
            hidden = any(part.startswith(".") for part in relative.parts)
            if path.suffix in SUFFIXES and not hidden:
                target = f"zeroshelf/data/notebooks/{relative.as_posix()}"
                build_data["force_include"][str(path)] = target
