"""Which negative labels a folder can need, so that a large model embeds only those.

The 3,700 texts of all negative labels take a large text tower minutes. The starter is small and
comes with the vectors of these texts: it embeds up to `TRANSFER_MOST_IMAGES` images of the folder,
and each image's `LIKELY_NEGATIVES` nearest negative labels are used, with the cohort that is the
same for every folder. benchmarks/large_models.py measures texts, time and decisions.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.constants import LIKELY_NEGATIVES, TRANSFER_MOST_IMAGES
from zeroshelf.decisions.negative_scores import normalise
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.labels.negative_labels import cohort, negative_labels
from zeroshelf.labels.prompts import Texts
from zeroshelf.models import select
from zeroshelf.models.encoder import TwoTower
from zeroshelf.records import Embeddings, Folder, Model, NegativeRows, Progress


def needs_all(model: Model) -> bool:
    """Whether a model's decisions use all negative labels: one that comes with their vectors, or
    one of a caller, which has no folder."""
    return not model.folder.is_dir() or bool(compute.shipped_texts(model))


def of_folder(
    embedded: Embeddings, store: EmbeddingCache, progress: Progress | None = None
) -> NegativeRows | None:
    """The negative labels for a folder's images; None: all.

    embedded: the images, embedded by the model that decides.
    store: the cache; the starter's embeddings of a sample of the images are added to it.
    progress: as for `compute.embed`.
    """
    if needs_all(embedded.model):
        return None
    starter_sample(embedded, store, progress)
    return of_known(embedded, store)


def of_known(embedded: Embeddings, store: EmbeddingCache) -> NegativeRows | None:
    """As `of_folder`, from the embeddings of the starter that the cache has. No image is read."""
    if needs_all(embedded.model):
        return None
    starter = _starter()
    digests = [embedded.digests[row] for row in sample_rows(embedded)]
    found, vectors = store.vectors(starter.model.digest, digests)
    return likely(vectors[found], compute.text_embedder(starter, store), starter.model.logit_scale)


def likely(vectors: npt.NDArray[np.floating], texts: Texts, scale: float) -> NegativeRows:
    """The negative labels that images can need, and the cohort.

    vectors: (N, D), images embedded by the starter.
    texts, scale: the starter's.
    """
    same = cohort()
    if not len(vectors):
        return NegativeRows(same, same)
    known = texts([one.prompt for one in negative_labels()])
    negatives = normalise(known, known, scale)
    logits = negatives.logits(vectors.astype(np.float32))
    nearest = np.argpartition(logits, -LIKELY_NEGATIVES, axis=1)[:, -LIKELY_NEGATIVES:]
    return NegativeRows(np.union1d(nearest, same).astype(np.int32), same)


def starter_sample(
    embedded: Embeddings, store: EmbeddingCache, progress: Progress | None = None
) -> Embeddings:
    """Up to `TRANSFER_MOST_IMAGES` of the images, embedded by the starter."""
    pictures = tuple(embedded.pictures[row] for row in sample_rows(embedded))
    return compute.embed(Folder(os.sep, pictures), _starter(), store, progress=progress)


def _starter() -> TwoTower:
    """The starter; its files are hashed once."""
    return select.load(_described(select.STARTER))


@cache
def _described(folder: Path) -> Model:
    return select.describe("starter", folder)


def sample_rows(embedded: Embeddings) -> list[int]:
    """Up to `TRANSFER_MOST_IMAGES` rows, ascending: evenly spaced in the order of the digests, so
    that the same images are chosen in whatever order they come."""
    order = sorted(range(len(embedded)), key=lambda row: embedded.digests[row])
    return sorted(order[place] for place in sample_places(len(order)).tolist())


def sample_places(count: int) -> npt.NDArray[np.intp]:
    """The places of the sampled images among `count` in the order of their digests."""
    at = np.linspace(0, count - 1, min(count, TRANSFER_MOST_IMAGES))
    return np.unique(at.astype(np.intp))
