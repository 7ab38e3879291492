"""What a tower's graph gives: the output that is the embedding, and its rows at length 1."""

from __future__ import annotations

import numpy as np

from zeroshelf.errors import UserError
from zeroshelf.models.ort import Array, Graph
from zeroshelf.records import Vectors

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


def embedding_output(graph: Graph) -> str:
    """The name of the output that is the embedding. Raises `UserError` where none is."""
    names = [port.name for port in graph.outputs]
    for name in OUTPUTS:
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    raise UserError(f"{graph.path}: none of its outputs ({', '.join(names)}) is an embedding")


def unit(graph: Graph, vectors: Array, dim: int) -> Vectors:
    """(N, dim) rows of the graph -> the same of length 1, in single precision. Raises `UserError`
    for another shape."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise UserError(f"{graph.path}: its rows have the shape {vectors.shape[1:]}, not ({dim},)")
    rows: Vectors = vectors.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return rows
