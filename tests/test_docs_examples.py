"""The examples of README and of the task pages run as they are written."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

import zeroshelf
from zeroshelf.commands.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tasks").glob("*.md"))]
EXAMPLE = re.compile(r"(<!-- not run: (.*?) -->\n)?^```(sh|python)\n(.*?)^```$", re.M | re.S)
# What is written in the pages and not run here, with the reason that the page gives.
NOT_RUN = [
    "README.md: installs the package",
    "README.md: makes a virtual environment",
    "corrections.md: a server that waits",
    "gpu.md: needs an NVIDIA GPU",
    "immich.md: needs Docker",
    "immich.md: needs an Immich server",
    "immich.md: needs organize",
    "nas.md: a server that waits, and another machine",
    "nas.md: sets the places of a container",
    "tags.md: needs exiftool",
    "watch.md: writes a service file",
]


def examples(page: Path) -> list[tuple[str, str, str]]:
    """Why it is not run (empty: it is), its language, its lines."""
    found = EXAMPLE.findall(page.read_text(encoding="utf-8"))
    return [(reason, language, code) for _, reason, language, code in found]


def test_what_is_not_run_is_listed() -> None:
    left = [f"{page.name}: {why}" for page in PAGES for why, _, _ in examples(page) if why]
    assert sorted(left) == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch, known_demo, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    zeroshelf.demo_pictures("Photos")
    names: dict[str, object] = {}
    for reason, language, code in examples(page):
        if reason:
            continue
        if language == "python":
            exec(compile(code, page.name, "exec"), names)
            continue
        for line in code.splitlines():
            words = shlex.split(line, comments=True)
            assert words[0] == "zeroshelf", f"{page.name}: {line}"
            # 1: a picture of the demo is broken, and is listed.
            assert main(words[1:]) in (0, 1), f"{line}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_extra_and_target_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"pip install '?(?:\.|zeroshelf)\[(\w+)\]", text):
        assert extra in project["optional-dependencies"]
    for target in re.findall(r"^make (\w+)", text, re.M):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
