"""The two towers of one model: pixels and texts become embeddings in one space."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from zeroshelf import checks
from zeroshelf.errors import UserError
from zeroshelf.models import ort
from zeroshelf.models.families import Layout
from zeroshelf.models.ort import Array, Graph, Port, Warn
from zeroshelf.models.several import Several
from zeroshelf.models.text import Tokenizer
from zeroshelf.records import Model, Pixels, Vectors
from zeroshelf.system import machine

# A graph may return more than the embedding (SigLIP: a state for each patch): taken by name.
OUTPUTS = (
    "embedding",
    "image_embeds",
    "text_embeds",
    "image_embedding",
    "text_embedding",
    "sentence_embedding",
    "pooler_output",
    "output",
)
MANY_TEXTS = 64  # more are worth a graph that is optimised, which takes a quarter of a second
LEAST_BATCH = 8  # texts that a thread gives at once on a CPU, where there are few for each
SAME = 1e-4  # between a picture's numbers alone and in a batch, a text's in a short graph and not
SHORT = 16  # tokens of a text tower for short texts: most prompts are no longer
PROBES = ("dog", "a photo of a giraffe.", "a crumpled shop receipt on a wooden table", "16 %: é!")
LEAST_HALF = 0.999  # cosine of a vector computed in half precision to that of float32


class TwoTower:
    """An `Encoder` on ONNX Runtime. Each tower is opened when it is first used."""

    def __init__(
        self, model: Model, layout: Layout, device: str | None, threads: int, warn: Warn
    ) -> None:
        self.model = model
        self._layout = layout
        self._device, self._threads, self._warn = device, threads, warn
        self._lock = threading.Lock()
        self._visual: _Visual | None = None
        self._devices: list[_Visual] = []  # the image tower on each device, `_visual` first
        self._embed: Callable[[Pixels], Vectors] | None = None  # by whichever of these is free
        # of the image tower's vectors to float32's, where it computes in half precision
        self.half_cosine: float | None = None
        self._textual: _Textual | None = None

    def __reduce__(self) -> tuple[Callable[..., TwoTower], tuple[object, ...]]:
        """Pickled by the model's id: the other process opens the model's files anew."""
        from zeroshelf.models import listing

        model = self.model
        parts = (model.id, str(model.folder), model.digest, self._device, self._threads)
        return listing.reopen, parts

    @property
    def batch_size(self) -> int:
        """How many pictures a worker gives at once: few on a CPU, many on an accelerator."""
        return 8 if self.open() == "cpu" else 64

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
                self._textual = self._open_textual(many=len(texts) > MANY_TEXTS)
            textual = self._textual
        return textual(texts, self.model.dim)

    def _open_textual(self, *, many: bool) -> _Textual:
        """The text tower. For many texts it works as the image tower does, one thread a call with
        as many callers as there are cores, which takes half of the processors' time; a few texts
        are a single call, so that all cores share in it."""
        graph = ort.open_graph(
            self._layout.textual,
            self._device,
            1 if many else self._threads,
            self._warn,
            optimise=many,
            arena=many,
        )
        whole = _Textual(graph, self._layout, self._threads if many else None)
        return self._shorter(whole) if many else whole

    def _shorter(self, whole: _Textual) -> _Textual:
        """The text tower with a second graph for short texts, where it pads every text to the
        model's context and the second graph gives the same."""
        from zeroshelf.models import shorten  # for many texts only

        path, context = self._layout.textual, self._layout.text.context_length
        if not whole.can_be_short or context <= SHORT:
            return whole
        rewritten = shorten.shortened(path, context, SHORT)
        if rewritten is None:
            return whole
        try:
            graph = ort.open_graph(path, "cpu", 1, self._warn, arena=True, rewritten=rewritten)
            both = _Textual(whole.graph, self._layout, self._threads, graph)
            found, wanted = both(PROBES, self.model.dim), whole(PROBES, self.model.dim)
        except Exception:  # onnxruntime raises classes of its own: a graph of another kind
            return whole
        return both if np.abs(found - wanted).max() <= SAME else whole

    def release_texts(self) -> None:
        """Give the text tower's memory back; the next text opens it again."""
        with self._lock:
            self._textual = None

    def _open_visual(self) -> _Visual:
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

    def _on_device(self, number: int) -> _Visual:
        """The image tower on the device of that number, of those of one kind."""
        # One thread a call: the callers are as many as the cores, and each works on its own
        # pictures, so no core ever waits for another.
        graph = ort.open_graph(self._layout.visual, self._device, 1, self._warn, number=number)
        visual = _Visual(graph, self.model)
        if graph.device == "cpu":
            return visual
        if graph.inputs[0].shape[0] == 1:
            return at_once(visual, self.model, number)
        if graph.device in ort.GPUS and self._layout.settings.get("precision") == "fp16":
            visual, self.half_cosine = in_half(visual, self.model, number)
        return visual


class _Visual:
    """The image tower. Its graph may want other things than float pixels, any number at once."""

    def __init__(self, graph: Graph, model: Model) -> None:
        self.graph = graph
        self._input = _only_input(graph)
        self._output = embedding_output(graph)
        self._preprocessing, self._dim = model.preprocessing, model.dim
        self._limit = self._input.shape[0]  # pictures at once; None: any number
        sides = {size for size in self._input.shape[1:] if size not in (None, 3)}
        if not sides <= {model.preprocessing.size}:
            raise UserError(
                f"{graph.path}: it takes pictures of {max(sides)} px, but the settings beside it "
                f"say {model.preprocessing.size}"
            )

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
        return _unit(self.graph, rows, self._dim)

    def _fit(self, pixels: Pixels) -> Array:
        if self._input.dtype is np.uint8:  # normalisation is part of the graph: undo ours
            mean = np.array(self._preprocessing.mean, np.float32).reshape(3, 1, 1)
            std = np.array(self._preprocessing.std, np.float32).reshape(3, 1, 1)
            levels: Array = np.rint((pixels * std + mean) * 255).astype(np.uint8)
            return levels.transpose(0, 2, 3, 1) if self._input.shape[-1] == 3 else levels
        return np.ascontiguousarray(pixels, dtype=self._input.dtype)


