"""The examples of README and of the pages in docs/ run as they are written."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import duckdb
import pytest

import zeroshelf
from zeroshelf.commands.cli import main

ROOT = Path(__file__).parent.parent
MADE = {"api.md", "commands.md"}  # from the code's own docstrings and help
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in MADE),
]
EXAMPLE = re.compile(r"(<!-- not run: (.*?) -->\n)?^```(sh|python|sql)\n(.*?)^```$", re.M | re.S)
OTHER_LANGUAGES = {
    "csv",
    "json",
    "mermaid",
    "text",
    "toml",
    "yaml",
}  # of blocks that are no program
BEFORE = {"review.md": "zeroshelf sort Photos -l cat -l frog --to Sorted"}  # what a page supposes
# What is written in the pages and not run here, with the reason that the page gives.
NOT_RUN = [
    "README.md: installs the package",
    "README.md: makes a virtual environment",
    "app.md: installs a package, and a server that waits",
    "cluster.md: needs a bucket",  # tests/test_cluster_page.py runs it, but for gs://
    "cluster.md: needs a bucket",  # tests/test_on_s3.py runs it
    "cluster.md: needs a cluster",  # tests/test_cluster_page.py runs it
    "cluster.md: needs shards",  # tests/test_cluster_page.py runs it
    "corrections.md: a server that waits",
    "evaluate.md: names runs of another day, and opens the browser",
    "gpu.md: needs an NVIDIA GPU",
    "immich.md: needs Docker",
    "immich.md: needs an Immich server",
    "immich.md: needs organize",
    "models.md: downloads a model",
    "models.md: needs torch, and downloads models",
    "nas.md: a server that waits, and another machine",
    "nas.md: sets the places of a container",
    "review.md: installs packages, and a server that waits",
    "tags.md: needs exiftool",
    "watch.md: writes a service file",
]


def supposed(page: Path) -> None:
    """The folder and the files that pages name, as copies of the demo's."""
    zeroshelf.demo_pictures("Photos")
    cat, fish = Path("Photos", "IMG_0425.jpg"), Path("Photos", "IMG_0451.jpg")
    for picture, names in ((cat, ["a.jpg", "b/c.jpg"]), (fish, ["b.jpg", "b.png", "c.jpg"])):
        for name in names:
            for at in (Path(name), Path("Photos", name)):
                at.parent.mkdir(exist_ok=True)
                at.write_bytes(picture.read_bytes())
    if page.name in BEFORE:
        assert main(shlex.split(BEFORE[page.name])[1:]) in (0, 1)


def known_names(page: Path) -> dict[str, object]:
    """What the Python of a page supposes: pages that go on from another one's run."""
    content = Path("b.png").read_bytes()
    if page.name not in {"evaluate.md", "review.md"}:
        return {"content": content}
    return {"run": zeroshelf.classify("Photos", ["cat", "frog"])}


def examples(page: Path) -> list[tuple[str, str, str]]:
    """Why it is not run (empty: it is), its language, its lines."""
    found = EXAMPLE.findall(page.read_text(encoding="utf-8"))
    return [(reason, language, code) for _, reason, language, code in found]


def test_what_is_not_run_is_listed() -> None:
    left = [f"{page.name}: {why}" for page in PAGES for why, _, _ in examples(page) if why]
    assert sorted(left) == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_program_is_written_as_an_example(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^```(\w*)\n.*?^```$", text, re.M | re.S)
    assert {*fences} <= {"sh", "python", "sql"} | OTHER_LANGUAGES
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    assert not re.findall(r"^(?: {4}|\$ )(?:zeroshelf|pip) .*$", plain, re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch, known_demo, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    supposed(page)
    names: dict[str, object] = {}
    for reason, language, code in examples(page):
        if reason:
            continue
        if language == "sql":
            duckdb.sql(code).fetchall()
            continue
        if language == "python":
            names = names or known_names(page)
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
    code = "".join(code for _, _, code in examples(page))
    for target in re.findall(r"^make (\w+)", code, re.M):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
