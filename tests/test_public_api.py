"""The public names: one list, in the package, in its help and in the types of their arguments."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pydoc
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zeroshelf
from tests import tiny
from tests.colours import ColourEncoder
from zeroshelf import errors
from zeroshelf.errors import ArgumentError, MissingPackage, NothingToSort, UserError
from zeroshelf.output import tables

ROOT = Path(__file__).parent.parent
PUBLIC = sorted(zeroshelf.__all__)


def test_dir_all_and_help_agree() -> None:
    assert len(set(PUBLIC)) == len(PUBLIC) > 35
    assert set(dir(zeroshelf)) == {*PUBLIC, "__version__"}
    shown = pydoc.plain(pydoc.render_doc(zeroshelf))
    assert [name for name in PUBLIC if name not in shown] == []


def test_a_type_checker_sees_the_names_that_are_there() -> None:
    """The imports below `TYPE_CHECKING` are what mypy and an editor know of the package."""
    import ast

    tree = ast.parse((ROOT / "src" / "zeroshelf" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    homes = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(homes) == PUBLIC
    for name, home in homes.items():
        assert home is not None
        there = getattr(importlib.import_module(home), name)
        found = getattr(zeroshelf, name)
        assert found is there or isinstance(found, types.ModuleType)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented_and_typed(name: str) -> None:
    found = getattr(zeroshelf, name)
    assert inspect.getdoc(found), name
    if isinstance(found, type):
        members = [
            (key, member)
            for key, member in vars(found).items()
            if not key.startswith("_") and isinstance(member, types.FunctionType | property)
        ]
    else:
        members = [(name, found)]
    for key, member in members:
        function = member.fget if isinstance(member, property) else member
        assert function is not None
        assert inspect.getdoc(function), f"{name}.{key}"
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, f"{name}.{key}"
        for parameter in [*signature.parameters.values()][isinstance(found, type) :]:
            assert parameter.annotation is not inspect.Parameter.empty, f"{name}.{key}"


@pytest.mark.parametrize(
    "name",
    ["classify", "reopen", "index", "load_model", "embed_batch", "read_labels", "embed_dataset"],
)
def test_every_parameter_of_a_function_is_described(name: str) -> None:
    function = getattr(zeroshelf, name)
    if isinstance(function, types.ModuleType):
        function = getattr(function, name)
    described = inspect.getdoc(function) or ""
    for parameter in inspect.signature(function).parameters:
        assert f"{parameter}:" in described or f"{parameter}," in described, parameter
    assert "Raises" in described


def test_functions_that_are_packages_too_can_be_called_after_any_import() -> None:
    code = (
        "import zeroshelf.models.select, zeroshelf.runs.registry, zeroshelf.index, zeroshelf as z\n"
        "assert z.models()[0].id == 'starter' and z.runs() == [] and callable(z.index)\n"
        "assert z.models.select is zeroshelf.models.select"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, zeroshelf; dir(zeroshelf)\n"
        "heavy = {'numpy', 'PIL', 'onnxruntime', 'pandas', 'pyarrow', 'click'} & {*sys.modules}\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_error_is_under_one() -> None:
    found = [one for one in vars(errors).values() if isinstance(one, type)]
    assert len(found) == 6 and all(issubclass(one, errors.ZeroshelfError) for one in found)
    assert issubclass(ArgumentError, UserError) and issubclass(NothingToSort, UserError)


def test_mypy_is_strict_about_a_program_that_uses_every_name() -> None:
    """The file is checked by `mypy` with all others; here only that it leaves out no name."""
    text = (ROOT / "tests" / "every_name.py").read_text(encoding="utf-8")
    assert [name for name in PUBLIC if f"zs.{name}" not in text] == []


# --- models and runs ----------------------------------------------------------------------------


def test_models_are_listed_without_being_opened() -> None:
    found = zeroshelf.models()
    by_id = {one.id: one for one in found}
    assert found[0].id == "starter" and found[0].installed and "en" in found[0].languages
    assert len(by_id) == len(found) > 5
    assert not by_id["siglip2-b-16"].installed and (by_id["siglip2-b-16"].megabytes or 0) > 100


def test_a_run_is_listed_and_opened_by_its_id(folder: Path, encoder: ColourEncoder) -> None:
    assert zeroshelf.runs() == []
    run = zeroshelf.classify(folder, ["red", "blue"], encoder=encoder)
    run.save(run.plan(folder.parent / "sorted"))
    (listed,) = zeroshelf.runs()
    assert listed.id == run.id
    again = zeroshelf.reopen(listed.id, encoder=encoder)
    assert again.decisions.labels == run.decisions.labels


def test_an_encoder_goes_through_pickle(tmp_path: Path) -> None:
    place = tiny.immich(tmp_path / "model", logit_scale=100)
    first = zeroshelf.load_model(str(place), device="cpu", threads=1)
    copy = pickle.loads(pickle.dumps(first))
    assert copy.model == first.model
    texts = ["red", "blue"]
    assert np.array_equal(copy.embed_texts(texts), first.embed_texts(texts))
    with pytest.raises(UserError, match="texts: give a list"):
        copy.embed_texts("red")
    with pytest.raises(UserError, match="pixels must be an array"):
        copy.embed_pictures("red")
    assert copy.embed_texts([]).shape == (0, first.model.dim)


def test_a_pickled_encoder_is_refused_where_its_model_has_changed(tmp_path: Path) -> None:
    place = tiny.immich(tmp_path / "model", logit_scale=100)
    stored = pickle.dumps(zeroshelf.load_model(str(place), device="cpu"))
    tiny.visual(place / "visual" / "model.onnx", batch=2)
    with pytest.raises(UserError, match="of the pickled encoder is not here"):
        pickle.loads(stored)


def test_a_batch_is_embedded_as_a_folder_is(folder: Path, encoder: ColourEncoder) -> None:
    index = zeroshelf.index(folder, encoder=encoder)
    content = (folder / "b.png").read_bytes()
    given: list[Path | tuple[str, bytes]]
    given = [folder / "a.jpg", folder / "broken.jpg", ("b.png", content), folder / "missing.jpg"]
    answers = zeroshelf.embed_batch(given, encoder)
    assert [type(one).__name__ for one in answers] == [
        "EmbeddedFile", "Unreadable", "EmbeddedFile", "Unreadable",
    ]  # fmt: skip
    for answer, name in ((answers[0], "a.jpg"), (answers[2], "b.png")):
        assert isinstance(answer, zeroshelf.EmbeddedFile)
        row = index.paths.index(str(folder / name))
        assert np.array_equal(answer.vector, index.vectors[row])
        assert answer.digest == index.embeddings.digests[row]
        assert answer.thumbnail[:2] == b"\xff\xd8"
    assert zeroshelf.embed_batch([], encoder) == []


def test_labels_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("cat\ndog=puppy\n")
    assert zeroshelf.read_labels(file).names == ("cat", "dog")
    with pytest.raises(UserError, match="can't be read"):
        zeroshelf.read_labels(tmp_path / "no.toml")


# --- a run as a sequence and as a table ---------------------------------------------------------


@pytest.fixture
def run(folder: Path, encoder: ColourEncoder) -> zeroshelf.Run:
    return zeroshelf.classify(folder, ["red", "blue"], encoder=encoder)


def test_a_run_is_a_sequence_of_decisions(run: zeroshelf.Run) -> None:
    assert len(run) == 4 == len(list(run)) and run.probabilities.shape == (4, 3)
    assert [one.label for one in run] == run.decisions.labels
    assert np.allclose(run.probabilities.sum(axis=1), 1)
    assert run["blue"] == run.shelf("blue") and run[0] == next(iter(run))
    assert run[-1].picture.path.endswith("grey.jpg") and len(run[:2]) == 2
    with pytest.raises(IndexError):
        run[4]
    with pytest.raises(UserError, match="no label 'green'"):
        run["green"]
    with pytest.raises(UserError, match=r"a row of a run must be a whole number, not 0\.5"):
        run[0.5]  # type: ignore[call-overload]


def test_a_run_is_compared_with_the_truth(run: zeroshelf.Run) -> None:
    everything = {"a.jpg": "red", "deep/a.jpg": ["rose", "red"], "b.png": "red", "grey.jpg": "fog"}
    found = run.evaluate(everything)
    assert (found.pictures, found.accuracy, found.label_accuracy) == (4, 0.75, 2 / 3)
    assert found.other_accuracy == 1.0 and found.harmonic_mean == pytest.approx(0.8)
    assert [run[row].picture.path[-5:] for row in found.wrong] == ["b.png"]
    assert found.confusion.tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert found.labels["red"] == zeroshelf.LabelResult(3, 2, 1.0, 2 / 3)
    assert found.labels["blue"] == zeroshelf.LabelResult(0, 1, 0.0, None)
    stated = [run[row].probability for row in range(4)]
    right = [row not in found.wrong for row in range(4)]
    bins: dict[int, list[float]] = {}
    for one, fits in zip(stated, right, strict=True):
        bins.setdefault(min(int(one * 10), 9), []).append(one - fits)
    error = sum(abs(sum(each)) for each in bins.values()) / 4
    assert found.calibration_error == pytest.approx(error, abs=1e-6)
    nothing = run.evaluate({})
    assert nothing.accuracy is None and nothing.pictures == 0 and nothing.wrong == ()
    for wrong, says in (({"x.jpg": "red"}, "is no picture"), ({"a.jpg": []}, "names no label")):
        with pytest.raises(UserError, match=says):
            run.evaluate(wrong)


def test_a_run_as_a_data_frame(run: zeroshelf.Run) -> None:
    pytest.importorskip("pandas", reason="pip install -e '.[dev]'")
    frame = run.to_pandas()
    assert [*frame.columns] == [*tables.COLUMNS, "P(red)", "P(blue)", "P(other)"]
    assert frame["path"].tolist() == [one.picture.path for one in run]
    assert frame["label"].tolist() == run.decisions.labels
    assert np.allclose(frame[["P(red)", "P(blue)", "P(other)"]].to_numpy(), run.probabilities)
    assert frame["probability"].tolist() == [one.probability for one in run]
    assert frame["group"].notna().sum() == 2  # the two red pictures are one content
    assert run.relabel(["red"]).to_pandas().shape == (4, len(tables.COLUMNS) + 2)


def test_a_run_as_an_arrow_table(run: zeroshelf.Run) -> None:
    pytest.importorskip("pyarrow", reason="pip install -e '.[dev]'")
    table = run.to_arrow()
    assert table.column_names == [*tables.COLUMNS, "probabilities", "embedding"]
    assert table.column("label").to_pylist() == run.decisions.labels
    assert np.allclose(table.column("probabilities").to_pylist(), run.probabilities)
    vectors = np.array(table.column("embedding").to_pylist(), np.float16)
    assert np.array_equal(vectors, run.embeddings.vectors)
    assert table.schema.metadata[b"zeroshelf.labels"] == b"red\nblue\nother"
    assert "embedding" not in run.to_arrow(embeddings=False).column_names


def test_a_table_has_names_that_are_no_utf_8(run: zeroshelf.Run) -> None:
    """Lone surrogates stand for bytes of a file's name; neither library takes them."""
    pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    scores = run.decisions.scores
    odd = replace(scores.pictures[0], path="/a\udcff.jpg")
    decisions = replace(run.decisions, scores=replace(scores, pictures=(odd, *scores.pictures[1:])))
    named = replace(run, decisions=decisions)
    assert named.to_pandas()["path"][0] == "/a\\udcff.jpg"
    assert named.to_arrow().column("path")[0].as_py() == "/a\\udcff.jpg"