def at_once(one: _Visual, model: Model, number: int = 0) -> _Visual:
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


def in_half(one: _Visual, model: Model, number: int = 0) -> tuple[_Visual, float | None]:
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


def _rewritten(one: _Visual, graph: bytes | None, model: Model, number: int) -> _Visual | None:
    """The tower of another graph in place of its own, on the same device; None without one."""
    if graph is None:
        return None
    path, device = one.graph.path, one.graph.device
    try:
        opened = ort.open_graph(path, device, 1, lambda line: None, rewritten=graph, number=number)
        return _Visual(opened, model) if opened.device == device else None
    except Exception:  # onnxruntime raises classes of its own
        return None


def _noise(model: Model) -> Pixels:
    """(3, 3, size, size): each with a colour of its own, for much noise is the same grey to a
    network that takes means."""
    side, random = model.preprocessing.size, np.random.default_rng(0)
    noise = random.normal(size=(3, 3, side, side)) + 2 * random.normal(size=(3, 3, 1, 1))
    return np.asarray(noise, np.float32)


class _Textual:
    """The text tower with its tokenizer.

    `callers` is the number of threads that ask the graph at once on a CPU; None: it was opened for
    a few texts. `short` is the same graph for texts of up to `SHORT` tokens, if there is one.
    """

    def __init__(
        self,
        graph: Graph,
        layout: Layout,
        callers: int | None = None,
        short: Graph | None = None,
    ) -> None:
        self.for_many = callers is not None
        self.graph, self._short = graph, short
        self._callers = callers if callers and graph.device == "cpu" else 1
        self._output = embedding_output(graph)
        ports = {_role(graph, port): port for port in graph.inputs}
        if "ids" not in ports:
            raise UserError(f"{graph.path}: no input for token ids")
        self._ports = ports
        length, wanted = ports["ids"].shape[-1], layout.text.pad_to_context
        if length not in (None, layout.text.context_length):
            raise UserError(
                f"{graph.path}: it takes texts of {length} tokens, but the settings beside it say "
                f"{layout.text.context_length}"
            )
        wanted = "mask" not in ports if wanted is None else wanted
        self._tokenizer = Tokenizer(layout.text, length is not None or wanted)
        right = layout.text.padding_side == "right"
        self.can_be_short = graph.device == "cpu" and length is not None and right

    def __call__(self, texts: Sequence[str], dim: int) -> Vectors:
        tokens = self._tokenizer.ids(texts)
        vectors = np.empty((len(texts), dim), np.float32)

        def embed(rows: Sequence[int]) -> None:
            vectors[rows] = _unit(self.graph, self._run([tokens[i] for i in rows]), dim)

        # Texts of like length together: the shorter ones of a batch are padded to the longest.
        order = sorted(range(len(texts)), key=lambda i: -len(tokens[i]))
        size = self._batch_size(len(texts))
        long = sum(len(row) > SHORT for row in tokens) if self._short else 0
        batches = [
            some[start : start + size]
            for some in (order[:long], order[long:])
            for start in range(0, len(some), size)
        ]
        if self._callers == 1 or len(batches) == 1:
            for rows in batches:
                embed(rows)
        else:
            with ThreadPoolExecutor(self._callers, thread_name_prefix="texts") as pool:
                for _ in pool.map(embed, batches):
                    pass
        return vectors

    def _batch_size(self, count: int) -> int:
        fixed = self._ports["ids"].shape[0]
        if fixed or self.graph.device != "cpu":
            return fixed or 64
        return max(LEAST_BATCH, min(32, -(-count // self._callers)))

    def _run(self, tokens: Sequence[Sequence[int]]) -> Array:
        short = self._short if max(map(len, tokens)) <= SHORT else None
        ids, mask = self._tokenizer.padded(tokens, SHORT if short else None)
        values = {"ids": ids, "mask": mask, "types": np.zeros_like(ids)}
        feeds = {port.name: values[role].astype(port.dtype) for role, port in self._ports.items()}
        return (short or self.graph).run(feeds, self._output)


def _only_input(graph: Graph) -> Port:
    if len(graph.inputs) != 1 or len(graph.inputs[0].shape) != 4:
        names = ", ".join(port.name for port in graph.inputs)
        raise UserError(f"{graph.path}: its inputs ({names}) are not those of an image tower")
    return graph.inputs[0]


def _role(graph: Graph, port: Port) -> str:
    roles = {
        "input_ids": "ids",
        "text": "ids",
        "input": "ids",
        "attention_mask": "mask",
        "token_type_ids": "types",
    }
    if port.name not in roles:
        raise UserError(f"{graph.path}: its input {port.name!r} is unknown")
    return roles[port.name]


def embedding_output(graph: Graph) -> str:
    names = [port.name for port in graph.outputs]
    for name in OUTPUTS:
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    raise UserError(f"{graph.path}: none of its outputs ({', '.join(names)}) is an embedding")


def _unit(graph: Graph, vectors: Array, dim: int) -> Vectors:
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise UserError(f"{graph.path}: its rows have the shape {vectors.shape[1:]}, not ({dim},)")
    rows: Vectors = vectors.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return rows
