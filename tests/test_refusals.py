"""What a hand-edited plan, a lost file or a failing disk makes of a run: a line that says so."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from filelock import FileLock
from onnx import TensorProto, helper

from tests.colours import GREEN, RED, ColourEncoder, paint
from tests.making import statuses
from zeroshelf.actions import kinds, lock, originals, plan_file, transfer
from zeroshelf.actions.apply import apply
from zeroshelf.actions.undo import undo
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.models import ort
from zeroshelf.records import Action, PlanRequest
from zeroshelf.run import Run, classify
from zeroshelf.system import file_io, renaming


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("red", RED), ("green", GREEN)):
        paint(tmp_path / "P" / f"{name}.png", colour)
    return tmp_path / "P"


def answers(folder: Path) -> Run:
    return classify(folder, ["red", "green"], encoder=ColourEncoder(), store=EmbeddingCache.open())


def saved(run: Run, to: Path, **options: Any) -> str:
    run.save(run.plan(to, **options))
    assert run.record
    return run.record


# --- a plan's file ------------------------------------------------------------------------------


def edited(record: str, number: int, **values: object) -> str:
    """The plan's path, with other values in one of its lines; None removes a key."""
    path = os.path.join(record, "plan.jsonl")
    lines = Path(path).read_text("ascii").splitlines()
    line = {k: v for k, v in (json.loads(lines[number]) | values).items() if v is not None}
    lines[number] = json.dumps(line)
    Path(path).write_text("\n\n".join(lines) + "\n", "ascii")  # with empty lines, which are nothing
    return path


def test_empty_lines_in_a_plan_are_nothing(folder: Path, tmp_path: Path) -> None:
    path = edited(saved(answers(folder), tmp_path / "S"), 1)
    assert len(plan_file.load(path).actions) == 2


@pytest.mark.parametrize(
    ("number", "values", "says"),
    [
        (0, {"folder": "P"}, "line 1: folder is not an absolute path"),
        (0, {"kind": "teleport"}, "teleport.* is none of "),
        (1, {"do": "hardlink"}, 'line 3: do is "hardlink", which is neither "copy" nor "remove"'),
        (1, {"do": "remove"}, "made_by is missing: a remove needs"),
        (1, {"do": "remove", "made_by": "move"}, "made_by is missing"),
    ],
    ids=str,
)
def test_a_plan_that_can_not_be_meant(
    folder: Path, tmp_path: Path, number: int, values: dict[str, object], says: str
) -> None:
    path = edited(saved(answers(folder), tmp_path / "S"), number, **values)
    with pytest.raises(UserError, match=says):
        plan_file.load(path)


def test_a_plan_in_another_encoding(folder: Path, tmp_path: Path) -> None:
    path = Path(saved(answers(folder), tmp_path / "S"), "plan.jsonl")
    path.write_bytes(path.read_text("ascii").encode("utf-16"))
    with pytest.raises(UserError, match="is not a plan: it is not a text file"):
        plan_file.load(str(path))


# --- what an earlier run made, and its removal --------------------------------------------------


@pytest.fixture
def removal(folder: Path, tmp_path: Path) -> tuple[str, str]:
    """The records of two runs; the second, which is not carried out yet, removes a copy."""
    run = answers(folder)
    first = saved(run, tmp_path / "S")
    assert statuses(apply(first)) == {"done"}
    second = saved(run.correct({"red.png": "green"}), tmp_path / "S")
    return first, second


def test_a_removal_is_no_plan_of_its_own(folder: Path) -> None:
    remove = kinds.KINDS["remove"]
    with pytest.raises(UserError, match="part of other plans"):
        remove.plan(PlanRequest(str(folder), None), [], None)
    assert not remove.is_result(Action("remove", "a", "b", "", 0, 0), "b")


def test_what_the_user_removed_before_is_no_trouble(
    removal: tuple[str, str], tmp_path: Path
) -> None:
    """It stays removed, also by an undo, and the new copy is made as planned."""
    (tmp_path / "S" / "red" / "red.png").unlink()
    outcomes = {o.action.kind: o.status for o in apply(removal[1])}
    assert outcomes == {"copy": "done", "remove": "already"}
    assert (tmp_path / "S" / "green" / "red.png").is_file()
    assert statuses(undo(removal[1])) == {"done"}
    assert not (tmp_path / "S" / "red" / "red.png").exists()


