"""Which pictures are like no other of their folder, and which are the most typical of some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zeroshelf.decisions.smoothing import smoothing_of
from zeroshelf.records import Embeddings


@dataclass(frozen=True, slots=True)
class Outlier:
    """A picture and how far it is from the others."""

    path: str
    row: int  # of the index
    similarity: float  # mean cosine with its five nearest neighbours, around the folder's mean


def outliers(embeddings: Embeddings, count: int) -> list[Outlier]:
    """The `count` pictures that are the least similar to their nearest neighbours, the least
    similar first. Cosines are those of embeddings centred on the folder's mean (1: the same, 0:
    nothing in common). Fewer than two pictures have no outlier."""
    if len(embeddings) < 2:
        return []
    similar = smoothing_of(embeddings.vectors).cosines.mean(axis=1)
    return [
        Outlier(embeddings.pictures[row].path, row, float(similar[row]))
        for row in np.argsort(similar, kind="stable")[:count].tolist()
    ]


def typical(embeddings: Embeddings, rows: Sequence[int], count: int) -> list[int]:
    """The `count` of `rows` whose embeddings have the greatest cosine with the mean of all `rows`,
    the greatest first."""
    vectors = embeddings.vectors[list(rows)].astype(np.float32)
    order = np.argsort(-(vectors @ vectors.sum(axis=0)), kind="stable")
    return [rows[place] for place in order[:count].tolist()]
