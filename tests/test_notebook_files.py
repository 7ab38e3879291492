"""The files in notebooks/: what each keeps to. `pytest --nbmake notebooks` executes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OWN = "Now with your own folder"


def cells(notebook: Path) -> list[dict[str, Any]]:
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert isinstance(found, list)
    return found


def code(notebook: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in cells(notebook) if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_small_and_has_its_outputs(notebook: Path) -> None:
    found = cells(notebook)
    assert len(found) < 15
    assert notebook.stat().st_size < 400_000
    outputs = [output for cell in found for output in cell.get("outputs", [])]
    assert outputs and not [one for one in outputs if one["output_type"] == "error"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_with_ones_own_folder_and_its_claims(notebook: Path) -> None:
    *shown, last = cells(notebook)
    headings = ["".join(cell["source"]) for cell in shown if cell["cell_type"] == "markdown"]
    assert f"## {OWN}" in headings[-1]
    assert "hide-input" in last["metadata"]["tags"] and "assert " in "".join(last["source"])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_index_names_a_notebook_and_shows_a_picture_of_it(notebook: Path) -> None:
    index = (notebook.parent / "README.md").read_text(encoding="utf-8")
    assert f"({notebook.name})" in index
    shown = notebook.parent / "pictures" / f"{notebook.stem}.jpg"
    assert f"(pictures/{shown.name})" in index
    assert shown.stat().st_size < 100_000


def test_mypy_is_strict_about_the_code_of_the_notebooks(tmp_path: Path) -> None:
    """The lines for IPython ("%config") are no Python and are left out."""
    files = []
    for notebook in NOTEBOOKS:
        lines = "\n\n".join(code(notebook)).splitlines()
        files.append(tmp_path / f"notebook_{notebook.stem}.py")
        text = "\n".join(line for line in lines if not line.startswith("%"))
        files[-1].write_text(text + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
