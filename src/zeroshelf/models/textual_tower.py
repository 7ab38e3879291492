"""The text tower of a model, with its tokenizer: for a few texts, or for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from zeroshelf.errors import UserError
from zeroshelf.models import ort
from zeroshelf.models.families import Layout
from zeroshelf.models.ort import Array, Graph, Port, Warn
from zeroshelf.models.text import Tokenizer
from zeroshelf.models.tower_output import embedding_output, unit
from zeroshelf.records import Vectors

LEAST_BATCH = 8  # texts that a thread gives at once on a CPU, where there are few for each
SAME = 1e-4  # between a text's numbers in a graph for any length and in the whole one
PROBES = (
    "dog",
    "16 %: é!",
    "a crumpled shop receipt on a wooden table beside two cups of coffee, from above, at night",
)


def open_tower(
    layout: Layout, dim: int, device: str | None, threads: int, warn: Warn, *, many: bool
) -> TextualTower:
    """The text tower of embeddings (N, dim). For many texts it works as the image tower does, one
    thread a call with as many callers as there are cores, which takes half of the processors'
    time; a few texts are a single call, so that all cores share in it. Where texts needn't be
    padded to the model's context, few are so little work that both are the same."""
    graph = ort.open_graph(
        layout.textual, device, 1 if many else threads, warn, optimise=many, arena=many
    )
    whole = TextualTower(graph, layout, threads if many else None)
    return _of_any_length(whole, layout, dim, threads, warn) or whole


def _of_any_length(
    whole: TextualTower, layout: Layout, dim: int, threads: int, warn: Warn
) -> TextualTower | None:
    """The text tower for texts of any length, where the whole one pads every text to the model's
    context and the other gives the same. None where that isn't so."""
    from zeroshelf.models import shorten  # for such a tower only

    if not whole.is_padded:
        return None
    path = layout.textual.resolve()  # ONNX Runtime refuses weights behind a link
    rewritten = shorten.of_any_length(path, layout.text.context_length)
    if rewritten is None:
        return None
    try:
        graph = ort.open_graph(path, "cpu", 1, warn, arena=True, rewritten=rewritten)
        found = TextualTower(graph, layout, threads, unpadded=whole.tokenizer)
        same = np.abs(found(PROBES, dim) - whole(PROBES, dim)).max() <= SAME
    except Exception:  # onnxruntime raises classes of its own: a graph of another kind
        return None
    return found if same else None


class TextualTower:
    """The text tower with its tokenizer.

    `callers` is the number of threads that ask the graph at once on a CPU; None: it was opened for
    a few texts. `unpadded`: the tokenizer of a tower that pads texts to the model's context, for
    one that doesn't, whatever the model's settings say.
    """

    def __init__(
        self,
        graph: Graph,
        layout: Layout,
        callers: int | None = None,
        *,
        unpadded: Tokenizer | None = None,
    ) -> None:
        self.for_many = callers is not None
        self.graph = graph
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
        self.tokenizer = (
            unpadded.without_padding()
            if unpadded
            else Tokenizer(layout.text, length is not None or wanted)
        )
        right = layout.text.padding_side == "right"
        # to its context, though a causal tower on a CPU could do without
        self.is_padded = graph.device == "cpu" and length is not None and right

    def __call__(self, texts: Sequence[str], dim: int) -> Vectors:
        tokens = self.tokenizer.ids(texts)
        vectors = np.empty((len(texts), dim), np.float32)

        def embed(rows: Sequence[int]) -> None:
            vectors[rows] = unit(self.graph, self._run([tokens[i] for i in rows]), dim)

        # Texts of like length together: the shorter ones of a batch are padded to the longest.
        order = sorted(range(len(texts)), key=lambda i: -len(tokens[i]))
        size = self._batch_size(len(texts))
        batches = [order[start : start + size] for start in range(0, len(order), size)]
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
        ids, mask = self.tokenizer.padded(tokens)
        values = {"ids": ids, "mask": mask, "types": np.zeros_like(ids)}
        feeds = {port.name: values[role].astype(port.dtype) for role, port in self._ports.items()}
        return self.graph.run(feeds, self._output)


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
