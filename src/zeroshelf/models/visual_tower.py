"""The image tower of a model: one graph, and what an accelerator makes of it."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from zeroshelf.errors import UserError
from zeroshelf.models import ort
from zeroshelf.models.graph import count_operators
from zeroshelf.models.ort import Array, Graph, Port
from zeroshelf.models.tower_output import embedding_output, unit
from zeroshelf.records import Model, Pixels, Vectors

SAME = 1e-4  # between a picture's numbers alone and in a batch
CONVOLUTIONS = 8  # a graph with more is a convolutional network
LEAST_HALF = 0.999  # cosine of a vector computed in half precision to that of float32


class VisualTower:
    """The image tower. Its graph may want other things than float pixels, any number at once."""

    def __init__(self, graph: Graph, model: Model) -> None:
        self.graph = graph
        self._input = _only_input(graph)
        self._output = embedding_output(graph)
        self._preprocessing, self._dim = model.preprocessing, model.dim
        self._limit = self._input.shape[0]  # pictures at once; None: any number
        if count_operators(graph.path, "DynamicQuantizeLinear"):
            self._limit = 1  # its scales are a batch's: a vector would depend on other pictures
        sides = {size for size in self._input.shape[1:] if size not in (None, 3)}
        if not sides <= {model.preprocessing.size}:
            raise UserError(
                f"{graph.path}: it takes pictures of {max(sides)} px, but the settings beside it "
                f"say {model.preprocessing.size}"
            )

    @cached_property
    def batch_size(self) -> int:
        """How many pictures at once are least work for each. An accelerator wants many. On a CPU
        the intermediate results of a convolutional network soon don't fit into a core's cache; a
        transformer doesn't care (docs/models.md)."""
        if self.graph.device != "cpu":
            return 64
        return 2 if count_operators(self.graph.path, "Conv") > CONVOLUTIONS else 8

    def __call__(self, pixels: Pixels) -> Vectors:
        limit = self._limit or len(pixels)
        if len(pixels) > limit:
            parts = [self(pixels[i : i + limit]) for i in range(0, len(pixels), limit)]
            return np.concatenate(parts)
        try:
            rows = self.graph.run({self._input.name: self._fit(pixels)}, self._output)
        except ort.OutOfMemoryError as error:
            if len(pixels) == 1:
                raise UserError(
                    f"one picture is too large for this device's memory: {error}"
                ) from error
            self._limit = (len(pixels) + 1) // 2
            return self(pixels)
        return unit(self.graph, rows, self._dim)

    def _fit(self, pixels: Pixels) -> Array:
        if self._input.dtype is np.uint8:  # normalisation is part of the graph: undo ours
            mean = np.array(self._preprocessing.mean, np.float32).reshape(3, 1, 1)
            std = np.array(self._preprocessing.std, np.float32).reshape(3, 1, 1)
            levels: Array = np.rint((pixels * std + mean) * 255).astype(np.uint8)
            return levels.transpose(0, 2, 3, 1) if self._input.shape[-1] == 3 else levels
        return np.ascontiguousarray(pixels, dtype=self._input.dtype)


def at_once(one: VisualTower, model: Model, number: int = 0) -> VisualTower:
    """The image tower that takes one picture at a time, for any number; the same tower again where
    that can't be made or fails a comparison on pictures of noise. An accelerator is several times
    as fast with a batch; a CPU isn't (docs/models.md), so this is not called for one. `number`: of
    the device."""
    from zeroshelf.models import batch  # for accelerators only

    many = _rewritten(one, batch.free(one.graph.path), model, number)
    if many is None:
        return one
    pixels = _noise(model)
    try:
        alone = one(pixels)
        tells = min(np.abs(alone - np.roll(alone, 1, axis=0)).max(axis=1)) > 10 * SAME
        proved = np.abs(many(pixels) - alone).max() <= SAME and tells
    except Exception:  # onnxruntime raises classes of its own: this graph mixes its pictures
        return one
    return many if proved else one


def in_half(one: VisualTower, model: Model, number: int = 0) -> tuple[VisualTower, float | None]:
    """The image tower that computes in half precision, and the least cosine of its vectors to those
    of float32, on pictures of noise; the same tower again and None where that can't be made or the
    cosine is less than `LEAST_HALF`. `number`: of the device."""
    from zeroshelf.models import half  # for accelerators only

    made = _rewritten(one, half.computing(one.graph.path), model, number)
    if made is None:
        return one, None
    pixels = _noise(model)
    try:
        cosine = float(np.einsum("nd,nd->n", made(pixels), one(pixels)).min())
    except Exception:  # onnxruntime raises classes of its own: an operator is missing in half
        return one, None
    return (made, cosine) if cosine >= LEAST_HALF else (one, None)


def _rewritten(
    one: VisualTower, graph: bytes | None, model: Model, number: int
) -> VisualTower | None:
    """The tower of another graph in place of its own, on the same device; None without one."""
    if graph is None:
        return None
    path, device = one.graph.path, one.graph.device
    try:
        opened = ort.open_graph(path, device, 1, lambda line: None, rewritten=graph, number=number)
        return VisualTower(opened, model) if opened.device == device else None
    except Exception:  # onnxruntime raises classes of its own
        return None


def _noise(model: Model) -> Pixels:
    """(3, 3, size, size): each with a colour of its own, for much noise is the same grey to a
    network that takes means."""
    side, random = model.preprocessing.size, np.random.default_rng(0)
    noise = random.normal(size=(3, 3, side, side)) + 2 * random.normal(size=(3, 3, 1, 1))
    return np.asarray(noise, np.float32)


def _only_input(graph: Graph) -> Port:
    if len(graph.inputs) != 1 or len(graph.inputs[0].shape) != 4:
        names = ", ".join(port.name for port in graph.inputs)
        raise UserError(f"{graph.path}: its inputs ({names}) are not those of an image tower")
    return graph.inputs[0]
