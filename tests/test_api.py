"""Every public function answers every wrong value with one line, or takes it as what it says."""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zeroshelf
from tests.colours import BLUE, RED, ColourEncoder, paint
from tests.making import tree
from zeroshelf import checks
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import UserError
from zeroshelf.records import Action, Label, LabelSet, Plan
from zeroshelf.run import Run, classify, reopen


class Odd:
    """An object that answers nothing that is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")


WRONG = {
    "None": None,
    "text": "a red car",
    "empty": "",
    "NUL": "a\0b",
    "surrogate": "a\udcff",
    "bytes": b"cat",
    "int": 3,
    "negative": -1,
    "huge": 10**5000,
    "float": 0.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "bool": True,
    "complex": 1j,
    "path": Path("nowhere/at/all"),
    "list": ["cat"],
    "list of ints": [1, 2],
    "list of None": [None],
    "nested": [["cat"]],
    "empty list": [],
    "tuple": ("a.png", "red"),
    "set": {"cat"},
    "dict": {"cat": ["kitten"]},
    "dict of int": {"cat": 3},
    "dict of letters": {"cat": {"kitten": 1}},
    "dict of lists": {"a.png": ["red"]},
    "dict by int": {3: "red"},
    "dict of array": {"cat": np.zeros(3)},
    "array": np.zeros((2, 3)),
    "array of text": np.array(["cat", "dog"]),
    "scalar array": np.array(3),
    "scalar": np.float32(7),
    "lambda": lambda *_: None,
    "class": dict,
    "object": object(),
    "odd": Odd(),
    "datetime": datetime(2026, 1, 1),
    "label": Label("cat"),
    "label set of text": LabelSet("cat"),  # type: ignore[arg-type]
    "label set of texts": LabelSet(("cat", "dog")),  # type: ignore[arg-type]
    "label set of None": LabelSet(None),  # type: ignore[arg-type]
    "label with text": LabelSet((Label("cat", words="kitten"),)),  # type: ignore[arg-type]
    "label with int": LabelSet((Label("cat", words=(3,)),)),  # type: ignore[arg-type]
    "label by int": LabelSet((Label(3),)),  # type: ignore[arg-type]
    "label with prompt": LabelSet((Label("cat", prompts="a cat"),)),  # type: ignore[arg-type]
    "label with nan": LabelSet((Label("cat", threshold=float("nan")),)),
    "template": LabelSet((Label("cat"),), templates=("a photo",)),
    "templates": LabelSet((Label("cat"),), templates="a {}"),  # type: ignore[arg-type]
    "negatives": LabelSet((Label("cat"),), negatives="dog"),  # type: ignore[arg-type]
    "kind": LabelSet((Label("cat"),), kind=3),  # type: ignore[arg-type]
    "language": LabelSet((Label("cat"),), language=None),  # type: ignore[arg-type]
    "plan of None": Plan(None, None, None, None),  # type: ignore[arg-type]
    "plan of texts": Plan("/a", "/b", "copy", ("c",)),  # type: ignore[arg-type]
    "plan of nothing": Plan("", "", "copy", ()),
    "plan by kind": Plan("/a", "/b", "teleport", ()),
    "plan of actions": Plan("/a", "/b", "copy", (Action("copy", "", "", "", 0, 0),)),
    "plan with NUL": Plan("/a", "/b", "copy", (Action("copy", "/a\0", "/b/c", "c", 0, 0),)),
    "plan of int": Plan("/a", "/b", "copy", (Action("copy", "/a/c", 3, "c", 0, 0),)),  # type: ignore[arg-type]
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    paint(tmp_path / "P" / "a.png", RED)
    paint(tmp_path / "P" / "b.png", BLUE)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.fixture
def run(place: Path, encoder: ColourEncoder) -> Run:
    return classify(place / "P", ["red", "blue"], encoder=encoder)


def methods(of: type = Run) -> Iterator[tuple[str, str]]:
    """Every parameter of every public method of a run, or of another class."""
    for name, method in inspect.getmembers(of, inspect.isfunction):
        if not name.startswith("_"):
            for parameter in list(inspect.signature(method).parameters)[1:]:
                yield name, parameter


def functions() -> Iterator[tuple[str, str]]:
    """Every parameter of every public function."""
    for name in zeroshelf.__all__:
        if callable(function := getattr(zeroshelf, name)) and not isinstance(function, type):
            for parameter in inspect.signature(function).parameters:
                yield name, parameter


def one_line_each(parameter: str, call: Callable[[dict[str, Any]], object]) -> None:
    """Whether a call answers or refuses a wrong value, it does so in one line."""
    for name, value in WRONG.items():
        if parameter in ("progress", "warn") and isinstance(value, type):
            continue  # a function may be all that can be called; its parameters aren't looked at
        try:
            call({parameter: value})
        except UserError as refused:
            said = str(refused)
            assert said and "\n" not in said and len(said) < 500, name
        except Exception as other:
            raise AssertionError(f"{parameter} as {name}: {other!r}") from other


def test_every_public_function_is_here() -> None:
    assert {name for name, _ in functions()} == {
        "classify", "demo_pictures", "embed_batch", "embed_dataset", "index", "load_model",
        "read_labels", "reopen",
    }  # fmt: skip
    assert {"correct", "relabel", "plan", "apply", "embed_texts"} <= {name for name, _ in methods()}


@pytest.mark.parametrize(("name", "parameter"), list(methods()))
def test_methods_of_a_run(name: str, parameter: str, run: Run, place: Path) -> None:
    good = {
        "labels": ["red"],
        "label": "red",
        "corrections": {"a.png": "blue"},
        "texts": ["red"],
        "planned": run.plan(place / "to"),
        "to": place / "to",
        "digests": [],
        "request": run.request,
        "truth": {"a.png": "red"},
        "format": "csv",
    }
    needed = {
        key: good[key]
        for key, one in inspect.signature(getattr(run, name)).parameters.items()
        if one.default is inspect.Parameter.empty
    }
    before = tree(place / "P")
    one_line_each(parameter, lambda wrong: getattr(run, name)(**needed | wrong))
    assert tree(place / "P") == before


@pytest.mark.parametrize(("name", "parameter"), list(methods(zeroshelf.Index)))
def test_methods_of_an_index(
    name: str, parameter: str, place: Path, encoder: ColourEncoder
) -> None:
    index = zeroshelf.index(place / "P", encoder=encoder)
    good: dict[str, Any] = {"labels": ["red"], "texts": ["red"], "digests": []}
    needed = {
        key: good[key]
        for key, one in inspect.signature(getattr(index, name)).parameters.items()
        if one.default is inspect.Parameter.empty
    }
    if name == "search" and parameter not in ("words", "image"):
        needed["words"] = "red"
    one_line_each(parameter, lambda wrong: getattr(index, name)(**needed | wrong))


@pytest.mark.parametrize(("name", "parameter"), list(functions()))
def test_functions(name: str, parameter: str, place: Path, encoder: ColourEncoder) -> None:
    needed: dict[str, Any] = {"to": place / "to"}
    if name == "classify":
        needed = {"folder": place / "P", "labels": ["red"], "encoder": encoder}
    if name == "index":
        needed = {"folder": place / "P", "encoder": encoder}
    if name == "embed_batch":
        needed = {"files": [place / "P" / "a.png"], "encoder": encoder}
    if name == "embed_dataset":
        needed = {"source": place / "P", "out": place / "to", "encoder": encoder}
    if name == "load_model":
        needed = {}
    if name == "read_labels":
        needed = {"file": place / "labels.txt"}
    if name == "reopen":
        needed = {"encoder": encoder}
        run = classify(place / "P", ["red"], encoder=encoder)
        run.save(run.plan(place / "to"))
    one_line_each(parameter, lambda wrong: getattr(zeroshelf, name)(**needed | wrong))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda run: run.embed_texts("a red car"), r"texts: give a list.*\['a red car'\]"),
        (lambda run: run.relabel("cat"), r"labels: give a list.*\['cat'\]"),
        (lambda run: run.relabel({"cat": 3}), "words of a label must be a list of texts, not 3"),
        (lambda run: run.relabel({3: ["cat"]}), "3 isn't text"),
        (lambda run: run.relabel(["red"], threshold="0.5"), "threshold must be a number"),
        (lambda run: run.relabel(["red"], threshold=True), "threshold must be a number"),
        (lambda run: run.relabel(["red"], threshold=float("nan")), "threshold must be .* not nan"),
        (lambda run: run.correct("a.png"), "corrections must be a mapping"),
        (lambda run: run.correct({"a.png": ["red"]}), "a label must be a text"),
        (lambda run: run.correct({"c.png": "red"}), "is no picture of this run"),
        (lambda run: run.correct({3: "red"}), "a picture must be a path"),
        (lambda run: run.most_informative("3"), "count must be a whole number from 0 on, not '3'"),
        (lambda run: run.most_informative(-1), "count must be a whole number from 0 on, not -1"),
        (lambda run: run.most_informative(True), "count must be a whole number"),
        (lambda run: run.most_informative(2.0), "count must be a whole number"),
        (lambda run: run.show(None), "each must be a whole number"),
        (lambda run: run.shelf(3), "label must be a text, not 3"),
        (lambda run: run.plan("to", "teleport"), "action: 'teleport' is none of copy, move"),
        (lambda run: run.plan("to", several="no"), "several must be True or False, not 'no'"),
        (lambda run: run.plan(b"to"), "the folder must be a path"),
        (lambda run: run.plan(""), "name is empty"),
        (lambda run: run.plan("to", ambiguous=3), "3 isn't text"),
        (lambda run: run.plan(action="tag", prefix=None), "prefix must be a text, not None"),
        (lambda run: run.apply(None), "the plan must be a Plan, not None"),
        (lambda run: run.save("plan"), "the plan must be a Plan, not 'plan'"),
        (lambda run: run.save(WRONG["plan by kind"]), "is none of copy, move, symlink"),
        (lambda run: run.save(WRONG["plan of int"]), r"actions\[0\]: target must be str, not 3"),
        (lambda run: run.save(WRONG["plan of actions"]), "the path '' is not absolute"),
        (lambda run: run.write(Path("/dev/null/x")), "can't be written"),
        (lambda run: run.thumbnails(["xyz"]), "each of digests must be in hex, not 'xyz'"),
        (lambda run: run.find_near_duplicates("progress"), "progress must be a function or None"),
        (lambda run: reopen(3), "the run's id must be a text, not 3"),  # type: ignore[arg-type]
        (lambda run: reopen(""), "no run"),
    ],
)  # fmt: skip
def test_what_is_said(call: Callable[[Run], object], says: str, run: Run) -> None:
    with pytest.raises(UserError, match=says):
        call(run)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"labels": "cat"}, r"labels: give a list, not one text: \['cat'\]"),
        ({"labels": None}, "labels must be a list of texts, not None"),
        ({"labels": b"cat"}, "labels must be a list of texts, not b'cat'"),
        ({"exclude": "x"}, r"exclude: give a list, not one text: \['x'\]"),
        ({"leave_out": "x"}, "leave_out: give a list, not one text"),
        ({"folder": 3}, r"the folder must be a path \(str or os.PathLike\), not 3"),
        ({"folder": None}, "the folder must be a path .* not None"),
        ({"corrections": "no"}, "corrections must be True or False, not 'no'"),
        ({"model": 3}, "model must be a path"),
        ({"device": 3}, "device must be a text"),
        ({"encoder": "starter"}, "encoder must be an Encoder .* not 'starter'"),
        ({"store": "cache.db"}, "store must be an EmbeddingCache .* not 'cache.db'"),
        ({"warn": "yes"}, "must be a function or None, not 'yes'"),
        ({"threshold": 2}, "threshold must be a number from 0 to 1, not 2"),
    ],
)
def test_what_classify_says(
    given: dict[str, Any], says: str, place: Path, encoder: ColourEncoder
) -> None:
    good: dict[str, Any] = {"folder": place / "P", "labels": ["red"], "encoder": encoder}
    with pytest.raises(UserError, match=says):
        classify(**good | given)


def test_what_is_right_stays_right(place: Path, encoder: ColourEncoder, run: Run) -> None:
    """Generators, sets, arrays of texts, paths as str and as Path, and lists in a label set."""
    named = np.array(["red", "blue"])
    for labels in (iter(named.tolist()), tuple(named), named, dict.fromkeys(named.tolist())):
        assert run.relabel(labels).counts == run.counts  # type: ignore[arg-type]
    for labels in ({"red": None, "blue": ("sky",)}, {"red": "rose", "blue": {"sky"}}):
        assert run.relabel(labels).labels.names == ("red", "blue")  # type: ignore[arg-type]
    loose = LabelSet([Label("red", ["rose"]), Label("blue")])  # type: ignore[arg-type]
    assert run.relabel(loose).labels == LabelSet((Label("red", ("rose",)), Label("blue")))
    assert run.relabel(["red"], threshold=np.float32(0.5)).request.threshold == 0.5  # type: ignore[arg-type]
    assert run.embed_texts(text for text in ("red", "blue")).shape == (2, 4)  # type: ignore[arg-type]
    assert run.embed_texts([]).shape == (0, 4)
    assert len(run.most_informative(np.int64(1))) == 1 and run.most_informative(0) == []  # type: ignore[arg-type]
    corrected = run.correct({Path("a.png"): "blue"})  # type: ignore[dict-item]
    assert corrected.counts == {"red": 0, "blue": 2, "other": 0}
    again = classify(
        str(place / "P"),
        ["red"],
        exclude=(name for name in ["b.png"]),  # type: ignore[arg-type]
        leave_out={place / "deep"},  # type: ignore[arg-type]
        threshold=0,
        encoder=encoder,
        store=EmbeddingCache.open(),
    )
    assert again.counts == {"red": 1, "other": 0}
    assert run.apply(run.plan(place / "to"))
    assert run.undo()


def test_one_picture_can_be_corrected(place: Path, encoder: ColourEncoder) -> None:
    """Where there is no other picture to learn for, the correction is all that changes."""
    alone = classify(place / "P", ["red", "blue"], exclude=["b.png"], encoder=encoder)
    assert alone.correct({"a.png": "blue"}).counts == {"red": 0, "blue": 1, "other": 0}


def test_a_plan_for_another_folder_is_refused(
    run: Run, place: Path, encoder: ColourEncoder
) -> None:
    shutil.copytree(place / "P", place / "Q")
    other = classify(place / "Q", ["red", "blue"], encoder=encoder)
    planned = other.plan(place / "to")
    for call in (run.apply, run.save, lambda plan: run.write(place / "out", plan)):
        with pytest.raises(UserError, match=r"the plan is for .*Q, and the run is of .*P: use"):
            call(planned)
    assert run.record is None and not (place / "to").exists() and not (place / "out").exists()
    if os.name != "posix":
        return
    (place / "link").symlink_to(place / "P", target_is_directory=True)
    again = classify(place / "link", ["red", "blue"], encoder=encoder)
    assert {one.status for one in run.apply(again.plan(place / "to"))} == {"done"}  # the same one


def test_a_plan_is_checked_to_its_last_action(run: Run, place: Path) -> None:
    planned = run.plan(place / "to")
    wrong = replace(planned.actions[-1], size="large")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"the plan: actions\[1\]: size must be int, not 'large'"):
        checks.plan(replace(planned, actions=(*planned.actions[:-1], wrong)))
    assert checks.plan(planned) is planned
