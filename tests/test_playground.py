"""`zeroshelf playground`: the notebooks are in the wheel, and are copied over nothing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
import types
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.making import tree
from zeroshelf.commands import playground
from zeroshelf.commands.cli import main

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"


def copied(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def wanted() -> set[str]:
    return {
        path.relative_to(NOTEBOOKS).as_posix()
        for path in NOTEBOOKS.rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc"}
        and not any(part.startswith(".") for part in path.relative_to(NOTEBOOKS).parts)
    }


def test_notebooks_and_pictures_are_copied(tmp_path: Path, capsys: Any) -> None:
    to = tmp_path / "here"
    assert main(["playground", "--to", str(to), "--no-open", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert copied(to) == wanted() == {*told["copied"]}
    assert told["folder"] == str(to) and told["kept"] == []
    assert (to / "search.ipynb").read_bytes() == (NOTEBOOKS / "search.ipynb").read_bytes()


def test_nothing_that_is_there_is_touched(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "search.ipynb").write_text("mine")
    (tmp_path / "other.ipynb").mkdir()
    (tmp_path / "README.md").symlink_to(tmp_path / "nowhere")
    assert main(["playground", "--to", str(tmp_path), "--no-open", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {*told["kept"]} == {"search.ipynb", "other.ipynb", "README.md"}
    assert (tmp_path / "search.ipynb").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists() and [*(tmp_path / "other.ipynb").iterdir()] == []
    before = tree(tmp_path)
    assert main(["playground", "--to", str(tmp_path), "--no-open"]) == 0
    assert tree(tmp_path) == before


def test_a_notebook_that_can_not_be_written_whole_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    class Full:
        def write(self, content: bytes) -> None:
            raise OSError(28, "No space left on device")

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def opened(path: Path, mode: str) -> Full:
        assert mode == "xb"
        path.write_bytes(b"half")
        return Full()

    monkeypatch.setattr(playground, "open", opened, raising=False)
    assert main(["playground", "--to", str(tmp_path), "--no-open"]) == 2
    assert "No space left on device; choose another with --to" in capsys.readouterr().err
    assert copied(tmp_path) == set()


def test_a_file_in_place_of_the_folder_is_told_in_a_line(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["playground", "--to", str(tmp_path / "file"), "--no-open"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_without_jupyter_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["playground", "--to", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert 'pip install "zeroshelf[notebook]"' in told and told.count("\n") == 1
    assert copied(tmp_path) == wanted()


def test_jupyter_runs_in_the_folder_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Jupyter:
        started: ClassVar[list[tuple[list[str], str]]] = []
        answers: ClassVar[list[int | None]] = [None, None, 0]  # None: Ctrl-C

        def __init__(self, command: list[str], cwd: str) -> None:
            self.started.append((command, cwd))

        def __enter__(self) -> Jupyter:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def wait(self) -> int:
            if (answer := self.answers.pop(0)) is None:
                raise KeyboardInterrupt
            return answer

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(subprocess, "Popen", Jupyter)
    assert main(["playground", "--to", str(tmp_path)]) == 0
    assert Jupyter.started == [([sys.executable, "-m", "jupyterlab"], str(tmp_path))]
    assert Jupyter.answers == []


def test_the_wheel_has_what_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hatch_build.py` with a stand-in for hatchling, which only a build has."""
    module = types.ModuleType("hatchling.builders.hooks.plugin.interface")

    class Hook:
        root = str(ROOT)

        def __class_getitem__(cls, _: object) -> type[Hook]:
            return cls

    setattr(module, "BuildHookInterface", Hook)  # noqa: B010
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names: dict[str, Any] = {}
    exec((ROOT / "hatch_build.py").read_text(encoding="utf-8"), names)
    found: dict[str, dict[str, str]] = {"force_include": {}}
    names["Notebooks"]().initialize("editable", found)
    assert found["force_include"] == {}
    names["Notebooks"]().initialize("standard", found)
    inside = "zeroshelf/data/notebooks/"
    assert {target.removeprefix(inside) for target in found["force_include"].values()} == wanted()
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    targets = hatch["build"]["targets"]
    assert targets["wheel"]["hooks"] == {"custom": {}}
    assert {"notebooks", "hatch_build.py"} <= {*targets["sdist"]["only-include"]}


def test_an_installed_package_has_them_below_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "zeroshelf"
    (package / "data" / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(playground, "__file__", str(package / "commands" / "playground.py"))
    assert playground.shipped() == package / "data" / "notebooks"


def test_an_installation_without_notebooks_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(playground, "__file__", str(tmp_path / "a" / "b" / "c" / "playground.py"))
    assert main(["playground", "--to", str(tmp_path / "to")]) == 2
    assert "has no notebooks" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()
