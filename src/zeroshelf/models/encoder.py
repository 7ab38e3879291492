"""The two towers of one model: pixels and texts become embeddings in one space."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from zeroshelf import checks
from zeroshelf.models import ort
from zeroshelf.models.families import Layout
from zeroshelf.models.ort import Warn
from zeroshelf.models.several import Several
from zeroshelf.models.textual_tower import TextualTower, open_tower
from zeroshelf.models.visual_tower import LEAST_HALF, VisualTower, at_once, in_half
from zeroshelf.records import Model, Pixels, Vectors
from zeroshelf.system import machine

MANY_TEXTS = 64  # more are worth a graph that is optimised, which takes a quarter of a second


class TwoTower:
    """An `Encoder` on ONNX Runtime. Each tower is opened when it is first used.

    reopen: makes the same encoder in another process (`select.reopen`).
    """

    def __init__(
        self,
        model: Model,
        layout: Layout,
        device: str | None,
        threads: int,
        warn: Warn,
        reopen: Callable[[str, str, str, str | None, int], TwoTower],
    ) -> None:
        self.model = model
        self._reopen = reopen
        self._layout = layout
        self._device, self._threads, self._warn = device, threads, warn
        self._lock = threading.Lock()
        self._visual: VisualTower | None = None
        self._devices: list[VisualTower] = []  # the image tower on each device, `_visual` first
        self._embed: Callable[[Pixels], Vectors] | None = None  # by whichever of these is free
        # of the image tower's vectors to float32's, where it computes in half precision
        self.half_cosine: float | None = None
        self._textual: TextualTower | None = None

    def __reduce__(self) -> tuple[Callable[..., TwoTower], tuple[object, ...]]:
        """Pickled by the model's id: the other process opens the model's files anew."""
        model = self.model
        parts = (model.id, str(model.folder), model.digest, self._device, self._threads)
        return self._reopen, parts

    @property
    def batch_size(self) -> int:
        """How many pictures a worker gives at once: few on a CPU, many on an accelerator."""
        return self._open_visual().batch_size

    @property
    def feeders(self) -> int:
        """How many threads shall call `embed_pictures` and do nothing else: one for each GPU. 0
        where the processors compute: then each thread decodes and embeds."""
        return len(self._devices) if self.open() in ort.GPUS else 0

    @property
    def pixel_type(self) -> type[np.generic]:
        """In which `embed_pictures` takes pixels without a cast: float16 or float32."""
        dtype = self._open_visual().graph.inputs[0].dtype
        return np.float16 if dtype is np.float16 else np.float32

    @property
    def device(self) -> str | None:
        """Where pictures were embedded: "cpu", "cuda", ...; None as long as none were."""
        return self._visual.graph.device if self._visual else None

    def open(self) -> str:
        """Open the image tower now, and say on which device."""
        return self._open_visual().graph.device

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        """(N, 3, size, size) -> (N, dim), rows of length 1. Called from several threads at once."""
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 4:
            raise checks.refuse("pixels", "an array (N, 3, size, size)", pixels)
        if self._textual is not None:
            self.release_texts()  # the picture pass is long, and a vocabulary of 256,000 is large
        self._open_visual()
        assert self._embed is not None
        return self._embed(pixels)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """N texts -> (N, dim), rows of length 1."""
        texts = checks.texts(texts, "texts")
        if not texts:
            return np.empty((0, self.model.dim), np.float32)
        with self._lock:
            if self._textual is None or (len(texts) > MANY_TEXTS and not self._textual.for_many):
                self._textual = open_tower(
                    self._layout,
                    self.model.dim,
                    self._device,
                    self._threads,
                    self._warn,
                    many=len(texts) > MANY_TEXTS,
                )
            textual = self._textual
        return textual(texts, self.model.dim)

    def release_texts(self) -> None:
        """Give the text tower's memory back; the next text opens it again."""
        with self._lock:
            self._textual = None

    def _open_visual(self) -> VisualTower:
        with self._lock:
            if self._visual is None:
                first = self._on_device(0)
                gpus = machine.cuda_devices() if first.graph.device == "cuda" else 1
                others = [self._on_device(number) for number in range(1, gpus)]
                same = [one for one in others if one.graph.device == first.graph.device]
                self._devices = [first, *same]
                self._embed = Several(self._devices) if same else first
                self._visual = first
            return self._visual

    def _on_device(self, number: int) -> VisualTower:
        """The image tower on the device of that number, of those of one kind."""
        # One thread a call: the callers are as many as the cores, and each works on its own
        # pictures, so no core ever waits for another.
        graph = ort.open_graph(self._layout.visual, self._device, 1, self._warn, number=number)
        visual = VisualTower(graph, self.model)
        if graph.device == "cpu":
            return visual
        if graph.inputs[0].shape[0] == 1:
            return at_once(visual, self.model, number)
        if graph.device in ort.GPUS and self._layout.settings.get("precision") == "fp16":
            visual, self.half_cosine = in_half(visual, self.model, number)
            if self.half_cosine is None and not number:
                self._warn(
                    f"{self.model.id} computes in float32 on {graph.device}: in half precision it "
                    f"can't, or its cosine to float32 is less than {LEAST_HALF}"
                )
        return visual
