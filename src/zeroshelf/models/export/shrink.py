"""Smaller graphs: weights kept in half precision, or computed in eight bits."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from zeroshelf.system.telemetry import onnxruntime

SMALL = 1024  # numbers: smaller tensors are not worth a conversion


def to_fp16(graph: Path) -> None:
    """Weights are kept in float16 and computed in float32: half the size, nearly the same answers.

    ONNX Runtime turns them back when it opens the graph, so that the speed is that of float32.
    """
    model = onnx.load(graph)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        wide = numpy_helper.to_array(tensor)
        half = np.clip(wide, -65504, 65504).astype(np.float16)
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]  # shapes of the old nodes; ONNX Runtime infers them
    _replace(model, graph)


def to_int8(graph: Path) -> None:
    """Matrix products in eight bits, a scale for each column: a quarter of the size, 3 times the
    speed on a CPU. What it costs in accuracy depends on the model, so it is measured.

    Weights take seven of the eight bits: a CPU without VNNI adds products in pairs in 16 bits, and
    more of them would not fit there. On such a one, a small model's cosine was .94, and is .998.
    """
    small = graph.with_suffix(".int8")
    quantization = onnxruntime("quantization")
    with _quiet():
        quantization.quantize_dynamic(
            graph,
            small,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=["MatMul", "Gemm"],
            extra_options={"MatMulConstBOnly": True},
        )
    graph.with_suffix(".onnx.data").unlink(missing_ok=True)
    small.replace(graph)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises a preprocessing that torch's exporter has done
    try:
        yield
    finally:
        root.setLevel(level)


def _replace(model: onnx.ModelProto, graph: Path) -> None:
    graph.with_suffix(".onnx.data").unlink(missing_ok=True)
    large = model.ByteSize() > 1_800_000_000
    onnx.save(
        model, graph, save_as_external_data=large, location=f"{graph.name}.data" if large else None
    )
