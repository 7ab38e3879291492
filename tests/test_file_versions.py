"""Each file that zeroshelf writes says its version, and one of a newer version is refused in one
line. That files of 0.1.0 open is in test_old_files.py."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.colours import ColourEncoder
from zeroshelf.actions import journal, lock, plan_file
from zeroshelf.corrections import stored
from zeroshelf.errors import UserError
from zeroshelf.images import ignored
from zeroshelf.models import calibrations, digest, installation, installed
from zeroshelf.output import results
from zeroshelf.records import (
    Calibration,
    Correction,
    Corrections,
    Ignored,
    Label,
    LabelSet,
    Plan,
    Request,
)
from zeroshelf.runs import edit_log, registry, request
from zeroshelf.system import file_versions
from zeroshelf.system.file_versions import FileFormat

MODEL = ColourEncoder().model
LABELS = LabelSet((Label("cat"),))
SAID = {"ab" * 32: Correction("cat", np.zeros(MODEL.dim, np.float16))}
ROW = results.Row("/P/a.jpg", "cat", "cat", 0.9, 0.8, "sure", "")


def write_journal(record: str) -> None:
    book = journal.Journal(record)
    book.sync([{"begin": "apply", "from": "/P", "to": "/S"}])
    book.close()


def write_edits(record: str) -> None:
    log = edit_log.Log(record)
    log.add(edit_log.place("cat", ["a.jpg"]))
    log.close()


PLAN = Plan("/P", "/S", "copy", ())
# Format: the file's name in a record, what writes it, what reads it again.
FILES: dict[FileFormat, tuple[str, Callable[[str], object], Callable[[str], object]]] = {
    file_versions.PLAN: (
        "plan.jsonl",
        lambda record: plan_file.save(PLAN, f"{record}/plan.jsonl"),
        lambda record: plan_file.load(f"{record}/plan.jsonl"),
    ),
    file_versions.RUN: (
        "run.json",
        lambda record: registry.keep(record, PLAN),
        lambda record: registry.find(os.path.basename(record)),
    ),
    file_versions.REQUEST: (
        "request.json",
        lambda record: request.save(record, Request("/P", LABELS, "colours")),
        request.load,
    ),
    file_versions.RESULTS: (
        "results.jsonl",
        lambda record: results.write_jsonl([ROW], f"{record}/results.jsonl"),
        lambda record: list(results.read_jsonl(f"{record}/results.jsonl")),
    ),
    file_versions.IGNORED: (
        "ignored.json",
        lambda record: ignored.save(record, Ignored({".txt": 2}, {})),
        ignored.load,
    ),
    file_versions.JOURNAL: ("journal.jsonl", write_journal, journal.read),
    file_versions.EDITS: ("edits.jsonl", write_edits, edit_log.read),
    file_versions.RUN_CORRECTIONS: (
        "corrections.jsonl",
        lambda record: stored.save_run(record, Corrections(SAID), MODEL),
        lambda record: stored.load_run(record, MODEL),
    ),
    file_versions.STORED_CORRECTIONS: (
        "mine.jsonl",
        lambda record: stored.save(f"{record}/mine.jsonl", SAID, MODEL),
        lambda record: stored.load(f"{record}/mine.jsonl", LABELS, MODEL),
    ),
    file_versions.CALIBRATION: (
        f"../models/.calibrated/{MODEL.digest}.json",
        lambda _: calibrations.store(MODEL, Calibration(typical_logit=0.5)),
        lambda _: calibrations.of(MODEL),
    ),
    file_versions.INSTALLED_MODEL: (
        installed.RECORD,
        lambda record: installation.adopt(Path(record)),
        lambda record: installed.record(Path(record)),
    ),
}
# the tests at the end, test_immich.py, test_page_file.py
ELSEWHERE = {
    file_versions.LOCK,
    file_versions.MODEL_DIGESTS,
    file_versions.IMMICH,
    file_versions.APP,
    file_versions.PAGE,
}


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ZEROSHELF_RUNS", str(tmp_path))
    monkeypatch.setenv("ZEROSHELF_MODELS", str(tmp_path / "models"))
    made = tmp_path / "20261127-010723-47cb"
    made.mkdir()
    return str(made)


def set_version(path: Path, of: FileFormat, version: object) -> None:
    """In a file of one JSON object, or of one a line with the version in the first."""
    lines = path.read_text("ascii").splitlines(keepends=True)
    if not path.name.endswith(".jsonl"):
        lines = ["".join(lines)]
    head = json.loads(lines[0])
    assert head[of.key] == of.version, "it was written with its version"
    if version is None:
        del head[of.key]
    else:
        head[of.key] = version
    path.write_text("".join([json.dumps(head) + "\n", *lines[1:]]), "ascii")


def test_every_format_is_tried() -> None:
    every = {one for one in vars(file_versions).values() if isinstance(one, FileFormat)}
    assert {*FILES} | ELSEWHERE == every


@pytest.mark.parametrize("of", FILES, ids=lambda of: of.key)
def test_a_newer_version_is_refused_in_one_line(record: str, of: FileFormat) -> None:
    name, write, read = FILES[of]
    write(record)
    assert read(record)
    path = Path(record, name)
    set_version(path, of, of.version + 1)
    before = path.read_bytes()
    says = rf"by a newer zeroshelf \(format {of.version + 1}.*: update"
    with pytest.raises(UserError, match=says) as refused:
        read(record)
    assert path.name in str(refused.value) and "\n" not in str(refused.value)
    assert path.read_bytes() == before


WITHOUT = [  # what 0.1.0 wrote without a version
    file_versions.RUN,
    file_versions.REQUEST,
    file_versions.RESULTS,
    file_versions.CALIBRATION,
    file_versions.INSTALLED_MODEL,
    file_versions.IGNORED,
]


@pytest.mark.parametrize("of", WITHOUT, ids=lambda of: of.key)
def test_a_file_without_a_version_opens(record: str, of: FileFormat) -> None:
    name, write, read = FILES[of]
    write(record)
    found = read(record)
    set_version(Path(record, name), of, None)
    again = read(record)
    if isinstance(found, dict):
        found.pop(of.key)
    assert again == found


@pytest.mark.parametrize("name", ["journal.jsonl", "edits.jsonl"])
def test_a_log_without_a_version_is_read_and_goes_on(record: str, name: str) -> None:
    lines = {
        "journal.jsonl": '{"begin": "apply", "from": "/P", "to": "/S"}\n',
        "edits.jsonl": '{"do": "place", "shelf": "cat", "pictures": ["b.jpg"]}\n',
    }
    path = Path(record, name)
    path.write_text(lines[name], "ascii")
    (write_journal if name == "journal.jsonl" else write_edits)(record)
    assert path.read_text("ascii").startswith(lines[name])
    assert "zeroshelf_" not in path.read_text("ascii"), "a version stands in the first line or not"
    assert journal.state(record) == ("partly" if name == "journal.jsonl" else "planned")
    assert len(edit_log.read(record)) == (2 if name == "edits.jsonl" else 0)


def test_a_journal_that_is_its_header_alone_is_of_a_run_that_has_not_begun(record: str) -> None:
    header = json.dumps(file_versions.JOURNAL.header) + "\n"
    Path(record, "journal.jsonl").write_text(header, "ascii")
    assert journal.state(record) == "planned"


def test_the_state_of_a_newer_journal_is_not_guessed(record: str) -> None:
    Path(record, "journal.jsonl").write_text('{"zeroshelf_journal": 2}\n{"end": "applied"}\n')
    with pytest.raises(UserError, match="newer zeroshelf"):
        journal.state(record)


@pytest.mark.parametrize("version", ["1", 0, -1, True, 1.5, [1]])
def test_what_is_no_version_is_no_plan(record: str, version: object) -> None:
    FILES[file_versions.PLAN][1](record)
    set_version(Path(record, "plan.jsonl"), file_versions.PLAN, version)
    with pytest.raises(UserError, match="is not a plan"):
        plan_file.load(os.path.join(record, "plan.jsonl"))


def test_the_list_of_a_lock_says_its_version(tmp_path: Path) -> None:
    with lock.hold(str(tmp_path / "locks"), "run", str(tmp_path / "P")):
        (listed,) = (tmp_path / "locks").glob("*.json")
        assert json.loads(listed.read_text("ascii"))["zeroshelf_lock"] == 1
        set_version(listed, file_versions.LOCK, 2)
        with (
            pytest.raises(UserError, match="newer zeroshelf"),
            lock.hold(str(tmp_path / "locks"), "other", str(tmp_path / "P")),
        ):
            pass


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's file that is large enough for its digest to be remembered."""
    monkeypatch.setenv("ZEROSHELF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digest, "LARGE", 4)
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path / "model.onnx"


def test_the_digests_of_models_say_their_version_and_are_used(large: Path) -> None:
    before = digest.of([large], "")
    memory = large.parent / "cache" / digest.FILE
    found = json.loads(memory.read_text())
    assert found.pop("zeroshelf_digests") == 1
    (key,) = found
    memory.write_text(json.dumps({"zeroshelf_digests": 1, key: "ab" * 32}))
    assert digest.of([large], "") != before, "the remembered one is taken"
    os.utime(large, (1, 1))
    assert digest.of([large], "") == before, "of another state of the file it is not"


def test_newer_digests_of_models_are_neither_used_nor_overwritten(large: Path) -> None:
    before = digest.of([large], "")
    memory = large.parent / "cache" / digest.FILE
    newer = memory.read_text().replace('"zeroshelf_digests": 1', '"zeroshelf_digests": 2')
    memory.write_text(newer)
    os.utime(large, (1, 1))
    assert digest.of([large], "") == before
    assert memory.read_text() == newer


@pytest.mark.parametrize("broken", ["", "[]", "no JSON", '{"zeroshelf_digests": "x"}'])
def test_broken_digests_of_models_are_made_anew(large: Path, broken: str) -> None:
    before = digest.of([large], "")
    memory = large.parent / "cache" / digest.FILE
    whole = memory.read_text()
    memory.write_text(broken)
    assert digest.of([large], "") == before
    assert memory.read_text() == whole


def test_a_journal_whose_first_line_was_torn_gets_its_header(record: str) -> None:
    path = Path(record, journal.NAME)
    path.write_text('{"zeroshelf_jou', "ascii")
    book = journal.Journal(record)
    book.sync([{"begin": "apply"}])
    book.close()
    lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert lines == [file_versions.JOURNAL.header, {"begin": "apply"}]
