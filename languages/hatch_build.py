"""The image tower is the starter's own: it is kept once in the repository and packed from there.

In an sdist it lies in the package already, so that a wheel can be built from that alone.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STARTER = Path("..", "src", "zeroshelf", "data", "starter", "visual")
PACKAGE = "zeroshelf_languages"


class ImageTower(BuildHookInterface[Any]):
    """Adds the image tower to the wheel and to the sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        tower = Path(self.root, STARTER)
        if not tower.is_dir():
            return  # built from an sdist
        folder = "src/" if self.target_name == "sdist" else ""
        build_data["force_include"][str(tower)] = f"{folder}{PACKAGE}/visual"
