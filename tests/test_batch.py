"""Graphs for one picture at a time become graphs for any number, or stay as they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.colours import COLOURS
from zeroshelf.models import batch, ort
from zeroshelf.models.visual_tower import VisualTower, at_once

SIDE, WIDTH, PATCHES, HEADS = 8, 6, 4, 2


def one_at_a_time(file: Path) -> None:
    """A ViT of one layer as exporters write it for a batch of 1: [1, 6, -1] for the patches, a
    class token of one row, torch's attention with the batch in the middle, [5, 1 * heads, 3]."""
    noise = np.random.default_rng(3)
    made: list[Any] = []
    weights: list[Any] = []

    def constant(name: str, value: Any) -> str:
        weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(name: str, *shape: int) -> str:
        return constant(name, noise.normal(size=shape).astype(np.float32))

    def node(kind: str, *inputs: str, **how: Any) -> str:
        output = how.pop("to", f"{kind}{len(made)}")
        made.append(helper.make_node(kind, inputs, [output], **how))
        return str(output)

    def reshape(tensor: str, *shape: int) -> str:
        return node("Reshape", tensor, constant(f"shape{len(made)}", np.array(shape, np.int64)))

    tokens = PATCHES + 1
    x = node("Conv", "image", weight("conv", WIDTH, 3, 4, 4), strides=[4, 4])
    x = node("Transpose", reshape(x, 1, WIDTH, -1), perm=[0, 2, 1])
    x = node("Concat", weight("class", 1, 1, WIDTH), x, axis=1)
    x = node("Transpose", x, perm=[1, 0, 2])  # the batch goes to the middle
    heads = []
    for name in ("q", "k", "v"):
        rows = node("MatMul", reshape(x, tokens, WIDTH), weight(name, WIDTH, WIDTH))
        apart = reshape(rows, tokens, HEADS, WIDTH // HEADS)
        heads.append(node("Transpose", apart, perm=[1, 0, 2]))
    turned = node("Transpose", heads[1], perm=[0, 2, 1])
    x = node("MatMul", node("Softmax", node("MatMul", heads[0], turned), axis=-1), heads[2])
    x = reshape(node("Transpose", x, perm=[1, 0, 2]), tokens, 1, WIDTH)
    x = node("Transpose", x, perm=[1, 0, 2])
    x = node("Gather", x, constant("first", np.array(0, np.int64)), axis=1)
    node("Gemm", x, weight("head", WIDTH, 4), to="embedding")
    _save(file, made, weights, [1, 4])


def _save(file: Path, nodes: list[Any], weights: list[Any], shape: list[int]) -> None:
    port = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "one",
        [port("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [port("embedding", TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)


def opened(file: Path, rewritten: bytes | None = None) -> Callable[[np.ndarray], np.ndarray]:
    graph = ort.open_graph(file, "cpu", 1, lambda line: None, rewritten=rewritten)
    return lambda pixels: graph.run({graph.inputs[0].name: pixels}, graph.outputs[0].name)


def agrees(file: Path, side: int = SIDE) -> None:
    """Seven pictures at once are those seven, each alone."""
    made = batch.free(file)
    assert made is not None
    random = np.random.default_rng(1)  # noise in a colour of each picture's own
    noise = random.normal(size=(7, 3, side, side)) + 2 * random.normal(size=(7, 3, 1, 1))
    pixels = noise.astype(np.float32)
    alone = opened(file)
    ones = np.concatenate([alone(pixels[i : i + 1]) for i in range(7)])
    assert np.abs(ones[0] - ones[1]).max() > 1e-3  # the pictures do differ
    np.testing.assert_allclose(opened(file, made)(pixels), ones, atol=1e-4)


def test_attention_with_the_batch_in_the_middle(tmp_path: Path) -> None:
    one_at_a_time(tmp_path / "one.onnx")
    agrees(tmp_path / "one.onnx")


def tower(file: Path) -> VisualTower:
    model = replace(COLOURS, preprocessing=replace(COLOURS.preprocessing, size=SIDE))
    graph = ort.open_graph(file, "cpu", 1, lambda line: None)
    return at_once(VisualTower(graph, model), model)


def test_a_tower_takes_many_at_once_where_that_is_proved(tmp_path: Path) -> None:
    one_at_a_time(tmp_path / "one.onnx")
    assert tower(tmp_path / "one.onnx").graph.inputs[0].shape[0] is None


def test_a_graph_that_mixes_pictures_stays_at_one(tmp_path: Path) -> None:
    """Noise less the batch's mean: nothing tells that by looking, but the proof does."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["colours"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceSum", ["colours", "first"], ["all"], keepdims=1),
        helper.make_node("Sub", ["all", "third"], ["less"]),
        helper.make_node("Add", ["colours", "less"], ["mixed"]),
        helper.make_node("MatMul", ["mixed", "weights"], ["embedding"]),
    ]
    constants = {"first": np.zeros(1, np.int64), "third": np.ones((1, 3), np.float32)}
    constants["weights"] = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    _save(tmp_path / "one.onnx", nodes, weights, [1, 4])
    assert batch.free(tmp_path / "one.onnx") is not None
    kept = tower(tmp_path / "one.onnx")
    assert kept.graph.inputs[0].shape[0] == 1
    pixels = np.random.default_rng(1).normal(size=(3, 3, SIDE, SIDE)).astype(np.float32)
    np.testing.assert_array_equal(kept(pixels)[1:2], kept(pixels[1:2]))


def test_a_graph_whose_batch_is_lost_stays_at_one(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["image"], ["row"]),
        helper.make_node("Squeeze", ["row"], ["numbers"]),  # of every axis that is 1
        helper.make_node("MatMul", ["numbers", "weights"], ["vector"]),
        helper.make_node("Unsqueeze", ["vector", "first"], ["embedding"]),
    ]
    constants = {"first": np.zeros(1, np.int64), "weights": np.ones((3 * SIDE**2, 4), np.float32)}
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    _save(tmp_path / "one.onnx", nodes, weights, [1, 4])
    assert batch.free(tmp_path / "one.onnx") is None
    assert tower(tmp_path / "one.onnx").graph.inputs[0].shape[0] == 1


def test_weights_beside_the_graph_are_found(tmp_path: Path) -> None:
    one_at_a_time(tmp_path / "whole.onnx")
    (tmp_path / "apart").mkdir()
    model = onnx.load(tmp_path / "whole.onnx")
    onnx.save(
        model, tmp_path / "apart" / "one.onnx", save_as_external_data=True, location="weights",
        size_threshold=1000,
    )  # fmt: skip
    agrees(tmp_path / "apart" / "one.onnx")


# --- as torch exports them -------------------------------------------------------------------


def torch_tower(name: str, folder: Path) -> tuple[Any, Callable[[Any], Any], int]:
    """A module, the call that embeds with it, and its pictures' side."""
    import open_clip
    import timm
    import transformers
    from open_clip.modified_resnet import ModifiedResNet

    from tests import checkpoints

    if name == "transformers CLIP":
        checkpoints.transformers_clip(folder)
        clip = transformers.CLIPModel.from_pretrained(folder, attn_implementation="eager")
        return clip, lambda x: clip.visual_projection(clip.vision_model(x).pooler_output), 224
    if name == "open_clip ResNet":
        resnet = ModifiedResNet((1, 1, 1, 1), 32, 2, image_size=64, width=8)
        return resnet, resnet, 64
    if name.startswith("ViT"):
        source = checkpoints.open_clip_folder(name, folder)
        model = open_clip.create_model(f"local-dir:{source}")
        size = model.visual.image_size
        return model, model.encode_image, size if isinstance(size, int) else size[0]
    made = timm.create_model(name, num_classes=16)
    return made, made, made.default_cfg["input_size"][1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["older", "newer"])
@pytest.mark.parametrize(
    "name",
    [
        "ViT-B-32",
        "ViT-B-16-SigLIP2",
        "transformers CLIP",
        "open_clip ResNet",
        "test_efficientnet",
        "test_resnet",
        "test_vit3",
    ],
)
def test_what_torch_exports_for_one_picture(tmp_path: Path, name: str, exporter: str) -> None:
    for package in ("torch", "open_clip", "timm", "transformers"):
        pytest.importorskip(package, reason="needs zeroshelf[export]")
    import torch

    torch.manual_seed(5)
    torch.backends.mha.set_fastpath_enabled(False)
    module, call, side = torch_tower(name, tmp_path / "checkpoint")
    module.eval().requires_grad_(False)

    class Unit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, pixels: Any) -> Any:
            return torch.nn.functional.normalize(call(pixels), dim=-1)

    newer: dict[str, Any] = {"dynamo": True, "opset_version": 18, "external_data": False}
    older: dict[str, Any] = {"dynamo": False, "opset_version": 17}
    file = tmp_path / "one.onnx"
    torch.onnx.export(
        Unit().eval(), (torch.zeros(1, 3, side, side),), str(file), input_names=["image"],
        output_names=["row"], **(older if exporter == "older" else newer),
    )  # fmt: skip
    agrees(file, side)


def test_the_cpu_imports_nothing_to_rewrite_a_graph(folder: Path) -> None:
    probe = (
        "import sys, zeroshelf; run = zeroshelf.classify(sys.argv[1], ['cat', 'dog'], device='cpu')"
        "; assert len(run.decisions) == 4; "
        "sys.exit('imported' if 'zeroshelf.models.batch' in sys.modules else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