@pytest.mark.parametrize(("call", "extra"), [("to_pandas", "pandas"), ("to_arrow", "parquet")])
def test_a_missing_library_is_one_line(
    call: str, extra: str, run: zeroshelf.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pandas", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackage, match=rf'pip install "zeroshelf\[{extra}\]"$'):
        getattr(run, call)()


@pytest.mark.parametrize(
    ("files", "encoder", "says"),
    [
        (3, ColourEncoder(), "files must be a list of paths, not 3"),
        (b"a.jpg", ColourEncoder(), "files must be a list of paths, not b'a.jpg'"),
        ("a.jpg", ColourEncoder(), r"files: give a list, not one text: \['a.jpg'\]"),
        ([], None, "encoder must be an Encoder, as load_model returns it, not None"),
        ([], "starter", "encoder must be an Encoder, as load_model returns it, not 'starter'"),
    ],
)
def test_embed_batch_says_what_it_takes(files: Any, encoder: Any, says: str) -> None:
    with pytest.raises(zeroshelf.ArgumentError, match=f"{says}$"):
        zeroshelf.embed_batch(files, encoder)


def test_a_message_is_one_line_whatever_a_path_has_in_it(tmp_path: Path) -> None:
    for name in ("a\nb", "a\rb", "a\u2028b", "a\x1b[2Jb"):
        with pytest.raises(zeroshelf.UserError) as raised:
            zeroshelf.classify(tmp_path / name, ["cat"])
        assert len(str(raised.value).splitlines()) == 1 and str(raised.value).isprintable()
    with pytest.raises(zeroshelf.UserError, match="Käse 日本"):
        zeroshelf.classify(tmp_path / "Käse 日本", ["cat"])