def test_what_another_program_removes_in_the_last_moment_is_no_trouble(
    removal: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = renaming.remove

    def second(path: str) -> None:
        os.unlink(path)
        honest(path)

    monkeypatch.setattr(renaming, "remove", second)
    assert statuses(apply(removal[1])) == {"done"}
    assert (tmp_path / "S" / "green" / "red.png").is_file()
    assert not (tmp_path / "S" / "red" / "red.png").exists()


@pytest.mark.parametrize("lost", [True, False])
def test_what_can_not_be_made_again_is_said(
    removal: tuple[str, str], folder: Path, tmp_path: Path, lost: bool
) -> None:
    assert statuses(apply(removal[1])) == {"done"}
    assert not (tmp_path / "S" / "red" / "red.png").exists()
    if lost:
        (folder / "red.png").unlink()
    else:
        (folder / "red.png").write_bytes(b"another content")
    refused = [o for o in undo(removal[1]) if o.status == "refused"]
    why = "no longer exists, so it can't be made again" if lost else "has changed since"
    assert any(o.action.kind == "remove" and why in o.reason for o in refused)
    assert not (tmp_path / "S" / "red" / "red.png").exists()


def test_where_it_can_not_be_made_again_nothing_half_is_left(
    removal: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert statuses(apply(removal[1])) == {"done"}
    honest = file_io.sync

    def sync(paths: Sequence[str]) -> None:
        if any(os.path.dirname(path) == str(tmp_path / "S" / "red") for path in paths):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        honest(paths)

    with monkeypatch.context() as patch:
        patch.setattr(file_io, "sync", sync)
        failed = [o for o in undo(removal[1]) if o.action.kind == "remove"]
        assert statuses(failed) == {"failed"}
    assert not [p for p in (tmp_path / "S").rglob("*") if p.is_file() and p.parent.name == "red"]
    assert statuses(undo(removal[1])) <= {"done", "already"}
    assert (tmp_path / "S" / "red" / "red.png").is_file()


# --- apply --------------------------------------------------------------------------------------


def test_a_target_that_appears_at_the_last_moment_is_not_overwritten(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = saved(answers(folder), tmp_path / "S")
    publish = transfer.publish

    def late(part: str, target: str, source: str | None = None) -> None:
        Path(target).write_bytes(b"of another program")
        publish(part, target, source)

    monkeypatch.setattr(transfer, "publish", late)
    outcomes = apply(record)
    assert statuses(outcomes) == {"refused"}
    assert all("there is already something at" in o.reason for o in outcomes)
    assert (tmp_path / "S" / "red" / "red.png").read_bytes() == b"of another program"


def test_a_sidecar_that_can_not_be_looked_at_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = answers(folder)
    run.save(run.plan(None, "tag"))
    tag = type(kinds.KINDS["tag"])

    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tag, "prepare", refuse)
    assert run.record
    assert {(o.status, o.reason) for o in apply(run.record)} == {("refused", "Permission denied")}


def test_a_run_without_originals_has_none_to_drop(folder: Path, tmp_path: Path) -> None:
    record = saved(answers(folder), tmp_path / "S")
    assert originals.drop(record) == (0, [])
    apply(record)
    assert originals.of(record) == {} and originals.drop(record) == (0, [])


def test_a_lock_that_can_not_be_had_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(FileLock):
        def acquire(self, *given: Any, **more: Any) -> Any:
            if os.path.basename(str(self.lock_file)).startswith("mine"):
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            return super().acquire(*given, **more)

    monkeypatch.setattr(lock, "FileLock", Refused)
    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):  # noqa: SIM117
        with lock.hold(str(tmp_path / "locks"), "mine", str(tmp_path)):
            raise AssertionError
    assert not list((tmp_path / "locks").glob("mine*"))


# --- ONNX Runtime -------------------------------------------------------------------------------


class Failing:
    """A session that fails with this error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_inputs(self) -> list[object]:
        return []

    get_outputs = get_inputs

    def run(self, *_: object) -> list[object]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError("none"), ort.OutOfMemoryError),
        (RuntimeError("CUDA error: out of memory\nmore"), ort.OutOfMemoryError),
        (RuntimeError("Failed to allocate 12 bytes"), ort.OutOfMemoryError),
        (RuntimeError("shape mismatch"), RuntimeError),
    ],
    ids=str,
)
def test_memory_that_is_out_is_told_from_other_failures(
    error: Exception, expected: type[Exception]
) -> None:
    graph = ort.Graph(Path("model.onnx"), Failing(error), "cpu")
    with pytest.raises(expected) as raised:
        graph.run({}, "output")
    assert type(raised.value) is expected
    assert raised.value is error or "\n" not in str(raised.value)


@pytest.mark.filterwarnings("ignore:Specified provider")  # ONNX Runtime's own
def test_what_is_no_model_is_refused_and_each_device_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    monkeypatch.setattr(ort, "devices", lambda: ("cuda", "cpu"))
    warned: list[str] = []
    with pytest.raises(UserError, match=r"can't be opened as an ONNX model"):
        ort.open_graph(tmp_path / "model.onnx", "cuda", 1, warned.append)
    assert any("the device cuda can't be used" in line for line in warned)


def test_a_type_that_no_picture_has_is_refused(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(name, TensorProto.STRING, [1]) for name in ("in", "out")]
    node = helper.make_node("Identity", ["in"], ["out"])
    graph = helper.make_graph([node], "g", ports[:1], ports[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, str(tmp_path / "model.onnx"))
    with pytest.raises(UserError, match=r"in has the type tensor\(string\), which is not support"):
        ort.open_graph(tmp_path / "model.onnx", "cpu", 1, lambda _: None)
