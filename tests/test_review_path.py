"""A newcomer's path from end to end: the demo, a review that dies, teach, apply, undo."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import HANG, until

pytest.importorskip("uvicorn", reason="the review extra is not installed")
pytestmark = pytest.mark.usefixtures("known_demo")


def zeroshelf(*arguments: str, where: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "zeroshelf", *arguments, "--json"],
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tree(where: Path) -> dict[str, bytes]:
    return {str(p.relative_to(where)): p.read_bytes() for p in where.rglob("*") if p.is_file()}


PROGRAM = ("-m", "zeroshelf")
SLOW = """
import os, sys, time
from zeroshelf.actions import apply
from zeroshelf.commands import cli
from zeroshelf.review.jobs import Jobs
apply.BATCH = 1
stage, staged, wait = apply.transfer.stage, [], Jobs.wait

def slowly(*what):
    staged.append(what)
    while len(staged) == 3 and not os.path.exists("go"):
        time.sleep(0.01)
    return stage(*what)

def waiting(*what):
    with open("waits", "a") as file:
        file.write("once more\\n")
    return wait(*what)

apply.transfer.stage = slowly
Jobs.wait = waiting
sys.exit(cli.main())
"""  # the third file waits for a file "go"; each wait for an apply is a line in a file "waits"


def reviewing(where: Path, program: tuple[str, ...] = PROGRAM) -> tuple[subprocess.Popen[str], str]:
    """A server that reviews the newest run, and its address."""
    review = subprocess.Popen(
        [sys.executable, *program, "review", "--no-open"],
        cwd=where,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert review.stdout
    found = re.search(r"http://\S+", review.stdout.readline())
    assert found
    return review, found[0]


MAKEFILE = Path(__file__).parent.parent / "Makefile"


def test_demo_review_correct_accept_apply_undo(tmp_path: Path) -> None:
    makes = ("demo", "--to", "demo")
    assert f"/zeroshelf {' '.join(makes)} " in MAKEFILE.read_text(encoding="utf-8")
    demo = zeroshelf(*makes, where=tmp_path)
    assert any((tmp_path / "demo" / "sorted").rglob("*.*"))
    zeroshelf("undo", "--yes", where=tmp_path)
    before = tree(tmp_path)
    assert before and all(name.startswith("demo/pictures/") for name in before)

    review, address = reviewing(tmp_path)
    shelves = _get(address, "state")["shelves"]
    asked = _get(address, "most-informative?count=3")["rows"]
    for row, shelf in zip(asked, (shelves[0], shelves[1], "other"), strict=True):
        _edit(address, {"do": "place", "rows": [row], "shelf": shelf})
    suggestions = _get(address, "suggestions")
    assert suggestions["corrections"] == 3
    moves = list(range(len(suggestions["moves"])))
    _edit(address, {"do": "accept", "version": suggestions["version"], "moves": moves})
    paths = _get(address, "pictures")["paths"]
    shown = {path: shelves[column] for path, column in zip(paths, _columns(address), strict=True)}
    review.send_signal(signal.SIGKILL)  # before it could write the plan
    review.wait()

    zeroshelf("apply", demo["run"], "--yes", where=tmp_path)
    destination = Path(demo["destination"])
    done = {
        str(p.relative_to(destination)): p.read_bytes()
        for p in destination.rglob("*")
        if p.is_file()
    }
    root = tmp_path / "demo" / "pictures"
    assert sorted(done.values()) == sorted((root / path).read_bytes() for path in shown)
    for path, shelf in shown.items():
        on_shelf = [data for name, data in done.items() if name.startswith(f"{shelf}/")]
        assert (root / path).read_bytes() in on_shelf, (path, shelf)
    zeroshelf("undo", demo["run"], "--yes", where=tmp_path)
    assert tree(tmp_path) == before


def test_ctrl_c_ends_the_review_with_what_is_kept_and_0(tmp_path: Path) -> None:
    demo = zeroshelf("demo", where=tmp_path)
    zeroshelf("undo", "--yes", where=tmp_path)
    run, record = demo["run"], Path(demo["report"]).parent

    def ended(*shelves: str) -> str:
        """What a review says at its end, after a picture was placed on these shelves."""
        review, address = reviewing(tmp_path)
        for shelf in shelves:
            _edit(address, {"do": "place", "rows": [0], "shelf": shelf})
        with urllib.request.urlopen(address + "changes", timeout=HANG):  # a page is open
            review.send_signal(signal.SIGINT)
            assert review.wait(HANG) == 0 and review.stdout
        return review.stdout.read().partition("Ctrl-C ends.")[2].strip()

    does = f"`zeroshelf apply {run}` carries out what the page showed."
    assert ended() == "Nothing was edited."
    assert ended("other") == f"1 edit is saved in {record}. {does}"
    assert ended("other") == f"2 edits are saved in {record}. {does}"
    zeroshelf("apply", run, "--yes", where=tmp_path)
    said = ended("other", "other")
    assert said.startswith(
        f"4 edits are saved in {record}. This run was applied before the last edit"
    )
    assert f"`zeroshelf undo {run}`, then `zeroshelf apply {run}`" in said


def _heard(waits: Path, times: int) -> bool:
    return waits.exists() and waits.read_text().count("\n") == times


@pytest.mark.parametrize("times", [1, 2, 3])
def test_ctrl_c_while_an_apply_is_at_work(tmp_path: Path, times: int) -> None:
    """Once: it is finished. Twice: it stops between two files. Thrice: at once, as by a kill."""
    demo = zeroshelf("demo", where=tmp_path)
    zeroshelf("undo", "--yes", where=tmp_path)
    before, shelves = tree(tmp_path), Path(demo["destination"])
    review, address = reviewing(tmp_path, ("-c", SLOW))
    assert review.stdout and review.stderr
    _edit(address, {"do": "apply"})
    until(lambda: _get(address, "state")["progress"]["done"] == 2)
    waits = tmp_path / "waits"
    for pressed in range(1, times + 1):
        review.send_signal(signal.SIGINT)
        if pressed < 3:
            until(partial(_heard, waits, pressed))
    if times < 3:
        (tmp_path / "go").touch()
    assert review.wait(HANG) == (0 if times == 1 else 130)
    (tmp_path / "go").unlink(missing_ok=True)
    waits.unlink()
    said, complaint = review.stdout.read(), review.stderr.read()
    assert "Press Ctrl-C again to stop" in said
    assert complaint.strip().count("\n") == 0 and bool(complaint) == (times == 3)
    done = [path for path in shelves.rglob("*") if path.is_file()]
    assert len(done) == {1: 22, 2: 3, 3: 2}[times]
    assert (f"zeroshelf apply {demo['run']}" in said) == (times == 2)
    zeroshelf("apply", "--yes", where=tmp_path)
    assert len([path for path in shelves.rglob("*") if path.is_file()]) == 22
    zeroshelf("undo", "--yes", where=tmp_path)
    assert tree(tmp_path) == before


def test_edits_after_an_apply_ask_for_an_undo_first(tmp_path: Path) -> None:
    demo = zeroshelf("demo", where=tmp_path)
    picture = next((tmp_path / "zeroshelf-demo" / "pictures").rglob("*.*"))
    corrected = zeroshelf("teach", "--correct", str(picture), "other", "--yes", where=tmp_path)
    assert corrected["corrections"] == 1
    refused = subprocess.run(
        [sys.executable, "-m", "zeroshelf", "apply", "--yes"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2 and f"zeroshelf undo {demo['run']}" in refused.stderr
    zeroshelf("undo", "--yes", where=tmp_path)
    zeroshelf("apply", "--yes", where=tmp_path)
    others = [p.read_bytes() for p in (Path(demo["destination"]) / "other").iterdir()]
    assert picture.read_bytes() in others


def _get(address: str, path: str) -> Any:
    with urllib.request.urlopen(address + path, timeout=HANG) as answer:
        return json.load(answer)


def _edit(address: str, what: dict[str, Any]) -> None:
    data = json.dumps(what).encode()
    request = urllib.request.Request(address + "edit", data, method="POST")
    urllib.request.urlopen(request, timeout=HANG).close()


def _columns(address: str) -> list[int]:
    with urllib.request.urlopen(address + "columns", timeout=HANG) as answer:
        data = answer.read()
    count = int.from_bytes(data[:4], sys.byteorder)
    return [int.from_bytes(data[8 + 2 * i : 10 + 2 * i], sys.byteorder) for i in range(count)]
