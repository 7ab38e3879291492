"""The filter for organize: by itself, and in organize where ORGANIZE_PYTHON names one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import zeroshelf
from tests.colours import BLUE, GREY, RED, ColourEncoder, paint
from zeroshelf.integrations import organize
from zeroshelf.integrations.organize import Zeroshelf


@pytest.fixture
def pictures(tmp_path: Path, colours: None) -> Path:
    organize._decisions.cache_clear()
    for name, colour in (("a", RED), ("deep/b", BLUE), ("grey", GREY)):
        paint(tmp_path / "in" / f"{name}.png", colour)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path / "in"


def passing(root: Path, **given: object) -> dict[str, str]:
    """Name -> label, of the files that pass."""
    asked = Zeroshelf(**given)  # type: ignore[arg-type]
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        res = SimpleNamespace(path=path, basedir=root, vars={})
        if asked.pipeline(res, None):
            found[path.name] = res.vars["zeroshelf"]["label"]
    return found


def test_what_fits_a_label_passes(pictures: Path) -> None:
    assert passing(pictures, labels=["red", "blue"]) == {"a.png": "red", "b.png": "blue"}
    assert passing(pictures, labels="red") == {"a.png": "red"}
    file = pictures.parent / "labels.txt"
    file.write_text("blue\n")
    assert passing(pictures, labels_file=str(file)) == {"b.png": "blue"}


def test_other_passes_if_asked(pictures: Path) -> None:
    found = passing(pictures, labels=["red", "blue"], other=True)
    assert found["grey.png"] == "other"


def test_a_folder_is_classified_once(pictures: Path, encoder: ColourEncoder, monkeypatch) -> None:
    passing(pictures, labels=["red"])
    before = organize._decisions.cache_info().misses
    passing(pictures, labels=["red"])
    assert organize._decisions.cache_info().misses == before == 1


@pytest.mark.parametrize(
    "given",
    [{}, {"labels": []}, {"labels": "a", "labels_file": "b"}, {"labels": "a", "least": "very"},
     {"labels_file": "/nowhere.toml"}],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Zeroshelf(**given)  # type: ignore[arg-type]


def test_without_organize_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['organize'] = None\n"
        "from zeroshelf.integrations import organize; organize.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1 and 'pip install "organize-tool' in done.stderr


@pytest.mark.skipif(
    "ORGANIZE_PYTHON" not in os.environ,
    reason="NOT TRIED: ORGANIZE_PYTHON names no Python that has organize-tool and zeroshelf",
)
def test_organize_itself_sorts_with_it(tmp_path: Path) -> None:
    zeroshelf.demo_pictures(tmp_path / "in")
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        f"""
rules:
  - locations: {tmp_path / "in"}
    subfolders: true
    filters:
      - zeroshelf:
          labels: [cat, frog]
    actions:
      - move: "{tmp_path}/out/{{zeroshelf.label}}/"
"""
    )
    module = [os.environ["ORGANIZE_PYTHON"], "-m", "zeroshelf.integrations.organize"]
    for verb in ("sim", "run"):
        done = subprocess.run(
            [*module, verb, str(rules)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / "out").exists() == (verb == "run")
    assert len(list((tmp_path / "out" / "cat").iterdir())) >= 2
    assert not (tmp_path / "out" / "other").exists()
