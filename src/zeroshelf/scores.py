"""embeddings, labels -> scores: what the model says, before anything is decided.

A logit is the model's logit scale times a cosine, made alike for all texts: some texts are near to
everything ("thing") and some far from everything, so each text's cosines are centred and scaled by
how near it is to the bank's other texts (cohort normalisation, as "z-norm" in speaker recognition):

    logit(x, t) = scale * (x.t - CENTRED * mean_v(v.t)) * typical / std_v(v.t)

A picture's negative score is the mean of its ten nearest negatives of the bank. Pure: `texts` is
the only door to the model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zeroshelf.records import Embeddings, LabelSet, Scores, Vectors
from zeroshelf.words import negatives
from zeroshelf.words.prompts import Texts, label_prompts, mean_vectors

BLOCK = 1024  # pictures at once: 1,024 x 3,500 logits and their ranks are 43 MB
NEAREST = 10  # negatives in a picture's negative score; 3 to 30 differ little
NAMED = 3  # of them kept by name
COHORT = 500  # texts of the bank that the mean and the spread are taken over
CENTRED = 0.3
LEAST_SPREAD = 0.02  # cosine: a text that is equally far from the whole bank is no better for it
NEIGHBOURS = 5
ANCHORS = 8192  # in a larger folder, neighbours are sought among that many, evenly spread

Floats = npt.NDArray[np.float32]


def score(
    embeddings: Embeddings, labels: LabelSet, texts: Texts, before: Scores | None = None
) -> Scores:
    """(N, D) pictures, K labels -> (N, K) logits and (N,) scores of the nearest negatives.

    before: what was said of the same pictures under other labels; their neighbours are the same.
    """
    prompts = [label_prompts(label, labels) for label in labels]
    words = mean_vectors([group for own in prompts for group in own], texts)
    starts = np.cumsum([0, *map(len, prompts)])[:-1]
    bank, against = negatives.kept(labels, texts)
    scale = embeddings.model.logit_scale
    factors, offsets = _normaliser(np.concatenate((words, against)), against, scale)
    words_factor, bank_factor = factors[: len(words)], factors[len(words) :]
    words_offset, bank_offset = offsets[: len(words)], offsets[len(words) :]

    count, nearest_of = len(embeddings), min(NEAREST, len(bank))
    logits = np.empty((count, len(labels)), np.float32)
    negative = np.empty(count, np.float32)
    nearest = np.empty((count, NAMED), np.int32)
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        block = embeddings.vectors[rows]
        fits = block @ (words.T * words_factor) - words_offset
        logits[rows] = np.maximum.reduceat(fits, starts, axis=1)
        away = block @ (against.T * bank_factor)
        away -= bank_offset
        top = np.argpartition(away, -nearest_of, axis=1)[:, -nearest_of:]
        values = np.take_along_axis(away, top, axis=1)
        negative[rows] = values.mean(axis=1)
        order = np.argsort(-values, axis=1)[:, :NAMED]
        nearest[rows] = np.take_along_axis(top, order, axis=1)
    neighbours, likeness = (
        _neighbours(embeddings.vectors) if before is None else (before.neighbours, before.likeness)
    )
    return Scores(
        pictures=embeddings.pictures,
        labels=labels,
        logits=logits,
        negative=negative,
        nearest=nearest,
        negatives=tuple(one.name for one in bank),
        neighbours=neighbours,
        likeness=likeness,
        model=embeddings.model,
    )


def _normaliser(vectors: Vectors, bank: Vectors, scale: float) -> tuple[Floats, Floats]:
    """(W, D) texts, the last of them the bank -> what each text's cosines are multiplied by, and
    what is then taken off, by the mean and spread of its cosines to the bank.
    """
    cosines = vectors @ bank[:: max(1, len(bank) // COHORT)].T
    mean, std = cosines.mean(axis=1), cosines.std(axis=1)
    typical = std[-len(bank) :].mean()
    factor = scale * (typical + LEAST_SPREAD) / (std + LEAST_SPREAD)
    offset = factor * CENTRED * mean
    return factor.astype(np.float32), offset.astype(np.float32)


def _neighbours(vectors: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.int32], Floats]:
    """(N, D) -> each picture's nearest others and their cosines, centred on the folder's mean."""
    count = len(vectors)
    kept = min(NEIGHBOURS, max(count - 1, 0))
    neighbours = np.empty((count, kept), np.int32)
    likeness = np.empty((count, kept), np.float32)
    if not kept:
        return neighbours, likeness
    mean = vectors.mean(axis=0, dtype=np.float32)

    def centred(rows: slice | npt.NDArray[np.int32]) -> Floats:
        away: Floats = vectors[rows].astype(np.float32) - mean
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        return away

    anchors = np.unique(np.linspace(0, count - 1, min(count, ANCHORS)).astype(np.int32))
    among = centred(anchors).T
    for start in range(0, count, BLOCK // 4):
        rows = slice(start, min(start + BLOCK // 4, count))
        cosines = centred(rows) @ among
        cosines[anchors[None, :] == np.arange(rows.start, rows.stop)[:, None]] = -2
        top = np.argpartition(cosines, -kept, axis=1)[:, -kept:]
        neighbours[rows] = anchors[top]
        likeness[rows] = np.take_along_axis(cosines, top, axis=1)
    return neighbours, likeness
