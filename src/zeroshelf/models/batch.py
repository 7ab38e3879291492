"""An image tower that was exported for one picture at a time becomes one for any number.

Exporters write the batch of 1 into a graph: into its input, into the shapes that Reshape is given,
into a class token of one row. Here the batch is followed from the input through every node, and
each shape in which it was written down is written anew. [50 * 1, 768] looks like
[50, 1 * 768], so the result may be wrong: the caller verifies it. The only importer of onnx
beside the export; it comes with the accelerators, for a CPU gains nothing by this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zeroshelf.errors import UserError
from zeroshelf.models import ort

INT64, BIG = 7, 1024  # onnx.TensorProto.INT64; more numbers than this are a weight

Shape = Sequence[int]


class _Place(NamedTuple):
    """Where in a tensor the batch is: in which axis, and how many rows of it in that axis come
    before the batch does ([50 * N, 768] has 50)."""

    axis: int
    before: int = 1


class _LostError(Exception):
    """The batch can't be followed through this node."""


def free(path: Path) -> bytes | None:
    """The graph in `path` for any number of pictures, serialised; its weights in other files stay
    there. None where that can't be done, or onnx isn't installed."""
    try:
        import onnx
    except ImportError:
        return None
    model = onnx.load(path, load_external_data=False)
    try:
        _rewrite(model, _shapes(path, model))
    except (_LostError, UserError, LookupError, ValueError):  # a graph of another kind
        return None
    return bytes(model.SerializeToString())


def _rewrite(model: Any, shapes: Mapping[str, Shape]) -> None:
    from onnx import helper, numpy_helper

    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    (pixels,) = (port for port in graph.input if port.name not in weights)
    constants = _constants(graph)
    places = {pixels.name: _Place(0)}
    nodes: list[Any] = []
    for node in graph.node:
        batched = [name for name in node.input if name in places]
        if batched and node.op_type in ("Reshape", "Flatten"):
            old, new, name = node.input[0], node.output[0], f"{node.output[0]}/batch"
            places[new] = place = _reshaped(shapes[old], places[old], shapes[new])
            shape = [-1 if i == place.axis else n for i, n in enumerate(shapes[new])]
            graph.initializer.append(helper.make_tensor(name, INT64, [len(shape)], shape))
            node = helper.make_node("Reshape", [old, name], [new])  # noqa: PLW2901
        elif batched and node.op_type not in ("Shape", "Size"):
            if node.op_type == "Concat":  # a class token, say: one for each picture
                nodes += _repeated(node, pixels.name, places, shapes)
            places |= _followed(node, places, shapes, constants)
        nodes.append(node)
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), "batch/first"))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    for port in (pixels, *graph.output):
        if places[port.name] != _Place(0):
            raise _LostError(port.name)
        port.type.tensor_type.shape.dim[0].dim_param = "batch"


