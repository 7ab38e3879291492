"""The part of a folder's scores that no label changes: nearest negatives and smoothing.

It is computed once for each state of a folder and kept beside the cache, so that other labels and
searches start from it in another process too. docs/files.md tells where.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zeroshelf.decisions import constants
from zeroshelf.decisions.negative_scores import nearest_candidates
from zeroshelf.decisions.smoothing import smoothing_of
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.embeddings.folder_cache import Arrays
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts
from zeroshelf.records import Embeddings, NegativeCandidates, NegativeRows, Smoothing
from zeroshelf.system import content_hash

VERSION = 1  # one more whenever the same embeddings would give another result
LEAST = 256  # images; of fewer, it is computed sooner than read


@dataclass(frozen=True, slots=True)
class BeforeLabels:
    """The part of N images' scores that no label changes."""

    candidates: NegativeCandidates  # N
    smoothing: Smoothing  # N


def of_folder(
    embeddings: Embeddings,
    texts: Texts,
    store: EmbeddingCache | None,
    negatives: NegativeRows | None = None,
) -> BeforeLabels:
    """Of N embedded images, from the cache where that has it.

    texts: embeds texts with the same model.
    store: the cache; what is computed of `LEAST` images and more is added to it. None: not kept.
    negatives: the negative labels to search; None: all.
    """
    if len(embeddings) < LEAST:
        store = None
    key = b"" if store is None else key_of(embeddings, negatives)
    kept = None if store is None else store.arrays(key)
    found = None if kept is None else _from_arrays(kept, len(embeddings), negatives)
    if found is not None:
        return found
    scale = embeddings.model.logit_scale
    made = BeforeLabels(
        nearest_candidates(embeddings.vectors, texts, scale, negatives),
        smoothing_of(embeddings.vectors),
    )
    if store is not None:
        store.add_arrays(key, _to_arrays(made))
    return made


def key_of(embeddings: Embeddings, negatives: NegativeRows | None) -> bytes:
    """Stands for all that the result depends on: the images in their order, the model, the negative
    labels, the constants and the code."""
    searched = b"" if negatives is None else negatives.rows.tobytes() + negatives.cohort.tobytes()
    about = (embeddings.model.digest, made_by(), len(embeddings), len(searched))
    return repr(about).encode() + searched + b"".join(embeddings.digests)


def made_by() -> str:
    """Stands for the code, all negative labels and the constants. Where one of them is another,
    what is on the disk is computed anew."""
    tuned = sorted((name, repr(value)) for name, value in vars(constants).items() if name.isupper())
    prompts = [one.prompt for one in negative_labels()]
    return content_hash.of_bytes(repr((VERSION, prompts, tuned)).encode()).hex()[:32]


def _to_arrays(made: BeforeLabels) -> Arrays:
    return {
        "rows": made.candidates.rows.astype(np.uint16),
        "near": made.candidates.cosines,
        "neighbours": made.smoothing.neighbours,
        "cosines": made.smoothing.cosines,
        "coordinates": made.smoothing.coordinates,
    }


def _from_arrays(kept: Arrays, count: int, negatives: NegativeRows | None) -> BeforeLabels | None:
    """None where these are not the arrays of `count` images."""
    names = ("rows", "near", "neighbours", "cosines", "coordinates")
    if kept.keys() != set(names) or {len(kept[name]) for name in names} != {count}:
        return None
    candidates = NegativeCandidates(kept["rows"].astype(np.int32), kept["near"], negatives)
    return BeforeLabels(
        candidates, Smoothing(kept["neighbours"], kept["cosines"], kept["coordinates"])
    )
