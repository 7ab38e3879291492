"""The examples: labels files that parse and tell apart, and a container that takes no liberties."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.known import shipped
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import demo
from zeroshelf.labels import check, labels_file
from zeroshelf.labels.resolve import resolve
from zeroshelf.run import classify

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
LABELS = sorted(EXAMPLES.glob("*.toml"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", LABELS, ids=lambda file: file.stem)
def test_a_labels_file_can_be_used(file: Path) -> None:
    found = labels_file.read(file)
    assert len(found) >= 8
    assert labels_file.write(found)
    with EmbeddingCache.open() as store:
        texts = compute.text_embedder(shipped(), store)
        serious = check.serious(resolve(found, texts), shipped().model, texts)
    assert not serious, [str(one) for one in serious]


@pytest.mark.parametrize("file", LABELS, ids=lambda file: file.stem)
def test_a_labels_file_sorts_the_demo(file: Path, known_demo: None) -> None:
    folder = Path(demo.__file__).parent.parent / "data" / "demo" / "pictures"
    run = classify(folder, labels_file.read(file), encoder=shipped())
    if "animals" in run.labels.names:
        assert any("IMG_0413" in d.picture.path for d in run.shelf("animals")), "the cat"
    else:  # no paper is among the pictures
        assert {d.label for d in run} == {"other"}


def test_every_example_is_listed() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\]\((\w+\.\w+)\)", text))
    assert listed == {path.name for path in EXAMPLES.iterdir()} - {"README.md"}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (EXAMPLES / target).exists(), target


def test_the_image_runs_as_a_user_and_keeps_its_records() -> None:
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    last = "\n".join(lines)[("\n".join(lines)).rindex("FROM ") :]
    assert re.search(r"^USER 1000$", last, re.M), "not root, and by number"
    assert "useradd --uid 1000 " in last
    assert last.index("USER") < last.index("ENTRYPOINT")
    assert "RUN " not in last[last.index("USER") :]
    for variable in ("RUNS", "CACHE", "MODELS"):
        assert re.search(rf"ZEROSHELF_{variable}=/data/\w+", last)
    assert re.search("^VOLUME /data$", last, re.M)
    assert all(re.search(r":\d", line) for line in lines if line.startswith("FROM")), "no latest"
    assert not re.search(r"^ADD |https?://", last, re.M)


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M):
        for name in line.split():
            assert (ROOT / name).exists() and f"!{name}" in ignored, name


def test_the_image_has_all_that_the_build_needs() -> None:
    copied = " ".join(re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)).split()
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    targets = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [settings["project"]["readme"], *targets["packages"]]
    needed += [hook.get("path", "hatch_build.py") for hook in targets["hooks"].values()]
    for name in needed:
        assert name.split("/")[0] in copied, name


def test_the_paths_of_the_compose_file_are_from_immichs_folder() -> None:
    """Compose takes them from the folder of the first file, not from that of this one."""
    yaml = pytest.importorskip("yaml")
    text = (EXAMPLES / "compose.yml").read_text(encoding="utf-8")
    assert "-f docker-compose.yml -f zeroshelf/examples/compose.yml" in text
    services = yaml.safe_load(text)["services"].values()
    builds = [one["build"] for one in services if "build" in one]
    mounts = [m.split(":")[0] for one in services for m in one["volumes"] if m.startswith(".")]
    assert builds == ["./zeroshelf"] and len(mounts) == 2
    for path in (*builds, *mounts):
        assert path.startswith("./zeroshelf")
        assert (ROOT / path.removeprefix("./zeroshelf").removeprefix("/")).exists(), path
    for variable in re.findall(r"\$\{(\w+):\?", text):
        assert re.search(rf"^#.*\b{variable}=", text, re.M), f"{variable} is needed and not named"


@pytest.mark.skipif(os.name == "nt", reason="the container's shell is a POSIX one")
@pytest.mark.parametrize(
    ("code", "run", "tags"),
    [
        (0, '"first"', True),
        (1, '"first"', True),  # some pictures were skipped
        (0, "null", False),  # every picture is sorted already: there is no run
        (2, "null", False),
        (2, '"first"', False),
        (130, '"first"', False),
    ],
)
def test_the_run_that_was_planned_is_tagged_and_no_other(
    tmp_path: Path, code: int, run: str, tags: bool
) -> None:
    """The watching service makes runs of its own meanwhile: the newest may be one of those."""
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((EXAMPLES / "compose.yml").read_text(encoding="utf-8"))
    script = compose["services"]["zeroshelf-tag"]["command"][0].replace("$$", "$")
    fake = tmp_path / "zeroshelf"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = immich ] && echo "$2 $3" && exit 0\n'
        f'echo \'{{"run": {run}, "report": "a\\\\nb"}}\'\nexit {code}\n'
    )
    fake.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.stdout == ("tag first\n" if tags else "")
    assert done.returncode == (code if code > 1 else 0) and not done.stderr


def test_the_compose_file_mounts_pictures_read_only_and_drops_rights() -> None:
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((EXAMPLES / "compose.yml").read_text(encoding="utf-8"))
    for service in compose["services"].values():
        assert service["user"] == "1000:1000" and service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        mounts = dict(one.split(":/", 1) for one in service["volumes"])
        read_only = [t for t in mounts.values() if t.startswith(("inbox", "pictures", "labels"))]
        assert len(read_only) == 2 and all(target.endswith(":ro") for target in read_only)
        assert mounts["zeroshelf"] == "data"
        words = service["command"]
        if words[0] == "watch":
            from zeroshelf.commands.watch import command

            context = command.make_context(
                "watch", list(words[1:]), help_option_names=["-h", "--help"]
            )  # kept by click for later: as the program names them
            assert context.params["yes"] and context.params["kind"] == "copy"
    assert compose["volumes"] == {"zeroshelf": None}
