"""A labels file that is changed while its folder is watched."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tests.colours import BLUE, GREEN, RED, paint
from tests.watching import Watched, names, settings
from zeroshelf.labels import labels_file


def with_file(inbox: Path, to: Path, file: Path) -> Watched:
    given = settings(inbox, to)
    return Watched(replace(given, labels=labels_file.read(file), labels_file=str(file)))


def test_what_arrives_after_a_change_gets_the_new_labels(inbox: Path, tmp_path: Path) -> None:
    file, to = tmp_path / "labels.txt", tmp_path / "shelves"
    file.write_text("red\nblue\n")
    watched = with_file(inbox, to, file)
    paint(inbox / "a.png", RED)
    watched.go(30)
    assert names(to) == ["red/a.png"]
    file.write_text("red\nblue\ngreen\n")
    lines = watched.go(30)
    assert [line for line in lines if "labels" in line] == ["the labels are now: red, blue, green"]
    assert watched.go(60) == []
    paint(inbox / "b.png", GREEN)
    watched.go(30)
    assert names(to) == ["green/b.png", "red/a.png"]


def test_a_file_that_cannot_be_used_is_told_once_and_the_labels_stay(
    inbox: Path, tmp_path: Path
) -> None:
    file, to = tmp_path / "labels.toml", tmp_path / "shelves"
    file.write_text('labels = ["red", "blue"]\n')
    watched = with_file(inbox, to, file)
    watched.go(10)
    file.write_text("labels = [")
    lines = watched.go(60)
    assert len(lines) == 1 and lines[0].startswith("the labels stay as they were: ")
    os.remove(file)
    assert watched.go(60) == []
    paint(inbox / "b.png", BLUE)
    watched.go(30)
    assert names(to) == ["blue/b.png"]
    file.write_text("labels = ['green']\n")
    assert watched.go(60)[-1] == "the labels are now: green"


def test_a_file_that_is_still_written_is_not_read(inbox: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("red\nblue\n")
    watched = with_file(inbox, tmp_path / "shelves", file)
    watched.watcher.step()
    file.write_text("re")
    watched.watcher.step()
    file.write_text("red\ngreen\n")
    watched.watcher.step()
    assert not [line for line in watched.lines if "labels" in line]
    watched.watcher.step()
    assert watched.lines[-1] == "the labels are now: red, green"
