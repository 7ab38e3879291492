"""Rows survive their files, and no spreadsheet runs what a file name says."""

import csv
import json
import os
import weakref
from types import SimpleNamespace

import pytest

from tests.systems import linux_names
from zeroshelf.output import results
from zeroshelf.output.results import Row
from zeroshelf.records import Decision, Picture, Skipped

HOSTILE = '/pics/caf\udce9 \udcff\udcfe,"quoted"\nnew line \U0001f438.jpg'

ROW = Row(
    path=HOSTILE,
    label="frog",
    top_label="frog",
    probability=0.9,
    margin=0.7,
    confidence="sure",
    reason="fits frog well",
    top=(("frog", 0.9), ("cat", 0.05)),
    target="/sorted/frog/a.jpg",
    size=12345,
    digest="ab" * 32,
)
SKIPPED = Row("/pics/broken.jpg", None, None, None, None, None, "the file ends too early")


def decision(path: str, label: str) -> Decision:
    return Decision(
        picture=Picture(path, "JPEG", 10, 1, 1),
        label=label,
        top_label="cat",
        probability=0.75,
        margin=0.5,
        confidence="likely",
        reason="looks like a cat",
        top=(("cat", 0.75), ("dog", 0.25)),
        looks_like=None,
    )


def test_jsonl_gives_back_the_same_rows(tmp_path):
    path = str(tmp_path / "results.jsonl")
    results.write_jsonl([ROW, SKIPPED], path)
    assert list(results.read_jsonl(path)) == [ROW, SKIPPED]


@linux_names
def test_a_path_of_invalid_utf8_is_the_same_bytes_again(tmp_path):
    path = str(tmp_path / "results.jsonl")
    results.write_jsonl([ROW], path)
    with open(path, "rb") as file:
        lines = file.read().splitlines()
    assert len(lines) == 1
    assert os.fsencode(json.loads(lines[0])["path"]) == os.fsencode(HOSTILE)


@linux_names
def test_csv_keeps_the_bytes_of_a_path(tmp_path):
    path = str(tmp_path / "results.csv")
    results.write_csv([ROW, SKIPPED], path)
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        first, second = csv.DictReader(file)
    assert os.fsencode(first["path"]) == os.fsencode(HOSTILE)
    assert first["probability"] == "0.9"
    assert first["top"] == "frog 0.900; cat 0.050"
    assert (second["label"], second["reason"]) == ("", "the file ends too early")


@pytest.mark.parametrize("start", list("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))
def test_no_cell_of_the_csv_is_a_formula(tmp_path, start):
    evil = start + 'cmd|"/c calc"!A1'
    path = str(tmp_path / "results.csv")
    row = Row(evil, evil, evil, 0.5, -0.25, "sure", evil, ((evil, 0.5),), evil, evil)
    results.write_csv([row], path)
    with open(path, encoding="utf-8", newline="") as file:
        (cells,) = csv.DictReader(file)
    for name in ("path", "label", "top_label", "reason", "top", "looks_like", "target"):
        assert cells[name].startswith("'" + start), name
    assert cells["margin"] == "-0.25"  # a number stays a number


def test_rows_are_the_pictures_and_then_the_skipped():
    decisions = [decision("/a.jpg", "cat"), decision("/b.jpg", "other")]
    made = results.rows(
        decisions,  # type: ignore[arg-type]
        [Skipped("/c.jpg", "empty")],
        {"/a.jpg": "/sorted/cat/a.jpg"},
        [b"\x01" * 32, b"\x02" * 32],
    )
    a, b, c = made
    assert (a.label, a.target, a.digest) == ("cat", "/sorted/cat/a.jpg", "01" * 32)
    assert (b.label, b.top_label, b.target) == ("other", "cat", None)
    assert (c.path, c.label, c.reason, c.probability) == ("/c.jpg", None, "empty", None)


def test_a_digest_too_few_is_an_error_not_a_shift():
    with pytest.raises(ValueError, match="shorter"):
        list(results.rows([decision("/a.jpg", "cat")], [], {}, []))  # type: ignore[arg-type]


def test_writing_streams(tmp_path):
    """One row is made, written and forgotten before the next."""
    alive = SimpleNamespace(most=0)

    class Counted(str):
        __slots__ = ("__weakref__",)

    seen: weakref.WeakSet[Counted] = weakref.WeakSet()

    def many():
        for i in range(1000):
            path = Counted(f"/{i}.jpg")
            seen.add(path)
            alive.most = max(alive.most, len(seen))
            yield Row(path, "cat", "cat", 0.5, 0.5, "sure", "")

    results.write_jsonl(many(), str(tmp_path / "r.jsonl"))
    results.write_csv(many(), str(tmp_path / "r.csv"))
    assert alive.most < 10
