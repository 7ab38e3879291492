"""The whole program in its own process, with the starter, on a folder as people have them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from tests import known, systems
from tests.waiting import until

DEMO = Path(str(resources.files("zeroshelf") / "data" / "demo" / "pictures"))
PICTURES = 120


def zeroshelf(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zeroshelf", *map(str, words)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )


def digest(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def tree(root: Path) -> dict[bytes, tuple[str | None, int, int]]:
    """Every path below `root` in bytes: its content, its time and its mode."""
    found = {}
    for folder, folders, names in os.walk(os.fsencode(root)):
        for name in folders + names:
            path = os.path.join(folder, name)
            at = os.lstat(path)
            content = digest(path) if name in names else None
            found[os.path.relpath(path, os.fsencode(root))] = (content, at.st_mtime_ns, at.st_mode)
    return found


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """120 readable pictures with hard names, 10 broken ones, 5 with a wrong extension."""
    root = tmp_path / "album"
    jpegs = [p.read_bytes() for p in sorted(DEMO.rglob("*.jpg"))]
    bodies = [body for body in jpegs if body.endswith(b"\xff\xd9")]
    assert len(bodies) >= 8
    names = [b"a b.jpg", b"new\nline.jpg", "🎉.jpg".encode(), b"\xff\xfe.jpg", b"same.jpg",
             b"-rf.jpg", b"=1+1.jpg", b"<script>.jpg"]  # fmt: skip
    wrong = [b"wrong.png", b"wrong.txt", b"wrong", b"wrong.gif", b"wrong.mp4"]
    for number in range(PICTURES):
        folder = os.path.join(os.fsencode(root), b"deep", str(number % 30).encode())
        os.makedirs(folder, exist_ok=True)
        name = wrong[number] if number < len(wrong) else systems.name(names[number % len(names)])
        name = name if number < 30 * 4 else str(number).encode() + name
        path = os.path.join(folder, name)
        while os.path.exists(path):
            path = os.path.join(folder, str(number).encode() + name)
        with open(path, "wb") as file:
            file.write(bodies[number % len(bodies)] + number.to_bytes(8, "little"))
    for number in range(10):
        whole = bodies[number % len(bodies)]
        body = (b"", b"no picture", whole[: len(whole) // 3], whole[:40], os.urandom(99))[
            number % 5
        ]
        (root / f"broken {number}.jpg").write_bytes(body)
    (root / "notes.txt").write_text("left alone")
    (root / "empty").mkdir()
    (root / "empty").chmod(0o750)
    os.utime(root / "deep", ns=(1, 1_500_000_000_123_456_789))
    return root


@pytest.fixture
def known_album(album: Path, shared: Path) -> None:
    """Its pictures are in the cache: they have the same contents in every test."""
    known.pictures(shared / "album.sqlite", album, ["starter"])


def test_every_picture_in_exactly_one_place_and_the_source_untouched(
    album: Path, tmp_path: Path
) -> None:
    before = tree(album)
    done = zeroshelf(
        "sort", album, "-l", "cat", "-l", "rocket", "--to", tmp_path / "s", "--yes", "--json"
    )
    assert done.returncode == 1, done.stderr
    given = json.loads(done.stdout)
    assert given["counts"]["skipped"] == 10
    assert tree(album) == before

    rows = [json.loads(line) for line in Path(given["results"]).read_text().splitlines()]
    skipped = {row["path"]: row["reason"] for row in rows if row["label"] is None}
    assert {os.path.basename(path) for path in skipped} == {f"broken {n}.jpg" for n in range(10)}
    assert all(skipped.values())
    kept = [os.fsencode(row["path"]) for row in rows if row["label"] is not None]
    assert len(kept) == len(set(kept)) == PICTURES

    there = [p for p, (content, _, _) in tree(tmp_path / "s").items() if content is not None]
    copies = Counter(digest(os.path.join(os.fsencode(tmp_path / "s"), p)) for p in there)
    assert copies == Counter(digest(path) for path in kept)
    for row in rows:
        if row["label"] is not None:
            target = os.fsencode(row["target"])
            assert os.path.dirname(target) == os.fsencode(tmp_path / "s" / row["label"])
            assert digest(target) == digest(os.fsencode(row["path"]))
    table = Path(given["results"]).with_suffix(".csv")
    with open(table, newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert {os.fsencode(row["path"]) for row in csv.DictReader(file)} >= set(kept)


def test_move_and_undo_leave_the_tree_byte_for_byte(
    album: Path, tmp_path: Path, known_album: None
) -> None:
    before = tree(tmp_path)
    done = zeroshelf("sort", album, "-l", "cat", "--to", tmp_path / "s", "--as", "move", "--yes")
    assert done.returncode == 1, done.stderr
    assert tree(album) != before
    undone = zeroshelf("undo", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize("then", ["apply", "undo"])
def test_killed_in_the_middle_of_apply(
    album: Path, tmp_path: Path, known_album: None, then: str
) -> None:
    before = tree(tmp_path)
    assert zeroshelf("plan", album, "-l", "cat", "--to", tmp_path / "s", "--as", "move").returncode
    command = [sys.executable, "-m", "zeroshelf", "apply", "--yes"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: (tmp_path / "s" / "other").exists() or child.poll() is not None)
    child.send_signal(signal.SIGKILL)
    child.wait()
    if then == "apply":
        assert zeroshelf("apply", "--yes").returncode == 0
        wanted = Counter(c for p, (c, _, _) in before.items() if c)
        assert Counter(c for p, (c, _, _) in tree(tmp_path).items() if c) == wanted
        assert not [p for p in tree(tmp_path / "s") if p.endswith(b".part")]
    assert zeroshelf("undo", "--yes").returncode == 0
    assert tree(tmp_path) == before
