"""A text tower that pads every text to its context gets a graph for texts of any length."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests import tiny
from zeroshelf.models import encoder, onnx_parts, ort, select, shorten, textual_tower

CONTEXT, WIDTH = 77, tiny.DIM
WORDS = ("red", "green", "blue", "cat")
SHORT_TEXTS = [f"{one} {two} {three}" for one in WORDS for two in WORDS for three in WORDS]
LONG_TEXT = " ".join(WORDS * 9)  # 36 tokens
CAUSAL = np.triu(np.full((CONTEXT, CONTEXT), -1e9, np.float32), 1)


def tower(file: Path, mask: np.ndarray | None, how: str = "initializer") -> None:
    """As an exporter writes CLIP's: position embeddings, attention under `mask`, and the row of the
    greatest id. None: attention without a mask."""
    random = np.random.default_rng(0)
    values: dict[str, np.ndarray] = {
        "table": random.normal(size=(len(tiny.VOCABULARY), WIDTH)).astype(np.float32),
        "position": random.normal(size=(CONTEXT, WIDTH)).astype(np.float32),
        "shape": np.array([-1, CONTEXT, WIDTH], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["table", "text"], ["words"]),
        helper.make_node("Add", ["words", "position"], ["x"]),
        helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "turned"], ["scores"]),
    ]
    if mask is not None:
        values["mask"] = mask
        nodes.append(helper.make_node("Add", ["scores", "mask"], ["masked"]))
    nodes += [
        helper.make_node("Softmax", ["scores" if mask is None else "masked"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "x"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["seen"]),
        helper.make_node("ArgMax", ["text"], ["last"], axis=-1, keepdims=1),
        helper.make_node("GatherND", ["seen", "last"], ["embedding"], batch_dims=1),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in values.items()]
    if how == "typed":  # numbers in the message's own lists
        tensors[2] = helper.make_tensor("shape", TensorProto.INT64, [3], values["shape"])
    constants = []
    if how == "constant":
        constants = [helper.make_node("Constant", [], [one.name], value=one) for one in tensors]
        tensors = []
    graph = helper.make_graph(
        [*constants, *nodes],
        "tower",
        [helper.make_tensor_value_info("text", TensorProto.INT64, ["batch", CONTEXT])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", WIDTH])],
        tensors,
        value_info=[helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", CONTEXT, WIDTH])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(made, file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tiny.immich(tmp_path / "model", logit_scale=20)
    config = json.loads((made / "config.json").read_text())
    config["text_cfg"]["context_length"] = CONTEXT
    tiny.write(made / "config.json", config)
    return made


def embedded(folder: Path, texts: list[str]) -> tuple[np.ndarray, list[int]]:
    """The vectors of the texts, and the lengths of the texts that its graphs were given."""
    lengths: list[int] = []
    one = select.load(select.find(str(folder)), "cpu")
    whole = ort.Graph.run

    def noting(graph: Any, feeds: Any, output: str) -> Any:
        lengths.extend(value.shape[1] for value in feeds.values())
        return whole(graph, feeds, output)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ort.Graph, "run", noting)
        one.embed_texts([*SHORT_TEXTS[: encoder.MANY_TEXTS], "red"])  # opens and compares
        lengths.clear()
        return one.embed_texts(texts), lengths


def whole(folder: Path, texts: list[str], patch: pytest.MonkeyPatch) -> np.ndarray:
    patch.setattr(textual_tower, "_of_any_length", lambda *_: None)
    return embedded(folder, texts)[0]


@pytest.mark.parametrize("how", ["initializer", "constant", "typed"])
def test_short_texts_are_not_padded_to_the_context(
    folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    tower(folder / "textual" / "model.onnx", CAUSAL, how)
    texts = [*SHORT_TEXTS, LONG_TEXT, "cat"]
    found, lengths = embedded(folder, texts)
    longest = max(lengths)
    assert len(LONG_TEXT.split()) <= longest < CONTEXT
    assert lengths.count(longest) == 1 < len(lengths)
    assert sorted(lengths)[-2] < len(LONG_TEXT.split()) / 2
    np.testing.assert_allclose(found, whole(folder, texts, monkeypatch), atol=1e-6)


OTHER_GRAPHS: dict[str, Callable[[Path], None]] = {
    "without a causal mask": lambda file: tower(file, None),
    "in which a token sees later ones": lambda file: tower(file, np.zeros_like(CAUSAL)),
}


@pytest.mark.parametrize("kind", OTHER_GRAPHS)
def test_a_graph_that_reads_the_padding_is_left_as_it_is(folder: Path, kind: str) -> None:
    OTHER_GRAPHS[kind](folder / "textual" / "model.onnx")
    _, lengths = embedded(folder, SHORT_TEXTS)
    assert set(lengths) == {CONTEXT}


def test_a_large_graph_is_opened_with_its_weights_in_place(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, linked = folder / "textual" / "model.onnx", tmp_path / "linked.onnx"
    tower(file, CAUSAL)
    linked.symlink_to(file)
    rewritten = onnx_parts.in_place(file)
    assert rewritten is not None and len(rewritten) < file.stat().st_size / 2
    ids = np.ones((2, CONTEXT), np.int64)
    found = []
    for path, least in ((file, 10**9), (file, 0), (linked, 0)):
        monkeypatch.setattr(ort, "LARGE", least)
        graph = ort.open_graph(path, "cpu", 1, pytest.fail)
        found.append(graph.run({"text": ids}, "embedding"))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_number_that_is_no_constants_leaves_the_graph_as_it_is(folder: Path) -> None:
    file = folder / "textual" / "model.onnx"
    tower(file, CAUSAL)
    made = onnx.load(file)
    made.graph.node[0].attribute.append(helper.make_attribute("axis", CONTEXT))
    onnx.save(made, file)
    assert shorten.of_any_length(file, CONTEXT) is None


def test_a_convolutional_network_gets_few_pictures_at_once(folder: Path) -> None:
    assert select.load(select.find("starter"), "cpu").batch_size == 2
    assert select.load(select.find(str(folder)), "cpu").batch_size == 8


def test_a_graph_with_its_weights_in_other_files_is_left_as_it_is(folder: Path) -> None:
    file = folder / "textual" / "model.onnx"
    tower(file, CAUSAL)
    onnx.save(
        onnx.load(file), file, save_as_external_data=True, location="weights", size_threshold=1024
    )
    assert shorten.of_any_length(file, CONTEXT) is None
    assert set(embedded(folder, SHORT_TEXTS)[1]) == {CONTEXT}


def test_what_is_no_graph_is_none(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07\xff")
    assert shorten.of_any_length(tmp_path / "model.onnx", CONTEXT) is None