def _reshaped(old: Shape, place: _Place, new: Shape) -> _Place:
    """Numbers keep their order: so many of them lie before the batch, in both shapes."""
    above = prod(old[: place.axis]) * place.before
    starts = [prod(new[:axis]) for axis in range(len(new))]
    for axis, (start, size) in enumerate(zip(starts, new, strict=True)):
        if start == above and size == 1:
            return _Place(axis)  # an axis of its own
    for axis, (start, size) in enumerate(zip(starts, new, strict=True)):
        # Rows for a matrix product end with the batch; heads of attention begin with it.
        end = start * size + (len(new) == 2)
        if start <= above < end and above % start == 0:
            return _Place(axis, above // start)
    raise _LostError(f"{old} to {new}")


def _followed(
    node: Any,
    places: Mapping[str, _Place],
    shapes: Mapping[str, Shape],
    constants: Mapping[str, Sequence[int]],
) -> Iterator[tuple[str, _Place]]:
    """The batch's place in each of the node's outputs that has it."""
    inputs = [name for name in node.input if name in places]
    rank = len(shapes[inputs[0]])
    axis, before = places[inputs[0]]
    given = {attribute.name: attribute for attribute in node.attribute}
    axes = list(given["axes"].ints) if "axes" in given else None
    if axes is None and len(node.input) > 1:
        axes = list(constants.get(node.input[1], ())) or None
    kind = node.op_type
    for output in node.output:
        if output not in shapes:
            continue
        size = len(shapes[output])
        if kind == "Transpose":
            order = list(given["perm"].ints) if "perm" in given else list(range(rank))[::-1]
            new = order.index(axis)
        elif kind == "Unsqueeze" and axes:
            added = {a % size for a in axes}
            new = [a for a in range(size) if a not in added][axis]
        elif kind == "Squeeze" or (kind.startswith("Reduce") and size < rank):
            if not axes or axis in (gone := {a % rank for a in axes}):
                raise _LostError(node.name)
            new = [a for a in range(rank) if a not in gone].index(axis)
        elif kind == "Gather":
            over = (given["axis"].i if "axis" in given else 0) % rank
            if over == axis or node.input[0] not in places:
                raise _LostError(node.name)
            new = axis if axis < over else axis - 1 + size - rank + 1
        else:  # of the same rank, or broadcast: axes are counted from the last
            ends = {len(shapes[name]) - places[name].axis for name in inputs}
            new = size - ends.pop()
            if ends or new < 0:
                raise _LostError(node.name)
        if shapes[output][new] != shapes[inputs[0]][axis]:
            raise _LostError(node.name)
        yield output, _Place(new, before)


def _repeated(
    node: Any, pixels: str, places: Mapping[str, _Place], shapes: Mapping[str, Shape]
) -> Iterator[Any]:
    """Nodes that repeat a Concat's constant parts once a picture; its inputs become theirs."""
    from onnx import helper

    (axis, _), *others = {places[name] for name in node.input if name in places}
    for at, name in enumerate(node.input):
        if name in places:
            continue
        if others or node.attribute[0].i % len(shapes[name]) == axis:
            raise _LostError(node.name)
        new = f"{node.output[0]}/batch{at}"
        sizes = [f"{new}/count" if i == axis else f"{new}/one" for i in range(len(shapes[name]))]
        yield helper.make_node("Shape", [pixels], [f"{new}/shape"])
        yield helper.make_node("Gather", [f"{new}/shape", "batch/first"], [f"{new}/count"])
        yield helper.make_node("Constant", [], [f"{new}/one"], value_ints=[1])
        yield helper.make_node("Concat", sizes, [f"{new}/sizes"], axis=0)
        yield helper.make_node("Expand", [name, f"{new}/sizes"], [new])
        node.input[at] = new


def _shapes(path: Path, model: Any) -> dict[str, list[int]]:
    """The shape of every tensor for one picture, measured by running the graph once."""
    from onnx import ModelProto, TensorProto, helper

    told = ModelProto()
    told.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    for name in names:  # one list of all: rank, sizes, rank, sizes, ...
        told.graph.node.append(helper.make_node("Shape", [name], [f"{name}/sizes"]))
        told.graph.node.append(helper.make_node("Shape", [f"{name}/sizes"], [f"{name}/rank"]))
    both = [f"{name}/{what}" for name in names for what in ("rank", "sizes")]
    told.graph.node.append(helper.make_node("Concat", both, ["batch/shapes"], axis=0))
    port = helper.make_tensor_value_info("batch/shapes", TensorProto.INT64, [None])
    told.graph.output.append(port)
    graph = ort.open_graph(
        path, "cpu", 1, lambda line: None, rewritten=told.SerializeToString(), optimise=False
    )
    (pixels,) = graph.inputs
    sizes = [int(size or 1) for size in pixels.shape]
    numbers = iter(graph.run({pixels.name: np.zeros(sizes, pixels.dtype)}, "batch/shapes").tolist())
    shapes = {name: [next(numbers) for _ in range(next(numbers))] for name in names}
    return shapes | {pixels.name: sizes} | {w.name: list(w.dims) for w in model.graph.initializer}


def _constants(graph: Any) -> dict[str, Sequence[int]]:
    """The small tensors of whole numbers that are written into the graph: axes, mostly."""
    from onnx import numpy_helper

    tensors = {weight.name: weight for weight in graph.initializer if prod(weight.dims) <= BIG}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    return {
        name: numpy_helper.to_array(tensor).reshape(-1).tolist()
        for name, tensor in tensors.items()
        if tensor.data_type == INT64 and prod(tensor.dims) <= BIG and not tensor.external_data
    }
