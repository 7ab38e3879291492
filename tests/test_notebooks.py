"""What every notebook of notebooks/ has. `pytest --nbmake notebooks` executes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import HANG

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 400_000  # bytes, with the pictures in it
MOST = 15  # cells


def cells(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["cells"])


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_listed_and_checks_what_it_says(path: Path) -> None:
    given = cells(path)
    assert len(given) < MOST and path.stat().st_size < LARGEST
    assert f"]({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")
    *shown, last = given
    assert shown[0]["cell_type"] == "markdown" and source(shown[0]).startswith("# ")
    assert any(source(cell).lower().startswith("## now with your own") for cell in shown[-4:])
    assert last["metadata"]["tags"] == ["hide-input"]
    assert "assert " in source(last) and not last["outputs"]
    outputs = [output for cell in given for output in cell.get("outputs", [])]
    assert outputs and all(output["output_type"] != "error" for output in outputs)


def test_mypy_is_strict_about_the_notebooks(tmp_path: Path) -> None:
    made = []
    for path in NOTEBOOKS:
        code = "\n\n".join(source(cell) for cell in cells(path) if cell["cell_type"] == "code")
        lines = ["" if line.startswith("%") else line for line in code.splitlines()]
        made.append(tmp_path / f"notebook_{path.stem}.py")
        made[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, made)]
    done = subprocess.run(
        command, cwd=FOLDER.parent, capture_output=True, text=True, timeout=HANG, check=False
    )
    assert done.returncode == 0, done.stdout
