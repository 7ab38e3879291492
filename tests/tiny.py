"""Tiny models in the public layouts: true file names, inputs and outputs, a few kilobytes each.

The image tower averages a picture's colours and multiplies; the text tower averages the rows of a
table. What comes out can be computed by hand, so a test needs no reference.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

SIZE, DIM, CONTEXT = 8, 4, 6
VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "red": 2, "green": 3, "blue": 4, "cat": 5}
COLOURS = np.array([[1, 0, 0, 0.5], [0, 1, 0, 0.5], [0, 0, 1, 0.5]], np.float32)  # (3, DIM)
NEXT_TO_NOTHING = np.full((1, DIM), 1e-8)  # of padding: no vector may be nought
TABLE = np.vstack([NEXT_TO_NOTHING, [[1, 0, 0, 1]], COLOURS, [[1, 1, 1, 1]]]).astype(np.float32)


def visual(
    file: Path,
    *,
    batch: int | str = "batch",
    name: str = "image",
    output: str = "embedding",
    uint8: bool = False,
    external: str | None = None,
    patches: bool = False,
) -> None:
    """pixels -> mean over height and width -> times COLOURS. Not of unit length."""
    kind = TensorProto.UINT8 if uint8 else TensorProto.FLOAT
    shape = [batch, SIZE, SIZE, 3] if uint8 else [batch, 3, SIZE, SIZE]
    nodes = []
    if uint8:
        nodes.append(helper.make_node("Cast", [name], ["wide"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Div", ["wide", "full"], ["pixels"]))
    mean = "pixels" if uint8 else name
    axes = [1, 2] if uint8 else [2, 3]
    nodes += [
        helper.make_node("ReduceMean", [mean], ["mean"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], [output]),
    ]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, DIM])]
    if patches:  # SigLIP's export returns a state for each patch, first
        nodes.append(helper.make_node("Identity", [mean], ["last_hidden_state"]))
        outputs.insert(
            0, helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, shape)
        )
    full = numpy_helper.from_array(np.array(255, np.float32), "full")
    weights = numpy_helper.from_array(COLOURS, "weights")
    _save(
        file,
        nodes,
        [helper.make_tensor_value_info(name, kind, shape)],
        outputs,
        [weights, *([full] if uint8 else [])],
        external,
    )


def textual(
    file: Path,
    *,
    batch: int | str = "batch",
    tokens: int | str = CONTEXT,
    name: str = "text",
    output: str = "embedding",
    kind: int = TensorProto.INT32,
    mask: bool = False,
) -> None:
    """ids -> rows of TABLE -> sum over the tokens. Not of unit length."""
    inputs = [helper.make_tensor_value_info(name, kind, [batch, tokens])]
    nodes = [
        helper.make_node("Gather", ["table", name], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["sum"], keepdims=0),
        helper.make_node("Identity", ["sum"], [output]),
    ]
    if mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", kind, [batch, tokens]))
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    _save(
        file,
        nodes,
        inputs,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, DIM])],
        [numpy_helper.from_array(TABLE, "table"), axis],
        None,
    )


def tokenizer(file: Path) -> None:
    made = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    file.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(file))


def immich(folder: Path, **settings: Any) -> Path:
    """As Immich publishes: batch fixed at 1, ids in int32."""
    visual(folder / "visual" / "model.onnx", batch=1)
    textual(folder / "textual" / "model.onnx", batch=1)
    tokenizer(folder / "textual" / "tokenizer.json")
    write(folder / "textual" / "tokenizer_config.json", {"pad_token": "[PAD]"})
    write(
        folder / "visual" / "preprocess_cfg.json",
        {
            "size": SIZE, "mode": "RGB", "mean": [0, 0, 0], "std": [1, 1, 1],
            "interpolation": "bicubic", "resize_mode": "shortest",
        },
    )  # fmt: skip
    text = {"context_length": CONTEXT, "tokenizer_kwargs": {"clean": "lower"}}
    write(folder / "config.json", {"embed_dim": DIM, "text_cfg": text} | settings)
    return folder


def transformers_js(folder: Path, kind: str = "clip") -> Path:
    """As Xenova's and onnx-community's: SigLIP's output is `pooler_output`, beside the patches."""
    siglip = kind == "siglip"
    visual(
        folder / "onnx" / "vision_model.onnx",
        name="pixel_values",
        output="pooler_output" if siglip else "image_embeds",
        patches=siglip,
    )
    textual(
        folder / "onnx" / "text_model.onnx",
        tokens="tokens",
        name="input_ids",
        output="pooler_output" if siglip else "text_embeds",
        kind=TensorProto.INT64,
        mask=not siglip,
    )
    tokenizer(folder / "tokenizer.json")
    write(
        folder / "tokenizer_config.json",
        {
            "pad_token": "[PAD]",
            "tokenizer_class": "GemmaTokenizer" if siglip else "CLIPTokenizer",
        },
    )
    side = {"height": SIZE, "width": SIZE}
    cut = {"size": {"shortest_edge": SIZE}, "crop_size": side, "do_center_crop": True}
    write(
        folder / "preprocessor_config.json",
        {
            "do_resize": True, "do_normalize": True, "do_rescale": True, "resample": 3,
            "rescale_factor": 1 / 255, "image_mean": [0, 0, 0], "image_std": [1, 1, 1],
        }
        | ({"size": side} if siglip else cut),
    )  # fmt: skip
    config: dict[str, Any] = {
        "model_type": kind,
        "projection_dim": DIM,
        "vision_config": {"hidden_size": DIM},
        "text_config": {"max_position_embeddings": CONTEXT},
    }
    write(
        folder / "config.json", config | ({"logit_scale": 100, "logit_bias": -10} if siglip else {})
    )
    return folder


def write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def _save(
    file: Path, nodes: Any, inputs: Any, outputs: Any, weights: Any, external: str | None
) -> None:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    if external is None:
        onnx.save(model, file)
        return
    for tensor in model.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, external)
    if "/" in external:  # as a hostile graph would have it: onnx itself would refuse to write it
        for tensor in model.graph.initializer:
            tensor.ClearField("raw_data")
        file.write_bytes(model.SerializeToString())
    else:
        onnx.save(model, file)
